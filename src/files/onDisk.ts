import type { FileChange } from './change.ts'
import { sha256 } from './hash.ts'
import { readSnapshot } from './snapshot.ts'

/**
 * What is at a path now, by its hash: what the plan started from, what it leads to, something else,
 * or it can't be told.
 */
export interface OnDisk {
  path: string
  state: 'before' | 'after' | 'other' | 'unknown'
  /** Null when nothing is there, or nothing readable. */
  sha256: string | null
}

/** Looks at the files of these changes. */
export function lookOnDisk(changes: FileChange[]): OnDisk[] {
  return changes.map(({ realpath: path, before, after }) => {
    const read = readSnapshot(path)
    if (!read.ok) return { path, state: 'unknown', sha256: null }
    const found = read.value?.sha256 ?? null
    if (found === (before?.sha256 ?? null)) return { path, state: 'before', sha256: found }
    const wanted = after === null ? null : sha256(after)
    return { path, state: found === wanted ? 'after' : 'other', sha256: found }
  })
}
