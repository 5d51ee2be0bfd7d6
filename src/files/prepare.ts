import { makeFolder, settleFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import type { Write } from './step.ts'
import { writeNewFile } from './tempFile.ts'

/**
 * Everything before the first rename: makes the folders, and beside each file a complete copy of
 * what it is to become, and of what it is where it may have to come back. Nothing that was there is
 * touched. The caller takes it back on a problem.
 */
export function prepare(writes: readonly Write[], folders: string[]): FileProblem | null {
  for (const folder of folders) {
    const problem = makeFolder(folder) ?? settleFolder(folder, 0o755, true)
    if (problem !== null) return problem
  }
  for (const { path, before, after, owner, temp, spare } of writes) {
    const options = before === null ? { about: path } : { about: path, attributesOf: path }
    const problem = writeNewFile(temp, after, owner, options)
    if (problem !== null) return problem
    if (spare === null || before === null) continue
    const kept = writeNewFile(spare, before.bytes, before, { ...options, times: before })
    if (kept !== null) return kept
  }
  return null
}
