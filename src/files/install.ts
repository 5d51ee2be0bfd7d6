import { renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { attempt } from './attempt.ts'
import { writing } from './errno.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { removeFile } from './remove.ts'
import { readSnapshot } from './snapshot.ts'
import { findStale, type Write } from './step.ts'
import type { WayBack } from './wayBack.ts'

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
 * point. Each file is compared once more right before. On failure the caller goes the way back; on
 * an unknown outcome it must not, as a file that may have become the configuration needs the
 * others.
 */
export function install(writes: Write[], wayBack: WayBack): Installed {
  for (const write of writes) {
    const { path, before, after, temp } = write
    const isLast = write === writes.at(-1)
    const stale = findStale(path, before)
    if (stale !== null) return { outcome: 'failed', problem: stale }
    if (!isLast) wayBack.add(path, () => takeBack(write))
    const renamed = attempt(() => renameSync(temp, path), writing(path, after.length))
    if (!renamed.ok && !isLast) return { outcome: 'failed', problem: renamed.error }
    if (!renamed.ok) {
      const state = stateOf(write)
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

/** Only what is ours goes: a file that someone else has written to in between stays. */
function takeBack(write: Write): boolean {
  const state = stateOf(write)
  if (state !== 'after') return state === 'before'
  if (write.spare !== null) renameSync(write.spare, write.path)
  else if (removeFile(write.path) !== null) return false
  syncFolder(dirname(write.path))
  return true
}

function stateOf({ path, before, afterHash }: Write): 'before' | 'after' | 'other' | 'unknown' {
  const read = readSnapshot(path)
  if (!read.ok) return 'unknown'
  const found = read.value?.sha256 ?? null
  if (found === afterHash) return 'after'
  return found === (before?.sha256 ?? null) ? 'before' : 'other'
}
