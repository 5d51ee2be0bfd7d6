// System calls: their errors as problems, and facts about paths.

import {
  accessSync,
  closeSync,
  constants as files,
  lstatSync,
  openSync,
  readFileSync
} from 'node:fs'
import { constants } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { type Mount, parseMounts } from '../mounts.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { FileProblem } from './problem.ts'

/** An error of the operating system, as `node:fs` throws it. */
interface SystemError extends Error {
  code: string
  errno: number
  syscall: string
}

/** True if the thrown value is the error of a system call. */
export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false
  const { code, errno, syscall } = error as Partial<SystemError>
  return typeof code === 'string' && typeof errno === 'number' && typeof syscall === 'string'
}

/**
 * Runs `action` and turns a system error into a problem with `explain`. Rethrows other errors: they are
 * bugs.
 */
export function attempt<T>(
  action: () => T,
  explain: (error: SystemError) => FileProblem
): Result<T, FileProblem> {
  try {
    return ok(action())
  } catch (error) {
    if (isSystemError(error)) return err(explain(error))
    throw error
  }
}

/** Runs `action`. Returns the problem that `explain` makes of a system error, else null. */
export function problemIn(
  action: () => void,
  explain: (error: SystemError) => FileProblem
): FileProblem | null {
  const result = attempt(action, explain)
  return result.ok ? null : result.error
}

/** True if `action` succeeds. For cleanup only, where the disk is checked afterwards. */
export function succeeded(action: () => void): boolean {
  return valueOr(false, () => {
    action()
    return true
  })
}

/** What `action` returns, or `otherwise` after a system error. */
export function valueOr<T>(otherwise: T, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (isSystemError(error)) return otherwise
    throw error
  }
}

/** Explains a system error that occurred while reading `path`. */
export function reading(path: string): (error: SystemError) => FileProblem {
  return error => {
    const { syscall } = error
    const code = errorName(error)
    switch (code) {
      case 'ENOENT':
        return { code: 'NOT_FOUND', path, hops: [path] }
      case 'ENOTDIR':
        return { code: 'NOT_DIRECTORY', path: nearestExisting(dirname(path)) }
      case 'EISDIR':
        return { code: 'IS_DIRECTORY', path }
      case 'ELOOP':
        return { code: 'NOT_REGULAR', path }
      case 'EACCES':
      case 'EPERM':
        return { code: 'NOT_READABLE', path, errno: code }
      default:
        return { code: 'IO_ERROR', path, errno: code, syscall }
    }
  }
}

/**
 * Explains a system error that occurred while writing, creating, renaming or deleting `path`; `needed`
 * is its size in bytes.
 */
export function writing(path: string, needed = 0): (error: SystemError) => FileProblem {
  return error => {
    const { syscall } = error
    const code = errorName(error)
    switch (code) {
      case 'ENOSPC':
      case 'EDQUOT':
        return { code: 'NO_SPACE', path, needed }
      case 'EROFS':
        return { code: 'READ_ONLY_FS', path }
      case 'EACCES':
        return { code: 'NOT_WRITABLE', path, errno: code }
      case 'EPERM':
        return explainNotPermitted(path, syscall)
      case 'EBUSY':
        return { code: 'MOUNT_POINT', path, source: bindSource(path) }
      case 'ENOTDIR':
        return { code: 'NOT_DIRECTORY', path: nearestExisting(dirname(path)) }
      default:
        return { code: 'IO_ERROR', path, errno: code, syscall }
    }
  }
}

/** The name of the error, also where Node has none, such as for an exceeded quota. */
function errorName({ code, errno }: SystemError): string {
  if (code !== 'UNKNOWN' && !code.startsWith('Unknown ')) return code
  const known = Object.entries(constants.errno).find(([, number]) => number === -errno)
  return known?.[0] ?? `error ${-errno}`
}

function explainNotPermitted(path: string, syscall: string): FileProblem {
  const marked = [path, dirname(path)].find(isImmutable)
  if (marked !== undefined) return { code: 'IMMUTABLE', path: marked, mark: 'i' }
  // `access` doesn't detect chattr +a. With write permission for the folder, these calls fail with
  // EPERM only because of chattr +a, or in a sticky folder such as /tmp.
  if (!['rename', 'unlink', 'rmdir'].includes(syscall) || isOthersSticky(dirname(path)))
    return { code: 'NOT_WRITABLE', path, errno: 'EPERM' }
  return { code: 'IMMUTABLE', path: isAppendOnly(path) ? path : dirname(path), mark: 'a' }
}

