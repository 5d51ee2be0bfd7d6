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
import type { FileProblem } from './problem.ts'
import { attempt, isInStore, pathParts, reading } from './system.ts'

/** A file as it was read: what a plan is made for, and what `commit` compares with. */
export interface TargetFile extends Ownership {
  /** As it was asked for. */
  path: string
  /** Without links: the file that is replaced. */
  realpath: string
  bytes: Uint8Array
  sha256: string
}

/**
 * Reads the regular file that the absolute `path` leads to. Links are followed; with a `root` other
 * than `/` (which `path` begins with) absolute links start there. Nothing is changed and no right
 * to write is needed; `findObstacle` says whether it can be written. A file in the Nix store is
 * refused, as it is made from another one, unless `store` is true; so is one of more than `most` bytes.
 * Problems: those of `resolveLinks`, NOT_FOUND, STORE_LINK, IS_DIRECTORY, NOT_REGULAR, TOO_BIG,
 * NOT_READABLE, IO_ERROR.
 */
export function readTarget(
  path: string,
  options: { root?: string; store?: boolean; most?: number } = {}
): Result<TargetFile, FileProblem> {
  const resolved = resolveLinks(path, options.root)
  if (!resolved.ok) return resolved
  const { realpath, exists, hops, root } = resolved.value
  if (!options.store && isInStore(realpath, root)) return err({ code: 'STORE_LINK', path, hops })
  if (!exists) return err({ code: 'NOT_FOUND', path, hops })
  const read = readSnapshot(realpath, options.most)
  if (!read.ok) return read
  if (read.value === null) return err({ code: 'NOT_FOUND', path, hops })
  const { bytes, sha256, mode, uid, gid } = read.value
  return ok({ path, realpath, bytes, sha256, mode, uid, gid })
}

/**
 * Where the file would be that the absolute `path` names, whether it exists or not: the real path
 * to give to `commit` for a new file.
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

/** Where a path leads. */
interface Resolved {
  /** The path without links; its last parts need not exist. */
  realpath: string
  exists: boolean
  /** The path that was asked for and, after each link that was followed, the path to go on with. */
  hops: string[]
  /** The root that was resolved in, without links. */
  root: string
}

/** As many as Linux follows. */
const MOST_HOPS = 40

/**
 * Follows the links of an absolute path the way a process whose root folder is `root` would see
 * them: absolute links start at `root`, and `..` doesn't leave it. The path itself is the one that
 * this process sees, and lies in `root`. Parts that don't exist are kept as they are. Problems:
 * OUTSIDE_ROOT, LINK_LOOP, NOT_DIRECTORY, NOT_READABLE, NOT_FOUND (the root is missing, or `..`
 * after a missing part), IO_ERROR.
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
    const looked = exists ? look(next) : ok(null)
    if (!looked.ok) return looked
    if (looked.value === null) exists = false
    if (looked.value?.isFile() && pending.length > 0)
      return err({ code: 'NOT_DIRECTORY', path: next })
    if (!looked.value?.isSymbolicLink()) {
      at = next
      continue
    }
    if (hops.length > MOST_HOPS) return err({ code: 'LINK_LOOP', path, hops })
    const link = attempt(() => readlinkSync(next), reading(next))
    if (!link.ok) return link
    if (link.value.startsWith('/')) at = top.value
    pending = [...pathParts(link.value), ...pending]
    hops.push(join(at, ...pending))
  }
  return ok({ realpath: at, exists, hops, root: top.value })
}

function look(path: string): Result<ReturnType<typeof lstatSync> | null, FileProblem> {
  const looked = attempt(() => lstatSync(path), reading(path))
  return looked.ok || looked.error.code !== 'NOT_FOUND' ? looked : ok(null)
}

function pathInside(path: string, base: string): string | null {
  if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`)
  if (base === '/' || path === base) return base === '/' ? path : '/'
  return path.startsWith(`${base}/`) ? path.slice(base.length) : null
}

/** To whom a file belongs, and what they may do with it. */
export interface Ownership {
  mode: number
  uid: number
  gid: number
}

/** A regular file as it was at one moment. */
export interface Snapshot extends Ownership {
  bytes: Uint8Array
  sha256: string
  /** How many names the file has. */
  links: number
  accessed: Date
  modified: Date
}

/** Far more than any configuration, and well below what Node can hold in one buffer. */
const LARGEST = 2 ** 30

/**
 * Reads the regular file at `path` itself: a link is not followed. Facts and bytes are of the same
 * file. Null when nothing is there, or a parent is missing.
 * A file of more than `most` bytes is not read.
 * Problems: IS_DIRECTORY, NOT_DIRECTORY, NOT_REGULAR (a link, too), TOO_BIG, NOT_READABLE, IO_ERROR.
 */
export function readSnapshot(path: string, most = LARGEST): Result<Snapshot | null, FileProblem> {
  const looked = attempt(() => lstatSync(path), reading(path))
  if (!looked.ok) return looked.error.code === 'NOT_FOUND' ? ok(null) : looked
  if (looked.value.isDirectory()) return err({ code: 'IS_DIRECTORY', path })
  if (!looked.value.isFile()) return err({ code: 'NOT_REGULAR', path })
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const read = attempt(() => {
    // O_NONBLOCK: a pipe that took the file's place would block for ever.
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stat = fstatSync(fd)
      return { stat, bytes: stat.isFile() && stat.size <= most ? readFileSync(fd) : null }
    } finally {
      closeSync(fd)
    }
  }, reading(path))
  if (!read.ok) return read.error.code === 'NOT_FOUND' ? ok(null) : read
  const { stat, bytes } = read.value
  if (!stat.isFile()) return err({ code: 'NOT_REGULAR', path })
  if (bytes === null) return err({ code: 'TOO_BIG', path, size: stat.size, most })
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

/** What is known of a regular file without opening it; null where there is none. A link is not followed. */
export function readFacts(path: string): Result<Ownership | null, FileProblem> {
  const looked = attempt(() => lstatSync(path), reading(path))
  if (!looked.ok) return looked.error.code === 'NOT_FOUND' ? ok(null) : looked
  if (looked.value.isDirectory()) return err({ code: 'IS_DIRECTORY', path })
  if (!looked.value.isFile()) return err({ code: 'NOT_REGULAR', path })
  const { mode, uid, gid } = looked.value
  return ok({ mode: mode & 0o7777, uid, gid })
}

/** The SHA-256 of the bytes in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The hash of a file as it was or is to be; null where there is none. */
export function stateHash(state: { sha256: string } | null): string | null {
  return state?.sha256 ?? null
}

/** The object that a JSON text says; null when it says none, or isn't JSON. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** Whether a value is an object, and no array or null. */
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
