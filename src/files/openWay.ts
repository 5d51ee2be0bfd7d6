import { dirname } from 'node:path'
import { isRootsAlone, wayOf } from '../system/way.ts'
import { nearestExisting } from './exists.ts'
import { isOpen, type People } from './openFolder.ts'

/** A folder in which somebody can replace what leads to a file. */
export interface OpenParent {
  path: string
  uid: number
  mode: number
}

/**
 * The folders that lead to the file at `path` (absolute, without links), its own folder included, in
 * which somebody can replace the next part of the path who is neither root, nor the owner of the file
 * (`owner`), nor trusted. In a folder like /tmp each can replace only what is theirs. None where the way
 * can't be read.
 */
export function findOpenParents(path: string, owner: number, people: People): OpenParent[] {
  const known = { ...people, trusted: new Set([...people.trusted, owner]) }
  try {
    // The file ends the way: it is no folder.
    const way = wayOf(path)
    return way
      .filter((folder, index) => {
        const isSticky = (folder.mode & 0o1000) !== 0 && known.trusted.has(folder.uid)
        const next = way[index + 1]?.uid ?? owner
        return isSticky ? !known.trusted.has(next) : isOpen(folder, known)
      })
      .map(({ path: folder, uid, mode }) => ({ path: folder, uid, mode }))
  } catch {
    return []
  }
}

/**
 * Whether, as root, a path that was named leads through folders or links of somebody else to a file in a
 * place that only root can change: then whoever owns them chooses which of root's files that is.
 */
export function isLedToRoots(named: string, realpath: string): boolean {
  if (process.geteuid?.() !== 0 || named === realpath) return false
  return isRootsAlone(nearestExisting(dirname(realpath))) && !isRootsAlone(named)
}

/**
 * Whether, as root, a run on a file in `folder` (without links) would change `path` (without links) in a
 * place that only root can change, although somebody else can change the folder: then what leads there, a
 * link to the folder of the modules or a path in a Nix file, is theirs.
 */
export function isOutOfReach(path: string, folder: string): boolean {
  if (process.geteuid?.() !== 0 || isRootsAlone(folder)) return false
  return isRootsAlone(nearestExisting(dirname(path)))
}
