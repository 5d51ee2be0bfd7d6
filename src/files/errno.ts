import { constants as access, accessSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { isSystemError, type SystemError } from './attempt.ts'
import { nearestExisting } from './exists.ts'
import { bindSource } from './mounts.ts'
import type { FileProblem } from './problem.ts'

/** What a system error means that came up while `path` was read. */
export function reading(path: string): (error: SystemError) => FileProblem {
  return error => {
    const { syscall } = error
    const code = nameOf(error)
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
    const code = nameOf(error)
    switch (code) {
      case 'ENOSPC':
      case 'EDQUOT':
        return { code: 'NO_SPACE', path, needed }
      case 'EROFS':
        return { code: 'READ_ONLY_FS', path }
      case 'EACCES':
        return { code: 'NOT_WRITABLE', path, errno: code }
      case 'EPERM':
        return notPermitted(path, syscall)
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
function nameOf({ code, errno }: SystemError): string {
  if (code !== 'UNKNOWN' && !code.startsWith('Unknown ')) return code
  const known = Object.entries(constants.errno).find(([, number]) => number === -errno)
  return known?.[0] ?? `error ${-errno}`
}

function notPermitted(path: string, syscall: string): FileProblem {
  const marked = [path, dirname(path)].find(isImmutable)
  if (marked !== undefined) return { code: 'IMMUTABLE', path: marked }
  // `access` doesn't see chattr +a, but root is refused these calls for no reason but a mark.
  if (process.geteuid?.() === 0 && ['rename', 'unlink'].includes(syscall))
    return { code: 'IMMUTABLE', path }
  return { code: 'NOT_WRITABLE', path, errno: 'EPERM' }
}

/**
 * Linux answers EPERM to `access(W_OK)` for an immutable file, to root as to anyone; a lack of
 * rights is EACCES.
 */
function isImmutable(path: string): boolean {
  try {
    accessSync(path, access.W_OK)
    return false
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}
