// Folders: opens them without following symlinks, creates, deletes and copies them.

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  statSync,
  symlinkSync
} from 'node:fs'
import { constants as system } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { err, ok, type Result } from '../nix/result.ts'
import { isRootOnly } from './access.ts'
import type { FileProblem } from './problem.ts'
import {
  attempt,
  isSystemError,
  isWithin,
  nearestExisting,
  pathParts,
  problemIn,
  valueOr,
  writing
} from './system.ts'

/** A Linux flag that Node doesn't define. It opens a folder as a location only: no read permission needed. */
const O_PATH = 0o10000000
const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Runs `action` with a path to the entry at `path`, which is absolute and without symlinks.
 *
 * If this runs as root and another user could replace a parent folder, the action gets a path relative
 * to the opened parent folder. So replacing a parent with a symlink can't redirect the action. Throws
 * ENOTDIR if a parent is a symlink, and EPERM if `confine` forbids the folder.
 *
 * The last component is not checked: the action must not follow symlinks.
 */
export function inFolder<T>(path: string, action: (path: string) => T): T {
  if (process.geteuid?.() !== 0 || isRootOnly(dirname(path))) return action(path)
  const fd = openFolder(dirname(path))
  try {
    if (allowedFolders?.(dirname(path), fstatSync(fd).uid) === false) throw notPermittedError()
    return action(`${pathOf(fd)}/${basename(path)}`)
  } finally {
    closeSync(fd)
  }
}

type FolderPredicate = (folder: string, uid: number) => boolean

let allowedFolders: FolderPredicate | null = null

/**
 * Runs `action`. During it, `inFolder` accepts only folders that no other user can replace, and folders
 * for which `isAllowed` is true. `isAllowed` gets a folder's path and owner while the folder is open, so
 * that the folder can't be swapped after the check. `action` must not be asynchronous.
 */
export function confine<T>(isAllowed: FolderPredicate, action: () => T): T {
  const before = allowedFolders
  allowedFolders = isAllowed
  try {
    return action()
  } finally {
    allowedFolders = before
  }
}

function notPermittedError(): Error {
  const facts = { code: 'EPERM', errno: -system.errno.EPERM, syscall: 'openat' }
  return Object.assign(new Error('EPERM'), facts)
}

/**
 * Opens the folder at an absolute path, component by component, without following symlinks. The
 * descriptor is for `pathOf` only, not for reading. The caller closes it. Throws system errors; ENOTDIR
 * for a symlink.
 */
