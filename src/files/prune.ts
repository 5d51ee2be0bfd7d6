import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { tried } from './attempt.ts'
import { isThere } from './exists.ts'
import type { History } from './history.ts'
import { MANIFEST, outerPath, type Run } from './run.ts'
import { dropRun } from './runFolder.ts'
import { isRunId } from './runId.ts'
import { historyOf, readRecords } from './runs.ts'
import { runsFolder } from './stateFolder.ts'

/** How many runs are kept for each file, of each kind. */
const KEPT_RUNS = 20

/**
 * Takes away the runs that are too many, and what is left of those that were not written to their
 * end. The caller holds the lock of the state folder, so that no other process is writing one. What
 * fails here is left for the next time: it is no matter of the change that was made.
 */
export function pruneRuns(stateFolder: string): void {
  const folder = runsFolder(stateFolder)
  let names: string[] = []
  tried(() => {
    names = readdirSync(folder).filter(isRunId)
  })
  for (const name of names) if (!isThere(join(folder, name, MANIFEST))) dropRun(join(folder, name))
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
export function neededRuns(
  runs: readonly Run[],
  { applied, undone, reasons }: History,
  most = KEPT_RUNS
): Set<string> {
  const newest = newestOfEach(runs, most)
  const inEffect = newestOfEach([...applied].reverse(), most)
  const again = new Set(
    newestOfEach(
      [...undone].reverse().map(({ run }) => run),
      most
    )
  )
  const undoings = undone.filter(({ run }) => again.has(run)).map(({ by }) => by)
  const kept = new Set([...newest, ...inEffect, ...again, ...undoings].map(({ id }) => id))
  // A set takes up what is added to it meanwhile.
  for (const id of kept) for (const reason of reasons.get(id) ?? []) kept.add(reason)
  return kept
}

function newestOfEach(runs: readonly Run[], most: number): Run[] {
  const counts = new Map<string, number>()
  return runs.filter(run => {
    const paths = run.files.map(({ path }) => outerPath(path, run.root))
    const isNeeded = paths.some(path => (counts.get(path) ?? 0) < most)
    for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + 1)
    return isNeeded
  })
}
