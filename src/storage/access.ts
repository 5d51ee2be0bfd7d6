import {
  accessSync,
  constants as files,
  lstatSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync
} from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { FileProblem } from './problem.ts'
import {
  attempt,
  bindSource,
  isInStore,
  isMountPoint,
  nearestExisting,
  pathParts,
  problemIn,
  reading,
  textAt,
  valueOr,
  writing
} from './system.ts'

/** A folder or symlink on a path. */
interface PathEntry {
  path: string
  isLink: boolean
  uid: number
  gid: number
  mode: number
}

const MAX_LINKS = 40
const STICKY = 0o1000

/**
 * The folders and symlinks on an absolute path, from `/` to the path itself. Symlinks are followed.
 * The list ends before the first component that doesn't exist or is neither a folder nor a symlink.
 * Throws system errors, and an `Error` after 40 symlinks.
 */
function pathEntries(path: string): PathEntry[] {
  const entries = [pathEntry('/', lstatSync('/'))]
  let at = '/'
  let links = 0
  let pending = pathParts(path)
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, name)
    const found = lstatSync(next, { throwIfNoEntry: false })
    if (found === undefined || !(found.isDirectory() || found.isSymbolicLink())) break
    entries.push(pathEntry(next, found))
    if (!found.isSymbolicLink()) {
      at = next
      continue
    }
    links += 1
    if (links > MAX_LINKS) throw new Error(`too many symlinks: ${path}`)
    const target = readlinkSync(next)
    if (target.startsWith('/')) at = '/'
    pending = [...pathParts(target), ...pending]
  }
  return entries
}

function pathEntry(path: string, stat: Stats): PathEntry {
  const { uid, gid, mode } = stat
  return { path, isLink: stat.isSymbolicLink(), uid, gid, mode: mode & 0o7777 }
}

/**
 * True if only root can change where an absolute path leads: every folder and symlink on it, the
 * last one included, belongs to root, and only root can write to these folders. Sticky folders
 * such as /tmp pass, because other users can't replace root's entries in them. False if unknown.
 */
export function isRootOnly(folder: string): boolean {
  try {
    return pathEntries(folder).every(part => {
      // In a sticky folder, users can't replace other users' entries.
      const isSafe = part.isLink || (part.mode & STICKY) !== 0 || !isShared(part)
      return part.uid === 0 && isSafe
    })
  } catch {
    return false
  }
}

/** True if everyone, or a group other than root's, can write to the file or folder. */
function isShared({ gid, mode }: { gid: number; mode: number }): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0)
}

/** The system-wide program folders of NixOS. */
const SYSTEM_FOLDERS = ['/run/current-system/sw/bin', '/nix/var/nix/profiles/default/bin']

/**
 * The path of the program `name`; null if there is none.
 *
 * For users other than root: the first match in PATH. For root: the first match in PATH or the program
 * folders of NixOS that only root can have installed. That is, the file, its parent folders and the target
 * of a symlink belong to root, and only root can write to them. So a PATH set by the sudo caller can't
 * choose what root runs.
 */
export function findProgram(
  name: string,
  path = process.env.PATH ?? '',
  isRoot = process.geteuid?.() === 0
): string | null {
  // A relative entry would run programs from the current folder.
  const folders = path.split(':').filter(isAbsolute)
  const searched = isRoot ? [...folders, ...SYSTEM_FOLDERS] : folders
  return searched.map(it => join(it, name)).find(it => isProgram(it, isRoot)) ?? null
}

/** True for an executable file. For root, it must also be a file that nobody else can change or replace. */
function isProgram(path: string, isRoot: boolean): boolean {
  try {
    const stat = statSync(path)
    if (!stat.isFile() || (stat.mode & 0o111) === 0) return false
    if (!isRoot) return true
    // Checks the path of the folder and, if the program is a symlink, the path of its target's folder.
    const folders = [dirname(path), dirname(realpathSync(path))]
    return stat.uid === 0 && !isShared(stat) && folders.every(isRootOnly)
  } catch {
    return false
  }
}

