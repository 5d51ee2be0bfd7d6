import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import type { FileChange } from './change.ts'
import { reading } from './errno.ts'
import { nearestExisting } from './exists.ts'
import { sha256 } from './hash.ts'
import type { FileProblem } from './problem.ts'
import { resolveLinks } from './resolveLinks.ts'
import { type Ownership, readSnapshot, type Snapshot } from './snapshot.ts'
import { temporaryName } from './tempFile.ts'

/** A file to write. */
export interface Write {
  path: string
  before: Snapshot | null
  after: Uint8Array
  afterHash: string
  owner: Ownership
  /** Where the new bytes are until they take the file's place. */
  temp: string
  /**
   * Where a copy of the old file is while the change may have to be taken back; null when the file
   * is new or the last one written.
   */
  spare: string | null
}

/** A file to delete. */
export interface Deletion {
  path: string
  before: Snapshot
}

/**
 * All there is to do: the writes in their order, the last of which is the commit point, and then
 * the deletions.
 */
export interface Steps {
  writes: Write[]
  deletions: Deletion[]
}

/**
 * Compares the changes with the disk and leaves out those that are done already.
 * Problems: STALE, those of `readSnapshot`, NOT_FOUND for a file to be `like`.
 */
export function survey(changes: FileChange[]): Result<Steps, FileProblem> {
  const writes: Write[] = []
  const deletions: Deletion[] = []
  for (const change of changes) {
    const read = readExpected(change)
    if (!read.ok) return read
    const before = read.value
    const { realpath: path, after } = change
    if (after === null) {
      if (before !== null) deletions.push({ path, before })
      continue
    }
    const afterHash = sha256(after)
    if (before?.sha256 === afterHash) continue
    const owner = before === null ? ownerOfNew(change) : ok(before)
    if (!owner.ok) return owner
    const { mode, uid, gid } = owner.value
    const temp = temporaryName(path)
    writes.push({ path, before, after, afterHash, owner: { mode, uid, gid }, temp, spare: null })
  }
  for (const write of writes.slice(0, -1))
    if (write.before !== null) write.spare = temporaryName(write.path)
  return ok({ writes, deletions })
}

/** STALE when the file isn't `before` any more, or the problem of reading it; null when it is. */
export function findStale(path: string, before: { sha256: string } | null): FileProblem | null {
  const read = readExpected({ realpath: path, before })
  return read.ok ? null : read.error
}

function readExpected({
  realpath: path,
  before
}: Pick<FileChange, 'realpath' | 'before'>): Result<Snapshot | null, FileProblem> {
  const resolved = resolveLinks(path)
  if (!resolved.ok) return resolved
  if (resolved.value.realpath !== path) return err({ code: 'NOT_REGULAR', path })
  const read = readSnapshot(path)
  if (!read.ok) return read
  const found = read.value?.sha256 ?? null
  return found === (before?.sha256 ?? null) ? read : err({ code: 'STALE', path, found })
}

function ownerOfNew({ realpath, like }: FileChange): Result<Ownership, FileProblem> {
  if (typeof like === 'object') return ok(like)
  const example = like ?? nearestExisting(dirname(realpath))
  const looked = attempt(() => statSync(example), reading(example))
  if (!looked.ok) return looked
  const { mode, uid, gid } = looked.value
  return ok({ mode: like === undefined ? 0o644 : mode & 0o7777, uid, gid })
}