/** True for a file that can be opened for appending but not for writing. */
function isAppendOnly(path: string): boolean {
  const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = files
  const opens = (flags: number) => succeeded(() => closeSync(openSync(path, flags)))
  const change = O_WRONLY | O_NOFOLLOW | O_NONBLOCK
  const isFile = valueOr(false, () => lstatSync(path).isFile())
  return isFile && !opens(change) && opens(change | O_APPEND)
}

/** True for another user's sticky folder, such as /tmp, in which users can rename only their own files. */
function isOthersSticky(folder: string): boolean {
  const self = process.geteuid?.()
  return valueOr(false, () => {
    const { mode, uid } = lstatSync(folder)
    return self !== 0 && uid !== self && (mode & 0o1000) !== 0
  })
}

/**
 * Linux fails `access(W_OK)` with EPERM for an immutable file, also for root. Missing permission is EACCES.
 */
function isImmutable(path: string): boolean {
  try {
    accessSync(path, files.W_OK)
    return false
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}

/** The contents of a system file; empty if it can't be read. */
export function textAt(path: string): string {
  return valueOr('', () => readFileSync(path).toString())
}

/** The components of a path, without `.` and empty ones. */
export function pathParts(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

/** True if anything exists at the path, or if that is unknown. Doesn't follow a symlink. */
export function pathExists(path: string): boolean {
  try {
    // Not `throwIfNoEntry: false`: Node versions differ for a path below a regular file (ENOTDIR).
    lstatSync(path)
    return true
  } catch (error) {
    if (isSystemError(error)) return !['ENOENT', 'ENOTDIR'].includes(error.code)
    throw error
  }
}

/** The longest part of an absolute path that exists: the path itself, or the nearest parent. */
export function nearestExisting(path: string): string {
  let at = path
  while (at !== dirname(at) && !pathExists(at)) at = dirname(at)
  return at
}

/** True for a symlink; false if unknown. */
export function isLink(path: string): boolean {
  return valueOr(false, () => lstatSync(path).isSymbolicLink())
}

/**
 * Other paths that may lead to the file mounted on `point`, through other mounts of the same file
 * system; those with the longest mount root come first. Empty if nothing is mounted on exactly `point`.
 */
export function otherPaths(mounts: Mount[], point: string): string[] {
  const mounted = mounts.findLast(mount => mount.point === point)
  if (mounted === undefined) return []
  const points = new Set(mounts.map(mount => mount.point))
  return mounts
    .filter(({ device, point: other }) => device === mounted.device && other !== point)
    .filter(({ root }) => isWithin(mounted.root, root))
    .sort((a, b) => b.root.length - a.root.length)
    .map(mount => posix.join(mount.point, posix.relative(mount.root, mounted.root)))
    .filter(path => !points.has(path))
}

/** True if a file system or a single file is mounted on exactly `path`. False without /proc. */
export function isMountPoint(path: string): boolean {
  return readMounts().some(mount => mount.point === path)
}

/** Another path of the file mounted on `path`, verified to be the same file; null if there is none. */
export function bindSource(path: string): string | null {
  return otherPaths(readMounts(), path).find(other => isSameFile(path, other)) ?? null
}

function readMounts(): Mount[] {
  return parseMounts(textAt('/proc/self/mountinfo'))
}

function isSameFile(path: string, other: string): boolean {
  return valueOr(false, () => {
    const [a, b] = [lstatSync(path), lstatSync(other)]
    return a.dev === b.dev && a.ino === b.ino
  })
}

/** True if `path` is the folder or inside it. Compares text only. */
export function isWithin(path: string, folder: string): boolean {
  const inside = posix.relative(folder, path)
  return inside !== '..' && !inside.startsWith('../')
}

/** True if a path without symlinks is in the Nix store of the system in `root`. */
export function isInStore(realpath: string, root = '/'): boolean {
  return realpath.startsWith(join(root, 'nix/store/'))
}
