import { basename, dirname } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { knownPeople, type People } from './access.ts'
import { confine } from './folders.ts'
import { type FoundJournal, journalPath, readJournal, removeJournal } from './journal.ts'
import {
  createLocks,
  isAlive,
  type LockHolder,
  type Locks,
  lockedFolders,
  readLock
} from './lock.ts'
import type { FileProblem } from './problem.ts'
import { exceedsReach, mayChangeRun, mayNameJournal, type Reach, reachOf } from './reach.ts'
import { readSnapshot } from './read.ts'
import { type Purpose, type RunKind, runKind } from './run.ts'
import { pruneRuns } from './runs.ts'
import { findUnsafeState } from './stateFolder.ts'
import { pathExists } from './system.ts'
import type { Work } from './work.ts'
import { commitPoint, fileState, finishWork, rollBackWork } from './work.ts'

/** Where to search for interrupted runs. */
export interface RecoverOptions {
  /** The files of the command: their folders are searched. */
  paths: string[]
  /** See `stateFolder`. Its lock leads to interrupted runs on other files. */
  stateFolder: string
  people?: People
}

/** An interrupted run. */
interface Interrupted {
  /** The path of its journal. */
  journal: string
  /** ISO 8601, UTC; null if the journal can't be read. */
  started: string | null
}

/** An interrupted run that was finished or rolled back. */
export interface Recovered {
  command: string
  /** The run's ID; absent if the run has no backup. */
  run?: string
  /** Absent if the journal has no purpose. */
  purpose?: Purpose
  started: string
  outcome: 'finished' | 'rolled back'
  /** All files of the run. */
  files: string[]
  /** The files that the run created and deleted; empty if it was rolled back. */
  created: string[]
  deleted: string[]
}

/** Finds interrupted runs. Changes nothing. */
export function findInterrupted({ paths, stateFolder }: RecoverOptions): Interrupted[] {
  return journalFolders([...lockedFolders(paths).keys(), stateFolder]).map(folder => {
    const journal = readJournal(folder)
    const started = journal.ok ? (journal.value?.started ?? null) : null
    return { journal: journalPath(folder), started }
  })
}

/**
 * The expected result of `recover`, without the runs that it would refuse. Changes nothing, so it can't
 * foresee write errors.
 */
export function predictRecovery({
  paths,
  stateFolder,
  people = knownPeople()
}: RecoverOptions): Recovered[] {
  return journalFolders([...lockedFolders(paths).keys(), stateFolder]).flatMap(folder => {
    const found = readInReach(folder, people)
    if (!found.ok || found.value === null) return []
    const { work, started } = found.value.journal
    const outcome = decideOutcome(work, { journal: journalPath(folder), started })
    return outcome.ok ? [recoveredOf(found.value.journal, outcome.value)] : []
  })
}

/**
 * Finishes or rolls back interrupted runs, and deletes their temporary files, locks and journals. A command
 * that writes calls this before it reads its files. A run that reached its commit point is finished, any
 * other is rolled back. If a file is neither as before its run nor as after it, all files of that run are
 * left alone. Can be interrupted at any point and repeated.
 * Problems: INTERRUPTED, LOCKED, those of reading and writing.
 */
export function recover(options: RecoverOptions): Result<Recovered[], FileProblem> {
  const { paths, stateFolder, people = knownPeople() } = options
  const state = findUnsafeState(stateFolder, people) === null ? [stateFolder] : []
  const folders = [...lockedFolders(paths).keys(), ...state]
  const recovered: Recovered[] = []
  for (const folder of journalFolders(folders)) {
    const one = recoverIn(folder, people)
    if (!one.ok) return one
    if (one.value !== null) recovered.push(one.value)
  }
  // Deletes the locks of runs that were interrupted before writing the journal or after deleting it.
  const linkedFolders = folders.flatMap(folder => journalFolderFromLock(folder) ?? [])
  for (const folder of new Set([...linkedFolders, ...folders].filter(pathExists))) {
    const holder = deadHolder(folder)
    if (holder === null) continue
    const locks = createLocks(folder, holder.kind)
    locks.take(new Map([[folder, folder]]))
    locks.release()
  }
  return ok(recovered)
}

/**
 * The runs that were interrupted before they wrote the journal or after they deleted it, found by their
 * locks. `folder` is the folder for the journal. Changes nothing. Call it before `recover`, which deletes
 * these locks.
 */
export function findAbandoned({
  paths,
  stateFolder
}: RecoverOptions): { folder: string; kind: RunKind }[] {
  return [...lockedFolders(paths).keys(), stateFolder].flatMap(each => {
    const holder = deadHolder(each)
    if (holder === null || pathExists(journalPath(holder.journal))) return []
    return [{ folder: holder.journal, kind: holder.kind }]
  })
}

function deadHolder(folder: string): LockHolder | null {
  const lock = readLock(folder)
  const holder = lock.ok ? lock.value : null
  return holder === null || isAlive(holder) ? null : holder
}

/** The journal folder that a stale lock names, if the lock can be trusted. */
function journalFolderFromLock(folder: string): string | null {
  const journal = deadHolder(folder)?.journal ?? null
  return journal !== null && mayNameJournal(folder, journal) ? journal : null
}

/**
 * The folders that have a journal and no live lock. Searches these folders and the folders that their
 * stale locks name.
 */
