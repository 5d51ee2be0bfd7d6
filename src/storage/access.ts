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

/** A folder or a link that a path leads through. */
interface WayPart {
  path: string
  isLink: boolean
  uid: number
  gid: number
  mode: number
}

const MOST_LINKS = 40
const STICKY = 0o1000

/**
 * The folders that an absolute path leads through, from `/` to the path itself, and the links on the
 * way, which are followed. It ends before the first part that does not exist, or that is neither a
 * folder nor a link. Throws the errors of the system, and ELOOP as `Error` after 40 links.
 */
function wayOf(path: string): WayPart[] {
  const way = [wayPart('/', lstatSync('/'))]
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
    way.push(wayPart(next, found))
    if (!found.isSymbolicLink()) {
      at = next
      continue
    }
    links += 1
    if (links > MOST_LINKS) throw new Error(`${path} leads through too many links`)
    const target = readlinkSync(next)
    if (target.startsWith('/')) at = '/'
    pending = [...pathParts(target), ...pending]
  }
  return way
}

function wayPart(path: string, stat: Stats): WayPart {
  const { uid, gid, mode } = stat
  return { path, isLink: stat.isSymbolicLink(), uid, gid, mode: mode & 0o7777 }
}

/**
 * Whether root alone can change where an absolute path leads: every folder on the way, the last one
 * included, and every link is root's, and nobody else can write to these folders. In a folder like
 * /tmp others can't replace what is root's. False where that can't be found out.
 */
export function isRootsAlone(folder: string): boolean {
  try {
    return wayOf(folder).every(part => {
      // In a sticky folder entries of others can't be replaced.
      const isSafe = part.isLink || (part.mode & STICKY) !== 0 || !isShared(part)
      return part.uid === 0 && isSafe
    })
  } catch {
    return false
  }
}

/** Whether it can be written to by its group or by everybody. */
function isShared({ gid, mode }: { gid: number; mode: number }): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0)
}

/** Where NixOS keeps programs for everybody. */
const PLACES = ['/run/current-system/sw/bin', '/nix/var/nix/profiles/default/bin']

/**
 * The path of the program `name`; null where there is none.
 *
 * As root it is the first one in PATH that only root can have put there: the file, all folders on the
 * way to it and the file that a link leads to are root's, and nobody else can write to them. If PATH has no
 * such program, the places of NixOS are searched in the same way. So a PATH that comes from whoever
 * called sudo can't choose what root runs. For anybody else it is the first one in PATH.
 */
export function findProgram(
  name: string,
  path = process.env.PATH ?? '',
  isRoot = process.geteuid?.() === 0
): string | null {
  // A relative entry would run what happens to lie in the current folder.
  const folders = path.split(':').filter(isAbsolute)
  const places = isRoot ? [...folders, ...PLACES] : folders
  return places.map(it => join(it, name)).find(it => isProgram(it, isRoot)) ?? null
}

/** Whether it is a file that can be run and, for root, that only root can change or replace. */
function isProgram(path: string, isRoot: boolean): boolean {
  try {
    const stat = statSync(path)
    if (!stat.isFile() || (stat.mode & 0o111) === 0) return false
    if (!isRoot) return true
    // The first follows the links of the folder, the second those of the file.
    const folders = [dirname(path), dirname(realpathSync(path))]
    return stat.uid === 0 && !isShared(stat) && folders.every(isRootsAlone)
  } catch {
    return false
  }
}

/**
 * The user ids that belong to group `gid`, as their first group or as members, by the texts of
 * /etc/passwd and /etc/group. Null when the group is not listed, so that nothing is known about it.
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

/** The user id of an account by its name; null when /etc/passwd doesn't list it. */
export function uidOf(name: string, passwd: string): number | null {
  const listed = records(passwd).find(([each]) => each === name)
  return listed === undefined ? null : Number(listed[2])
}

