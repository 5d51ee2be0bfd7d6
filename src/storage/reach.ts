// Which folders the journal of an interrupted run may change. This depends on who could have written it.

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
 * The reach of a journal in `folder`; null if the journal is not trusted at all.
 *
 * - The journal belongs to an untrusted user: null.
 * - It belongs to the sudo caller: the sudo caller's folders.
 * - It belongs to root or the current user, and this doesn't run as root: everything. The kernel enforces
 *   the limits.
 * - It belongs to root, and only root can change `folder`: everything.
 * - It belongs to root, but others can change `folder`, so someone may have moved it there. If one of
 *   root's own records matches the journal (`isRecorded`): everything. Otherwise: the folders of the owner
 *   of `folder`, or null if that owner is untrusted. If the owner is root: the contents of `folder`, which
 *   were moved with it, and the folders of trusted users.
 */
export function reachOf(journal: FoundJournal, folder: string, people: People): Reach | null {
  const { uid, work } = journal
  const self = process.geteuid?.()
  const isOwn = uid === 0 || uid === self
  if (!isOwn && !people.trusted.has(uid)) return null
  if (isOwn && (self !== 0 || isRootOnly(folder) || isRecorded(work, people))) return anywhere
  const author = isOwn ? folderOwner(folder) : uid
  if (author === null || !people.trusted.has(author)) return null
  return author !== 0
    ? (_, owner) => owner === author
    : (path, owner) => (owner === 0 ? isWithin(path, folder) : people.trusted.has(owner))
}

/** True if a journal in `folder` would change something outside its reach. */
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
 * True if a stale lock in `folder` is trusted to name `journal` as the folder of its journal. If only root
 * can change `folder`, the lock may name any folder. Otherwise both folders must have the same owner. If
 * this owner is root, someone may have moved root's folder with the lock in it, so one of the two folders
 * must also contain the other.
 */
export function mayNameJournal(folder: string, journal: string): boolean {
  if (process.geteuid?.() !== 0 || folder === journal || isRootOnly(folder)) return true
  const owner = folderOwner(folder)
  if (owner === null || owner !== folderOwner(journal)) return false
  return owner !== 0 || isWithin(journal, folder) || isWithin(folder, journal)
}

/**
 * True if the run that a journal names may be deleted or marked as done. The journal must belong to the
 * caller, and the run must be in a private state folder of the caller. The run's record must match the
 * journal's work, or be incomplete because the run was interrupted while it wrote the record.
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
