import { realpathSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import { dropRun, keepBackup, type NewRun } from './backup.ts'
import type { FileChange } from './change.ts'
import { reading } from './errno.ts'
import { isThere } from './exists.ts'
import { deleteFile, finish } from './finish.ts'
import { missingFolders } from './folders.ts'
import { holdSignals } from './holdSignals.ts'
import { type Installed, install } from './install.ts'
import { lockFolder, takeLocks } from './lock.ts'
import { findObstacle } from './obstacle.ts'
import { lookOnDisk, type OnDisk } from './onDisk.ts'
import { knownPeople, type People } from './openFolder.ts'
import { prepare } from './prepare.ts'
import type { FileProblem } from './problem.ts'
import { type Steps, survey } from './step.ts'
import { createWayBack, type WayBack } from './wayBack.ts'

export interface CommitOptions {
  /** See `stateFolder`. */
  stateFolder: string
  /** Whether to keep what is replaced, so that it can be undone. */
  backup: boolean
  /** What the person asked for and which version did it, for the record of the run. */
  command: string
  tool: string
  /** The root folder of the system that the files belong to; `/` unless given. */
  root?: string
  now?: Date
  lockFolder?: string
  people?: People
}

export interface Committed {
  /** Null when nothing had to be written, or no backup was asked for. */
  run: NewRun | null
  /** What went wrong after the commit point: the change is made nevertheless. */
  warnings: FileProblem[]
}

/** Why the change wasn't made, and how things are now. */
export type CommitProblem = FileProblem & {
  /** Every file of the change, as found on the disk after the failure. */
  onDisk: OnDisk[]
  /**
   * Files and folders of ours that could not be taken away again, and files that could not be put
   * back.
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

function commitHeld(
  changes: FileChange[],
  options: CommitOptions
): Result<Committed, CommitProblem> {
  const fail = (problem: FileProblem, left: string[] = []) =>
    err({ ...problem, onDisk: lookOnDisk(changes), left })
  const planned = survey(changes)
  if (!planned.ok) return fail(planned.error)
  const paths = [...planned.value.writes, ...planned.value.deletions].map(({ path }) => path)
  if (paths.length === 0) return ok({ run: null, warnings: [] })
  const people = options.people ?? knownPeople()
  for (const path of paths) {
    const obstacle = findObstacle(path, people)
    if (obstacle !== null) return fail(obstacle)
  }
  const { stateFolder } = options
  const uid = process.geteuid?.() ?? -1
  const folder = options.lockFolder ?? lockFolder({ uid, env: process.env, stateFolder })
  const locked = takeLocks(paths, folder)
  if (!locked.ok) return fail(locked.error)
  try {
    // Again, as another run may have ended between the first look and the lock.
    const steps = survey(changes)
    if (!steps.ok) return fail(steps.error)
    const emptied = changes.flatMap(change => change.emptied ?? [])
    return carryOut(steps.value, emptied, people, options, fail)
  } finally {
    locked.value()
  }
}

function carryOut(
  steps: Steps,
  emptied: string[],
  people: People,
  options: CommitOptions,
  fail: (problem: FileProblem, left?: string[]) => { ok: false; error: CommitProblem }
): Result<Committed, CommitProblem> {
  const { writes, deletions } = steps
  const folders = [...new Set(writes.flatMap(({ path }) => missingFolders(dirname(path))))]
  const kept = options.backup ? backUp(steps, folders, people, options) : ok(null)
  if (!kept.ok) return fail(kept.error)
  const run = kept.value

  const wayBack = createWayBack()
  if (run !== null) wayBack.add(run.folder, () => dropRun(run))
  const reached = reachCommitPoint(steps, folders, wayBack)
  if (reached.outcome === 'failed') return fail(reached.problem, wayBack.go())
  const past = wayBack.close()
  if (reached.outcome === 'unknown') return fail(reached.problem, past.filter(isThere))
  const problems = finish({
    writes,
    deletions: writes.length === 0 ? deletions.slice(1) : deletions,
    thinned: deletions.map(({ path }) => dirname(path)),
    emptied,
    run
  })
  return ok({ run, warnings: [...reached.warnings, ...problems] })
}

function reachCommitPoint(
  { writes, deletions }: Steps,
  folders: string[],
  wayBack: WayBack
): Installed {
  try {
    const unprepared = prepare(writes, folders, wayBack)
    if (unprepared !== null) return { outcome: 'failed', problem: unprepared }
    if (writes.length > 0) return install(writes, wayBack)
    const [first] = deletions
    const undeleted = first === undefined ? null : deleteFile(first)
    if (undeleted !== null) return { outcome: 'failed', problem: undeleted }
    return { outcome: 'committed', warnings: [] }
  } catch (bug) {
    wayBack.go()
    throw bug
  }
}

function backUp(
  steps: Steps,
  folders: string[],
  people: People,
  { stateFolder, command, tool, root = '/', now = new Date() }: CommitOptions
): Result<NewRun, FileProblem> {
  const top = attempt(() => realpathSync(root), reading(root))
  if (!top.ok) return top
  return keepBackup(steps, folders, { stateFolder, root: top.value, command, tool, now, people })
}

function checkSense(changes: FileChange[]): void {
  const paths = changes.map(({ realpath }) => realpath)
  const relative = paths.find(path => !isAbsolute(path))
  if (relative !== undefined) throw new TypeError(`not an absolute path: ${relative}`)
  if (new Set(paths).size < paths.length) throw new TypeError('two changes of one file')
}
