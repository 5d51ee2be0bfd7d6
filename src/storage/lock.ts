import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { ok, type Result } from '../nix/result.ts'
import { inFolder } from './folders.ts'
import { isJournalDraft } from './journal.ts'
import type { FileProblem, LockedProblem } from './problem.ts'
import type { RunKind } from './run.ts'
import {
  attempt,
  isSystemError,
  nearestExisting,
  reading,
  succeeded,
  textAt,
  valueOr,
  writing
} from './system.ts'
import { renameBeside } from './write.ts'

/**
 * The lock of a folder lies in the folder itself, where everyone who may change its files sees it,
 * whoever they are. It is a link that leads nowhere: its target says who holds it and where the
 * journal of that run is, and a link appears with its target at once.
 */
const LOCK = '.vfio-patch.lock'
const MOST_PID = 2 ** 31 - 1
const ASIDE = /^\.vfio-patch\.lock\.[0-9a-f]{12}$/

/** Who holds a folder. */
export interface LockHolder extends Holder {
  /** The folder where the journal of that run is, if it has got so far. */
  journal: string
  /** What that run does. */
  kind: RunKind
}

/** The locks of one run. */
export interface Locks {
  /**
   * Takes the lock of each of these folders, or none of them; the values are the paths that a
   * problem names. A lock whose process is gone is taken over. Null, or LOCKED, or a problem of
   * writing to the folders.
   */
  take(folders: ReadonlyMap<string, string>): FileProblem | null
  /** Gives all of them back except those of these folders; false when that failed for one. */
  releaseOthers(...kept: string[]): boolean
  /** Gives all of them back, the last one that was taken first; those that could not be given back. */
  release(): string[]
}

/** The folders that have to be locked to change these files, each with the first of its files. */
export function lockedFolders(paths: string[]): Map<string, string> {
  const folders = new Map<string, string>()
  for (const path of paths) {
    const folder = nearestExisting(dirname(path))
    if (!folders.has(folder)) folders.set(folder, path)
  }
  return folders
}

/**
 * No locks yet; `journal` is the folder for the journal, which each of them will name, and `kind` is what
 * the run does.
 */
export function createLocks(journal: string, kind: RunKind = 'change'): Locks {
  const self = { pid: process.pid, start: startOf(process.pid), boot: bootId() }
  const taken = new Map<string, string>()
  const giveBack = (folder: string) => {
    const lock = join(folder, LOCK)
    const isGone = succeeded(() => {
      if (linkTarget(lock) === taken.get(folder)) inFolder(lock, it => unlinkSync(it))
    })
    if (isGone) taken.delete(folder)
  }
  const others = (kept: string[]) => [...taken.keys()].filter(folder => !kept.includes(folder))
  const releaseOthers = (...kept: string[]) => {
    for (const folder of others(kept).reverse()) giveBack(folder)
    return others(kept).length === 0
  }
  const take = (folders: ReadonlyMap<string, string>) => {
    const before = [...taken.keys()]
    for (const [folder, about] of folders) {
      if (taken.has(folder)) continue
      const target = formatHolder(self, kind, relative(folder, journal) || '.')
      const lock = join(folder, LOCK)
      const claimed = attempt(() => claimLock(lock, target, about), writing(lock))
      const problem = claimed.ok ? claimed.value : claimed.error
      if (problem !== null) {
        releaseOthers(...before)
        return problem
      }
      taken.set(folder, target)
      sweep(folder)
    }
    return null
  }
  const release = () => {
    releaseOthers()
    return [...taken.keys()].map(folder => join(folder, LOCK))
  }
  return { take, releaseOthers, release }
}

/** Who holds, or held, the lock of a folder; null when there is none. */
export function readLock(folder: string): Result<LockHolder | null, FileProblem> {
  const lock = join(folder, LOCK)
  const target = attempt(() => linkTarget(lock), reading(lock))
  return target.ok ? ok(target.value === null ? null : parseHolder(target.value, folder)) : target
}

/** LOCKED for the first of these folders that another process has locked; null where there is none. */
export function findLocked(folders: ReadonlyMap<string, string>): LockedProblem | null {
  for (const [folder, about] of folders) {
    const lock = readLock(folder)
    const holder = lock.ok ? lock.value : null
    if (holder !== null && holder.pid !== process.pid && isAlive(holder))
      return lockedProblem(join(folder, LOCK), about, holder.pid)
  }
  return null
}

