import { renameSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { inFolder, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { readSnapshot, stateHash } from './read.ts'
import { dropRun, markDone } from './run.ts'
import { findStale, type Work, type WorkFile, type Write } from './step.ts'
import { attempt, pathExists, problemIn, writing } from './system.ts'
import { removeFile, removeIfEmpty, renameBeside } from './tempFiles.ts'

/** What is at a path: what was there before, what is to be there, something else, or unreadable. */
type FileState = 'before' | 'after' | 'other' | 'unknown'

/** The file that decides: the last one written, or the first one deleted where none is written. */
export function commitPoint(files: readonly WorkFile[]): WorkFile | undefined {
  return files.findLast(({ after }) => after !== null) ?? files[0]
}

/** What is at the path of a file now, compared by content. */
export function fileState({ path, before, after }: WorkFile): FileState {
  const read = readSnapshot(path)
  if (!read.ok) return 'unknown'
  const found = stateHash(read.value)
  if (found === after) return 'after'
  return found === before ? 'before' : 'other'
}

/** The names that a run uses beside its files. */
export function temporaryNames({ files }: Work): string[] {
  return files.flatMap(({ temp, spare }) => [temp, spare]).filter(name => name !== null)
}

/** How going back or to the end went. */
interface Cleanup {
  /** What is not as it should be. */
  leftovers: string[]
  problems: FileProblem[]
  /** Whether to try again would make sense. */
  retryable: boolean
}

/**
 * Makes everything as it was before the run, which has not reached its commit point. `installed` are
 * the files that it may have replaced; only what is ours goes: a file that someone else has written
 * to in between stays. May be stopped and repeated at any point.
 */
export function takeBackWork(work: Work, installed: readonly WorkFile[]): Cleanup {
  const point = commitPoint(work.files)
  const files = installed.filter(file => file !== point && file.after !== null).reverse()
  const unrestored = files.filter(file => !restored(file))
  const leftovers = unrestored.map(({ path }) => path)
  const stuck = unrestored.filter(file => fileState(file) !== 'other')
  const needed = new Set(stuck.map(({ spare }) => spare))
  const problems: FileProblem[] = []
  const isLeft = (path: string, problem: FileProblem | null) => {
    if (problem !== null) problems.push(problem)
    return problem !== null && pathExists(path)
  }
  const isKept = (it: string) => !needed.has(it) && pathExists(it) && isLeft(it, removeFile(it))
  leftovers.push(...temporaryNames(work).reverse().filter(isKept))
  const inward = [...work.folders].reverse()
  leftovers.push(...inward.filter(it => isLeft(it, removeIfEmpty(it))))
  syncFolders(work)
  const isMixed = unrestored.length > 0
  // Where someone has written over what came from us, the old version is in the backup alone.
  if (!isMixed && work.run !== null && !dropRun(work.run)) leftovers.push(work.run)
  const edited = unrestored.length - stuck.length
  return { leftovers, problems, retryable: leftovers.length > edited }
}

function restored(file: WorkFile): boolean {
  const { path, spare } = file
  const seen: { state: FileState } = { state: 'unknown' }
  // Looked at and put back in one and the same folder.
  const back = attempt(
    () =>
      inFolder(path, it => {
        seen.state = fileState({ ...file, path: it })
        if (seen.state !== 'after') return
        if (spare === null) unlinkSync(it)
        else renameSync(join(dirname(it), basename(spare)), it)
      }),
    writing(path)
  )
  // Its folder may not be there (yet).
  if (!back.ok && seen.state === 'unknown') return fileState(file) === 'before'
  if (seen.state !== 'after') return seen.state === 'before'
  if (!back.ok && !(spare === null && !pathExists(path))) return false
  syncFolder(dirname(path))
  return true
}

/**
 * Does what is left to do after the commit point: all of it is tried. A file to be deleted that
 * someone has changed stays, as a problem. `unlock` is called before folders go, as nothing may be
 * left in them, and says whether it worked. May be stopped and repeated at any point.
 */
export function finishWork(work: Work, unlock: () => boolean): Cleanup {
  const removals = temporaryNames(work).filter(pathExists).map(removeFile)
  const deletions = work.files.filter(({ after }) => after === null).map(deleteFile)
  const unsynced = syncFolders(work)
  // What fails once may work at once after.
  const isFree = unlock() || unlock()
  // The longest path first: an inner folder goes before the one around it.
  const outward = [...new Set(work.emptied)].sort((a, b) => b.length - a.length)
  const emptied = outward.map(removeIfEmpty)
  const undone = work.run === null ? null : markDone(work.run)
  const open = [...removals, ...deletions, ...emptied].filter(isProblem)
  return {
    leftovers: open.map(({ path }) => path),
    problems: [...open, ...unsynced, undone].filter(isProblem),
    retryable: undone !== null || !isFree || open.some(({ code }) => code !== 'STALE')
  }
}

/** Deletes one file if it still is what was planned for. */
export function deleteFile({ path, before }: WorkFile): FileProblem | null {
  // Looked at and deleted in one and the same folder.
  const deleted = attempt(
    () =>
      inFolder(path, (it): FileProblem | null => {
        const read = readSnapshot(it)
        if (!read.ok) return { ...read.error, path }
        const found = stateHash(read.value)
        if (found === before) unlinkSync(it)
        return found === null || found === before ? null : { code: 'STALE', path, found }
      }),
    writing(path)
  )
  if (deleted.ok) return deleted.value
  return pathExists(path) ? deleted.error : null
}

function syncFolders({ files }: Work): FileProblem[] {
  const folders = files
    .filter(({ spare, after }) => spare !== null || after === null)
    .map(({ path }) => dirname(path))
  return [...new Set(folders)].filter(pathExists).map(syncFolder).filter(isProblem)
}

function isProblem(problem: FileProblem | null): problem is FileProblem {
  return problem !== null
}

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
 * point. Each file is compared once more right before. Those that may have been replaced are added to
 * `installed`. On failure the caller takes them back; on an unknown outcome it must not, as a file that may
 * have become the configuration needs the others.
 */
export function install(writes: readonly Write[], installed: WorkFile[]): Installed {
  for (const [index, write] of writes.entries()) {
    const { path, before, bytes, temp } = write
    const isLast = index === writes.length - 1
    const stale = findStale(path, before)
    if (stale !== null) return { outcome: 'failed', problem: stale }
    installed.push(write)
    const unnamed = problemIn(() => renameBeside(temp, path), writing(path, bytes.length))
    if (unnamed !== null && !isLast) return { outcome: 'failed', problem: unnamed }
    const state = unnamed === null ? 'after' : fileState(write)
    if (unnamed !== null && state !== 'after')
      return { outcome: state === 'unknown' ? 'unknown' : 'failed', problem: unnamed }
    const unsynced = syncFolder(dirname(path))
    if (unsynced !== null && !isLast) return { outcome: 'failed', problem: unsynced }
    if (isLast) return { outcome: 'committed', warnings: [unnamed, unsynced].filter(isProblem) }
  }
  return { outcome: 'committed', warnings: [] }
}