function journalFolders(folders: string[]): string[] {
  const found = folders.flatMap(folder => [folder, journalFolderFromLock(folder) ?? folder])
  // The lock is checked between two checks of the journal: a run holds it as long as its journal exists.
  return [...new Set(found)].filter(
    folder =>
      pathExists(journalPath(folder)) && !isLocked(folder) && pathExists(journalPath(folder))
  )
}

function isLocked(folder: string): boolean {
  const lock = readLock(folder)
  return lock.ok && lock.value !== null && isAlive(lock.value)
}

function recoverIn(folder: string, people: People): Result<Recovered | null, FileProblem> {
  const found = readInReach(folder, people)
  if (!found.ok) return found
  if (found.value === null) return ok(null)
  const { journal, reach } = found.value
  const { run } = journal.work
  const state = run !== null && mayChangeRun(journal, people) ? dirname(dirname(run)) : null
  const about = commitPoint(journal.work.files)?.path ?? folder
  // The lock of the state folder is released last, so that it leads to the journal wherever this is interrupted.
  const locked = [...(state === null ? [] : [state]), folder, ...journal.locked].filter(pathExists)
  const locks = createLocks(folder, runKind(journal.purpose ?? {}, journal.command))
  const held = confine(reach, () => locks.take(new Map(locked.map(each => [each, about]))))
  if (held !== null) return err(held)
  try {
    return recoverLocked(folder, state, locks, people)
  } finally {
    locks.release()
  }
}

/** The journal in a folder and its reach; null without a journal. INTERRUPTED if the journal exceeds it. */
function readInReach(
  folder: string,
  people: People
): Result<{ journal: FoundJournal; reach: Reach } | null, FileProblem> {
  const journal = readJournal(folder)
  if (!journal.ok) return journal
  if (journal.value === null) return ok(null)
  const reach = reachOf(journal.value, folder, people)
  if (reach !== null && !exceedsReach(reach, journal.value, folder))
    return ok({ journal: journal.value, reach })
  const path = journalPath(folder)
  const { started } = journal.value
  return err({ code: 'INTERRUPTED', path, why: 'OTHERS', journal: path, started })
}

/** Recovers with all locks held; `state` is the locked state folder, if any. */
function recoverLocked(
  folder: string,
  state: string | null,
  locks: Locks,
  people: People
): Result<Recovered | null, FileProblem> {
  // Read again: the journal may have been removed or replaced before the locks were taken.
  const found = readInReach(folder, people)
  if (!found.ok) return found
  if (found.value === null) return ok(null)
  const { journal, reach } = found.value
  const { started, work: recorded } = journal
  const isRunLocked = recorded.run !== null && state === dirname(dirname(recorded.run))
  const work = isRunLocked && mayChangeRun(journal, people) ? recorded : { ...recorded, run: null }
  const outcome = decideOutcome(work, { journal: journalPath(folder), started })
  if (!outcome.ok) return outcome
  const unlock = () => locks.releaseAllExcept(folder, state ?? folder)
  const { leftovers, problems, retryable } = confine(reach, () =>
    outcome.value === 'finished' ? finishWork(work, unlock) : rollBackWork(work, work.files)
  )
  const path = problems[0]?.path ?? leftovers[0] ?? folder
  const interrupted = { code: 'INTERRUPTED', journal: journalPath(folder), started } as const
  const [cause] = problems
  if (retryable) return err({ ...interrupted, path, why: 'STUCK', ...(cause ? { cause } : {}) })
  if (state !== null) pruneRuns(state)
  const removed = unlock() ? removeJournal(folder) : null
  if (removed !== null) return err(removed)
  return ok(recoveredOf(journal, outcome.value))
}

function recoveredOf(
  { command, started, work, purpose }: FoundJournal,
  outcome: Recovered['outcome']
): Recovered {
  const files = work.files.map(file => file.path)
  const done = outcome === 'finished' ? work.files : []
  const created = done.filter(file => file.before === null).map(file => file.path)
  const deleted = done.filter(file => file.after === null).map(file => file.path)
  const knownPurpose = purpose === undefined || Object.keys(purpose).length === 0 ? {} : { purpose }
  const run = work.run === null ? {} : { run: basename(work.run) }
  return { command, started, ...run, ...knownPurpose, outcome, files, created, deleted }
}

/** Whether to finish or roll back the run; INTERRUPTED if both would leave old and new files together. */
function decideOutcome(
  work: Work,
  { journal, started }: { journal: string; started: string }
): Result<Recovered['outcome'], FileProblem> {
  const refuse = (path: string, why: 'EDITED' | 'STUCK') =>
    err({ code: 'INTERRUPTED', path, why, journal, started } as const)
  const states = new Map(work.files.map(file => [file, fileState(file)]))
  for (const [{ path }, state] of states) {
    if (state === 'other') return refuse(path, 'EDITED')
    if (state === 'unknown') return refuse(path, 'STUCK')
  }
  const point = commitPoint(work.files)
  const isCommitted = point !== undefined && states.get(point) === 'after'
  for (const [file, state] of states) {
    if (file.after === null || file === point) continue
    if (isCommitted && state === 'before') return refuse(file.path, 'EDITED')
    if (!isCommitted && state === 'after' && file.spare !== null) {
      const spare = readSnapshot(file.spare)
      if (!spare.ok || spare.value?.sha256 !== file.before) return refuse(file.path, 'STUCK')
    }
  }
  return ok(isCommitted ? 'finished' : 'rolled back')
}
