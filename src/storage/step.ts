import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { makeFolder, settleFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import {
  type Ownership,
  readSnapshot,
  resolveLinks,
  type Snapshot,
  sha256,
  stateHash
} from './read.ts'
import { attempt, nearestExisting, reading } from './system.ts'
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

/** One file of a run: hashes of what was there and of what is to be there, null for nothing. */
export interface WorkFile {
  path: string
  before: string | null
  after: string | null
  /** Where the new bytes wait. */
  temp: string | null
  /** Where a copy of the old file is while it may have to come back. */
  spare: string | null
}

/**
 * All that a run does, as far as it takes to go back or to the end from wherever it stopped: the
 * files decide by what they are.
 */
export interface Work {
  /** The writes in their order, the last of which is the commit point, and then the deletions. */
  files: WorkFile[]
  /** The folders to be made, the outermost first. */
  folders: string[]
  /** The folders that go when nothing is left in them. */
  emptied: string[]
  /** The run's folder among the backups. */
  run: string | null
}

/** A file to write. */
export interface Write extends WorkFile {
  after: string
  temp: string
  /** The file as it is; null where it is new. */
  old: Snapshot | null
  bytes: Uint8Array
  owner: Ownership
}

/** A file of a run, with what it takes to make the change: to write it, or to delete it. */
export type Step = Write | (WorkFile & { old: Snapshot; bytes: null })

/**
 * Compares the changes with the disk and leaves out those that are done already. The writes come first, in
 * their order, then the deletions.
 * Problems: STALE, those of `readSnapshot`, NOT_FOUND for a file to be `like`.
 */
export function diffAgainstDisk(changes: FileChange[]): Result<Step[], FileProblem> {
  const writes: Write[] = []
  const deletions: Step[] = []
  for (const change of changes) {
    const { realpath: path, after: bytes } = change
    const read = readExpected(path, stateHash(change.before))
    if (!read.ok) return read
    const old = read.value
    const before = stateHash(old)
    if (bytes === null) {
      const file = { path, before, after: null, temp: null, spare: null }
      if (old !== null) deletions.push({ ...file, old, bytes })
      continue
    }
    const after = sha256(bytes)
    if (before === after) continue
    const owner = old === null ? ownerOfNew(change) : ok(old)
    if (!owner.ok) return owner
    const { mode, uid, gid } = owner.value
    const file = { path, before, after, temp: temporaryName(path), spare: null }
    writes.push({ ...file, old, bytes, owner: { mode, uid, gid } })
  }
  for (const write of writes.slice(0, -1))
    if (write.old !== null) write.spare = temporaryName(write.path)
  return ok([...writes, ...deletions])
}

/** The steps that write a file. */
export function writesOf(steps: readonly Step[]): Write[] {
  return steps.filter(step => step.bytes !== null)
}

/** STALE when a file isn't what was planned for any more, or the problem of reading it; null when it is. */
export function findStale(path: string, before: string | null): FileProblem | null {
  const read = readExpected(path, before)
  return read.ok ? null : read.error
}

function readExpected(path: string, before: string | null): Result<Snapshot | null, FileProblem> {
  const resolved = resolveLinks(path)
  if (!resolved.ok) return resolved
  if (resolved.value.realpath !== path) return err({ code: 'NOT_REGULAR', path })
  const read = readSnapshot(path)
  if (!read.ok) return read
  const found = stateHash(read.value)
  return found === before ? read : err({ code: 'STALE', path, found })
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
export function prepareWrites(steps: readonly Step[], folders: string[]): FileProblem | null {
  for (const folder of folders) {
    const problem = makeFolder(folder) ?? settleFolder(folder, 0o755, true)
    if (problem !== null) return problem
  }
  for (const { path, old, bytes, owner, temp, spare } of writesOf(steps)) {
    const options = old === null ? { about: path } : { about: path, attributesOf: path }
    const problem = writeNewFile(temp, bytes, owner, options)
    if (problem !== null) return problem
    if (spare === null || old === null) continue
    const kept = writeNewFile(spare, old.bytes, old, { ...options, times: old })
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
    const found = stateHash(read.value)
    if (found === stateHash(before)) return { path, state: 'before', sha256: found }
    const wanted = after === null ? null : sha256(after)
    return { path, state: found === wanted ? 'after' : 'other', sha256: found }
  })
}
