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
  writeSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { inFolder } from '../system/inFolder.ts'
import { attempt } from './attempt.ts'
import { copyAttributes } from './attributes.ts'
import { writing } from './errno.ts'
import type { FileProblem } from './problem.ts'
import type { Ownership } from './snapshot.ts'

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants

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
export interface NewFileOptions {
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
        return fill(fd, bytes, like, options) ?? (isIn(fd, bytes) ? null : NOT_AS_WRITTEN)
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

function fill(
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
function isIn(fd: number, bytes: Uint8Array): boolean {
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
