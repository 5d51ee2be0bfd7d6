// Files that are made whole before they get their names, and the names that they have until then.

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
import { findProgram, knownPeople } from './access.ts'
import { inFolder, pathOf, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { type Ownership, readFacts } from './read.ts'
import { attempt, pathExists, problemIn, reading, succeeded, writing } from './system.ts'

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * An unpredictable name in the folder of the file, hidden, and without `.nix` so that nothing imports it.
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
    (): FileProblem | null => {
      const fd = inFolder(path, it => openSync(it, NEW, 0o600))
      try {
        const unfilled = fillFile(fd, bytes, like, options)
        if (unfilled !== null || containsBytes(fd, bytes)) return unfilled
        return { code: 'NOT_AS_WRITTEN', path: about }
      } finally {
        closeSync(fd)
      }
    },
    writing(about, bytes.length)
  )
  return written.ok ? written.value : written.error
}

const NEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW

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

/** Renames an entry of a folder; what has the new name in the same folder goes. Throws as `renameSync`. */
export function renameBeside(from: string, to: string): void {
  inFolder(to, it => renameSync(join(dirname(it), basename(from)), it))
}

/** A file that is made or replaced, which is no part of the configuration. */
interface SaveTarget {
  /** The folder is without links; the file itself is no link. */
  path: string
  /** What it belongs to now; null where it does not exist. */
  before: Ownership | null
}

/**
 * Where the absolute `path` leads, if a file can be made or replaced there. Links to the folder are
 * followed; a link with the name of the file is not.
 * Problems: NOT_FOUND (the folder is missing), NOT_DIRECTORY, IS_DIRECTORY, NOT_REGULAR (a link,
 * too), NOT_READABLE, IO_ERROR.
 */
export function locateSaved(path: string): Result<SaveTarget, FileProblem> {
  const folder = attempt(() => realpathSync(dirname(path)), reading(dirname(path)))
  if (!folder.ok) return folder
  const target = join(folder.value, basename(path))
  const facts = readFacts(target)
  return facts.ok ? ok({ path: target, before: facts.value }) : facts
}

/**
 * Makes or replaces the file with these bytes, as the files of a run are: a new file in the same folder, whole
 * and on the disk, takes its place, so that on a problem the old one is as it was. Nobody can read it
 * who can't read a file with the owner and mode `source`, which the bytes come from. Within that it
 * keeps its mode and, as root, its owner. A new one gets what `ownerOfSaved` says. Problems: those of
 * writing.
 */
export function saveFile(
  { path, before }: SaveTarget,
  bytes: Uint8Array,
  source: Ownership
): FileProblem | null {
  const fresh = ownerOfSaved(dirname(path))
  if (!fresh.ok) return fresh.error
  // Only root can give a file away.
  const isRoot = process.geteuid?.() === 0
  const wanted =
    before === null ? fresh.value : isRoot ? before : { ...fresh.value, mode: before.mode }
  const temp = temporaryName(path)
  const problem =
    writeNewFile(temp, bytes, narrowed(wanted, source), { about: path }) ??
    problemIn(() => renameBeside(temp, path), writing(path, bytes.length))
  if (problem === null) return syncFolder(dirname(path))
  removeFile(temp)
  return problem
}

/**
 * To whom a new file in this folder belongs: to the caller or, for root in a folder of whoever called
 * sudo, to the owner of the folder. The mode is 0666 without what the umask takes.
 */
export function ownerOfSaved(folder: string): Result<Ownership, FileProblem> {
  const looked = attempt(() => statSync(folder), reading(folder))
  if (!looked.ok) return looked
  const [self, group] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  const isLent = self === 0 && knownPeople().trusted.has(looked.value.uid)
  const { uid, gid } = isLent ? looked.value : { uid: self, gid: group }
  return ok({ mode: 0o666 & ~process.umask(), uid, gid })
}

/** An owner and a mode with which nobody can read who can't read the source. */
function narrowed({ mode, uid, gid }: Ownership, source: Ownership): Ownership {
  const others = source.mode & 0o007
  // Who is in another group is one of the others.
  const group = gid === source.gid ? source.mode & 0o070 : others << 3
  const isReadable = uid === source.uid || uid === 0 || (others & 0o004) !== 0
  const most = 0o600 | group | others
  return { mode: mode & most & 0o666, uid: isReadable ? uid : source.uid, gid }
}