function claimLock(lock: string, target: string, about: string): FileProblem | null {
  if (linked(target, lock)) return null
  const found = linkTarget(lock)
  const holder = found === null ? null : parseHolder(found, dirname(lock))
  if (holder !== null && isAlive(holder)) return lockedProblem(lock, about, holder.pid)
  if (found !== null) {
    const aside = `${lock}.${randomBytes(6).toString('hex')}`
    renameBeside(lock, aside)
    const moved = linkTarget(aside)
    // Another process took the stale lock over between the look and the rename: this is its lock.
    const robbed = moved === found || moved === null ? null : parseHolder(moved, dirname(lock))
    if (robbed !== null && moved !== null) linked(moved, lock)
    succeeded(() => inFolder(aside, it => unlinkSync(it)))
    if (robbed !== null) return lockedProblem(lock, about, robbed.pid)
  }
  if (linked(target, lock)) return null
  const other = parseHolder(linkTarget(lock) ?? '', dirname(lock))
  return lockedProblem(lock, about, other?.pid ?? 0)
}

function lockedProblem(lock: string, path: string, pid: number): LockedProblem {
  const since = valueOr(null, () => lstatSync(lock).mtime.toISOString())
  return { code: 'LOCKED', path, folder: dirname(lock), pid, command: commandOf(pid), since }
}

/** What a process leaves that is killed while it takes a lock over or begins a journal. */
function sweep(folder: string): void {
  succeeded(() => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      if (isJournalDraft(name)) inFolder(path, it => unlinkSync(it))
      if (!ASIDE.test(name)) continue
      const holder = parseHolder(linkTarget(path) ?? '', folder)
      if (holder === null || !isAlive(holder)) inFolder(path, it => unlinkSync(it))
    }
  })
}

function linked(target: string, lock: string): boolean {
  try {
    inFolder(lock, it => symlinkSync(target, it))
    return true
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false
    throw error
  }
}

/** Null when there is nothing; blank for what is no link. */
function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return null
    if (isSystemError(error) && error.code === 'EINVAL') return ''
    throw error
  }
}

function formatHolder({ pid, start, boot }: Holder, kind: RunKind, journal: string): string {
  return `${pid}:${start ?? ''}:${boot ?? ''}:${kind === 'change' ? '' : `${kind}:`}${journal}`
}

function parseHolder(target: string, folder: string): LockHolder | null {
  const match = /^(\d+):(\d*):([0-9a-f-]*):(?:(undo|redo):)?(.+)$/.exec(target)
  if (match === null) return null
  const [, pid, start, boot, kind, journal = '.'] = match
  // Of any other number the system can't be asked.
  if (Number(pid) < 1 || Number(pid) > MOST_PID) return null
  return {
    pid: Number(pid),
    start: start || null,
    boot: boot || null,
    // Relative, as the system may be mounted elsewhere by now.
    journal: resolve(folder, journal),
    kind: kind === 'undo' || kind === 'redo' ? kind : 'change'
  }
}

/**
 * A process, distinguished from others that get its number later or after a reboot. What can't be known
 * is null.
 */
interface Holder {
  pid: number
  /** Field 22 of /proc/PID/stat. */
  start: string | null
  boot: string | null
}

/** Whether the process still runs. If that is unknown, it counts as running. */
export function isAlive({ pid, start, boot }: Holder): boolean {
  const now = bootId()
  if (boot !== null && now !== null && boot !== now) return false
  const started = startOf(pid)
  if (started !== null) return start === null || start === started
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}

/**
 * How a process that is a vfio-patch was called, in one line without control characters; null for any
 * other process, whose words are nobody's concern, and where it can't be read.
 */
function commandOf(pid: number): string | null {
  const words = textAt(`/proc/${pid}/cmdline`).split('\0')
  const start = words.findIndex(it => /(^|\/)vfio-patch(\.js)?$/.test(it))
  if (start === -1) return null
  const line = ['vfio-patch', ...words.slice(start + 1)].join(' ').trim()
  return line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?').slice(0, MOST_CHARACTERS)
}

const MOST_CHARACTERS = 200

function startOf(pid: number): string | null {
  const stat = textAt(`/proc/${pid}/stat`)
  // The name in field 2 may hold spaces and brackets.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

function bootId(): string | null {
  return textAt('/proc/sys/kernel/random/boot_id').trim() || null
}