export function openFolder(path: string): number {
  let fd = openSync('/', FOLDER)
  try {
    for (const name of pathParts(path)) {
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

/** A path to an open file or folder that stays valid if it is renamed. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}

/** The folders to create so that `folder` exists, outermost first; empty if it exists. */
export function missingFolders(folder: string): string[] {
  const existing = nearestExisting(folder)
  const missing: string[] = []
  for (let at = folder; at !== existing; at = dirname(at)) missing.unshift(at)
  return missing
}

/** Creates a folder with mode 0700. Call `settleFolder` next. */
export function makeFolder(path: string): FileProblem | null {
  return problemIn(() => inFolder(path, it => mkdirSync(it, 0o700)), writing(path))
}

/**
 * Gives a new folder its mode and, with `likeParent` and as root, the owner and group of its parent.
 * When this returns null, the folder is on the disk. A folder that was swapped in meanwhile is not
 * changed (IO_ERROR, EEXIST).
 */
export function settleFolder(path: string, mode: number, likeParent: boolean): FileProblem | null {
  const settled = attempt(
    () =>
      inFolder(path, it => {
        const fd = openSync(it, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
        try {
          return settleOpen(fd, likeParent ? statSync(dirname(it)) : null, mode)
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

/** False if this isn't the empty folder that was created. */
function settleOpen(fd: number, parent: Stats | null, mode: number): boolean {
  const self = process.geteuid?.()
  if (self === 0) {
    // The owner of the parent may have moved another folder of root's here to become its owner.
    if (fstatSync(fd).uid !== self || readdirSync(pathOf(fd)).length > 0) return false
    if (parent !== null) fchownSync(fd, parent.uid, parent.gid)
  }
  // Not with mkdir, which applies the umask.
  fchmodSync(fd, mode)
  return true
}

/**
 * Waits until the entries of the folder are on the disk. Ignores EINVAL, the error of file systems that
 * don't support this.
 */
export function syncFolder(path: string): FileProblem | null {
  return problemIn(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(fd)
    } catch (error) {
      if (!isSystemError(error) || error.code !== 'EINVAL') throw error
    } finally {
      closeSync(fd)
    }
  }, writing(path))
}

/** The folder doesn't exist, or isn't empty. */
const IGNORED_ERRORS = ['ENOENT', 'ENOTEMPTY', 'EEXIST']

/** Deletes a folder if it is empty. A missing or non-empty folder is not a problem. */
export function removeIfEmpty(path: string): FileProblem | null {
  const problem = problemIn(() => inFolder(path, it => rmdirSync(it)), writing(path))
  if (problem === null) return syncFolder(dirname(path))
  return problem.code === 'IO_ERROR' && IGNORED_ERRORS.includes(problem.errno) ? null : problem
}

/** Why a folder could not be copied: it has more than `limit` files, or a call failed. */
export type CopyProblem =
  | { code: 'TOO_MANY'; path: string; limit: number }
  | { code: 'IO_ERROR'; path: string; errno: string; syscall: string }

/** Far more than any configuration has, and fewer than a home folder or a cache. */
const MAX_FILES = 50_000

/**
 * Copies the files of folder `from` to folder `to`, both paths without symlinks. `names` selects files
 * and whole folders, relative to `from`; default all. Skips `.git`, special files, missing files and files
 * that can't be read. A symlink into `from` leads to the copy, any other symlink to the same target as
 * before. The caller owns the copies. Yields to the event loop. When `isStopped` returns true, it returns
 * early, as if everything was copied.
 */
export async function copyTree(
  from: string,
  to: string,
  names: readonly string[] | undefined,
  isStopped: () => boolean
): Promise<Result<void, CopyProblem>> {
  // List all files first, so that a home folder is refused before anything is copied.
  const found = [...(names ?? [''])]
  const pause = async (count: number) => {
    if (count % 100 === 0) await setImmediate()
    return isStopped()
  }
  for (let i = 0; i < found.length; i++) {
    if (await pause(i)) return ok(undefined)
    const name = found[i] ?? ''
    for (const inner of entriesIn(join(from, name))) found.push(join(name, inner))
    if (found.length > MAX_FILES) return err({ code: 'TOO_MANY', path: from, limit: MAX_FILES })
  }
  for (const [i, name] of found.entries()) {
    if (await pause(i)) return ok(undefined)
    try {
      copyOne(from, to, name)
    } catch (error) {
      if (!isSystemError(error)) throw error
      const { code: errno, syscall } = error
      if (errno === 'EACCES' || errno === 'ENOENT') continue
      return err({ code: 'IO_ERROR', path: join(to, name), errno, syscall })
    }
  }
  return ok(undefined)
}

/** The names in a folder; empty for anything else, or if it can't be read. */
function entriesIn(path: string): string[] {
  const names = valueOr([], () => (lstatSync(path).isDirectory() ? readdirSync(path) : []))
  return names.filter(it => it !== '.git')
}

/** Copies a file or symlink, or creates a folder. */
function copyOne(from: string, to: string, name: string): void {
  const [source, target] = [join(from, name), join(to, name)]
  const stat = lstatSync(source)
  mkdirSync(stat.isDirectory() ? target : dirname(target), { recursive: true, mode: 0o700 })
  if (stat.isSymbolicLink()) symlinkSync(copiedLinkTarget(source, from, to), target)
  else if (stat.isFile()) {
    copyFileSync(source, target, constants.COPYFILE_FICLONE)
    chmodSync(target, (stat.mode & 0o777) | 0o600)
  }
}

function copiedLinkTarget(link: string, from: string, to: string): string {
  const target = readlinkSync(link)
  const absolute = resolve(dirname(link), target)
  if (!isWithin(absolute, from)) return absolute
  return target.startsWith('/') ? join(to, relative(from, absolute)) : target
}
