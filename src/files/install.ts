import { dirname } from 'node:path'
import { attempt } from './attempt.ts'
import { writing } from './errno.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { renameBeside } from './remove.ts'
import { findStale, type Write } from './step.ts'
import { stateOf, type WorkFile } from './work.ts'

/**
 * How the renames ended. `unknown`: the last one failed, and the file can't be read to see whether
 * it happened.
 */
export type Installed =
  | { outcome: 'committed'; warnings: FileProblem[] }
  | { outcome: 'failed'; problem: FileProblem }
  | { outcome: 'unknown'; problem: FileProblem }

/**
 * Puts the prepared files in their places, in order; the rename of the last one is the commit
 * point. Each file is compared once more right before. `files` are the same as parts of the work;
 * those that may have been replaced are added to `reached`. On failure the caller takes them back;
 * on an unknown outcome it must not, as a file that may have become the configuration needs the
 * others.
 */
export function install(
  writes: readonly Write[],
  files: readonly WorkFile[],
  reached: WorkFile[]
): Installed {
  for (const [index, { path, before, after, temp }] of writes.entries()) {
    const isLast = index === writes.length - 1
    const stale = findStale(path, before)
    if (stale !== null) return { outcome: 'failed', problem: stale }
    const file = files[index]
    if (file !== undefined) reached.push(file)
    const renamed = attempt(() => renameBeside(temp, path), writing(path, after.length))
    if (!renamed.ok && !isLast) return { outcome: 'failed', problem: renamed.error }
    if (!renamed.ok) {
      const state = file === undefined ? 'unknown' : stateOf(file)
      if (state !== 'after')
        return { outcome: state === 'unknown' ? 'unknown' : 'failed', problem: renamed.error }
    }
    const unsynced = syncFolder(dirname(path))
    if (unsynced !== null && !isLast) return { outcome: 'failed', problem: unsynced }
    if (isLast) {
      const warnings = [renamed.ok ? null : renamed.error, unsynced]
      return { outcome: 'committed', warnings: warnings.filter(each => each !== null) }
    }
  }
  return { outcome: 'committed', warnings: [] }
}
