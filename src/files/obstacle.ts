import { accessSync, constants, lstatSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { attempt } from './attempt.ts'
import { reading, writing } from './errno.ts'
import { nearestExisting } from './exists.ts'
import { bindSource, isMountPoint } from './mounts.ts'
import { findOpenFolder, knownPeople, type People } from './openFolder.ts'
import type { FileProblem } from './problem.ts'
import { isInStore } from './store.ts'

/**
 * What stands in the way of replacing or deleting the file at `realpath`, or of making it where it
 * doesn't exist; null when nothing is known to. Only looks: nothing is opened for writing, so that
 * a preview may ask.
 * Problems: STORE_LINK, IS_DIRECTORY, NOT_REGULAR, MOUNT_POINT, HARD_LINKS, OPEN_FOLDER,
 * READ_ONLY_FS, IMMUTABLE, NOT_WRITABLE, NOT_DIRECTORY, NOT_READABLE, IO_ERROR.
 */
export function findObstacle(realpath: string, people: People = knownPeople()): FileProblem | null {
  if (isInStore(realpath)) return { code: 'STORE_LINK', path: realpath, hops: [realpath] }
  const folder = nearestExisting(dirname(realpath))
  const looked = attempt(
    () => ({ file: lstatSync(realpath, { throwIfNoEntry: false }), parent: statSync(folder) }),
    reading(realpath)
  )
  if (!looked.ok) return looked.error
  const { file, parent } = looked.value
  if (file?.isDirectory()) return { code: 'IS_DIRECTORY', path: realpath }
  if (file !== undefined && !file.isFile()) return { code: 'NOT_REGULAR', path: realpath }
  if (file !== undefined && isMountPoint(realpath))
    return { code: 'MOUNT_POINT', path: realpath, source: bindSource(realpath) }
  if (file !== undefined && file.nlink > 1)
    return { code: 'HARD_LINKS', path: realpath, count: file.nlink }
  if (!parent.isDirectory()) return { code: 'NOT_DIRECTORY', path: folder }
  const { W_OK, X_OK } = constants
  const refused =
    findDenial(folder, W_OK | X_OK) ?? (file === undefined ? null : findDenial(realpath, W_OK))
  if (refused !== null) return refused
  // Replacing a file keeps its owner, which only root can do for another's file.
  const self = process.geteuid?.()
  if (file !== undefined && self !== 0 && file.uid !== self)
    return { code: 'NOT_WRITABLE', path: realpath, errno: 'EPERM' }
  return findOpenFolder(folder, people)
}

function findDenial(path: string, wanted: number): FileProblem | null {
  const allowed = attempt(() => accessSync(path, wanted), writing(path))
  return allowed.ok ? null : allowed.error
}
