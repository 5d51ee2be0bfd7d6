import { renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { inFolder } from '../system/inFolder.ts'
import { attempt, isSystemError } from './attempt.ts'
import { writing } from './errno.ts'
import { isThere } from './exists.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'

/** Deletes a file; that it isn't there is no problem. */
export function removeFile(path: string): FileProblem | null {
  const removed = attempt(() => inFolder(path, it => unlinkSync(it)), writing(path))
  if (removed.ok || !isThere(path)) return null
  return removed.error
}

/** Deletes a folder if it is empty; that it isn't there, or isn't empty, is no problem. */
export function removeIfEmpty(path: string): FileProblem | null {
  const removed = attempt(() => {
    try {
      inFolder(path, it => rmdirSync(it))
      return true
    } catch (error) {
      if (isSystemError(error) && ['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code))
        return false
      throw error
    }
  }, writing(path))
  if (!removed.ok) return removed.error
  return removed.value ? syncFolder(dirname(path)) : null
}

/** Renames an entry of a folder; what has the new name in the same folder goes. Throws as `renameSync`. */
export function renameBeside(from: string, to: string): void {
  inFolder(to, it => renameSync(join(dirname(it), basename(from)), it))
}
