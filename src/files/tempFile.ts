import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { attempt } from './attempt.ts'
import { copyAttributes } from './attributes.ts'
import { reading, writing } from './errno.ts'
import type { FileProblem } from './problem.ts'
import type { Ownership } from './snapshot.ts'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants

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

/**
 * Makes the file `path`, which must not exist, with exactly these bytes, on the disk when this
 * returns, and read back. Owner and mode are `like`'s (private to the caller where it is null);
 * `attributesOf` names a file whose extended attributes and access list it gets. Null when all of
 * that worked; on a problem there may be a file left, which the caller takes away. `about` is the
 * path that the problem names.
 */
export function writeNewFile(
  path: string,
  bytes: Uint8Array,
  like: Ownership | null,
  options: { attributesOf?: string; about?: string } = {}
): FileProblem | null {
  const about = options.about ?? path
  const written = attempt(
    () => {
      const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      try {
        const refused =
          options.attributesOf === undefined ? null : copyAttributes(options.attributesOf, path)
        if (refused !== null) return refused
        writeAll(fd, bytes)
        if (like !== null) {
          fchownSync(fd, like.uid, like.gid)
          // After the owner: a change of owner takes special bits away.
          fchmodSync(fd, like.mode)
        }
        fsyncSync(fd)
        return null
      } finally {
        closeSync(fd)
      }
    },
    writing(about, bytes.length)
  )
  if (!written.ok) return written.error
  if (written.value !== null) return written.value
  const readBack = attempt(() => readFileSync(path), reading(about))
  if (!readBack.ok) return readBack.error
  return readBack.value.equals(bytes) ? null : { code: 'NOT_AS_WRITTEN', path: about }
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
