// The files of a run, and each step that is done to them: prepared, put in their places, taken back, finished.

import { renameSync, statSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { inFolder, makeFolder, removeIfEmpty, settleFolder, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import {
  type Ownership,
  readSnapshot,
  resolveLinks,
  type Snapshot,
  sha256,
  stateHash
} from './read.ts'
import { dropRun, markDone } from './run.ts'
import { attempt, nearestExisting, pathExists, problemIn, reading, writing } from './system.ts'
import { removeFile, renameBeside, temporaryName, writeNewFile } from './write.ts'

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

/** The file that decides: the last one written, or the first one deleted where none is written. */
export function commitPoint(files: readonly WorkFile[]): WorkFile | undefined {
  return files.findLast(({ after }) => after !== null) ?? files[0]
}

/** The temporary names that a run uses in the folders of its files. */
export function temporaryNames({ files }: Work): string[] {
  return files.flatMap(({ temp, spare }) => [temp, spare]).filter(name => name !== null)
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
 * What is at a path now, by its hash: what was there before or what the plan started from, what is to be
 * there, something else, or unknown.
 */
export interface OnDisk {
  path: string
  state: 'before' | 'after' | 'other' | 'unknown'
  /** Null when nothing is there, or nothing readable. */
  sha256: string | null
}

/** Looks at the files of these changes. */
export function lookOnDisk(changes: FileChange[]): OnDisk[] {
  return changes.map(({ realpath: path, before, after }) =>
    compareWithDisk({
      path,
      before: stateHash(before),
      after: after === null ? null : sha256(after)
    })
  )
}

/** What is at the path of a file now. */
export function fileState(file: WorkFile): OnDisk['state'] {
  return compareWithDisk(file).state
}

function compareWithDisk({
  path,
  before,
  after
}: Pick<WorkFile, 'path' | 'before' | 'after'>): OnDisk {
  const read = readSnapshot(path)
  if (!read.ok) return { path, state: 'unknown', sha256: null }
  const found = stateHash(read.value)
  const state = found === before ? 'before' : found === after ? 'after' : 'other'
  return { path, state, sha256: found }
}

/**
 * Everything before the first rename: makes the folders, and next to each file a complete copy of
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
 * How the renames ended. `unknown`: the last one failed, and the file can't be read to see whether
 * it happened.
 */
export type Installed =
  | { outcome: 'committed'; warnings: FileProblem[] }
  | { outcome: 'failed'; problem: FileProblem }
  | { outcome: 'unknown'; problem: FileProblem }

/**
 * Puts the prepared files in their places, in order; the rename of the last one is the commit
 * point. Each file is compared once more right before. Those that may have been replaced are added to
 * `installed`. On failure the caller takes them back; on an unknown outcome it must not, as a file that may
 * have become the configuration needs the others.
 */
export function install(writes: readonly Write[], installed: WorkFile[]): Installed {
  for (const [index, write] of writes.entries()) {
    const { path, before, bytes, temp } = write
    const isLast = index === writes.length - 1
    const stale = findStale(path, before)
    if (stale !== null) return { outcome: 'failed', problem: stale }
    installed.push(write)
    const unnamed = problemIn(() => renameBeside(temp, path), writing(path, bytes.length))
    if (unnamed !== null && !isLast) return { outcome: 'failed', problem: unnamed }
    const state = unnamed === null ? 'after' : fileState(write)
    if (unnamed !== null && state !== 'after')
      return { outcome: state === 'unknown' ? 'unknown' : 'failed', problem: unnamed }
    const unsynced = syncFolder(dirname(path))
    if (unsynced !== null && !isLast) return { outcome: 'failed', problem: unsynced }
    if (isLast)
      return { outcome: 'committed', warnings: [unnamed, unsynced].filter(it => it !== null) }
  }
  return { outcome: 'committed', warnings: [] }
}

/** How going back or to the end went. */
interface Cleanup {
  /** What is not as it should be. */
  leftovers: string[]
  problems: FileProblem[]
  /** Whether to try again would make sense. */
  retryable: boolean
}

/**
 * Makes everything as it was before the run, which has not reached its commit point. `installed` are
 * the files that it may have replaced; only what the run wrote goes: a file that someone else has written
 * to in between stays. May be stopped and repeated at any point.
 */
export function takeBackWork(work: Work, installed: readonly WorkFile[]): Cleanup {
  const point = commitPoint(work.files)
  const files = installed.filter(file => file !== point && file.after !== null).reverse()
  const unrestored = files.filter(file => !restored(file))
  const leftovers = unrestored.map(({ path }) => path)
  const stuck = unrestored.filter(file => fileState(file) !== 'other')
  const needed = new Set(stuck.map(({ spare }) => spare))
  const problems: FileProblem[] = []
  const isLeft = (path: string, problem: FileProblem | null) => {
    if (problem !== null) problems.push(problem)
    return problem !== null && pathExists(path)
  }
  const isKept = (it: string) => !needed.has(it) && pathExists(it) && isLeft(it, removeFile(it))
  leftovers.push(...temporaryNames(work).reverse().filter(isKept))
  const inward = [...work.folders].reverse()
  leftovers.push(...inward.filter(it => isLeft(it, removeIfEmpty(it))))
  syncFolders(work)
  const isMixed = unrestored.length > 0
  // Where someone has written over what came from us, the old version is in the backup alone.
  if (!isMixed && work.run !== null && !dropRun(work.run)) leftovers.push(work.run)
  const edited = unrestored.length - stuck.length
  return { leftovers, problems, retryable: leftovers.length > edited }
}

function restored(file: WorkFile): boolean {
  const { path, spare } = file
  const seen: { state: OnDisk['state'] } = { state: 'unknown' }
  // Looked at and put back in one and the same folder.
  const back = attempt(
    () =>
      inFolder(path, it => {
        seen.state = fileState({ ...file, path: it })
        if (seen.state !== 'after') return
        if (spare === null) unlinkSync(it)
        else renameSync(join(dirname(it), basename(spare)), it)
      }),
    writing(path)
  )
  // Its folder may not be there (yet).
  if (!back.ok && seen.state === 'unknown') return fileState(file) === 'before'
  if (seen.state !== 'after') return seen.state === 'before'
  if (!back.ok && !(spare === null && !pathExists(path))) return false
  syncFolder(dirname(path))
  return true
}

/**
 * Does what is left to do after the commit point: all of it is tried. A file to be deleted that
 * someone has changed stays, as a problem. `unlock` is called before folders go, as nothing may be
 * left in them, and says whether it worked. May be stopped and repeated at any point.
 */
export function finishWork(work: Work, unlock: () => boolean): Cleanup {
  const removals = temporaryNames(work).filter(pathExists).map(removeFile)
  const deletions = work.files.filter(({ after }) => after === null).map(deleteFile)
  const unsynced = syncFolders(work)
  // What fails once may work at once after.
  const isFree = unlock() || unlock()
  // The longest path first: an inner folder goes before the one around it.
  const outward = [...new Set(work.emptied)].sort((a, b) => b.length - a.length)
  const emptied = outward.map(removeIfEmpty)
  const undone = work.run === null ? null : markDone(work.run)
  const open = [...removals, ...deletions, ...emptied].filter(it => it !== null)
  return {
    leftovers: open.map(({ path }) => path),
    problems: [...open, ...unsynced, undone].filter(it => it !== null),
    retryable: undone !== null || !isFree || open.some(({ code }) => code !== 'STALE')
  }
}

/** Deletes one file if it still is what was planned for. */
export function deleteFile({ path, before }: WorkFile): FileProblem | null {
  // Looked at and deleted in one and the same folder.
  const deleted = attempt(
    () =>
      inFolder(path, (it): FileProblem | null => {
        const read = readSnapshot(it)
        if (!read.ok) return { ...read.error, path }
        const found = stateHash(read.value)
        if (found === before) unlinkSync(it)
        return found === null || found === before ? null : { code: 'STALE', path, found }
      }),
    writing(path)
  )
  if (deleted.ok) return deleted.value
  return pathExists(path) ? deleted.error : null
}

function syncFolders({ files }: Work): FileProblem[] {
  const folders = files
    .filter(({ spare, after }) => spare !== null || after === null)
    .map(({ path }) => dirname(path))
  return [...new Set(folders)]
    .filter(pathExists)
    .map(syncFolder)
    .filter(it => it !== null)
}
