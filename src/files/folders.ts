import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
  statSync
} from 'node:fs'
import { dirname } from 'node:path'
import { inFolder, pathOf } from '../system/inFolder.ts'
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
  const made = attempt(() => inFolder(path, it => mkdirSync(it, 0o700)), writing(path))
  return made.ok ? null : made.error
}

/**
 * Gives a new folder its mode and, with `likeParent` and as root, the owner and group of its
 * parent; when this returns null, it is on the disk. If something else took its place meanwhile, that
 * stays as it is (IO_ERROR, EEXIST).
 */
export function settleFolder(path: string, mode: number, likeParent: boolean): FileProblem | null {
  const settled = attempt(
    () =>
      inFolder(path, it => {
        const fd = openSync(it, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
        try {
          return settle(fd, likeParent ? statSync(dirname(it)) : null, mode)
        } finally {
          closeSync(fd)
        }
      }),
    writing(path)
  )
  if (!settled.ok) return settled.error
  if (!settled.value) return { code: 'IO_ERROR', path, errno: 'EEXIST', syscall: 'mkdir' }
  return syncFolder(dirname(path))
}

/** False for a folder that is not the empty one that was made. */
function settle(fd: number, parent: Stats | null, mode: number): boolean {
  const self = process.geteuid?.()
  if (self === 0) {
    // Whoever owns the parent may have put another folder of root's here, to be given it.
    if (fstatSync(fd).uid !== self || readdirSync(pathOf(fd)).length > 0) return false
    if (parent !== null) fchownSync(fd, parent.uid, parent.gid)
  }
  // Not by mkdir: the umask would take from it.
  fchmodSync(fd, mode)
  return true
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
