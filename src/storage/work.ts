// The files of a run, and the steps on them: prepare, install, roll back, finish.

import { renameSync, statSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { trace } from '../trace.ts'
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
import { deleteRun, markDone } from './run.ts'
import { attempt, nearestExisting, pathExists, problemIn, reading, writing } from './system.ts'
import { removeFile, renameInFolder, temporaryName, writeNewFile } from './write.ts'

/** The change of one file. */
export interface FileChange {
  /** The absolute path of the file, without symlinks (see `readTarget` and `locateTarget`). */
  realpath: string
  /** The file that the change was planned for; null if it must not exist. */
  before: { sha256: string } | null
  /** The whole new content; null to delete the file. */
  after: Uint8Array | null
  /**
   * The owner and mode of a new file, or a path to copy them from. By default the owner of its folder
   * and 0644. An existing file keeps its own.
   */
  ownershipFrom?: string | Ownership
  /** Folders to delete afterwards if they're empty. */
  emptied?: string[]
}

/** One file of a run. `before` and `after` are its hashes; null where the file doesn't exist. */
export interface WorkFile {
  path: string
  before: string | null
  after: string | null
  /** The temporary file with the new content. */
  temp: string | null
  /** The temporary copy of the existing file, for rolling back. */
  spare: string | null
}

/** All that is needed to roll back or finish a run. Which of the two depends on the files' current state. */
export interface Work {
  /** First the writes, then the deletions. The commit point is the last write, else the first deletion. */
  files: WorkFile[]
  /** The folders to create, outermost first. */
  folders: string[]
  /** The folders to delete if they're empty. */
  emptied: string[]
  /** The run's folder among the backups. */
  run: string | null
}

/** A file to write. */
interface Write extends WorkFile {
  after: string
  temp: string
  /** Null if the file is new. */
  existing: Snapshot | null
  bytes: Uint8Array
  owner: Ownership
}

/** A file to write or to delete. */
export type Step = Write | (WorkFile & { existing: Snapshot; bytes: null })

/**
 * Compares the changes with the disk and omits the changes that are already done. Returns first the
 * writes, in the given order, then the deletions.
 * Problems: STALE, those of `readSnapshot`, NOT_FOUND for the path of `ownershipFrom`.
 */
export function diffAgainstDisk(changes: FileChange[]): Result<Step[], FileProblem> {
  const writes: Write[] = []
  const deletions: Step[] = []
  for (const change of changes) {
    const { realpath: path, after: bytes } = change
    const read = readExpected(path, stateHash(change.before))
    if (!read.ok) return read
    const existing = read.value
    const before = stateHash(existing)
    if (bytes === null) {
      const file = { path, before, after: null, temp: null, spare: null }
      if (existing !== null) deletions.push({ ...file, existing, bytes })
      continue
    }
    const after = sha256(bytes)
    if (before === after) continue
    const owner = existing === null ? ownershipOfNew(change) : ok(existing)
    if (!owner.ok) return owner
    const { mode, uid, gid } = owner.value
    const file = { path, before, after, temp: temporaryName(path), spare: null }
    writes.push({ ...file, existing, bytes, owner: { mode, uid, gid } })
  }
  for (const write of writes.slice(0, -1))
    if (write.existing !== null) write.spare = temporaryName(write.path)
  return ok([...writes, ...deletions])
}

export function writesOf(steps: readonly Step[]): Write[] {
  return steps.filter(step => step.bytes !== null)
}

/** The file whose change is the commit point: the last file written; if none is written, the first deleted. */
export function commitPoint(files: readonly WorkFile[]): WorkFile | undefined {
  return files.findLast(({ after }) => after !== null) ?? files[0]
}

/** The temporary names that a run uses in the folders of its files. */
export function temporaryNames({ files }: Work): string[] {
  return files.flatMap(({ temp, spare }) => [temp, spare]).filter(name => name !== null)
}

/** STALE if a file no longer has the hash `before`, or the problem of reading it; else null. */
function findStale(path: string, before: string | null): FileProblem | null {
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

function ownershipOfNew({ realpath, ownershipFrom }: FileChange): Result<Ownership, FileProblem> {
  if (typeof ownershipFrom === 'object') return ok(ownershipFrom)
  const example = ownershipFrom ?? nearestExisting(dirname(realpath))
  const stats = attempt(() => statSync(example), reading(example))
  if (!stats.ok) return stats
  const { mode, uid, gid } = stats.value
  return ok({ mode: ownershipFrom === undefined ? 0o644 : mode & 0o7777, uid, gid })
}

/** The current state of a file: as before the change, as after it, something else, or unknown. */
export interface OnDisk {
  path: string
  state: 'before' | 'after' | 'other' | 'unknown'
  /** Null if the file doesn't exist or can't be read. */
  sha256: string | null
}

/** Reads the current state of the files of these changes. */
export function readOnDisk(changes: FileChange[]): OnDisk[] {
  return changes.map(({ realpath: path, before, after }) =>
    compareWithDisk({
      path,
      before: stateHash(before),
      after: after === null ? null : sha256(after)
    })
  )
}

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
 * Does everything before the first rename: creates the folders, and next to each file a temporary file
 * with the new content. If the file may have to be restored, a second temporary file gets the existing
 * content. Existing files aren't touched. After a problem the caller calls `rollBackWork`.
 */
export function prepareWrites(steps: readonly Step[], folders: string[]): FileProblem | null {
  for (const folder of folders) {
    const problem = makeFolder(folder) ?? settleFolder(folder, 0o755, true)
    if (problem !== null) return problem
  }
  for (const { path, existing, bytes, owner, temp, spare } of writesOf(steps)) {
    const options = existing === null ? { about: path } : { about: path, attributesOf: path }
    const problem = writeNewFile(temp, bytes, owner, options)
    if (problem !== null) return problem
    if (spare === null || existing === null) continue
    const kept = writeNewFile(spare, existing.bytes, existing, { ...options, times: existing })
    if (kept !== null) return kept
  }
  return null
}

/** The result of the renames. `unknown`: the last rename failed, and its file can't be read to check it. */
export type Installed =
  | { outcome: 'committed'; warnings: FileProblem[] }
  | { outcome: 'failed'; problem: FileProblem }
  | { outcome: 'unknown'; problem: FileProblem }

/**
 * Renames the prepared files to their names, in order; the last rename is the commit point. Each file is
 * compared with its `before` once more right before its rename. Adds each file that may have been
 * replaced to `installed`. If the outcome is `failed`, the caller rolls these files back. If it is
 * `unknown`, the caller must not: the configuration may have been replaced, and it imports the others.
 */
export function install(writes: readonly Write[], installed: WorkFile[]): Installed {
  for (const [index, write] of writes.entries()) {
    const { path, before, bytes, temp } = write
    const isLast = index === writes.length - 1
    const stale = findStale(path, before)
    if (stale !== null) return { outcome: 'failed', problem: stale }
    installed.push(write)
    const renameProblem = problemIn(() => renameInFolder(temp, path), writing(path, bytes.length))
    trace(`storage: rename ${temp} to ${path}: ${renameProblem?.code ?? 'done'}`)
    if (renameProblem !== null && !isLast) return { outcome: 'failed', problem: renameProblem }
    const state = renameProblem === null ? 'after' : fileState(write)
    if (renameProblem !== null && state !== 'after')
      return { outcome: state === 'unknown' ? 'unknown' : 'failed', problem: renameProblem }
    const syncProblem = syncFolder(dirname(path))
    if (syncProblem !== null && !isLast) return { outcome: 'failed', problem: syncProblem }
    if (isLast)
      return {
        outcome: 'committed',
        warnings: [renameProblem, syncProblem].filter(it => it !== null)
      }
  }
  return { outcome: 'committed', warnings: [] }
}

/** The result of rolling back or finishing a run. */
interface Cleanup {
  /** Files and folders that are not as they should be. */
  leftovers: string[]
  problems: FileProblem[]
  /** True if another attempt may succeed. */
  retryable: boolean
}

/**
 * Restores the state before the run, which must not have reached its commit point. `installed` are the
 * files that the run may have replaced. A file that someone else changed meanwhile is kept. Can be
 * interrupted at any point and repeated.
 */
export function rollBackWork(work: Work, installed: readonly WorkFile[]): Cleanup {
  const point = commitPoint(work.files)
  const files = installed.filter(file => file !== point && file.after !== null).reverse()
  const notRestored = files.filter(file => !restore(file))
  const leftovers = notRestored.map(({ path }) => path)
  const stuck = notRestored.filter(file => fileState(file) !== 'other')
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
  const isMixed = notRestored.length > 0
  // If someone else overwrote a file of the run, only the backup has the original.
  if (!isMixed && work.run !== null && !deleteRun(work.run)) leftovers.push(work.run)
  const edited = notRestored.length - stuck.length
  return { leftovers, problems, retryable: leftovers.length > edited }
}

function restore(file: WorkFile): boolean {
  const { path, spare } = file
  const seen: { state: OnDisk['state'] } = { state: 'unknown' }
  // Checked and restored in the same open folder.
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
  // The folder may not exist yet.
  if (!back.ok && seen.state === 'unknown') return fileState(file) === 'before'
  if (seen.state !== 'after') return seen.state === 'before'
  if (!back.ok && !(spare === null && !pathExists(path))) return false
  syncFolder(dirname(path))
  trace(`storage: ${path} is as it was before the run`)
  return true
}

/**
 * Does everything after the commit point, and continues after problems. If someone changed a file that is
 * to be deleted, the file is kept and reported as a problem. `unlock` releases the locks, and returns
 * whether this succeeded. It is called before folders are deleted, because the locks are in these folders.
 * Can be interrupted at any point and repeated.
 */
export function finishWork(work: Work, unlock: () => boolean): Cleanup {
  const removals = temporaryNames(work).filter(pathExists).map(removeFile)
  const deletions = work.files.filter(({ after }) => after === null).map(deleteIfUnchanged)
  const syncProblems = syncFolders(work)
  // If it fails, a second attempt right away may succeed.
  const isUnlocked = unlock() || unlock()
  // The longest path first, so that a folder is deleted before its parent.
  const innermostFirst = [...new Set(work.emptied)].sort((a, b) => b.length - a.length)
  const emptied = innermostFirst.map(removeIfEmpty)
  const markProblem = work.run === null ? null : markDone(work.run)
  const open = [...removals, ...deletions, ...emptied].filter(it => it !== null)
  return {
    leftovers: open.map(({ path }) => path),
    problems: [...open, ...syncProblems, markProblem].filter(it => it !== null),
    retryable: markProblem !== null || !isUnlocked || open.some(({ code }) => code !== 'STALE')
  }
}

/** Deletes a file if it still has the hash `before`. */
export function deleteIfUnchanged({ path, before }: WorkFile): FileProblem | null {
  // Checked and deleted in the same open folder.
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
  trace(
    `storage: delete ${path}: ${(deleted.ok ? deleted.value?.code : deleted.error.code) ?? 'done'}`
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
