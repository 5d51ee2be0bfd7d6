import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { trace } from '../trace.ts'
import type { FileProblem } from './problem.ts'
import { attempt, isInStore, pathParts, reading } from './system.ts'

/** A file as it was read for a plan. `commit` compares the file on the disk with it. */
export interface TargetFile extends Ownership {
  /** As given by the caller. */
  path: string
  /** Without symlinks: the file that is replaced. */
  realpath: string
  bytes: Uint8Array
  sha256: string
}

/**
 * Reads the regular file that the absolute `path` leads to. `path` begins with `root`, where absolute
 * symlinks start. Needs no write permission; `findObstacle` checks whether the file can be written.
 * Refuses files of more than `maxBytes`, and files in the Nix store, which are generated, unless `store` is
 * true.
 * Problems: those of `resolveLinks`, NOT_FOUND, STORE_LINK, IS_DIRECTORY, NOT_REGULAR, TOO_BIG,
 * NOT_READABLE, IO_ERROR.
 */
export function readTarget(
  path: string,
  options: { root?: string; store?: boolean; maxBytes?: number } = {}
): Result<TargetFile, FileProblem> {
  const resolved = resolveLinks(path, options.root)
  if (!resolved.ok) return resolved
  const { realpath, exists, hops, root } = resolved.value
  if (!options.store && isInStore(realpath, root)) return err({ code: 'STORE_LINK', path, hops })
  if (!exists) return err({ code: 'NOT_FOUND', path, hops })
  const read = readSnapshot(realpath, options.maxBytes)
  if (!read.ok) return read
  if (read.value === null) return err({ code: 'NOT_FOUND', path, hops })
  const { bytes, sha256, mode, uid, gid } = read.value
  return ok({ path, realpath, bytes, sha256, mode, uid, gid })
}

/**
 * The path without symlinks that the absolute `path` leads to, whether the file exists or not. `commit`
 * takes it for a new file.
 * Problems: those of `resolveLinks`, STORE_LINK.
 */
export function locateTarget(
  path: string,
  options: { root?: string } = {}
): Result<{ realpath: string; exists: boolean }, FileProblem> {
  const resolved = resolveLinks(path, options.root)
  if (!resolved.ok) return resolved
  const { realpath, exists, hops, root } = resolved.value
  if (isInStore(realpath, root)) return err({ code: 'STORE_LINK', path, hops })
  return ok({ realpath, exists })
}

interface Resolved {
  /** The path without symlinks; its last components need not exist. */
  realpath: string
  exists: boolean
  /** The given path and, after each symlink, the path that remains to be resolved. */
  hops: string[]
  /** The root without symlinks. */
  root: string
}

/** As many as Linux follows. */
const MAX_HOPS = 40

/**
 * Follows the symlinks of an absolute path as in a chroot to `root`: absolute symlinks start at `root`,
 * and `..` doesn't leave it. `path` begins with `root`. Components that don't exist are kept. Problems:
 * OUTSIDE_ROOT, LINK_LOOP, NOT_DIRECTORY, NOT_READABLE, NOT_FOUND (the root is missing, or `..`
 * follows a missing component), IO_ERROR.
 */
export function resolveLinks(path: string, root = '/'): Result<Resolved, FileProblem> {
  const base = resolve(root)
  const inside = pathInside(path, base)
  if (inside === null) return err({ code: 'OUTSIDE_ROOT', path, root: base })
  const top = attempt(() => realpathSync(base), reading(base))
  if (!top.ok) return top
  const hops = [path]
  let pending = pathParts(inside)
  let at = top.value
  let exists = true
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '..') {
      if (!exists) return err({ code: 'NOT_FOUND', path, hops })
      if (at !== top.value) at = dirname(at)
      continue
    }
    const next = join(at, part)
    const stats = exists ? lstatIfExists(next) : ok(null)
    if (!stats.ok) return stats
    if (stats.value === null) exists = false
    if (stats.value?.isFile() && pending.length > 0)
      return err({ code: 'NOT_DIRECTORY', path: next })
    if (!stats.value?.isSymbolicLink()) {
      at = next
      continue
    }
    if (hops.length > MAX_HOPS) return err({ code: 'LINK_LOOP', path, hops })
    const link = attempt(() => readlinkSync(next), reading(next))
    if (!link.ok) return link
    if (link.value.startsWith('/')) at = top.value
    pending = [...pathParts(link.value), ...pending]
    hops.push(join(at, ...pending))
  }
  return ok({ realpath: at, exists, hops, root: top.value })
}

