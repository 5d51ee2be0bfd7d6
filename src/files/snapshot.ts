import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import { reading } from './errno.ts'
import { sha256 } from './hash.ts'
import type { FileProblem } from './problem.ts'

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
export function readFacts(
  path: string
): Result<(Ownership & { dev: number; ino: number }) | null, FileProblem> {
  const looked = attempt(() => lstatSync(path), reading(path))
  if (!looked.ok) return looked.error.code === 'NOT_FOUND' ? ok(null) : looked
  if (looked.value.isDirectory()) return err({ code: 'IS_DIRECTORY', path })
  if (!looked.value.isFile()) return err({ code: 'NOT_REGULAR', path })
  const { mode, uid, gid, dev, ino } = looked.value
  return ok({ mode: mode & 0o7777, uid, gid, dev, ino })
}
