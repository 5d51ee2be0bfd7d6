import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { tried } from './attempt.ts'
import { isThere } from './exists.ts'
import { MANIFEST, outerPath, type Run } from './run.ts'
import { dropRun } from './runFolder.ts'
import { compareRunIds, isRunId } from './runId.ts'
import { readRuns } from './runs.ts'
import { runsFolder } from './stateFolder.ts'

/** How many runs are kept for each file. */
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
  const runs = readRuns(stateFolder)
  if (!runs.ok) return
  const newestFirst = runs.value.sort((a, b) => compareRunIds(b.id, a.id))
  for (const run of surplusRuns(newestFirst)) dropRun(run.folder)
}

/**
 * The runs, of these from the newest to the oldest, that are not among the newest of any of their
 * files: so the one that leads back from the present state of a file always stays.
 */
function surplusRuns(runs: readonly Run[], kept = KEPT_RUNS): Run[] {
  const counts = new Map<string, number>()
  return runs.filter(run => {
    const paths = run.files.map(({ path }) => outerPath(path, run.root))
    const isNeeded = paths.some(path => (counts.get(path) ?? 0) < kept)
    for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + 1)
    return !isNeeded
  })
}
