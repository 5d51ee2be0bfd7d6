import { lstatSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
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

/** The text of a file of the system; blank where it can't be read. */
export function textAt(path: string): string {
  return valueOr('', () => readFileSync(path).toString())
}

/** The names on a path, without those that lead nowhere else. */
export function pathParts(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

/** Whether anything has this name. When that can't be told, it counts as there. */
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

/** Whether the name is that of a link; false where that can't be told. */
export function isLink(path: string): boolean {
  return valueOr(false, () => lstatSync(path).isSymbolicLink())
}

/**
 * One line of /proc/self/mountinfo: the part `root` of the file system `device` shows at `point`.
 */
interface Mount {
  device: string
  root: string
  point: string
}

/**
 * The mounts in the text of /proc/self/mountinfo, in its order. Lines of another form are left out.
 */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap(line => {
    const [, , device, root, point] = line.split(' ')
    if (device === undefined || root === undefined || point === undefined) return []
    return [{ device, root: unescapeOctal(root), point: unescapeOctal(point) }]
  })
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

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8))
  )
}

/** Whether a path without links lies in the Nix store of the system in `root`. */
export function isInStore(realpath: string, root = '/'): boolean {
  return realpath.startsWith(join(root, 'nix/store/'))
}
