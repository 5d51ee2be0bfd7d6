// How far a record of an interrupted run is believed, by who could have put it where it is.

import { lstatSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isRootsAlone, type People } from './access.ts'
import type { FoundJournal } from './journal.ts'
import { parseObject, readSnapshot, stateHash } from './read.ts'
import { DONE, MANIFEST, outerPath } from './run.ts'
import { readRecord } from './runs.ts'
import { findUnsafeState, runsFolder } from './stateFolder.ts'
import { isWithin, nearestExisting, pathExists } from './system.ts'
import type { Work } from './work.ts'
import { temporaryNames } from './work.ts'

/** Whether what a journal names may be changed in a folder (by its path and owner). */
export type Reach = (folder: string, uid: number) => boolean

/**
 * What a journal in `folder` may have changed; null where it counts for nothing.
 *
 * - A journal of a user who is not trusted counts for nothing, and that of a trusted one (who called
 *   sudo) for the folders of that user.
 * - One of root's, or of the one who runs this, counts for everything where only root can change the
 *   folder. In a folder of somebody else it may have been moved there from another one. Then it
 *   counts for everything if a record of root's own says the same (`isRecorded`). Otherwise it counts for
 *   the folders of the one who owns the folder; where that is root, for what is in it, which was moved
 *   along, and for the folders of those who are trusted.
 */
export function reachOf(journal: FoundJournal, folder: string, people: People): Reach | null {
  const { uid, work } = journal
  const self = process.geteuid?.()
  const isOwn = uid === 0 || uid === self
  if (!isOwn && !people.trusted.has(uid)) return null
  // For other users the kernel enforces this.
  if (isOwn && (self !== 0 || isRootsAlone(folder) || isRecorded(work, people))) return anywhere
  const author = isOwn ? folderOwner(folder) : uid
  if (author === null || !people.trusted.has(author)) return null
  return author !== 0
    ? (_, owner) => owner === author
    : (path, owner) => (owner === 0 ? isWithin(path, folder) : people.trusted.has(owner))
}

/** Whether a journal in `folder` asks for something outside of its reach, as things are now. */
export function exceeds(reach: Reach, { work, locked }: FoundJournal, folder: string): boolean {
  if (reach === anywhere) return false
  const changed = [
    ...work.files.map(({ path }) => path),
    ...temporaryNames(work),
    ...work.folders,
    ...work.emptied
  ].map(path => nearestExisting(dirname(path)))
  return [folder, ...locked.filter(pathExists), ...changed].some(each => {
    const owner = folderOwner(each)
    return owner === null || !reach(each, owner)
  })
}

function anywhere(): boolean {
  return true
}

/**
 * Whether a left lock in `folder` may name the folder of a journal: where only root can change the
 * folder, any; else one of the same owner, as whoever owns the folder can put any lock there. A folder of
 * root's may have been moved there with its lock, which then names a folder around it or in it.
 */
export function mayNameJournal(folder: string, journal: string): boolean {
  if (process.geteuid?.() !== 0 || folder === journal || isRootsAlone(folder)) return true
  const owner = folderOwner(folder)
  if (owner === null || owner !== folderOwner(journal)) return false
  return owner !== 0 || isWithin(journal, folder) || isWithin(folder, journal)
}

/**
 * Whether the run that a journal names may be dropped or marked as done along with it: the journal is
 * the caller's own, and the run lies in a state folder that is the caller's alone and is either the
 * record of this very work, or no whole record, as a run leaves that was stopped while it wrote it.
 */
export function keepsRunOf({ uid, work }: FoundJournal, people: People): boolean {
  if (uid !== process.geteuid?.()) return false
  const found = recordOfWork(work, people)
  return found === 'blank' || found === 'same'
}

/** Whether root's own record of a run that has not ended says the same as the work. */
function isRecorded(work: Work, people: People): boolean {
  return recordOfWork(work, people) === 'same'
}

/** What is known of the run that the work names, in a state folder that only the caller can change. */
function recordOfWork({ run, files }: Work, people: People): 'same' | 'other' | 'blank' | null {
  if (run === null) return null
  const state = dirname(dirname(run))
  if (dirname(run) !== runsFolder(state) || !pathExists(run)) return null
  if (findUnsafeState(state, people) !== null || folderOwner(run) !== process.geteuid?.())
    return null
  if (!pathExists(join(run, DONE)) && isUnwritten(join(run, MANIFEST))) return 'blank'
  const found = readRecord(run, realpathSync(state))
  if (!found.ok || typeof found.value === 'string') return 'other'
  const { root, files: recorded, done } = found.value
  const isSame =
    !done &&
    recorded.length === files.length &&
    recorded.every(({ path, before, after }, index) => {
      const file = files[index]
      return (
        outerPath(path, root) === file?.path &&
        stateHash(before) === file.before &&
        stateHash(after) === file.after
      )
    })
  return isSame ? 'same' : 'other'
}

/** Whether there is no record at a path, or not the whole of one. */
function isUnwritten(manifest: string): boolean {
  const read = readSnapshot(manifest)
  return (
    read.ok &&
    (read.value === null || parseObject(Buffer.from(read.value.bytes).toString()) === null)
  )
}

/** The owner of a folder that is reached without a link; null for anything else. */
function folderOwner(folder: string): number | null {
  try {
    const stat = lstatSync(folder)
    return stat.isDirectory() && realpathSync(folder) === folder ? stat.uid : null
  } catch {
    return null
  }
}
