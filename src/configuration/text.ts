// The texts of Nix files, read without the parser.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The most bytes of a Nix file that is read. Planning and proving an edit of 1 MiB of bindings takes about
 * half a minute and 1.5 GB, and both grow with the size. The biggest modules that people write have a tenth
 * of it.
 */
export const MOST_BYTES = 1024 * 1024

/** The text of a file; undefined for what is not a file, is too big or can't be read. */
export function textAt(path: string): string | undefined {
  try {
    return readText(path)
  } catch {
    return undefined
  }
}

/** The same, but throws where the file can't be read; undefined also for a link that leads nowhere. */
export function readText(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  const isText = stat?.isFile() === true && stat.size <= MOST_BYTES
  return isText ? readFileSync(path).toString() : undefined
}

/** The size of a file, or of the default.nix in a folder; undefined where there is none. */
export function sizeOf(path: string): number | undefined {
  try {
    const stat = statSync(path)
    return stat.isDirectory() ? statSync(join(path, 'default.nix')).size : stat.size
  } catch {
    return undefined
  }
}

/** A path of the system below the root as this process sees it. */
export function inRoot(path: string, root: string): string {
  return root === '/' || path.startsWith(`${root}/`) ? path : join(root, path)
}
