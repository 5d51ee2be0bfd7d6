import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import { reading } from './errno.ts'
import { knownPeople, type People } from './openFolder.ts'
import type { FileProblem } from './problem.ts'
import { DONE, MANIFEST, outerPath, outerRoot, parseManifest, type Run } from './run.ts'
import { compareRunIds, isRunId } from './runId.ts'
import { findUnsafeState } from './safeState.ts'
import { readSnapshot } from './snapshot.ts'
import { runsFolder } from './stateFolder.ts'

export interface RunsOptions {
  /** The root folder of the system whose runs are asked for; `/` unless given. */
  root?: string
  people?: People
}

/**
 * The runs in a state folder that changed the system in `root`, the newest first; none when there
 * is no such folder. A folder without a sound manifest, as a run leaves that was killed before its
 * first change, is no run.
 * Problems: NOT_READABLE, NOT_PRIVATE, OPEN_FOLDER, NOT_DIRECTORY, NOT_FOUND (the root is missing),
 * IO_ERROR.
 */
export function listRuns(
  stateFolder: string,
  { root = '/', people = knownPeople() }: RunsOptions = {}
): Result<Run[], FileProblem> {
  const top = attempt(() => realpathSync(root), reading(root))
  if (!top.ok) return top
  const unsafe = findUnsafeState(stateFolder, people)
  if (unsafe !== null) return err(unsafe)
  const runs = readRuns(stateFolder)
  return runs.ok ? ok(runs.value.filter(run => run.root === top.value)) : runs
}

/**
 * All runs in a state folder, of whatever system, the newest first. The caller has seen to it that
 * the folder is safe. Problems: NOT_READABLE, NOT_DIRECTORY, IO_ERROR.
 */
export function readRuns(stateFolder: string): Result<Run[], FileProblem> {
  const folder = runsFolder(stateFolder)
  const names = attempt(() => readdirSync(folder), reading(folder))
  if (!names.ok) return names.error.code === 'NOT_FOUND' ? ok([]) : names
  const state = attempt(() => realpathSync(stateFolder), reading(stateFolder))
  if (!state.ok) return state
  const runs: Run[] = []
  for (const name of names.value.filter(isRunId).sort(compareRunIds).reverse()) {
    const run = readRun(join(folder, name), state.value)
    if (!run.ok) return run
    if (run.value !== null) runs.push(run.value)
  }
  return ok(runs)
}

/**
 * The newest run that changed the file at `realpath`: the one to undo. An interrupted run counts
 * unless its files show that it came to nothing. Problems: NO_RUN, those of `listRuns`.
 */
export function lastRun(
  stateFolder: string,
  realpath: string,
  options: RunsOptions = {}
): Result<Run, FileProblem> {
  const runs = listRuns(stateFolder, options)
  if (!runs.ok) return runs
  const last = runs.value
    .filter(run => run.files.some(({ path }) => outerPath(path, run.root) === realpath))
    .find(run => run.done || !cameToNothing(run))
  return last === undefined ? err({ code: 'NO_RUN', path: realpath }) : ok(last)
}

/**
 * The run by its name. Problems: NO_RUN (with the name's folder as `path`), those of `listRuns`.
 */
export function runById(
  stateFolder: string,
  id: string,
  options: RunsOptions = {}
): Result<Run, FileProblem> {
  const runs = listRuns(stateFolder, options)
  if (!runs.ok) return runs
  const run = runs.value.find(each => each.id === id)
  return run === undefined
    ? err({ code: 'NO_RUN', path: join(runsFolder(stateFolder), id) })
    : ok(run)
}

/**
 * The run in one folder of a state folder, both without links; null where there is no sound manifest.
 */
export function readRun(folder: string, stateFolder: string): Result<Run | null, FileProblem> {
  const file = join(folder, MANIFEST)
  // Not with an encoding: Node then ends the process when closing the file fails.
  const text = attempt(() => readFileSync(file).toString(), reading(file))
  if (!text.ok) return text.error.code === 'NOT_FOUND' ? ok(null) : text
  const manifest = parseManifest(text.value)
  if (manifest === null) return ok(null)
  const root = outerRoot(manifest.root, stateFolder)
  return ok({ ...manifest, root, folder, done: existsSync(join(folder, DONE)) })
}

/**
 * The commit point is the last write, or the first deletion where nothing is written: what it is
 * decides.
 */
function cameToNothing(run: Run): boolean {
  const point = run.files.findLast(({ after }) => after !== null) ?? run.files[0]
  if (point === undefined) return true
  const read = readSnapshot(outerPath(point.path, run.root))
  return read.ok && (read.value?.sha256 ?? null) === (point.before?.sha256 ?? null)
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
