// What calls of the system come to: their errors as problems, and what paths are.

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
export interface SystemError extends Error {
  code: string
  errno: number
  syscall: string
}

/** Whether something that was thrown comes from a system call. */
export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false
  const { code, errno, syscall } = error as Partial<SystemError>
  return typeof code === 'string' && typeof errno === 'number' && typeof syscall === 'string'
}

/**
 * Runs `action`. A system error becomes the problem that `explain` makes of it; anything else is a
 * bug and is thrown on.
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

/** The problem that `explain` makes of a system error in `action`; null where there is none. */
export function problemIn(
  action: () => void,
  explain: (error: SystemError) => FileProblem
): FileProblem | null {
  const result = attempt(action, explain)
  return result.ok ? null : result.error
}

/**
 * Runs `action` and says whether it worked. Only for clean-up, where the outcome is looked up on
 * the disk afterwards.
 */
export function succeeded(action: () => void): boolean {
  return valueOr(false, () => {
    action()
    return true
  })
}

/** What `action` returns, or `otherwise` where a call of the system fails in it. */
export function valueOr<T>(otherwise: T, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (isSystemError(error)) return otherwise
    throw error
  }
}

/** What a system error means that came up while `path` was read. */
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
 * What a system error means that came up while `path` was written, made, renamed or deleted;
 * `needed` is its size in bytes.
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

/** Node has no name for some errors that disks give, a full quota among them. */
function errorName({ code, errno }: SystemError): string {
  if (code !== 'UNKNOWN' && !code.startsWith('Unknown ')) return code
  const known = Object.entries(constants.errno).find(([, number]) => number === -errno)
  return known?.[0] ?? `error ${-errno}`
}

function explainNotPermitted(path: string, syscall: string): FileProblem {
  const marked = [path, dirname(path)].find(isImmutable)
  if (marked !== undefined) return { code: 'IMMUTABLE', path: marked, mark: 'i' }
  // `access` doesn't see chattr +a, but these calls are refused in no other way to one who may write
  // to the folder, unless it is one like /tmp.
  if (!['rename', 'unlink', 'rmdir'].includes(syscall) || isOthersSticky(dirname(path)))
    return { code: 'NOT_WRITABLE', path, errno: 'EPERM' }
  return { code: 'IMMUTABLE', path: isAppendOnly(path) ? path : dirname(path), mark: 'a' }
}

/** Whether it is a file that can be opened to append to it, and not to change it. */
function isAppendOnly(path: string): boolean {
  const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = files
  const opens = (flags: number) => succeeded(() => closeSync(openSync(path, flags)))
  const change = O_WRONLY | O_NOFOLLOW | O_NONBLOCK
  const isFile = valueOr(false, () => lstatSync(path).isFile())
  return isFile && !opens(change) && opens(change | O_APPEND)
}

/** Whether it is a folder like /tmp, in which people may only move their own files, and not the caller's. */
function isOthersSticky(folder: string): boolean {
  const self = process.geteuid?.()
  return valueOr(false, () => {
    const { mode, uid } = lstatSync(folder)
    return self !== 0 && uid !== self && (mode & 0o1000) !== 0
  })
}

/**
 * Linux answers EPERM to `access(W_OK)` for an immutable file, to root as to anyone; a lack of
 * rights is EACCES.
 */
function isImmutable(path: string): boolean {
  try {
    accessSync(path, files.W_OK)
    return false
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}

/** The text of a file of the system; blank where it can't be read. */
export function textAt(path: string): string {
  return valueOr('', () => readFileSync(path).toString())
}

/** The names on a path, without those that lead nowhere else. */
export function pathParts(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

/** Whether anything has this name. If that is unknown, it counts as existing. */
export function pathExists(path: string): boolean {
  try {
    // Not `throwIfNoEntry: false`: what it does for a child of a file depends on Node's version.
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

/** Whether the name is that of a link; false if that is unknown. */
export function isLink(path: string): boolean {
  return valueOr(false, () => lstatSync(path).isSymbolicLink())
}

/**
 * The paths under which the file that is mounted on `point` may be found elsewhere, by the other
 * mounts of the same file system; those of the longest mount root (the nearest) come first. Empty
 * when nothing is mounted on exactly `point`.
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

/**
 * Whether a file system or a single file is mounted on exactly `path`. False where the system has
 * no /proc.
 */
export function isMountPoint(path: string): boolean {
  return readMounts().some(mount => mount.point === path)
}

/**
 * Another path of the file mounted on `path`, checked to be that very file; null when there is
 * none.
 */
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

/** Whether a path is that of a folder, or of something in it, by their text. */
export function isWithin(path: string, folder: string): boolean {
  const inside = posix.relative(folder, path)
  return inside !== '..' && !inside.startsWith('../')
}

/** Whether a path without links lies in the Nix store of the system in `root`. */
export function isInStore(realpath: string, root = '/'): boolean {
  return realpath.startsWith(join(root, 'nix/store/'))
}
