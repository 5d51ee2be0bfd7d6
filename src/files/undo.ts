import { err, ok, type Result } from '../nix/result.ts'
import type { FileChange } from './change.ts'
import type { FileProblem } from './problem.ts'
import { outerPath, type Run, type RunFile } from './run.ts'
import { readCopy } from './runs.ts'
import { readSnapshot } from './snapshot.ts'

/** What is at the path of a run's file now, and what the run kept of it. */
export interface Found {
  file: RunFile
  /** The hash of what is there, null for nothing. */
  now: string | null
  /** What was there before the run, null for nothing. */
  kept: Uint8Array | null
}

/**
 * The changes that take a run back, for `commit`: files that it changed or deleted get their bytes
 * again, files that it made go, and the folders that it made, once empty. A file that is already as
 * before the run is left out. Nothing is written here.
 * Problems: EDITED_SINCE (all or nothing: the first such file), BACKUP_DAMAGED, those of reading
 * the files.
 */
export function planUndo(run: Run): Result<FileChange[], FileProblem> {
  const found: Found[] = []
  for (const file of run.files) {
    const read = readSnapshot(outerPath(file.path, run.root))
    if (!read.ok) return read
    const now = read.value?.sha256 ?? null
    const kept = file.before === null ? ok(null) : readCopy(run, file.before)
    if (!kept.ok) return kept
    found.push({ file, now, kept: kept.value })
  }
  return changesBack(run, found)
}

/** The pure part of `planUndo`. */
function changesBack(run: Run, found: Found[]): Result<FileChange[], FileProblem> {
  const edited = found.find(
    ({ file, now }) => now !== hashOf(file.before) && now !== hashOf(file.after)
  )
  if (edited !== undefined) {
    const path = outerPath(edited.file.path, run.root)
    return err({ code: 'EDITED_SINCE', path, run: run.id, found: edited.now })
  }
  const emptied = run.folders.map(folder => outerPath(folder, run.root))
  const changes = found
    .filter(({ file, now }) => now !== hashOf(file.before))
    .map(({ file, now, kept }): FileChange => {
      const change = {
        realpath: outerPath(file.path, run.root),
        before: now === null ? null : { sha256: now },
        after: kept,
        emptied
      }
      return file.before === null ? change : { ...change, like: file.before }
    })
  // As in any change a file comes before the one that imports it, and goes after it. What a run
  // made or deleted is undone from its last to its first; what it changed keeps the order, in which
  // the configuration is the last.
  const missing = changes.filter(({ before }) => before === null)
  const present = changes.filter(({ before }) => before !== null)
  return ok([
    ...missing.reverse(),
    ...present.filter(({ after }) => after !== null),
    ...present.filter(({ after }) => after === null).reverse()
  ])
}

function hashOf(state: { sha256: string } | null): string | null {
  return state?.sha256 ?? null
}
