// Configurations in memory.

import { dirname } from 'node:path'
import {
  type Files,
  type FolderListing,
  openFiles,
  type SourceFile,
  sourceFile
} from '../../src/configuration/files.ts'
import { type Configuration, loadConfiguration } from '../../src/configuration/load.ts'
import { type ShippedModules, shippedModules } from '../../src/configuration/modules.ts'

/** The shipped modules. */
export const shipped = shippedModules('0.0.0')

/** The shipped modules with other texts but the same options. */
export function shippedWith(texts: ReadonlyMap<string, string>): ShippedModules {
  return { ...shipped, texts, exclusive: shipped.exclusive, declared: shipped.declared }
}

/** Files with these texts by absolute path, and no other files. */
export function filesFrom(texts: Readonly<Record<string, string>>): Files {
  const known = new Map(Object.entries(texts).map(([path, text]) => [path, sourceFile(path, text)]))
  return {
    ...openFiles('/'),
    module: path => known.get(path) ?? known.get(`${path}/default.nix`),
    oversize: () => undefined,
    around: (_, pattern) => [...known.values()].filter(it => pattern.test(it.text)),
    flakeOf: path => known.get(`${dirname(path)}/flake.nix`),
    changed: () => []
  }
}

/** The configuration with these texts by absolute path; the first file is the target. */
export function configurationFrom(
  texts: Readonly<Record<string, string>>,
  modules: ShippedModules = shipped
): Configuration {
  const files = filesFrom(texts)
  const target = files.module(Object.keys(texts)[0] ?? '')
  if (!target) throw new Error('a configuration without a file')
  return loadConfiguration(target, modules, files)
}

/** The entries of a folder by name; null for a subfolder. */
export function listingOf(entries: Iterable<readonly [string, string | null]>): FolderListing {
  return new Map(
    [...entries].map(([name, text]): [string, SourceFile | null] => [
      name,
      text === null ? null : sourceFile(name, text)
    ])
  )
}
