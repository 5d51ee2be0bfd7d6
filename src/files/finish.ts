import { join } from 'node:path'
import type { NewRun } from './backup.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { removeFile, removeIfEmpty } from './remove.ts'
import { DONE } from './run.ts'
import { type Deletion, findStale, type Write } from './step.ts'
import { writeNewFile } from './tempFile.ts'

/** Deletes one file if it still is what was planned for. */
export function deleteFile({ path, before }: Deletion): FileProblem | null {
  return findStale(path, before) ?? removeFile(path)
}

/** What is left to do after the commit point. */
export interface Rest {
  writes: Write[]
  deletions: Deletion[]
  /** The folders in which files were deleted. */
  thinned: string[]
  /** The folders that go if they are empty. */
  emptied: string[]
  run: NewRun | null
}

/** Does the rest: all of it is tried, and what fails is returned. */
export function finish({ writes, deletions, thinned, emptied, run }: Rest): FileProblem[] {
  // The longest path first: an inner folder goes before the one around it.
  const outward = [...new Set(emptied)].sort((a, b) => b.length - a.length)
  const problems = [
    ...writes.map(({ spare }) => (spare === null ? null : removeFile(spare))),
    ...deletions.map(deleteFile),
    ...[...new Set(thinned)].map(syncFolder),
    ...outward.map(removeIfEmpty),
    run === null ? null : markDone(run)
  ]
  return problems.filter(problem => problem !== null)
}

function markDone({ folder }: NewRun): FileProblem | null {
  const path = join(folder, DONE)
  const cause = writeNewFile(path, new Uint8Array(), null) ?? syncFolder(folder)
  return cause === null ? null : { code: 'BACKUP_FAILED', path, cause }
}
