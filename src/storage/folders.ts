// Folders: opened without following a link, made, emptied, copied.

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
import { isRootsAlone } from './access.ts'
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

/** Linux; Node has no name for it. The folder is only a place to start from: no right to read it is needed. */
const O_PATH = 0o10000000
const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Runs `action` with a path of the entry at `path`, which is absolute and has no links in it.
 *
 * As root, where somebody else could replace a folder on the way, the action gets a path that
 * begins at the folder itself, held open, and not at its name. So whatever is done there happens in a
 * folder that was reached without a link, and never in one that somebody has put a link to. Throws
 * ENOTDIR where a folder on the way is a link, and EPERM where `confine` says so.
 *
 * The last part of the path is not looked at: the action has to be one that does not follow a link.
 */
export function inFolder<T>(path: string, action: (path: string) => T): T {
  if (process.geteuid?.() !== 0 || isRootsAlone(dirname(path))) return action(path)
  const fd = openFolder(dirname(path))
  try {
    if (allowed !== null && !allowed(dirname(path), fstatSync(fd).uid)) throw othersFolder()
    return action(`${pathOf(fd)}/${basename(path)}`)
  } finally {
    closeSync(fd)
  }
}

type Allowed = (folder: string, uid: number) => boolean

let allowed: Allowed | null = null

/**
 * Runs `action`, in which `inFolder` works only in folders that others can't replace, or that belong
 * to a user for whom `isAllowed` is true: it is asked when the folder is open, so that no other one
 * can take its place in between. `action` must not be asynchronous.
 */
export function confine<T>(isAllowed: Allowed, action: () => T): T {
  const before = allowed
  allowed = isAllowed
  try {
    return action()
  } finally {
    allowed = before
  }
}

function othersFolder(): Error {
  const facts = { code: 'EPERM', errno: -system.errno.EPERM, syscall: 'openat' }
  return Object.assign(new Error('the folder belongs to another user'), facts)
}

/**
 * Opens the folder at an absolute path, step by step and following no link. It can be used as a place
 * (`pathOf`), not read. The caller closes it. Throws the errors of the system; ENOTDIR for a link.
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

/** A path that leads to what is open, whatever its name is by now. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}

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
  return problemIn(() => inFolder(path, it => mkdirSync(it, 0o700)), writing(path))
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

/** False for a folder that is not the empty one that was made. */
function settleOpen(fd: number, parent: Stats | null, mode: number): boolean {
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

/** How the system says that a folder is not there, or not empty. */
const STAYS = ['ENOENT', 'ENOTEMPTY', 'EEXIST']

/** Deletes a folder if it is empty; that it isn't there, or isn't empty, is no problem. */
export function removeIfEmpty(path: string): FileProblem | null {
  const problem = problemIn(() => inFolder(path, it => rmdirSync(it)), writing(path))
  if (problem === null) return syncFolder(dirname(path))
  return problem.code === 'IO_ERROR' && STAYS.includes(problem.errno) ? null : problem
}

/** Why a folder could not be copied: it holds more than `most` files, or a call failed. */
export type CopyProblem =
  | { code: 'TOO_MANY'; path: string; most: number }
  | { code: 'IO_ERROR'; path: string; errno: string; syscall: string }

/** Far more than any configuration has; a home folder, or a cache, has more. */
const MOST_FILES = 50_000

/**
 * Copies files of the folder `from` into the folder `to`, both without links in their paths: those
 * that `names` lists, relative to it, with all that is below a folder, or all. `.git` is left out,
 * and what can't be read, is no file, folder or link, or is not there. Links lead to the copy where
 * they led into `from`, and else where they led. The copies belong to the caller. Now and then it
 * lets others run; it ends early, as if it were done, once `isStopped` says so.
 */
export async function copyTree(
  from: string,
  to: string,
  names: readonly string[] | undefined,
  isStopped: () => boolean
): Promise<Result<void, CopyProblem>> {
  // All are found first, so that a home folder is refused before it fills another place.
  const found = [...(names ?? [''])]
  const pause = async (count: number) => {
    if (count % 100 === 0) await setImmediate()
    return isStopped()
  }
  for (let i = 0; i < found.length; i++) {
    if (await pause(i)) return ok(undefined)
    const name = found[i] ?? ''
    for (const inner of entriesIn(join(from, name))) found.push(join(name, inner))
    if (found.length > MOST_FILES) return err({ code: 'TOO_MANY', path: from, most: MOST_FILES })
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

/** The names in a folder; none for anything else, or if it can't be read. */
function entriesIn(path: string): string[] {
  const names = valueOr([], () => (lstatSync(path).isDirectory() ? readdirSync(path) : []))
  return names.filter(it => it !== '.git')
}

/** Copies a file or a link, or makes a folder. */
function copyOne(from: string, to: string, name: string): void {
  const [source, target] = [join(from, name), join(to, name)]
  const stat = lstatSync(source)
  mkdirSync(stat.isDirectory() ? target : dirname(target), { recursive: true, mode: 0o700 })
  if (stat.isSymbolicLink()) symlinkSync(leadOf(source, from, to), target)
  else if (stat.isFile()) {
    copyFileSync(source, target, constants.COPYFILE_FICLONE)
    chmodSync(target, (stat.mode & 0o777) | 0o600)
  }
}

function leadOf(link: string, from: string, to: string): string {
  const lead = readlinkSync(link)
  const absolute = resolve(dirname(link), lead)
  if (!isWithin(absolute, from)) return absolute
  return lead.startsWith('/') ? join(to, relative(from, absolute)) : lead
}
