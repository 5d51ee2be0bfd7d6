// A configuration as one value: everything that a plan is based on, except the machine.

import { dirname, join } from 'node:path'
import { type Files, type SourceFile, sourceFile } from './files.ts'
import {
  type ConfigurationFile,
  type Declaration,
  declarationIn,
  type ImportWalk,
  walkImports
} from './imports.ts'
import type { ShippedModules } from './modules.ts'

/** A configuration, loaded once for a run. */
export interface Configuration extends ImportWalk {
  /** The file that the run is about, the first of `files`. */
  readonly target: ConfigurationFile
  /** The files that the target imports, directly or indirectly. */
  readonly imported: readonly ConfigurationFile[]
  /** The imported folders with installed modules, each with the file that imports it. */
  readonly installedFolders: readonly { path: string; importer: string }[]
  /** The first declaration of one of vfio-patch's options in another module. */
  readonly foreignDeclaration: Declaration | undefined
  readonly shipped: ShippedModules
  /** The source of all files of the configuration, to read more files of the same system. */
  readonly sources: Files
}

/** Follows the imports of a file. Files that can't be read are in `unread`; they are not errors. */
export function loadConfiguration(
  target: SourceFile,
  shipped: ShippedModules,
  sources: Files
): Configuration {
  const walk = walkImports(target, sources)
  const [first, ...imported] = walk.files as [ConfigurationFile, ...ConfigurationFile[]]
  return {
    ...walk,
    target: first,
    imported,
    installedFolders: walk.installed.map(({ path, importer }) => ({
      path: dirname(path),
      importer
    })),
    foreignDeclaration: declarationIn(walk.files, shipped.exclusive),
    shipped,
    sources
  }
}

/** The configuration after these changes; `after` is undefined for a deleted file. */
export function withChanges(
  { target, shipped, sources }: Configuration,
  changes: readonly { path: string; after: string | undefined }[]
): Configuration {
  const written = new Map(
    changes.map(({ path, after }) => [
      path,
      after === undefined ? undefined : sourceFile(path, after)
    ])
  )
  const after: Files = {
    ...sources,
    module(path) {
      const found = sources.module(path)
      // New files are not on disk yet, so they are found by path only.
      const paths = [found?.path ?? path, join(path, 'default.nix')]
      const changed = paths.find(it => written.has(it))
      return changed === undefined ? found : written.get(changed)
    }
  }
  return loadConfiguration(written.get(target.path) ?? target, shipped, after)
}