/** The name and the home of an account by its user id; null when /etc/passwd doesn't list it. */
export function accountOf(uid: number, passwd: string): { name: string; home: string } | null {
  const listed = records(passwd).find(([, , id]) => Number(id) === uid)
  const [name = '', , , , , home = ''] = listed ?? []
  return name !== '' && home.startsWith('/') ? { name, home } : null
}

function records(text: string): string[][] {
  const lines = text.split('\n').map(line => line.split(':'))
  return lines.filter(fields => fields.length >= 4)
}

/** What is known about the people on this machine. */
export interface People {
  /** The users whose folders are safe to write in. */
  trusted: ReadonlySet<number>
  passwd: string
  group: string
}

/** Root, the user this runs as and, when that is root, the user who called sudo or doas. */
export function knownPeople(env: NodeJS.ProcessEnv = process.env): People {
  const passwd = textAt('/etc/passwd')
  const self = process.geteuid?.() ?? -1
  const trusted = new Set([0, self, ...(self === 0 ? callersOf(env, passwd) : [])])
  return { trusted, passwd, group: textAt('/etc/group') }
}

/** The user who called sudo or doas, as these say in the environment of what they start. */
export function callersOf(env: NodeJS.ProcessEnv, passwd: string): number[] {
  const bySudo = /^\d+$/.test(env.SUDO_UID ?? '') ? [Number(env.SUDO_UID)] : []
  const byDoas = uidOf(env.DOAS_USER ?? '', passwd)
  return [...bySudo, ...(byDoas === null ? [] : [byDoas])]
}

/**
 * OPEN_FOLDER when someone who isn't trusted can put files into the folder: its owner, a member of
 * its group, or everyone. Null when it is safe. Access lists aren't looked at, except that they
 * show in the group's rights.
 */
function findOpenFolder(path: string, people: People): FileProblem | null {
  const looked = attempt(() => statSync(path), reading(path))
  if (!looked.ok) return looked.error
  const { uid, gid, mode } = looked.value
  return isOpen({ uid, gid, mode }, people)
    ? { code: 'OPEN_FOLDER', path, uid, gid, mode: mode & 0o7777 }
    : null
}

/**
 * The owner of a folder that is safe only because its owner called sudo: that is a note and not a
 * refusal, as a configuration in one's home is the usual case. Null for any other folder.
 */
export function lenderOf(path: string, people: People): number | null {
  const uid = valueOr(null, () => statSync(path).uid)
  if (uid === null || !people.trusted.has(uid)) return null
  return [0, process.geteuid?.()].includes(uid) ? null : uid
}

/** The same of a folder whose facts are known. */
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
 * The folders that lead to the file at `path` (absolute, without links), its own folder included, in
 * which somebody can replace the next part of the path who is neither root, nor the owner of the file
 * (`owner`), nor trusted. In a folder like /tmp people can replace only their own files. None where the way
 * can't be read.
 */
export function findOpenParents(path: string, owner: number, people: People): WayPart[] {
  const known = { ...people, trusted: new Set([...people.trusted, owner]) }
  try {
    // The file ends the way: it is no folder.
    const way = wayOf(path)
    return way.filter((folder, index) => {
      const isSticky = (folder.mode & STICKY) !== 0 && known.trusted.has(folder.uid)
      const next = way[index + 1]?.uid ?? owner
      return isSticky ? !known.trusted.has(next) : isOpen(folder, known)
    })
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
 * link to the folder of the modules or a path in a Nix file, is up to them.
 */
export function isOutOfReach(path: string, folder: string): boolean {
  if (process.geteuid?.() !== 0 || isRootsAlone(folder)) return false
  return isRootsAlone(nearestExisting(dirname(path)))
}

/**
 * What prevents replacing or deleting the file at `realpath`, or of making it where it
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
  const { W_OK, X_OK } = files
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
  return problemIn(() => accessSync(path, wanted), writing(path))
}