/**
 * The user IDs in group `gid`, as primary group or as members, according to the contents of
 * /etc/passwd and /etc/group. Null if the group isn't listed.
 */
export function membersOf(gid: number, passwd: string, group: string): Set<number> | null {
  const listed = records(group).find(([, , id]) => Number(id) === gid)
  if (listed === undefined) return null
  const names = new Set((listed[3] ?? '').split(','))
  const users = records(passwd).filter(
    ([name = '', , , first]) => names.has(name) || Number(first) === gid
  )
  return new Set(users.map(([, , uid]) => Number(uid)))
}

/** The user ID of an account; null if /etc/passwd doesn't list it. */
export function uidOf(name: string, passwd: string): number | null {
  const listed = records(passwd).find(([each]) => each === name)
  return listed === undefined ? null : Number(listed[2])
}

/** The name and home folder of a user ID; null if /etc/passwd doesn't list it. */
export function accountOf(uid: number, passwd: string): { name: string; home: string } | null {
  const listed = records(passwd).find(([, , id]) => Number(id) === uid)
  const [name = '', , , , , home = ''] = listed ?? []
  return name !== '' && home.startsWith('/') ? { name, home } : null
}

function records(text: string): string[][] {
  const lines = text.split('\n').map(line => line.split(':'))
  return lines.filter(fields => fields.length >= 4)
}

/** The accounts of this machine. */
export interface People {
  /** IDs of the users whose folders are safe to write to. */
  trusted: ReadonlySet<number>
  passwd: string
  group: string
}

/** Trusts root, the effective user and, if that is root, the user who called sudo or doas. */
export function knownPeople(env: NodeJS.ProcessEnv = process.env): People {
  const passwd = textAt('/etc/passwd')
  const self = process.geteuid?.() ?? -1
  const trusted = new Set([0, self, ...(self === 0 ? sudoCallers(env, passwd) : [])])
  return { trusted, passwd, group: textAt('/etc/group') }
}

/** The users that SUDO_UID and DOAS_USER name. */
export function sudoCallers(env: NodeJS.ProcessEnv, passwd: string): number[] {
  const bySudo = /^\d+$/.test(env.SUDO_UID ?? '') ? [Number(env.SUDO_UID)] : []
  const byDoas = uidOf(env.DOAS_USER ?? '', passwd)
  return [...bySudo, ...(byDoas === null ? [] : [byDoas])]
}

/**
 * OPEN_FOLDER if an untrusted user can create files in the folder: its owner, a member of its group, or
 * everyone. Null if the folder is safe. Access lists are seen only as far as the group bits reflect them.
 */
function findOpenFolder(path: string, people: People): FileProblem | null {
  const stats = attempt(() => statSync(path), reading(path))
  if (!stats.ok) return stats.error
  const { uid, gid, mode } = stats.value
  return isOpen({ uid, gid, mode }, people)
    ? { code: 'OPEN_FOLDER', path, uid, gid, mode: mode & 0o7777 }
    : null
}

/**
 * The owner of a folder, if that user is trusted only for having called sudo; else null. Such a folder
 * deserves a note, not a refusal, because configurations in a home folder are common.
 */
export function sudoCallerOwning(path: string, people: People): number | null {
  const uid = valueOr(null, () => statSync(path).uid)
  if (uid === null || !people.trusted.has(uid)) return null
  return [0, process.geteuid?.()].includes(uid) ? null : uid
}

/** True if an untrusted user can create files in a folder with this owner and mode. */
export function isOpen(
  folder: { uid: number; gid: number; mode: number },
  people: People
): boolean {
  if (!people.trusted.has(folder.uid) || (folder.mode & 0o002) !== 0) return true
  if ((folder.mode & 0o020) === 0 || folder.gid === 0) return false
  const members = membersOf(folder.gid, people.passwd, people.group)
  return members === null || [...members].some(uid => !people.trusted.has(uid))
}

