// Writes files completely under a temporary name before renaming them.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  futimesSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ok, type Result } from '../nix/result.ts'
import { trace } from '../trace.ts'
import { findProgram, knownPeople } from './access.ts'
import { inFolder, pathOf, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { type Ownership, readOwnership } from './read.ts'
import { attempt, pathExists, problemIn, reading, succeeded, writing } from './system.ts'

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/** A random hidden name in the folder of the file. It doesn't end with `.nix`, so nothing imports it. */
export function temporaryName(path: string): string {
  const random = randomBytes(6).toString('hex')
  return join(dirname(path), `.${basename(path)}.vfio-patch.${random}.tmp`)
}

/** True if `temporaryName` can return this name for a file called `base`. */
export function isTemporaryName(name: string, base: string): boolean {
  const start = `.${base}.vfio-patch.`
  return name.startsWith(start) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(start.length))
}

interface NewFileOptions {
  /** The file whose extended attributes and access list are copied. */
  attributesOf?: string
  /** Access and modification time; by default now. */
  times?: { accessed: Date; modified: Date }
  /** The path to name in problems; by default the new file's path. */
  about?: string
}

/**
 * Creates the file `path`, which must not exist, with exactly these bytes and this ownership (null:
 * private to the caller), and reads it back. When this returns null, the file is on the disk. All later
 * calls use the open descriptor, so it doesn't matter if someone renames the file meanwhile. After a
 * problem the file may exist; the caller deletes it.
 */
export function writeNewFile(
  path: string,
  bytes: Uint8Array,
  ownership: Ownership | null,
  options: NewFileOptions = {}
): FileProblem | null {
  const about = options.about ?? path
  const written = attempt(
    (): FileProblem | null => {
      const fd = inFolder(path, it => openSync(it, CREATE_FLAGS, 0o600))
      try {
        const problem = fillFile(fd, bytes, ownership, options)
        if (problem !== null || hasExactBytes(fd, bytes)) return problem
        return { code: 'NOT_AS_WRITTEN', path: about }
      } finally {
        closeSync(fd)
      }
    },
    writing(about, bytes.length)
  )
  const problem = written.ok ? written.value : written.error
  trace(`storage: write ${path}, ${bytes.length} bytes: ${problem?.code ?? 'done'}`)
  return problem
}

const CREATE_FLAGS = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW

function fillFile(
  fd: number,
  bytes: Uint8Array,
  ownership: Ownership | null,
  { attributesOf, times }: NewFileOptions
): FileProblem | null {
  const refused = attributesOf === undefined ? null : copyAttributes(attributesOf, fd)
  if (refused !== null) return refused
  writeAll(fd, bytes)
  if (ownership !== null) {
    fchownSync(fd, ownership.uid, ownership.gid)
    // After chown, which clears special mode bits.
    fchmodSync(fd, ownership.mode)
  }
  if (times !== undefined) futimesSync(fd, times.accessed, times.modified)
  fsyncSync(fd)
  return null
}

/**
 * Writes all bytes; one call may write fewer than requested. Stops if a call writes none: reading the file
 * back detects this.
 */
function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0
  while (done < bytes.length) {
    const taken = writeSync(fd, bytes, done)
    if (taken === 0) return
    done += taken
  }
}

/** True if the file has exactly these bytes. */
function hasExactBytes(fd: number, bytes: Uint8Array): boolean {
  // One more byte, to detect a longer file.
  const found = Buffer.alloc(bytes.length + 1)
  let done = 0
  for (;;) {
    const taken = readSync(fd, found, done, found.length - done, done)
    if (taken === 0) return found.subarray(0, done).equals(bytes)
    done += taken
    if (done > bytes.length) return false
  }
}

/** The folders of `cp` on NixOS and other systems. Searched before PATH, which may have another `cp`. */
const USUAL_FOLDERS = '/run/current-system/sw/bin:/usr/bin:/bin'

/**
 * Copies owner, mode, access list and extended attributes from the file `from`, which isn't a symlink, to
 * the open file `to`. Uses GNU `cp`, because Node can't copy access lists and extended attributes. Does
 * nothing without GNU `cp`: it can't find out whether the file has any. Problems: IO_ERROR if GNU `cp`
 * fails, those of reading `from`.
 *
 * `cp` gets both files as open descriptors, so that nobody can swap the files meanwhile.
 */
