import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  statSync
} from 'node:fs'
import { dirname } from 'node:path'
import { attempt, isSystemError } from './attempt.ts'
import { writing } from './errno.ts'
import { nearestExisting } from './exists.ts'
import type { FileProblem } from './problem.ts'

/**
 * The folders that have to be made so that `folder` exists, the outermost first; empty when it
 * exists.
 */
export function missingFolders(folder: string): string[] {
  const existing = nearestExisting(folder)
  const missing: string[] = []
  for (let at = folder; at !== existing; at = dirname(at)) missing.unshift(at)
  return missing
}

/** Makes one folder, for the caller alone at first: `settleFolder` has to follow. */
export function makeFolder(path: string): FileProblem | null {
  const made = attempt(() => mkdirSync(path, 0o700), writing(path))
  return made.ok ? null : made.error
}

/**
 * Gives a new folder its mode and, with `likeParent` and as root, the owner and group of its
 * parent; when this returns null, it is on the disk.
 */
export function settleFolder(path: string, mode: number, likeParent: boolean): FileProblem | null {
  const parent = dirname(path)
  const settled = attempt(() => {
    if (likeParent && process.geteuid?.() === 0) {
      const { uid, gid } = statSync(parent)
      chownSync(path, uid, gid)
    }
    // Not by mkdir: the umask would take from it.
    chmodSync(path, mode)
  }, writing(path))
  return settled.ok ? syncFolder(parent) : settled.error
}

/**
 * Waits until the names in the folder are on the disk. A file system that has no such thing
 * (EINVAL) is no problem.
 */
export function syncFolder(path: string): FileProblem | null {
  const synced = attempt(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(fd)
    } catch (error) {
      if (!isSystemError(error) || error.code !== 'EINVAL') throw error
    } finally {
      closeSync(fd)
    }
  }, writing(path))
  return synced.ok ? null : synced.error
}
