import { realpathSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { findObstacle, knownPeople, type People } from './access.ts'
import { missingFolders } from './folders.ts'
import { journalPath, journalTraces, removeJournal, writeJournal } from './journal.ts'
import { createLocks, findLocked, type Locks, lockedFolders } from './lock.ts'
import type { FileProblem } from './problem.ts'
import { findInterrupted } from './recovery.ts'
import { type Purpose, runKind } from './run.ts'
import { pruneRuns } from './runs.ts'
import { keepBackup, type NewRun, nameRun, readyStateFolder } from './stateFolder.ts'
import { attempt, nearestExisting, pathExists, reading } from './system.ts'
import {
  commitPoint,
  deleteFile,
  diffAgainstDisk,
  type FileChange,
  finishWork,
  type Installed,
  install,
  lookOnDisk,
  type OnDisk,
  prepareWrites,
  type Step,
  takeBackWork,
  temporaryNames,
  type Work,
  type WorkFile,
  writesOf
} from './work.ts'

export interface CommitOptions {
  /** See `stateFolder`. */
  stateFolder: string
  /** Whether to keep what is replaced, so that it can be undone. */
  backup: boolean
  /** What the person asked for and which version did it, for the record of the run. */
  command: string
  tool: string
  /** What the run is for; its `target` is a real path. */
  purpose?: Purpose
  /** The root folder of the system that the files belong to; `/` unless given. */
  root?: string
  now?: Date
  people?: People
  /** Looks, once the folders are locked, whether something else that the change was planned from is another now. */
  findStale?: () => FileProblem | null
}

export interface Committed {
  /** Null when nothing had to be written, or no backup was asked for. */
  run: NewRun | null
  /** What went wrong after the commit point: the change is made nevertheless. */
  warnings: FileProblem[]
  /** What could not be deleted: `recover` deletes it once that is possible. */
  left: string[]
}

/** Why the change wasn't made, and how things are now. */
export type CommitProblem = FileProblem & {
  /** Every file of the change, as found on the disk after the failure. */
  onDisk: OnDisk[]
  /**
   * Files and folders of the run that could not be taken away again, and files that could not be put
   * back. `recover` does it when that has become possible.
   */
  left: string[]
}

/**
 * Makes these changes, all or none. The writes come first, in the given order, and the rename of
 * the last one is the commit point: put new files before the one that imports them. Deletions
 * follow; where nothing is written, the first deletion is the commit point.
 *
 * Before the commit point a problem undoes everything that was done; `onDisk` says by hash what is
 * there then. After it, problems are warnings. A file that already has the wanted content isn't
 * touched, and when nothing is left to do there is no run. A file that changes keeps its owner,
 * mode and, where GNU cp is found, access list and extended attributes. Folders that are missing
 * are made, with the owner of the folder around them and mode 0755. Signals wait.
 *
 * What is under way is written down first (`Journal`), so that `recover`, which has to be called
 * before the changes are planned, leads a run that was stopped at any point back or to the end.
 *
 * Problems: all but OUTSIDE_ROOT, BACKUP_DAMAGED, EDITED_SINCE and NO_RUN. Throws on changes that
 * make no sense: two of one file, a relative path.
 */
export function commit(
  changes: FileChange[],
  options: CommitOptions
): Result<Committed, CommitProblem> {
  checkSense(changes)
  const release = holdSignals()
  try {
    return commitHeld(changes, options)
  } finally {
    release()
  }
}

type Fail = (problem: FileProblem, left?: string[]) => { ok: false; error: CommitProblem }

function commitHeld(
  changes: FileChange[],
  options: CommitOptions
): Result<Committed, CommitProblem> {
  const fail: Fail = (problem, left = []) => err({ ...problem, onDisk: lookOnDisk(changes), left })
  const planned = diffAgainstDisk(changes)
  if (!planned.ok) return fail(planned.error)
  const paths = planned.value.map(({ path }) => path)
  if (paths.length === 0) return ok({ run: null, warnings: [], left: [] })
  const people = options.people ?? knownPeople()
  for (const path of paths) {
    const obstacle = findObstacle(path, people)
    if (obstacle !== null) return fail(obstacle)
  }
  const { stateFolder, backup } = options
  const unready = backup ? readyStateFolder(stateFolder, people) : null
  if (unready !== null) return fail(unready)
  const [pending] = findInterrupted({ paths, stateFolder })
  if (pending !== undefined)
    return fail({ code: 'INTERRUPTED', path: pending.journal, why: 'PENDING', ...pending })

  const emptied = changes.flatMap(change => change.emptied ?? [])
  const journalFolder = journalFolderOf(planned.value, emptied)
  const locked = lockedFolders(paths)
  const [first = journalFolder] = paths
  // Before the state folder, for which a caller may wait: here that would be in vain.
  const busy = findLocked(new Map([[journalFolder, first], ...locked]))
  if (busy !== null) return fail(busy)
  const locks = createLocks(journalFolder, runKind(options.purpose ?? {}, options.command))
  // The first lock goes last, so that wherever this is stopped, the state folder leads to the rest.
  // The other folders are locked when the journal says which they are.
  const held = locks.take(
    new Map([
      ...(backup ? [[stateFolder, first] as const] : []),
      [journalFolder, locked.get(journalFolder) ?? first]
    ])
  )
  if (held !== null) return fail(held)
  let ended: Result<Committed, CommitProblem>
  let kept: string[] = []
  try {
    ended = runSteps(changes, options, { emptied, journalFolder, locked, locks, fail })
  } finally {
    kept = locks.release()
  }
  const withKept = (left: string[]) => [...new Set([...left, ...kept])]
  return ended.ok
    ? ok({ ...ended.value, left: withKept(ended.value.left) })
    : err({ ...ended.error, left: withKept(ended.error.left) })
}

/** Not one that is to go. */
function journalFolderOf(steps: readonly Step[], emptied: string[]): string {
  let folder = nearestExisting(dirname(commitPoint(steps)?.path ?? '/'))
  while (emptied.includes(folder) && folder !== '/') folder = dirname(folder)
  return folder
}

/** What `commit` has found out and locked before it changes anything. */
interface Place {
  emptied: string[]
  journalFolder: string
  locked: ReadonlyMap<string, string>
  locks: Locks
  fail: Fail
}

function runSteps(
  changes: FileChange[],
  options: CommitOptions,
  { emptied, journalFolder, locked, locks, fail }: Place
): Result<Committed, CommitProblem> {
  // Again, as another run may have ended, or died, between the first look and the lock.
  const planned = diffAgainstDisk(changes)
  if (!planned.ok) return fail(planned.error)
  const steps = planned.value
  const path = journalPath(journalFolder)
  if (pathExists(path))
    return fail({ code: 'INTERRUPTED', path, why: 'PENDING', journal: path, started: null })
  const outdated = options.findStale?.() ?? null
  if (outdated !== null) return fail(outdated)

  const { stateFolder, backup, command, tool, root = '/', now = new Date(), purpose = {} } = options
  const top = attempt(() => realpathSync(root), reading(root))
  if (!top.ok) return fail(top.error)
  const folders = new Set(writesOf(steps).flatMap(({ path }) => missingFolders(dirname(path))))
  const named = backup ? nameRun(stateFolder, now) : ok(null)
  if (!named.ok) return fail(named.error)
  const run = named.value
  const work = { files: steps, folders: [...folders], emptied, run: run?.folder ?? null }
  const installed: WorkFile[] = []
  const unlock = () => locks.releaseOthers(journalFolder, stateFolder)
  const goBack = () => {
    const { leftovers, retryable } = takeBackWork(work, installed)
    if (unlock() && !retryable) removeJournal(journalFolder)
    return [...leftovers, ...journalTraces(journalFolder)]
  }
  const about = commitPoint(steps)?.path ?? journalFolder
  const journal = { command, started: now.toISOString(), locked: [...locked.keys()], work, purpose }
  const backupOptions = { stateFolder, root: top.value, command, tool, now, purpose }
  const ready = () =>
    writeJournal(journal, journalFolder, about) ??
    locks.take(locked) ??
    (run === null ? null : keepBackup(run, steps, work.folders, backupOptions)) ??
    prepareWrites(steps, work.folders)

  const done = reachCommitPoint(ready, steps, installed, goBack)
  if (done.outcome === 'failed') return fail(done.problem, goBack())
  // A file that may have become the configuration needs the others: the next command will see.
  if (done.outcome === 'unknown') return fail(done.problem, leftOf(work))
  const { problems, retryable, leftovers } = finishWork(work, unlock)
  if (backup) pruneRuns(stateFolder)
  // Without the journal nobody would find a lock that could not be given back.
  const isFree = unlock()
  const kept = retryable || !isFree ? null : removeJournal(journalFolder)
  const warnings = [...done.warnings, ...problems, ...(kept === null ? [] : [kept])]
  // A file that somebody else changed stays as it is.
  const stale = new Set(problems.filter(it => it.code === 'STALE').map(it => it.path))
  const open = leftovers.filter(path => !stale.has(path) && pathExists(path))
  return ok({ run, warnings, left: [...open, ...journalTraces(journalFolder)] })
}

function reachCommitPoint(
  ready: () => FileProblem | null,
  steps: readonly Step[],
  installed: WorkFile[],
  goBack: () => void
): Installed {
  try {
    const unready = ready()
    if (unready !== null) return { outcome: 'failed', problem: unready }
    const writes = writesOf(steps)
    if (writes.length > 0) return install(writes, installed)
    const [first] = steps
    const undeleted = first === undefined ? null : deleteFile(first)
    if (undeleted !== null) return { outcome: 'failed', problem: undeleted }
    return { outcome: 'committed', warnings: [] }
  } catch (bug) {
    goBack()
    throw bug
  }
}

/** What there is of a run that can't be said to have failed. */
function leftOf(work: Work): string[] {
  const point = commitPoint(work.files)
  const others = work.files.filter(file => file !== point).map(({ path }) => path)
  const run = work.run === null ? [] : [work.run]
  return [...run, ...work.folders, ...temporaryNames(work), ...others].filter(pathExists)
}

function checkSense(changes: FileChange[]): void {
  const paths = changes.map(({ realpath }) => realpath)
  const relative = paths.find(path => !isAbsolute(path))
  if (relative !== undefined) throw new TypeError(`not an absolute path: ${relative}`)
  if (new Set(paths).size < paths.length) throw new TypeError('two changes of one file')
}

const HELD: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/**
 * Keeps the signals that people and systems send from ending the process in the middle of
 * synchronous work, until the returned function is called. What arrives meanwhile reaches listeners
 * that the caller has, after that work; without one it is dropped.
 */
export function holdSignals(): () => void {
  const ignore = () => {}
  for (const signal of HELD) process.on(signal, ignore)
  return () => {
    for (const signal of HELD) process.off(signal, ignore)
  }
}

const TEMPORARY = /^\..+\.vfio-patch\.[0-9a-f]{12}\.tmp$/
const OWN = /^\.vfio-patch\.(lock(\.[0-9a-f]{12})?|journal(\.new)?)$/

/**
 * Whether a run uses such a name in the folders of its files. It is there only during a run, or after an
 * interrupted one.
 */
export function isTrace(name: string): boolean {
  return TEMPORARY.test(name) || OWN.test(name)
}
