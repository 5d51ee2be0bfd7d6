import { rmdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { attempt, isSystemError } from './attempt.ts'
import { writing } from './errno.ts'
import { isThere } from './exists.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'

/** Deletes a file; that it isn't there is no problem. */
export function removeFile(path: string): FileProblem | null {
  const removed = attempt(() => unlinkSync(path), writing(path))
  if (removed.ok || !isThere(path)) return null
  return removed.error
}

/** Deletes a folder if it is empty; that it isn't there, or isn't empty, is no problem. */
export function removeIfEmpty(path: string): FileProblem | null {
  const removed = attempt(() => {
    try {
      rmdirSync(path)
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
