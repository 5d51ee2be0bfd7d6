import { readSnapshot } from '../files/snapshot.ts'

/** What this process is about to change, by what it was when the plan was made; null for nothing. */
const files = new Map<string, { name: string; before: string | null }>()

/** Remembers a file, so that after a bug of ours one can tell what became of it. */
export function watch(realpath: string, name: string, before: { sha256: string } | null): void {
  if (!files.has(realpath)) files.set(realpath, { name, before: before?.sha256 ?? null })
}

/** What is on the disk now, as a sentence; empty where no file was come to. */
export function stateOfWatched(): string {
  const changed = [...files].filter(([realpath, { before }]) => {
    const now = readSnapshot(realpath)
    return !now.ok || (now.value?.sha256 ?? null) !== before
  })
  const [first] = files.values()
  if (first === undefined) return ''
  return changed.length > 0
    ? ` Not as before any more: ${changed.map(([, it]) => it.name).join(', ')}.`
    : ` ${first.name} is unchanged.`
}