function lstatIfExists(path: string): Result<ReturnType<typeof lstatSync> | null, FileProblem> {
  const stats = attempt(() => lstatSync(path), reading(path))
  return stats.ok || stats.error.code !== 'NOT_FOUND' ? stats : ok(null)
}

function pathInside(path: string, base: string): string | null {
  if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`)
  if (base === '/' || path === base) return base === '/' ? path : '/'
  return path.startsWith(`${base}/`) ? path.slice(base.length) : null
}

/** The owner, group and permission bits of a file. */
export interface Ownership {
  mode: number
  uid: number
  gid: number
}

/** A regular file as it was at one moment. */
export interface Snapshot extends Ownership {
  bytes: Uint8Array
  sha256: string
  /** The number of hard links. */
  links: number
  accessed: Date
  modified: Date
}

/** Far more than any configuration has, and well below the maximum size of a Node buffer. */
const MAX_BYTES = 2 ** 30

/**
 * Reads the regular file at `path` without following a symlink. Contents and metadata are of the same
 * file. Null if the file or a parent doesn't exist. A file of more than `limit` bytes is not read.
 * Problems: IS_DIRECTORY, NOT_DIRECTORY, NOT_REGULAR (also for a symlink), TOO_BIG, NOT_READABLE,
 * IO_ERROR.
 */
export function readSnapshot(
  path: string,
  limit = MAX_BYTES
): Result<Snapshot | null, FileProblem> {
  const stats = attempt(() => lstatSync(path), reading(path))
  if (!stats.ok) return stats.error.code === 'NOT_FOUND' ? ok(null) : stats
  if (stats.value.isDirectory()) return err({ code: 'IS_DIRECTORY', path })
  if (!stats.value.isFile()) return err({ code: 'NOT_REGULAR', path })
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const read = attempt(() => {
    // O_NONBLOCK: otherwise opening a pipe that replaced the file meanwhile would block forever.
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stat = fstatSync(fd)
      return { stat, bytes: stat.isFile() && stat.size <= limit ? readFileSync(fd) : null }
    } finally {
      closeSync(fd)
    }
  }, reading(path))
  if (!read.ok) return read.error.code === 'NOT_FOUND' ? ok(null) : read
  const { stat, bytes } = read.value
  if (!stat.isFile()) return err({ code: 'NOT_REGULAR', path })
  if (bytes === null) return err({ code: 'TOO_BIG', path, size: stat.size, limit })
  trace(`storage: read ${path}, ${bytes.length} bytes`)
  return ok({
    bytes,
    sha256: sha256(bytes),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    links: stat.nlink,
    accessed: stat.atime,
    modified: stat.mtime
  })
}

/**
 * The ownership of a regular file, without opening it; null if it doesn't exist. Doesn't follow a symlink.
 */
export function readOwnership(path: string): Result<Ownership | null, FileProblem> {
  const stats = attempt(() => lstatSync(path), reading(path))
  if (!stats.ok) return stats.error.code === 'NOT_FOUND' ? ok(null) : stats
  if (stats.value.isDirectory()) return err({ code: 'IS_DIRECTORY', path })
  if (!stats.value.isFile()) return err({ code: 'NOT_REGULAR', path })
  const { mode, uid, gid } = stats.value
  return ok({ mode: mode & 0o7777, uid, gid })
}

/** The SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The hash in a file's state; null if the file doesn't exist. */
export function stateHash(state: { sha256: string } | null): string | null {
  return state?.sha256 ?? null
}

/** The object in a JSON text; null if it isn't JSON or isn't an object. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** True for objects other than arrays and null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

export function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString)
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}
