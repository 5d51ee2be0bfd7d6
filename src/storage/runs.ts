import { readdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { knownPeople, type People } from './access.ts'
import {
  concerns,
  type History,
  type Now,
  pickRedo,
  pickUndo,
  replay,
  type Stand,
  standOf,
  type Undone
} from './history.ts'
import type { FileProblem } from './problem.ts'
import { readSnapshot, stateHash } from './read.ts'
import {
  compareRunIds,
  DONE,
  dropRun,
  isRunId,
  MANIFEST,
  type Manifest,
  outerPath,
  outerRoot,
  parseManifest,
  REPORTED,
  type Run
} from './run.ts'
import { findUnsafeState, runsFolder } from './stateFolder.ts'
import { attempt, pathExists, reading, valueOr } from './system.ts'

/** Far more than the record of a run over every file of a configuration takes. */
const LARGEST_RECORD = 16 * 1024 * 1024

interface RunsOptions {
  /** The root folder of the system whose runs are asked for; `/` unless given. */
  root?: string
  people?: People
}

/** A run whose record can't be read. */
interface DamagedRun {
  id: string
  /** The file that should say what the run did. */
  path: string
}

/** What a state folder has, the newest first. */
interface Records {
  runs: Run[]
  damaged: DamagedRun[]
}

/**
 * The runs in a state folder that changed the system in `root`, the newest first, and those that can't
 * be read, of whatever system; none when there is no such folder. A folder without a manifest, as a run
 * leaves that was killed before its first change, is no run.
 * Problems: NOT_READABLE, NOT_PRIVATE, OPEN_FOLDER, NOT_DIRECTORY, NOT_FOUND (the root is missing),
 * IO_ERROR.
 */
export function listRecords(
  stateFolder: string,
  { root = '/', people = knownPeople() }: RunsOptions = {}
): Result<Records, FileProblem> {
  const top = attempt(() => realpathSync(root), reading(root))
  if (!top.ok) return top
  const unsafe = findUnsafeState(stateFolder, people)
  if (unsafe !== null) return err(unsafe)
  const found = readRecords(stateFolder)
  if (!found.ok) return found
  const runs = found.value.runs.filter(run => run.root === top.value)
  return ok({ ...found.value, runs })
}

/** The runs of `listRecords` alone. */
export function listRuns(
  stateFolder: string,
  options: RunsOptions = {}
): Result<Run[], FileProblem> {
  const found = listRecords(stateFolder, options)
  return found.ok ? ok(found.value.runs) : found
}

/**
 * All runs in a state folder, of whatever system, the newest first. The caller has seen to it that
 * the folder is safe. Problems: NOT_READABLE, NOT_DIRECTORY, IO_ERROR.
 */
function readRecords(stateFolder: string): Result<Records, FileProblem> {
  const folder = runsFolder(stateFolder)
  const found: Records = { runs: [], damaged: [] }
  const names = attempt(() => readdirSync(folder), reading(folder))
  if (!names.ok) return names.error.code === 'NOT_FOUND' ? ok(found) : names
  const state = attempt(() => realpathSync(stateFolder), reading(stateFolder))
  if (!state.ok) return state
  for (const id of names.value.filter(isRunId).sort(compareRunIds).reverse()) {
    const record = readRecord(join(folder, id), state.value)
    if (!record.ok) return record
    if (record.value === 'damaged') found.damaged.push({ id, path: join(folder, id, MANIFEST) })
    else if (record.value !== 'none') found.runs.push(record.value)
  }
  return ok(found)
}

/** The run that a manifest tells of, in its folder. */
export function toRun(manifest: Manifest, folder: string, stateFolder: string): Run {
  const root = outerRoot(manifest.root, stateFolder)
  const has = (name: string) => pathExists(join(folder, name))
  return { ...manifest, root, folder, done: has(DONE), reported: has(REPORTED) }
}

/** What these runs, the newest first, amount to; one that came to nothing does not count. */
export function historyOf(runs: readonly Run[], now: Now = createNow()): History {
  return replay(runs.filter(run => run.done || !cameToNothing(run, now)).reverse())
}

/** Reads each file once. */
export function createNow(): Now {
  const known = new Map<string, string | null | undefined>()
  return path => {
    if (!known.has(path)) {
      const read = readSnapshot(path)
      known.set(path, read.ok ? stateHash(read.value) : undefined)
    }
    return known.get(path)
  }
}

/**
 * The run that `undo` takes back for the file at `realpath` (see `pickUndo`). An interrupted run counts
 * unless its files show that it came to nothing.
 * Problems: NO_RUN; RECORD_DAMAGED where no known run left the files as they are, so that it may have
 * been one whose record can't be read; those of `listRecords`.
 */
export function lastRun(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Run, FileProblem> {
  return pickRun(stateFolder, realpath, options, (history, now) => {
    const run = pickUndo(history, realpath, now)
    return run && { picked: run, stand: standOf(run, now) }
  })
}

/** The run that `redo` makes again for the file, and the run that took it back. Problems: as `lastRun`. */
export function lastUndone(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Undone, FileProblem> {
  return pickRun(stateFolder, realpath, options, (history, now) => {
    const undone = pickRedo(history, realpath, now)
    return undone && { picked: undone, stand: standOf(undone.by, now) }
  })
}

function pickRun<Picked>(
  stateFolder: string,
  realpath: string,
  options: RunsOptions,
  pick: (history: History, now: Now) => { picked: Picked; stand: Stand } | null
): Result<Picked, FileProblem> {
  const records = listRecords(stateFolder, options)
  if (!records.ok) return records
  const { runs, damaged } = records.value
  const now = createNow()
  const found = pick(historyOf(runs, now), now)
  if (found !== null && found.stand !== 'other') return ok(found.picked)
  const [unknown] = damaged
  if (unknown !== undefined)
    return err({ code: 'RECORD_DAMAGED', path: unknown.path, run: unknown.id })
  return found === null ? err({ code: 'NO_RUN', path: realpath }) : ok(found.picked)
}

/**
 * The newest record of a run for the file, whatever it did and whether it came to anything; null if there
 * is none. Problems: those of `listRecords`.
 */
export function lastRecord(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Run | null, FileProblem> {
  const runs = listRuns(stateFolder, options)
  return runs.ok ? ok(runs.value.find(run => concerns(run, realpath)) ?? null) : runs
}

/**
 * The run by its name. Problems: NO_RUN (with the name's folder as `path`), RECORD_DAMAGED, those of
 * `listRecords`.
 */
export function runById(
  stateFolder: string,
  id: string,
  options: RunsOptions = {}
): Result<Run, FileProblem> {
  const records = listRecords(stateFolder, options)
  if (!records.ok) return records
  const damaged = records.value.damaged.find(each => each.id === id)
  if (damaged !== undefined) return err({ code: 'RECORD_DAMAGED', path: damaged.path, run: id })
  const run = records.value.runs.find(each => each.id === id)
  return run === undefined
    ? err({ code: 'NO_RUN', path: join(runsFolder(stateFolder), id) })
    : ok(run)
}

/** The run in one folder of a state folder, both without links, or that it has no manifest, or no sound one. */
export function readRecord(
  folder: string,
  stateFolder: string
): Result<Run | 'none' | 'damaged', FileProblem> {
  const path = join(folder, MANIFEST)
  const read = readSnapshot(path, LARGEST_RECORD)
  // One bad record (a pipe, a folder, a bad sector) must not keep all others back.
  if (!read.ok) return read.error.code === 'NOT_READABLE' ? read : ok('damaged')
  if (read.value === null) return ok('none')
  const manifest = parseManifest(Buffer.from(read.value.bytes).toString())
  // A record under another name was put there by hand, and names of runs have to be unique.
  const isSound = manifest !== null && manifest.id === basename(folder)
  return ok(isSound ? toRun(manifest, folder, stateFolder) : 'damaged')
}

/**
 * The commit point is the last write, or the first deletion where nothing is written: what it is
 * decides.
 */
function cameToNothing(run: Run, now: Now): boolean {
  const point = run.files.findLast(({ after }) => after !== null) ?? run.files[0]
  if (point === undefined) return true
  return now(outerPath(point.path, run.root)) === stateHash(point.before)
}

/** The bytes that a run kept. Problem: BACKUP_DAMAGED. */
export function readCopy(
  run: Run,
  before: { sha256: string; copy: string }
): Result<Uint8Array, FileProblem> {
  const path = join(run.folder, before.copy)
  const read = readSnapshot(path)
  return read.ok && read.value?.sha256 === before.sha256
    ? ok(read.value.bytes)
    : err({ code: 'BACKUP_DAMAGED', path, run: run.id })
}

/** How many runs are kept for each file, of each kind. */
const KEPT_RUNS = 20

/**
 * Takes away the runs that are too many, and what is left of those that were not written to their
 * end. The caller holds the lock of the state folder, so that no other process is writing one. What
 * fails here is left for the next time: it is no matter of the change that was made.
 */
export function pruneRuns(stateFolder: string): void {
  const folder = runsFolder(stateFolder)
  const found = valueOr([], () => readdirSync(folder)).filter(isRunId)
  const blank = found.filter(name => !pathExists(join(folder, name, MANIFEST)))
  for (const name of blank) dropRun(join(folder, name))
  const records = readRecords(stateFolder)
  if (!records.ok) return
  const { runs } = records.value
  const kept = neededRuns(runs, historyOf(runs))
  // The oldest first: an undo that is kept without the redo after it would count again.
  for (const run of runs.filter(({ id }) => !kept.has(id)).reverse()) dropRun(run.folder)
}

/**
 * The names of those runs, of these from the newest to the oldest, that are among the newest of any of
 * their files; and among the newest in effect, or the newest that can be made again, as however often
 * somebody goes back and forth, the way back must not get shorter. With each of them its reasons.
 */
function neededRuns(runs: readonly Run[], { applied, undone, reasons }: History): Set<string> {
  const newest = newestOfEach(runs)
  const inEffect = newestOfEach([...applied].reverse())
  const takenBack = [...undone].reverse().map(({ run }) => run)
  const again = new Set(newestOfEach(takenBack))
  const undoings = undone.filter(({ run }) => again.has(run)).map(({ by }) => by)
  const kept = new Set([...newest, ...inEffect, ...again, ...undoings].map(({ id }) => id))
  // A set takes up what is added to it meanwhile.
  for (const id of kept) for (const reason of reasons.get(id) ?? []) kept.add(reason)
  return kept
}

/** Those of the runs, from the newest to the oldest, that are among the `KEPT_RUNS` newest for a file. */
function newestOfEach(runs: readonly Run[]): Run[] {
  const counts = new Map<string, number>()
  return runs.filter(run => {
    const paths = run.files.map(({ path }) => outerPath(path, run.root))
    const isNeeded = paths.some(path => (counts.get(path) ?? 0) < KEPT_RUNS)
    for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + 1)
    return isNeeded
  })
}
