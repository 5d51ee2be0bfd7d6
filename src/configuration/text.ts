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

/** A file that is not read because it has more than `MOST_BYTES`. */
export interface OversizeFile {
  path: string
  /** In bytes. */
  size: number
}

/** The file at a path, or the default.nix in the folder there, if it is too big to be read. */
export function oversizeFile(path: string): OversizeFile | undefined {
  try {
    const file = statSync(path).isDirectory() ? join(path, 'default.nix') : path
    const { size } = statSync(file)
    return size > MOST_BYTES ? { path: file, size } : undefined
  } catch {
    return undefined
  }
}

/** A path of the system below the root as this process sees it. */
export function inRoot(path: string, root: string): string {
  return root === '/' || path.startsWith(`${root}/`) ? path : join(root, path)
}
