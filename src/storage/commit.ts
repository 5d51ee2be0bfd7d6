import { realpathSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { findObstacle, knownPeople, type People } from './access.ts'
import { missingFolders } from './folders.ts'
import { journalFiles, journalPath, removeJournal, writeJournal } from './journal.ts'
import { createLocks, findLocked, type Locks, lockedFolders } from './lock.ts'
import type { FileProblem } from './problem.ts'
import { findInterrupted } from './recovery.ts'
import { type Purpose, runKind } from './run.ts'
import { pruneRuns } from './runs.ts'
import { type NewRun, nameRun, prepareStateFolder, writeBackup } from './stateFolder.ts'
import { attempt, nearestExisting, pathExists, reading } from './system.ts'
import {
  commitPoint,
  deleteIfUnchanged,
  diffAgainstDisk,
  type FileChange,
  finishWork,
  type Installed,
  install,
  type OnDisk,
  prepareWrites,
  readOnDisk,
  rollBackWork,
  type Step,
  temporaryNames,
  type Work,
  type WorkFile,
  writesOf
} from './work.ts'

export interface CommitOptions {
  /** See `stateFolder`. */
  stateFolder: string
  /** Whether to back up what the run replaces, so that the run can be undone. */
  backup: boolean
  /** The command and the version of vfio-patch, for the record of the run. */
  command: string
  tool: string
  /** The `target` is a path without symlinks. */
  purpose?: Purpose
  /** The root folder of the edited system; default `/`. */
  root?: string
  now?: Date
  people?: People
  /** Called with the locks held. Returns a problem if another file that the plan is based on has changed. */
  findStale?: () => FileProblem | null
}

export interface Committed {
  /** Null if nothing had to be written or `backup` is off. */
  run: NewRun | null
  /** Problems after the commit point: the change is in effect. */
  warnings: FileProblem[]
  /** Paths that could not be deleted; `recover` retries. */
  leftovers: string[]
}

/** Why the change was not made, and the state of the files. */
export type CommitProblem = FileProblem & {
  /** The state of every file of the change after the failure. */
  onDisk: OnDisk[]
  /**
   * Files and folders of the run that could not be deleted, and files that could not be restored.
   * `recover` retries.
   */
  leftovers: string[]
}

/**
 * Makes these changes, all or none: first the writes, in the given order, then the deletions. The commit
 * point is the rename of the last file written, so put new files before the file that imports them. If
 * nothing is written, the first deletion is the commit point.
 *
 * A problem before the commit point rolls everything back, and `onDisk` has the state of the files.
 * Later problems are warnings. A file that already has the new content isn't touched; if all have it,
 * there is no run. A changed file keeps its owner, mode and, if GNU cp is found, access list and
 * extended attributes. Missing folders are created with the owner of their parent and mode 0755.
 * Signals are deferred.
 *
 * A `Journal` of the run is written first. If the run is interrupted, `recover` uses the journal to finish
 * the run or to roll it back. Call `recover` before planning.
 *
 * Problems: all but OUTSIDE_ROOT, BACKUP_DAMAGED, EDITED_SINCE and NO_RUN. Throws for two changes of
 * one file and for a relative path.
 */
export function commit(
  changes: FileChange[],
  options: CommitOptions
): Result<Committed, CommitProblem> {
  checkChanges(changes)
  const release = deferSignals()
  try {
    return commitUninterrupted(changes, options)
  } finally {
    release()
  }
}

type Fail = (problem: FileProblem, leftovers?: string[]) => { ok: false; error: CommitProblem }

function commitUninterrupted(
  changes: FileChange[],
  options: CommitOptions
): Result<Committed, CommitProblem> {
  const fail: Fail = (problem, leftovers = []) =>
    err({ ...problem, onDisk: readOnDisk(changes), leftovers })
  const planned = diffAgainstDisk(changes)
  if (!planned.ok) return fail(planned.error)
  const paths = planned.value.map(({ path }) => path)
  if (paths.length === 0) return ok({ run: null, warnings: [], leftovers: [] })
  const people = options.people ?? knownPeople()
  for (const path of paths) {
    const obstacle = findObstacle(path, people)
    if (obstacle !== null) return fail(obstacle)
  }
  const { stateFolder, backup } = options
  const problem = backup ? prepareStateFolder(stateFolder, people) : null
  if (problem !== null) return fail(problem)
  const [pending] = findInterrupted({ paths, stateFolder })
  if (pending !== undefined)
    return fail({ code: 'INTERRUPTED', path: pending.journal, why: 'PENDING', ...pending })

  const emptied = changes.flatMap(change => change.emptied ?? [])
  const journalFolder = journalFolderOf(planned.value, emptied)
  const locked = lockedFolders(paths)
  const [first = journalFolder] = paths
  // Checked before the state folder is locked: callers wait for the state folder's lock, but not for these.
  const busy = findLocked(new Map([[journalFolder, first], ...locked]))
  if (busy !== null) return fail(busy)
  const locks = createLocks(journalFolder, runKind(options.purpose ?? {}, options.command))
  // The lock of the state folder is taken first and released last, so that it leads to the journal
  // wherever this is interrupted. The other folders are locked after the journal lists them.
  const lockProblem = locks.take(
    new Map([
      ...(backup ? [[stateFolder, first] as const] : []),
      [journalFolder, locked.get(journalFolder) ?? first]
    ])
  )
  if (lockProblem !== null) return fail(lockProblem)
  let result: Result<Committed, CommitProblem>
  let heldLocks: string[] = []
  try {
    result = runSteps(changes, options, { emptied, journalFolder, locked, locks, fail })
  } finally {
    heldLocks = locks.release()
  }
  const withHeldLocks = (leftovers: string[]) => [...new Set([...leftovers, ...heldLocks])]
  return result.ok
    ? ok({ ...result.value, leftovers: withHeldLocks(result.value.leftovers) })
    : err({ ...result.error, leftovers: withHeldLocks(result.error.leftovers) })
}

/** The existing folder of the commit point, or its nearest parent that the run doesn't delete. */
function journalFolderOf(steps: readonly Step[], emptied: string[]): string {
  let folder = nearestExisting(dirname(commitPoint(steps)?.path ?? '/'))
  while (emptied.includes(folder) && folder !== '/') folder = dirname(folder)
  return folder
}

/** What `runSteps` needs. The first locks are held. */
interface LockedRun {
  emptied: string[]
  journalFolder: string
  locked: ReadonlyMap<string, string>
  locks: Locks
  fail: Fail
}

function runSteps(
  changes: FileChange[],
  options: CommitOptions,
  { emptied, journalFolder, locked, locks, fail }: LockedRun
): Result<Committed, CommitProblem> {
  // Compared again: another run may have ended or died before the lock was taken.
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
  const unlock = () => locks.releaseAllExcept(journalFolder, stateFolder)
  const rollBack = () => {
    const { leftovers, retryable } = rollBackWork(work, installed)
    if (unlock() && !retryable) removeJournal(journalFolder)
    return [...leftovers, ...journalFiles(journalFolder)]
  }
  const about = commitPoint(steps)?.path ?? journalFolder
  const journal = { command, started: now.toISOString(), locked: [...locked.keys()], work, purpose }
  const backupOptions = { stateFolder, root: top.value, command, tool, now, purpose }
  const ready = () =>
    writeJournal(journal, journalFolder, about) ??
    locks.take(locked) ??
    (run === null ? null : writeBackup(run, steps, work.folders, backupOptions)) ??
    prepareWrites(steps, work.folders)

  const done = reachCommitPoint(ready, steps, installed, rollBack)
  if (done.outcome === 'failed') return fail(done.problem, rollBack())
  // The configuration may already import the new files, so nothing is rolled back. `recover` decides.
  if (done.outcome === 'unknown') return fail(done.problem, leftoversOf(work))
  const { problems, retryable, leftovers } = finishWork(work, unlock)
  if (backup) pruneRuns(stateFolder)
  // Only the journal leads to a lock that could not be released, so it is kept then.
  const isUnlocked = unlock()
  const journalProblem = retryable || !isUnlocked ? null : removeJournal(journalFolder)
  const warnings = [
    ...done.warnings,
    ...problems,
    ...(journalProblem === null ? [] : [journalProblem])
  ]
  // Files that someone else changed are kept on purpose.
  const stale = new Set(problems.filter(it => it.code === 'STALE').map(it => it.path))
  const open = leftovers.filter(path => !stale.has(path) && pathExists(path))
  return ok({ run, warnings, leftovers: [...open, ...journalFiles(journalFolder)] })
}

function reachCommitPoint(
  ready: () => FileProblem | null,
  steps: readonly Step[],
  installed: WorkFile[],
  rollBack: () => void
): Installed {
  try {
    const notReady = ready()
    if (notReady !== null) return { outcome: 'failed', problem: notReady }
    const writes = writesOf(steps)
    if (writes.length > 0) return install(writes, installed)
    const [first] = steps
    const problem = first === undefined ? null : deleteIfUnchanged(first)
    if (problem !== null) return { outcome: 'failed', problem }
    return { outcome: 'committed', warnings: [] }
  } catch (bug) {
    rollBack()
    throw bug
  }
}

/** The files and folders of a run with an unknown outcome. */
function leftoversOf(work: Work): string[] {
  const point = commitPoint(work.files)
  const others = work.files.filter(file => file !== point).map(({ path }) => path)
  const run = work.run === null ? [] : [work.run]
  return [...run, ...work.folders, ...temporaryNames(work), ...others].filter(pathExists)
}

function checkChanges(changes: FileChange[]): void {
  const paths = changes.map(({ realpath }) => realpath)
  const relative = paths.find(path => !isAbsolute(path))
  if (relative !== undefined) throw new TypeError(`not an absolute path: ${relative}`)
  if (new Set(paths).size < paths.length) throw new TypeError('two changes of one file')
}

const DEFERRED: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/**
 * Keeps signals from ending the process during synchronous work, until the returned function is called.
 * The caller's listeners receive these signals after the work; without listeners the signals are dropped.
 */
export function deferSignals(): () => void {
  const ignore = () => {}
  for (const signal of DEFERRED) process.on(signal, ignore)
  return () => {
    for (const signal of DEFERRED) process.off(signal, ignore)
  }
}

const TEMPORARY = /^\..+\.vfio-patch\.[0-9a-f]{12}\.tmp$/
const LOCK_OR_JOURNAL = /^\.vfio-patch\.(lock(\.[0-9a-f]{12})?|journal(\.new)?)$/

/**
 * True for the names of temporary files, locks and journals, which exist only during a run or after an
 * interrupted one.
 */
export function isTransientName(name: string): boolean {
  return TEMPORARY.test(name) || LOCK_OR_JOURNAL.test(name)
}
