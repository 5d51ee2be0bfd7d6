// A configuration as one value: everything that a plan knows about it besides the machine.

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
  /** The file that the run is about; the first of `files`. */
  readonly target: ConfigurationFile
  /** The files that the target imports, directly or through others. */
  readonly imported: readonly ConfigurationFile[]
  /** The folders with installed modules that are imported, and the file that imports each. */
  readonly installedFolders: readonly { path: string; importer: string }[]
  /** The first declaration of an option of this tool in a file that is not its own. */
  readonly foreign: Declaration | undefined
  readonly shipped: ShippedModules
  /** Reads more files of the same system. All files that the configuration is made of come from here. */
  readonly sources: Files
}

/**
 * Follows the imports of a file, which was read already. Files that can't be read are in `unread`; none
 * is an error here.
 */
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
    foreign: declarationIn(walk.files, shipped.own),
    shipped,
    sources
  }
}

/** The same configuration once these files are written; `after` is undefined for a file that is deleted. */
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
      // New files are known by their path alone.
      const paths = [found?.path ?? path, join(path, 'default.nix')]
      const changed = paths.find(it => written.has(it))
      return changed === undefined ? found : written.get(changed)
    }
  }
  return loadConfiguration(written.get(target.path) ?? target, shipped, after)
}
