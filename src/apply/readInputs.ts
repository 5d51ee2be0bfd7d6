import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadModule } from './importClosure.ts'
import type { FolderListing } from './modulesFolder.ts'

/** What stands in a folder: its files' texts, its folders as null. */
export function readFolder(path: string): FolderListing {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return 'absent'
  if (!stat.isDirectory()) return 'not-a-folder'
  const entries = readdirSync(path, { withFileTypes: true })
  return new Map(
    entries
      .map(it => it.name)
      .sort()
      .map(name => [name, readText(join(path, name)) ?? null])
  )
}

/** Reads modules for `followImports`; a folder stands for its default.nix. */
export const readModule: ReadModule = path => {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const file = folder ? join(path, 'default.nix') : path
  const text = readText(file)
  return text === undefined ? undefined : { path: realpathSync(file), text }
}

// No module is this big; what is, is something else.
const MOST_BYTES = 10 * 1024 * 1024

function readText(path: string): string | undefined {
  try {
    const stat = statSync(path)
    return stat.isFile() && stat.size <= MOST_BYTES ? readFileSync(path, 'utf8') : undefined
  } catch {
    // What can't be read here is no obstacle: it only can't tell us anything.
    return undefined
  }
}
