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
import { exceeds, keepsRunOf, mayNameJournal, type Reach, reachOf } from './reach.ts'
import { readSnapshot } from './read.ts'
import { type Purpose, type RunKind, runKind } from './run.ts'
import { pruneRuns } from './runs.ts'
import { findUnsafeState } from './stateFolder.ts'
import { pathExists } from './system.ts'
import type { Work } from './work.ts'
import { commitPoint, fileState, finishWork, takeBackWork } from './work.ts'

/** Where to look for what an interrupted run left. */
export interface RecoverOptions {
  /** The files that are to be worked on: their folders are looked at. */
  paths: string[]
  /** See `stateFolder`; through it a run is found that was on other files. */
  stateFolder: string
  people?: People
}

/** A run that was stopped in the middle. */
interface Interrupted {
  /** The file that says what was under way. */
  journal: string
  /** ISO 8601, UTC; null where the journal can't be read. */
  started: string | null
}

/** What became of it. */
export interface Recovered {
  command: string
  /** The name of the run among the backups; absent where none was kept. */
  run?: string
  /** What it was for; nothing is known of it where the journal does not say. */
  purpose?: Purpose
  started: string
  outcome: 'finished' | 'taken back'
  /** The files of that run. */
  files: string[]
  /** Those of them that came, and those that went, where it was finished. */
  created: string[]
  deleted: string[]
}

/** The runs that were stopped in the middle. Only looks. */
export function findInterrupted({ paths, stateFolder }: RecoverOptions): Interrupted[] {
  return journalFolders([...lockedFolders(paths).keys(), stateFolder]).map(folder => {
    const journal = readJournal(folder)
    const started = journal.ok ? (journal.value?.started ?? null) : null
    return { journal: journalPath(folder), started }
  })
}

/**
 * What `recover` would come to, for each run whose files lead somewhere. Only looks, and does not see
 * what only the attempt would show.
 */
export function foresee({
  paths,
  stateFolder,
  people = knownPeople()
}: RecoverOptions): Recovered[] {
  return journalFolders([...lockedFolders(paths).keys(), stateFolder]).flatMap(folder => {
    const found = readInReach(folder, people)
    if (!found.ok || found.value === null) return []
    const { work, started } = found.value.journal
    const outcome = decide(work, { journal: journalPath(folder), started })
    return outcome.ok ? [recoveredOf(found.value.journal, outcome.value)] : []
  })
}

/**
 * Finishes or takes back the runs that were stopped in the middle, and takes away what they left:
 * to be called before a command that writes reads its files. A run that had reached its commit
 * point is finished, any other is taken back; a file that is neither old nor new is left alone, and
 * so are then all others of its run. May itself be stopped at any point and repeated.
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
  // What is left of a run that had not begun yet, or had ended.
  const pointed = folders.flatMap(folder => folderLedTo(folder) ?? [])
  for (const folder of new Set([...pointed, ...folders].filter(pathExists))) {
    const holder = deadHolder(folder)
    if (holder === null) continue
    const locks = createLocks(folder, holder.kind)
    locks.take(new Map([[folder, folder]]))
    locks.release()
  }
  return ok(recovered)
}

/**
 * What the runs do that were stopped before they had written down what they are about to change, or after
 * all was done, by the locks that they left; `folder` is where each works. Only looks, and is of use
 * before `recover`, which takes these locks away.
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

/** The folder of the journal that a left lock names, if whoever could put the lock there may say so. */
function folderLedTo(folder: string): string | null {
  const journal = deadHolder(folder)?.journal ?? null
  return journal !== null && mayNameJournal(folder, journal) ? journal : null
}

/** The folders of the journals whose runs have ended, by the folders and by their locks. */
function journalFolders(folders: string[]): string[] {
  const found = folders.flatMap(folder => [folder, folderLedTo(folder) ?? folder])
  // The lock is looked at after the journal: a run has it as long as there is one.
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
  const state = run !== null && keepsRunOf(journal, people) ? dirname(dirname(run)) : null
  const about = commitPoint(journal.work.files)?.path ?? folder
  // The first lock goes last, so that wherever this is stopped, the state folder leads to the rest.
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

/** The journal in a folder and how far it counts; null where there is none. INTERRUPTED beyond that. */
function readInReach(
  folder: string,
  people: People
): Result<{ journal: FoundJournal; reach: Reach } | null, FileProblem> {
  const journal = readJournal(folder)
  if (!journal.ok) return journal
  if (journal.value === null) return ok(null)
  const reach = reachOf(journal.value, folder, people)
  if (reach !== null && !exceeds(reach, journal.value, folder))
    return ok({ journal: journal.value, reach })
  const path = journalPath(folder)
  const { started } = journal.value
  return err({ code: 'INTERRUPTED', path, why: 'OTHERS', journal: path, started })
}

/** The same with all locks; `state` is the state folder whose lock is among them. */
function recoverLocked(
  folder: string,
  state: string | null,
  locks: Locks,
  people: People
): Result<Recovered | null, FileProblem> {
  // Again: another process was faster, or somebody has put another one there.
  const found = readInReach(folder, people)
  if (!found.ok) return found
  if (found.value === null) return ok(null)
  const { journal, reach } = found.value
  const { started, work: whole } = journal
  const keepsRun = whole.run !== null && state === dirname(dirname(whole.run))
  const work = keepsRun && keepsRunOf(journal, people) ? whole : { ...whole, run: null }
  const outcome = decide(work, { journal: journalPath(folder), started })
  if (!outcome.ok) return outcome
  const unlock = () => locks.releaseOthers(folder, state ?? folder)
  const { leftovers, problems, retryable } = confine(reach, () =>
    outcome.value === 'finished' ? finishWork(work, unlock) : takeBackWork(work, work.files)
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
  const known = purpose === undefined || Object.keys(purpose).length === 0 ? {} : { purpose }
  const run = work.run === null ? {} : { run: basename(work.run) }
  return { command, started, ...run, ...known, outcome, files, created, deleted }
}

/** Which way to go; INTERRUPTED where neither leads to files that are all of one version. */
function decide(
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
  return ok(isCommitted ? 'finished' : 'taken back')
}
