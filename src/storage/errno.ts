import { accessSync, closeSync, constants as files, lstatSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import {
  bindSource,
  isSystemError,
  nearestExisting,
  type SystemError,
  succeeded,
  valueOr
} from './paths.ts'
import type { FileProblem } from './problem.ts'

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
  return isRegular(path) && !opens(change) && opens(change | O_APPEND)
}

function isRegular(path: string): boolean {
  return valueOr(false, () => lstatSync(path).isFile())
}

/** Whether it is a folder in which each may only move what is theirs, and not the caller's. */
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
