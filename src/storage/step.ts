import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { reading } from './errno.ts'
import { makeFolder, settleFolder } from './folders.ts'
import { attempt, nearestExisting } from './paths.ts'
import type { FileProblem } from './problem.ts'
import { type Ownership, readSnapshot, resolveLinks, type Snapshot, sha256 } from './read.ts'
import { temporaryName, writeNewFile } from './tempFiles.ts'

/** What is to become of one file. */
export interface FileChange {
  /** The file itself: absolute, with no link in it (`readTarget` and `locateTarget` give it). */
  realpath: string
  /** What the plan was made for; null when the file must not exist. */
  before: { sha256: string } | null
  /** The whole new content; null when the file goes. */
  after: Uint8Array | null
  /**
   * Whose owner and mode a new file takes: those of an existing file, or these. Without it, its
   * folder's owner and 0644. A file that exists keeps its own.
   */
  like?: string | Ownership
  /** Folders that go after all that, if nothing is left in them. */
  emptied?: string[]
}

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
export function diffAgainstDisk(changes: FileChange[]): Result<Steps, FileProblem> {
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

/**
 * Everything before the first rename: makes the folders, and beside each file a complete copy of
 * what it is to become, and of what it is where it may have to come back. Nothing that was there is
 * touched. The caller takes it back on a problem.
 */
export function prepareWrites(writes: readonly Write[], folders: string[]): FileProblem | null {
  for (const folder of folders) {
    const problem = makeFolder(folder) ?? settleFolder(folder, 0o755, true)
    if (problem !== null) return problem
  }
  for (const { path, before, after, owner, temp, spare } of writes) {
    const options = before === null ? { about: path } : { about: path, attributesOf: path }
    const problem = writeNewFile(temp, after, owner, options)
    if (problem !== null) return problem
    if (spare === null || before === null) continue
    const kept = writeNewFile(spare, before.bytes, before, { ...options, times: before })
    if (kept !== null) return kept
  }
  return null
}

/**
 * What is at a path now, by its hash: what the plan started from, what it leads to, something else,
 * or it can't be told.
 */
export interface OnDisk {
  path: string
  state: 'before' | 'after' | 'other' | 'unknown'
  /** Null when nothing is there, or nothing readable. */
  sha256: string | null
}

/** Looks at the files of these changes. */
export function lookOnDisk(changes: FileChange[]): OnDisk[] {
  return changes.map(({ realpath: path, before, after }) => {
    const read = readSnapshot(path)
    if (!read.ok) return { path, state: 'unknown', sha256: null }
    const found = read.value?.sha256 ?? null
    if (found === (before?.sha256 ?? null)) return { path, state: 'before', sha256: found }
    const wanted = after === null ? null : sha256(after)
    return { path, state: found === wanted ? 'after' : 'other', sha256: found }
  })
}