export function copyAttributes(from: string, to: number, cp = findCp()): FileProblem | null {
  if (cp === null) return null
  const opened = attempt(() => inFolder(from, it => openSync(it, READ_FLAGS)), reading(from))
  if (!opened.ok) return opened.error
  try {
    const open = [opened.value, to]
    const names = open.map((_, index) => pathOf(index + FIRST_CHILD_FD))
    const { status, error } = runProgram(cp, [...ATTRIBUTES, '--', ...names], open)
    if (status === 0 || !isGnu(cp)) return null
    const errno = (error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO'
    return { code: 'IO_ERROR', path: from, errno, syscall: 'cp' }
  } finally {
    succeeded(() => closeSync(opened.value))
  }
}

const READ_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
const ATTRIBUTES = ['--attributes-only', '--preserve=all']
/** The number that the first passed descriptor has in the child process. */
const FIRST_CHILD_FD = 3

function findCp(): string | null {
  return findProgram('cp', `${USUAL_FOLDERS}:${process.env.PATH ?? ''}`)
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

/** Deletes a file. A missing file is not a problem. */
export function removeFile(path: string): FileProblem | null {
  const removed = attempt(() => inFolder(path, it => unlinkSync(it)), writing(path))
  if (removed.ok || !pathExists(path)) return null
  return removed.error
}

/** Renames an entry within its folder, replacing an entry with the new name. Throws like `renameSync`. */
export function renameInFolder(from: string, to: string): void {
  inFolder(to, it => renameSync(join(dirname(it), basename(from)), it))
}

/** A file to create or replace that isn't part of the configuration. */
interface OutputFile {
  /** Without symlinks. */
  path: string
  /** Null if it doesn't exist. */
  before: Ownership | null
}

/**
 * Locates the absolute `path` for creating or replacing a file. Follows symlinks to the folder, but not
 * one at the path itself.
 * Problems: NOT_FOUND (the folder doesn't exist), NOT_DIRECTORY, IS_DIRECTORY, NOT_REGULAR (also for a
 * symlink), NOT_READABLE, IO_ERROR.
 */
export function locateOutput(path: string): Result<OutputFile, FileProblem> {
  const folder = attempt(() => realpathSync(dirname(path)), reading(dirname(path)))
  if (!folder.ok) return folder
  const target = join(folder.value, basename(path))
  const facts = readOwnership(target)
  return facts.ok ? ok({ path: target, before: facts.value }) : facts
}

/**
 * Creates or atomically replaces the file with these bytes, like the files of a run: a temporary file is
 * written and renamed. After a problem the existing file is unchanged.
 *
 * `source` is the ownership of the file that the bytes come from: only users who can read that file can
 * read the new one. Within this limit, an existing file keeps its mode and, for root, its owner; a new file
 * gets the `ownershipOfOutput`. Problems: those of writing.
 */
export function writeOutput(
  { path, before }: OutputFile,
  bytes: Uint8Array,
  source: Ownership
): FileProblem | null {
  const defaults = ownershipOfOutput(dirname(path))
  if (!defaults.ok) return defaults.error
  // Only root can set another owner.
  const isRoot = process.geteuid?.() === 0
  const wanted =
    before === null ? defaults.value : isRoot ? before : { ...defaults.value, mode: before.mode }
  const temp = temporaryName(path)
  const problem =
    writeNewFile(temp, bytes, restrictOwnership(wanted, source), { about: path }) ??
    problemIn(() => renameInFolder(temp, path), writing(path, bytes.length))
  if (problem === null) return syncFolder(dirname(path))
  removeFile(temp)
  return problem
}

/**
 * The ownership of a new file in this folder: the caller's. For root in a folder owned by the sudo caller:
 * the folder's. The mode is 0666 minus the umask.
 */
export function ownershipOfOutput(folder: string): Result<Ownership, FileProblem> {
  const stats = attempt(() => statSync(folder), reading(folder))
  if (!stats.ok) return stats
  const [self, group] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  const isSudoCallers = self === 0 && knownPeople().trusted.has(stats.value.uid)
  const { uid, gid } = isSudoCallers ? stats.value : { uid: self, gid: group }
  return ok({ mode: 0o666 & ~process.umask(), uid, gid })
}

/** Restricts the ownership so that only users who can read the source can read the file. */
function restrictOwnership({ mode, uid, gid }: Ownership, source: Ownership): Ownership {
  const others = source.mode & 0o007
  // Members of another group count as others.
  const group = gid === source.gid ? source.mode & 0o070 : others << 3
  const isReadable = uid === source.uid || uid === 0 || (others & 0o004) !== 0
  const allowed = 0o600 | group | others
  return { mode: mode & allowed & 0o666, uid: isReadable ? uid : source.uid, gid }
}
