import { closeSync, constants, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isRootsAlone } from './way.ts'

/** Linux; Node has no name for it. The folder is only a place to start from: no right to read it is needed. */
const O_PATH = 0o10000000
const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Runs `action` with a path of the entry at `path`, which is absolute and has no links in it.
 *
 * As root, where somebody else could replace a folder on the way, the action gets a path that
 * begins at the folder itself, held open, and not at its name. So whatever is done there happens in a
 * folder that was reached without a link, and never in one that somebody has put a link to. Throws
 * ENOTDIR where a folder on the way is a link.
 *
 * The last part of the path is not looked at: the action has to be one that does not follow a link.
 */
export function inFolder<T>(path: string, action: (path: string) => T): T {
  if (process.geteuid?.() !== 0 || isRootsAlone(dirname(path))) return action(path)
  const fd = openFolder(dirname(path))
  try {
    return action(`${pathOf(fd)}/${basename(path)}`)
  } finally {
    closeSync(fd)
  }
}

/**
 * Opens the folder at an absolute path, step by step and following no link. It can be used as a place
 * (`pathOf`), not read. The caller closes it. Throws the errors of the system; ENOTDIR for a link.
 */
export function openFolder(path: string): number {
  let fd = openSync('/', FOLDER)
  try {
    for (const name of path.split('/').filter(part => part !== '')) {
      const next = openSync(`${pathOf(fd)}/${name}`, FOLDER)
      closeSync(fd)
      fd = next
    }
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A path that leads to what is open, whatever its name is by now. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}
