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
import { renameInFolder } from './write.ts'

/**
 * The lock of a folder is in the folder itself, so that every user who may change the files sees it. It
 * is a dangling symlink, because a symlink and its target appear atomically. The target encodes a
 * `LockHolder`.
 */
const LOCK = '.vfio-patch.lock'
const MAX_PID = 2 ** 31 - 1
const MOVED_LOCK = /^\.vfio-patch\.lock\.[0-9a-f]{12}$/

/** The contents of a lock. */
export interface LockHolder extends Holder {
  /** The folder for the run's journal, which need not exist yet. */
  journal: string
  kind: RunKind
}

/** The locks of one run. */
export interface Locks {
  /**
   * Locks all folders (the keys) or none. The values are the paths to name in problems. Takes over a lock
   * whose process has ended. Problems: LOCKED, those of writing to the folders.
   */
  take(folders: ReadonlyMap<string, string>): FileProblem | null
  /** Releases all locks except those of these folders; false if one could not be released. */
  releaseAllExcept(...kept: string[]): boolean
  /** Releases all locks in reverse order. Returns the paths of those that could not be released. */
  release(): string[]
}

/** The folders to lock for a change of these files, each with the first of its files. */
export function lockedFolders(paths: string[]): Map<string, string> {
  const folders = new Map<string, string>()
  for (const path of paths) {
    const folder = nearestExisting(dirname(path))
    if (!folders.has(folder)) folders.set(folder, path)
  }
  return folders
}

/** The locks of a new run, at first none. Each lock will name `kind` and `journal`, the journal's folder. */
export function createLocks(journal: string, kind: RunKind = 'change'): Locks {
  const self = { pid: process.pid, start: startOf(process.pid), boot: bootId() }
  const taken = new Map<string, string>()
  const unlock = (folder: string) => {
    const lock = join(folder, LOCK)
    const isGone = succeeded(() => {
      if (linkTarget(lock) === taken.get(folder)) inFolder(lock, it => unlinkSync(it))
    })
    if (isGone) taken.delete(folder)
  }
  const others = (kept: string[]) => [...taken.keys()].filter(folder => !kept.includes(folder))
  const releaseAllExcept = (...kept: string[]) => {
    for (const folder of others(kept).reverse()) unlock(folder)
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
        releaseAllExcept(...before)
        return problem
      }
      taken.set(folder, target)
      removeRemnants(folder)
    }
    return null
  }
  const release = () => {
    releaseAllExcept()
    return [...taken.keys()].map(folder => join(folder, LOCK))
  }
  return { take, releaseAllExcept, release }
}

/** Reads the lock of a folder, also if its process has ended; null if there is no lock. */
export function readLock(folder: string): Result<LockHolder | null, FileProblem> {
  const lock = join(folder, LOCK)
  const target = attempt(() => linkTarget(lock), reading(lock))
  return target.ok ? ok(target.value === null ? null : parseHolder(target.value, folder)) : target
}

/** LOCKED for the first of these folders that another process has locked; null if there is none. */
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
  if (createLink(target, lock)) return null
  const found = linkTarget(lock)
  const holder = found === null ? null : parseHolder(found, dirname(lock))
  if (holder !== null && isAlive(holder)) return lockedProblem(lock, about, holder.pid)
  if (found !== null) {
    const aside = `${lock}.${randomBytes(6).toString('hex')}`
    renameInFolder(lock, aside)
    const moved = linkTarget(aside)
    // If another process took over the stale lock before the rename, this is its lock: put it back.
    const displaced = moved === found || moved === null ? null : parseHolder(moved, dirname(lock))
    if (displaced !== null && moved !== null) createLink(moved, lock)
    succeeded(() => inFolder(aside, it => unlinkSync(it)))
    if (displaced !== null) return lockedProblem(lock, about, displaced.pid)
  }
  if (createLink(target, lock)) return null
  const other = parseHolder(linkTarget(lock) ?? '', dirname(lock))
  return lockedProblem(lock, about, other?.pid ?? 0)
}

function lockedProblem(lock: string, path: string, pid: number): LockedProblem {
  const since = valueOr(null, () => lstatSync(lock).mtime.toISOString())
  return { code: 'LOCKED', path, folder: dirname(lock), pid, command: commandOf(pid), since }
}

/** Deletes the remnants of a process that was killed while it took over a lock or wrote a journal. */
function removeRemnants(folder: string): void {
  succeeded(() => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      if (isJournalDraft(name)) inFolder(path, it => unlinkSync(it))
      if (!MOVED_LOCK.test(name)) continue
      const holder = parseHolder(linkTarget(path) ?? '', folder)
      if (holder === null || !isAlive(holder)) inFolder(path, it => unlinkSync(it))
    }
  })
}

function createLink(target: string, lock: string): boolean {
  try {
    inFolder(lock, it => symlinkSync(target, it))
    return true
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false
    throw error
  }
}

/** The target of a symlink; null if nothing is at the path, empty for anything else. */
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
  // `process.kill` throws for other numbers.
  if (Number(pid) < 1 || Number(pid) > MAX_PID) return null
  return {
    pid: Number(pid),
    start: start || null,
    boot: boot || null,
    // Relative, because the system may be mounted elsewhere by now.
    journal: resolve(folder, journal),
    kind: kind === 'undo' || kind === 'redo' ? kind : 'change'
  }
}

/** Identifies a process even if its PID is reused. Unknown fields are null. */
interface Holder {
  pid: number
  /** Field 22 of /proc/PID/stat. */
  start: string | null
  boot: string | null
}

/** True if the process still runs, or if that is unknown. */
export function isAlive({ pid, start, boot }: Holder): boolean {
  const current = bootId()
  if (boot !== null && current !== null && boot !== current) return false
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
 * The command line of a vfio-patch process, in one line without control characters. Null if it can't be
 * read, and for other programs, whose arguments may be private.
 */
function commandOf(pid: number): string | null {
  const words = textAt(`/proc/${pid}/cmdline`).split('\0')
  const start = words.findIndex(it => /(^|\/)vfio-patch(\.js)?$/.test(it))
  if (start === -1) return null
  const line = ['vfio-patch', ...words.slice(start + 1)].join(' ').trim()
  return line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?').slice(0, MAX_COMMAND_LENGTH)
}

const MAX_COMMAND_LENGTH = 200

function startOf(pid: number): string | null {
  const stat = textAt(`/proc/${pid}/stat`)
  // The name in field 2 may contain spaces and parentheses.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

function bootId(): string | null {
  return textAt('/proc/sys/kernel/random/boot_id').trim() || null
}
