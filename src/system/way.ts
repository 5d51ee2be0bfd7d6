import { lstatSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A folder or a link that a path leads through. */
export interface WayPart {
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
export function wayOf(path: string): WayPart[] {
  const way: WayPart[] = [partAt('/')]
  let at = '/'
  let links = 0
  let pending = partsOf(path)
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, name)
    const found = lstatSync(next, { throwIfNoEntry: false })
    if (found === undefined || !(found.isDirectory() || found.isSymbolicLink())) break
    way.push({ ...partAt(next), isLink: found.isSymbolicLink() })
    if (!found.isSymbolicLink()) {
      at = next
      continue
    }
    links += 1
    if (links > MOST_LINKS) throw new Error(`${path} leads through too many links`)
    const target = readlinkSync(next)
    if (target.startsWith('/')) at = '/'
    pending = [...partsOf(target), ...pending]
  }
  return way
}

/**
 * Whether root alone can change where an absolute path leads: every folder on the way, the last one
 * included, and every link is root's, and nobody else can write to these folders. In a folder like
 * /tmp others can't replace what is root's. False where that can't be found out.
 */
export function isRootsAlone(folder: string): boolean {
  try {
    return wayOf(folder).every(part => part.uid === 0 && (part.isLink || !isShared(part)))
  } catch {
    return false
  }
}

/** Whether a folder can be written to by its group or by everybody, so that entries can be replaced. */
function isShared({ gid, mode }: WayPart): boolean {
  if ((mode & STICKY) !== 0) return false
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0)
}

function partAt(path: string): WayPart {
  const stat = lstatSync(path)
  const { uid, gid } = stat
  return { path, isLink: stat.isSymbolicLink(), uid, gid, mode: stat.mode & 0o7777 }
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
