import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { err, ok, type Result } from '../nix/result.ts'
import { findProgram } from './access.ts'
import { inFolder, pathOf, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import type { Ownership } from './read.ts'
import {
  attempt,
  isSystemError,
  isWithin,
  pathExists,
  reading,
  succeeded,
  valueOr,
  writing
} from './system.ts'

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * A name that nobody can foresee, beside the file, hidden, and no `.nix` so that nothing imports
 * it.
 */
export function temporaryName(path: string): string {
  const random = randomBytes(6).toString('hex')
  return join(dirname(path), `.${basename(path)}.vfio-patch.${random}.tmp`)
}

/** Whether `name` is one that `temporaryName` gives for a file called `base`. */
export function isTemporaryName(name: string, base: string): boolean {
  const start = `.${base}.vfio-patch.`
  return name.startsWith(start) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(start.length))
}

/** More than how a new file is written: whom it takes after, and which path a problem names. */
interface NewFileOptions {
  /** A file whose extended attributes and access list it gets. */
  attributesOf?: string
  /** When it was read and changed last, in place of now. */
  times?: { accessed: Date; modified: Date }
  /** The path that a problem names; that of the file unless given. */
  about?: string
}

/**
 * Makes the file `path`, which must not exist, with exactly these bytes, on the disk when this
 * returns, and read back. Owner and mode are `like`'s (private to the caller where it is null). All
 * of it is done to the file that was made, whatever has its name meanwhile. Null when all of that
 * worked; on a problem there may be a file left, which the caller takes away.
 */
export function writeNewFile(
  path: string,
  bytes: Uint8Array,
  like: Ownership | null,
  options: NewFileOptions = {}
): FileProblem | null {
  const about = options.about ?? path
  const written = attempt(
    () => {
      const fd = inFolder(path, it => openSync(it, NEW, 0o600))
      try {
        return (
          fillFile(fd, bytes, like, options) ?? (containsBytes(fd, bytes) ? null : NOT_AS_WRITTEN)
        )
      } finally {
        closeSync(fd)
      }
    },
    writing(about, bytes.length)
  )
  if (!written.ok) return written.error
  return written.value === NOT_AS_WRITTEN ? { code: NOT_AS_WRITTEN, path: about } : written.value
}

const NEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
const NOT_AS_WRITTEN = 'NOT_AS_WRITTEN'

function fillFile(
  fd: number,
  bytes: Uint8Array,
  like: Ownership | null,
  { attributesOf, times }: NewFileOptions
): FileProblem | null {
  const refused = attributesOf === undefined ? null : copyAttributes(attributesOf, fd)
  if (refused !== null) return refused
  writeAll(fd, bytes)
  if (like !== null) {
    fchownSync(fd, like.uid, like.gid)
    // After the owner: a change of owner takes special bits away.
    fchmodSync(fd, like.mode)
  }
  if (times !== undefined) futimesSync(fd, times.accessed, times.modified)
  fsyncSync(fd)
  return null
}

/**
 * The system may take fewer bytes than it was given, which is no error. If it takes none, reading
 * back shows it.
 */
function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0
  while (done < bytes.length) {
    const taken = writeSync(fd, bytes, done)
    if (taken === 0) return
    done += taken
  }
}

/** Whether the file holds exactly these bytes. */
function containsBytes(fd: number, bytes: Uint8Array): boolean {
  // One more, to see whether it goes on.
  const found = Buffer.alloc(bytes.length + 1)
  let done = 0
  for (;;) {
    const taken = readSync(fd, found, done, found.length - done, done)
    if (taken === 0) return found.subarray(0, done).equals(bytes)
    done += taken
    if (done > bytes.length) return false
  }
}

/** Where NixOS and others have it; before PATH, as there may be another `cp` in that. */
const USUAL_PLACES = '/run/current-system/sw/bin:/usr/bin:/bin'

/**
 * Gives the open file `to` the owner, mode, access list and extended attributes of the file `from`,
 * which is no link, with the `cp` of GNU: Node can't. Where there is no such program nothing happens,
 * as nothing tells whether the file has any. Null, or the problem that kept a GNU `cp` from it.
 *
 * `cp` gets both files open, as somebody may put others in their places meanwhile.
 */
export function copyAttributes(from: string, to: number, cp = findCp()): FileProblem | null {
  if (cp === null) return null
  const opened = attempt(() => inFolder(from, it => openSync(it, READ)), reading(from))
  if (!opened.ok) return opened.error
  try {
    const open = [opened.value, to]
    const names = open.map((_, index) => pathOf(index + FIRST_FREE))
    const { status, error } = runProgram(cp, [...ATTRIBUTES, '--', ...names], open)
    if (status === 0 || !isGnu(cp)) return null
    const errno = (error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO'
    return { code: 'IO_ERROR', path: from, errno, syscall: 'cp' }
  } finally {
    succeeded(() => closeSync(opened.value))
  }
}

const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
const ATTRIBUTES = ['--attributes-only', '--preserve=all']
/** What the first file that is handed over is called in the child. */
const FIRST_FREE = 3

function findCp(): string | null {
  return findProgram('cp', `${USUAL_PLACES}:${process.env.PATH ?? ''}`)
}

function isGnu(cp: string): boolean {
  return runProgram(cp, ['--version']).stdout.includes('GNU coreutils')
}

function runProgram(program: string, args: string[], open: number[] = []) {
  return spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore', ...open],
    timeout: 10_000
  })
}

/** Deletes a file; that it isn't there is no problem. */
export function removeFile(path: string): FileProblem | null {
  const removed = attempt(() => inFolder(path, it => unlinkSync(it)), writing(path))
  if (removed.ok || !pathExists(path)) return null
  return removed.error
}

/** Deletes a folder if it is empty; that it isn't there, or isn't empty, is no problem. */
export function removeIfEmpty(path: string): FileProblem | null {
  const removed = attempt(() => {
    try {
      inFolder(path, it => rmdirSync(it))
      return true
    } catch (error) {
      if (isSystemError(error) && ['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code))
        return false
      throw error
    }
  }, writing(path))
  if (!removed.ok) return removed.error
  return removed.value ? syncFolder(dirname(path)) : null
}

/** Renames an entry of a folder; what has the new name in the same folder goes. Throws as `renameSync`. */
export function renameBeside(from: string, to: string): void {
  inFolder(to, it => renameSync(join(dirname(it), basename(from)), it))
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

/** What stands in a folder; nothing in what is none, or can't be read. */
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
