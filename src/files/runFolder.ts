import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tried } from './attempt.ts'
import { isThere } from './exists.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { DONE, MANIFEST, REPORTED } from './run.ts'
import { writeNewFile } from './tempFile.ts'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
/** Makes a file that is not there yet, and follows no link. */
const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/**
 * Takes a run's folder away, as if it had never been; false when something of it is left. Stopped
 * in the middle, it leaves a folder without a manifest, which is no run.
 */
export function dropRun(folder: string): boolean {
  return tried(() => {
    rmSync(join(folder, MANIFEST), { force: true })
    rmSync(folder, { recursive: true, force: true })
  })
}

/** Says in the run's folder, if it is there, that the run came to its end. Problem: BACKUP_FAILED. */
export function markDone(folder: string): FileProblem | null {
  const path = join(folder, DONE)
  if (!isThere(folder) || isThere(path)) return null
  const cause = writeNewFile(path, new Uint8Array(), null) ?? syncFolder(folder)
  return cause === null ? null : { code: 'BACKUP_FAILED', path, cause }
}

/**
 * Says in the run's folder, if it is there, that the person was told of its end. The one call that makes
 * the file is the last thing that a run does. Where it fails or gets lost, the next undo tells of that
 * end again and goes no further, so that nothing is to be done about it.
 */
export function markReported(folder: string): void {
  tried(() => closeSync(openSync(join(folder, REPORTED), CREATE, 0o600)))
}