/**
 * The parent folders of the file at `path` (absolute, without symlinks) in which someone other than
 * root, the file's `owner` and trusted users can replace the next component of the path. In a
 * sticky folder such as /tmp, users can replace only their own files. Empty if the path can't be read.
 */
export function findOpenParents(path: string, owner: number, people: People): PathEntry[] {
  const known = { ...people, trusted: new Set([...people.trusted, owner]) }
  try {
    // The list ends before the file, which isn't a folder.
    const entries = pathEntries(path)
    return entries.filter((folder, index) => {
      const isSticky = (folder.mode & STICKY) !== 0 && known.trusted.has(folder.uid)
      const next = entries[index + 1]?.uid ?? owner
      return isSticky ? !known.trusted.has(next) : isOpen(folder, known)
    })
  } catch {
    return []
  }
}

/**
 * True if this runs as root, and the path `named` leads through another user's folders or symlinks to a
 * file that only root can change. That user could then choose which of root's files is changed.
 */
export function isRedirectedToRootOnly(named: string, realpath: string): boolean {
  if (process.geteuid?.() !== 0 || named === realpath) return false
  return isRootOnly(nearestExisting(dirname(realpath))) && !isRootOnly(named)
}

/**
 * True if this runs as root, another user can change `folder`, and only root can change `path`. That user
 * could then point a run on `folder` to `path`, with a symlink or a path in a Nix file. Both paths are without
 * symlinks.
 */
export function isRootOnlyOutside(path: string, folder: string): boolean {
  if (process.geteuid?.() !== 0 || isRootOnly(folder)) return false
  return isRootOnly(nearestExisting(dirname(path)))
}

/**
 * What prevents replacing, deleting or creating the file at `realpath`; null if nothing known does.
 * Opens nothing for writing, so a preview may call it.
 * Problems: STORE_LINK, IS_DIRECTORY, NOT_REGULAR, MOUNT_POINT, HARD_LINKS, OPEN_FOLDER,
 * READ_ONLY_FS, IMMUTABLE, NOT_WRITABLE, NOT_DIRECTORY, NOT_READABLE, IO_ERROR.
 */
export function findObstacle(realpath: string, people: People = knownPeople()): FileProblem | null {
  if (isInStore(realpath)) return { code: 'STORE_LINK', path: realpath, hops: [realpath] }
  const folder = nearestExisting(dirname(realpath))
  const stats = attempt(
    () => ({ file: lstatSync(realpath, { throwIfNoEntry: false }), parent: statSync(folder) }),
    reading(realpath)
  )
  if (!stats.ok) return stats.error
  const { file, parent } = stats.value
  if (file?.isDirectory()) return { code: 'IS_DIRECTORY', path: realpath }
  if (file !== undefined && !file.isFile()) return { code: 'NOT_REGULAR', path: realpath }
  if (file !== undefined && isMountPoint(realpath))
    return { code: 'MOUNT_POINT', path: realpath, source: bindSource(realpath) }
  if (file !== undefined && file.nlink > 1)
    return { code: 'HARD_LINKS', path: realpath, count: file.nlink }
  if (!parent.isDirectory()) return { code: 'NOT_DIRECTORY', path: folder }
  const { W_OK, X_OK } = files
  const refused =
    findDenial(folder, W_OK | X_OK) ?? (file === undefined ? null : findDenial(realpath, W_OK))
  if (refused !== null) return refused
  // Replacing a file keeps its owner, which only root can do for other users' files.
  const self = process.geteuid?.()
  if (file !== undefined && self !== 0 && file.uid !== self)
    return { code: 'NOT_WRITABLE', path: realpath, errno: 'EPERM' }
  return findOpenFolder(folder, people)
}

function findDenial(path: string, wanted: number): FileProblem | null {
  return problemIn(() => accessSync(path, wanted), writing(path))
}
