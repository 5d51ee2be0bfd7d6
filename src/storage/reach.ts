// Which folders the journal of an interrupted run may change, depending on who could have written it.

import { lstatSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isRootOnly, type People } from './access.ts'
import type { FoundJournal } from './journal.ts'
import { parseObject, readSnapshot, stateHash } from './read.ts'
import { DONE, MANIFEST, outerPath } from './run.ts'
import { readRecord } from './runs.ts'
import { findUnsafeState, runsFolder } from './stateFolder.ts'
import { isWithin, nearestExisting, pathExists } from './system.ts'
import type { Work } from './work.ts'
import { temporaryNames } from './work.ts'

/** True if a journal may change entries of a folder with this path and owner. */
export type Reach = (folder: string, uid: number) => boolean

/**
 * The reach of a journal in `folder`; null if it is not trusted at all.
 *
 * - Owned by an untrusted user: none. Owned by a trusted user (the sudo caller): that user's folders.
 * - Owned by root or the current user: everything, if only root can change `folder`. Otherwise it may
 *   have been moved there. Then its reach is everything if a record of root's own matches it
 *   (`isRecorded`), else the folders of the owner of `folder`. If that is root: the contents of `folder`,
 *   which were moved along, and the folders of trusted users.
 */
export function reachOf(journal: FoundJournal, folder: string, people: People): Reach | null {
  const { uid, work } = journal
  const self = process.geteuid?.()
  const isOwn = uid === 0 || uid === self
  if (!isOwn && !people.trusted.has(uid)) return null
  // For users other than root, the kernel enforces the limits.
  if (isOwn && (self !== 0 || isRootOnly(folder) || isRecorded(work, people))) return anywhere
  const author = isOwn ? folderOwner(folder) : uid
  if (author === null || !people.trusted.has(author)) return null
  return author !== 0
    ? (_, owner) => owner === author
    : (path, owner) => (owner === 0 ? isWithin(path, folder) : people.trusted.has(owner))
}

/** True if a journal in `folder` would change something outside of its reach. */
export function exceedsReach(
  reach: Reach,
  { work, locked }: FoundJournal,
  folder: string
): boolean {
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
 * True if a stale lock in `folder` may name `journal` as the folder of its journal. If only root can
 * change `folder`, it may name any. Otherwise both folders must have the same owner, who can create any
 * lock there. A folder of root's may have been moved along with its lock, so then one of the two folders
 * must contain the other.
 */
export function mayNameJournal(folder: string, journal: string): boolean {
  if (process.geteuid?.() !== 0 || folder === journal || isRootOnly(folder)) return true
  const owner = folderOwner(folder)
  if (owner === null || owner !== folderOwner(journal)) return false
  return owner !== 0 || isWithin(journal, folder) || isWithin(folder, journal)
}

/**
 * True if the run that a journal names may be deleted or marked as done. The journal must be the
 * caller's, and the run in a private state folder of the caller. The run's record must be either that of
 * this work or incomplete, as of a run that was interrupted while writing it.
 */
export function mayChangeRun({ uid, work }: FoundJournal, people: People): boolean {
  if (uid !== process.geteuid?.()) return false
  const found = recordOfWork(work, people)
  return found === 'missing' || found === 'same'
}

/** True if the caller's own record of a run that isn't done matches the work. */
function isRecorded(work: Work, people: People): boolean {
  return recordOfWork(work, people) === 'same'
}

/** Compares the work with the record of its run; null without a run in a private state folder. */
function recordOfWork({ run, files }: Work, people: People): 'same' | 'other' | 'missing' | null {
  if (run === null) return null
  const state = dirname(dirname(run))
  if (dirname(run) !== runsFolder(state) || !pathExists(run)) return null
  if (findUnsafeState(state, people) !== null || folderOwner(run) !== process.geteuid?.())
    return null
  if (!pathExists(join(run, DONE)) && isUnwritten(join(run, MANIFEST))) return 'missing'
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

/** True if the manifest doesn't exist or is incomplete. */
function isUnwritten(manifest: string): boolean {
  const read = readSnapshot(manifest)
  return (
    read.ok &&
    (read.value === null || parseObject(Buffer.from(read.value.bytes).toString()) === null)
  )
}

/** The owner of a folder whose path has no symlinks; null for anything else. */
function folderOwner(folder: string): number | null {
  try {
    const stat = lstatSync(folder)
    return stat.isDirectory() && realpathSync(folder) === folder ? stat.uid : null
  } catch {
    return null
  }
}
