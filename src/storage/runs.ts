import { readdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { knownPeople, type People } from './access.ts'
import {
  concerns,
  type DiskState,
  diskState,
  type HashReader,
  type History,
  pickRedo,
  pickUndo,
  replay,
  type Undone
} from './history.ts'
import type { FileProblem } from './problem.ts'
import { readSnapshot, stateHash } from './read.ts'
import {
  compareRunIds,
  DONE,
  deleteRun,
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

/** Far more than the record of a run that changes every file of a configuration needs. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024

interface RunsOptions {
  /** The root folder of the system whose runs are wanted; default `/`. */
  root?: string
  people?: People
}

/** A run whose record can't be read. */
interface DamagedRun {
  id: string
  /** Its manifest. */
  path: string
}

/** The records in a state folder, newest first. */
interface Records {
  runs: Run[]
  damaged: DamagedRun[]
}

/**
 * The runs in a state folder that changed the system in `root`, newest first, and the damaged records
 * of all systems; none if the state folder doesn't exist. Folders without a manifest are ignored: their
 * runs were killed before the first change.
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

/** The runs of `listRecords`, without the damaged records. */
export function listRuns(
  stateFolder: string,
  options: RunsOptions = {}
): Result<Run[], FileProblem> {
  const found = listRecords(stateFolder, options)
  return found.ok ? ok(found.value.runs) : found
}

/**
 * All runs in a state folder, of all systems, newest first. The caller has checked that the folder is
 * safe. Problems: NOT_READABLE, NOT_DIRECTORY, IO_ERROR.
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

/** The run in a folder that has this manifest. */
export function toRun(manifest: Manifest, folder: string, stateFolder: string): Run {
  const root = outerRoot(manifest.root, stateFolder)
  const has = (name: string) => pathExists(join(folder, name))
  return { ...manifest, root, folder, done: has(DONE), reported: has(REPORTED) }
}

/** The history of `runs`, which are newest first. Interrupted runs without effect are left out. */
export function historyOf(
  runs: readonly Run[],
  currentHash: HashReader = createHashReader()
): History {
  return replay(runs.filter(run => run.done || !hadNoEffect(run, currentHash)).reverse())
}

/** Reads the current hashes of files, each file once. */
export function createHashReader(): HashReader {
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
 * The run that `undo` undoes for the file at `realpath` (see `pickUndo`). Interrupted runs are included
 * unless their files show that they had no effect.
 * Problems: NO_RUN; RECORD_DAMAGED if no known run left the files as they are now, but the run of a damaged
 * record may have; those of `listRecords`.
 */
export function lastRun(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Run, FileProblem> {
  return pickRun(stateFolder, realpath, options, (history, currentHash) => {
    const run = pickUndo(history, realpath, currentHash)
    return run && { picked: run, state: diskState(run, currentHash) }
  })
}

/** The run that `undo --redo` redoes for the file, and the run that undid it. Problems: as for `lastRun`. */
export function lastUndone(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Undone, FileProblem> {
  return pickRun(stateFolder, realpath, options, (history, currentHash) => {
    const undone = pickRedo(history, realpath, currentHash)
    return undone && { picked: undone, state: diskState(undone.by, currentHash) }
  })
}

function pickRun<Picked>(
  stateFolder: string,
  realpath: string,
  options: RunsOptions,
  pick: (history: History, currentHash: HashReader) => { picked: Picked; state: DiskState } | null
): Result<Picked, FileProblem> {
  const records = listRecords(stateFolder, options)
  if (!records.ok) return records
  const { runs, damaged } = records.value
  const currentHash = createHashReader()
  const found = pick(historyOf(runs, currentHash), currentHash)
  if (found !== null && found.state !== 'other') return ok(found.picked)
  const [unknown] = damaged
  if (unknown !== undefined)
    return err({ code: 'RECORD_DAMAGED', path: unknown.path, run: unknown.id })
  return found === null ? err({ code: 'NO_RUN', path: realpath }) : ok(found.picked)
}

/**
 * The newest run for the file, of any kind, with or without effect; null if there is none. Problems: those
 * of `listRecords`.
 */
export function lastRecord(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Run | null, FileProblem> {
  const runs = listRuns(stateFolder, options)
  return runs.ok ? ok(runs.value.find(run => concerns(run, realpath)) ?? null) : runs
}

/** The run with this ID. Problems: NO_RUN (`path` is its folder), RECORD_DAMAGED, those of `listRecords`. */
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

/** The run in a folder, or why there is none: no manifest, or a damaged one. Both paths are without symlinks. */
export function readRecord(
  folder: string,
  stateFolder: string
): Result<Run | 'none' | 'damaged', FileProblem> {
  const path = join(folder, MANIFEST)
  const read = readSnapshot(path, MAX_RECORD_BYTES)
  // One bad record (a pipe, a folder, a bad sector) must not make all others unavailable.
  if (!read.ok) return read.error.code === 'NOT_READABLE' ? read : ok('damaged')
  if (read.value === null) return ok('none')
  const manifest = parseManifest(Buffer.from(read.value.bytes).toString())
  // IDs have to be unique, so a copied record in another folder doesn't count.
  const isValid = manifest !== null && manifest.id === basename(folder)
  return ok(isValid ? toRun(manifest, folder, stateFolder) : 'damaged')
}

/** True if the file of the commit point (the last write, else the first deletion) is as before the run. */
function hadNoEffect(run: Run, currentHash: HashReader): boolean {
  const point = run.files.findLast(({ after }) => after !== null) ?? run.files[0]
  if (point === undefined) return true
  return currentHash(outerPath(point.path, run.root)) === stateHash(point.before)
}

/** The backup copy of a file. Problem: BACKUP_DAMAGED. */
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

/** How many runs of each kind (any, in effect, undone) are kept for each file. */
const KEPT_RUNS = 20

/**
 * Deletes runs that are no longer needed, and runs without a manifest. The caller holds the lock of the
 * state folder, so no other process is writing a run. Failures are ignored: the next call retries.
 */
export function pruneRuns(stateFolder: string): void {
  const folder = runsFolder(stateFolder)
  const found = valueOr([], () => readdirSync(folder)).filter(isRunId)
  const withoutManifest = found.filter(name => !pathExists(join(folder, name, MANIFEST)))
  for (const name of withoutManifest) deleteRun(join(folder, name))
  const records = readRecords(stateFolder)
  if (!records.ok) return
  const { runs } = records.value
  const kept = neededRuns(runs, historyOf(runs))
  // Oldest first: then an interruption can't leave an undo without the redo that follows it.
  for (const run of runs.filter(({ id }) => !kept.has(id)).reverse()) deleteRun(run.folder)
}

/**
 * The IDs of the runs to keep. `runs` are newest first. For each file these are the newest runs, the newest
 * runs in effect and the newest undone runs, so that repeated undo and redo doesn't shorten the history.
 * The runs in `decidedBy` of a kept run are kept too.
 */
function neededRuns(runs: readonly Run[], { applied, undone, decidedBy }: History): Set<string> {
  const newest = newestOfEach(runs)
  const inEffect = newestOfEach([...applied].reverse())
  const undoneRuns = [...undone].reverse().map(({ run }) => run)
  const redoable = new Set(newestOfEach(undoneRuns))
  const undoings = undone.filter(({ run }) => redoable.has(run)).map(({ by }) => by)
  const kept = new Set([...newest, ...inEffect, ...redoable, ...undoings].map(({ id }) => id))
  // The loop also visits IDs that are added meanwhile.
  for (const id of kept) for (const later of decidedBy.get(id) ?? []) kept.add(later)
  return kept
}

/** The runs, given newest first, that are among the `KEPT_RUNS` newest for one of their files. */
function newestOfEach(runs: readonly Run[]): Run[] {
  const counts = new Map<string, number>()
  return runs.filter(run => {
    const paths = run.files.map(({ path }) => outerPath(path, run.root))
    const isNeeded = paths.some(path => (counts.get(path) ?? 0) < KEPT_RUNS)
    for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + 1)
    return isNeeded
  })
}
