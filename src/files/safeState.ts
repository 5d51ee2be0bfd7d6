import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { attempt, tried } from './attempt.ts'
import { reading } from './errno.ts'
import { isThere } from './exists.ts'
import { isOpen, type People } from './openFolder.ts'
import type { FileProblem } from './problem.ts'
import { runsFolder } from './stateFolder.ts'

const MOST_LINKS = 40
const OVERFLOW_UID = 65534

/**
 * What makes a state folder unfit to keep backups, or to take them from: one who could write there
 * would choose what an undo puts in place. The folder and the one with the runs must be the
 * caller's, without rights for others (NOT_PRIVATE); nobody who isn't trusted may be able to put
 * something else in the place of any folder on the way, or of a link there (OPEN_FOLDER; a folder
 * like /tmp, in which each can only move their own, is fine). Whoever called sudo is not trusted with
 * what root puts in place, so their folders are not safe for it. Null when all of it that exists is
 * sound. Problems: these, and those of reading.
 */
export function findUnsafeState(stateFolder: string, people: People): FileProblem | null {
  const runs = runsFolder(stateFolder)
  const way = findUnsafeWay(stateFolder, people)
  if (way !== null) return way
  for (const folder of [stateFolder, runs]) {
    if (!isThere(folder)) return null
    const looked = attempt(() => statSync(folder), reading(folder))
    if (!looked.ok) return looked.error
    const { uid, mode } = looked.value
    if (!looked.value.isDirectory()) return { code: 'NOT_DIRECTORY', path: folder }
    if (uid !== process.geteuid?.() || (mode & 0o077) !== 0)
      return { code: 'NOT_PRIVATE', path: folder, uid, mode: mode & 0o7777 }
  }
  return null
}

/** The folders above the path, those that links on it lead through, and the links. */
function findUnsafeWay(path: string, known: People): FileProblem | null {
  const self = process.geteuid?.() ?? -1
  const people = { ...known, trusted: new Set([0, self, ...unmappedRoot()]) }
  let at = '/'
  let pending = partsOf(path)
  let links = 0
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    const looked = attempt(() => statSync(at), reading(at))
    if (!looked.ok) return looked.error
    const { uid, gid, mode } = looked.value
    const isSticky = (mode & 0o1000) !== 0 && people.trusted.has(uid)
    if (!isSticky && isOpen({ uid, gid, mode }, people))
      return { code: 'OPEN_FOLDER', path: at, uid, gid, mode: mode & 0o7777 }
    if (part === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, part)
    if (!isThere(next)) return null
    const entry = attempt(() => lstatSync(next), reading(next))
    if (!entry.ok) return entry.error
    if (!entry.value.isSymbolicLink()) {
      at = next
      continue
    }
    links += 1
    if (links > MOST_LINKS) return { code: 'LINK_LOOP', path, hops: [path] }
    if (!people.trusted.has(entry.value.uid))
      return { code: 'NOT_PRIVATE', path: next, uid: entry.value.uid, mode: 0o777 }
    const target = attempt(() => readlinkSync(next), reading(next))
    if (!target.ok) return target.error
    if (target.value.startsWith('/')) at = '/'
    pending = [...partsOf(target.value), ...pending]
  }
  return null
}

/**
 * In a namespace where root has no number, as in a sandbox that builds packages, root's folders show
 * as those of the one that stands for all who have none.
 */
function unmappedRoot(): number[] {
  let ranges: number[][] = [[0, 0, 1]]
  tried(() => {
    const text = readFileSync('/proc/self/uid_map').toString()
    ranges = text
      .trim()
      .split('\n')
      .map(line => line.trim().split(/ +/).map(Number))
  })
  const isMapped = ranges.some(([, outside = 0]) => outside === 0)
  return isMapped ? [] : [OVERFLOW_UID]
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
