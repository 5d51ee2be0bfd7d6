import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt, isSystemError, tried } from './attempt.ts'
import { writing } from './errno.ts'
import { sha256 } from './hash.ts'
import type { FileProblem } from './problem.ts'
import { writeNewFile } from './tempFile.ts'

/**
 * Where the locks are: a place that is empty after a start of the machine. `/run/vfio-patch` for
 * root, `$XDG_RUNTIME_DIR/vfio-patch` for others, `locks` in the state folder where there is none.
 */
export function lockFolder(facts: {
  uid: number
  env: Record<string, string | undefined>
  stateFolder: string
}): string {
  if (facts.uid === 0) return '/run/vfio-patch'
  const runtime = facts.env.XDG_RUNTIME_DIR
  return runtime?.startsWith('/') ? join(runtime, 'vfio-patch') : join(facts.stateFolder, 'locks')
}

/**
 * A process, told from a later one with the same number by when it started; null where that can't
 * be known.
 */
interface Holder {
  pid: number
  start: string | null
}

/**
 * Takes the lock of each of these files, or none. The value gives them back. A lock whose process
 * is gone is taken over.
 * Problems: LOCKED, and those of writing to `folder`, which is made if need be.
 */
export function takeLocks(paths: string[], folder: string): Result<() => void, FileProblem> {
  const taken: string[] = []
  const release = () => {
    for (const lock of taken) tried(() => rmSync(lock, { force: true }))
  }
  for (const path of paths) {
    const lock = takeLock(path, folder)
    if (!lock.ok) {
      release()
      return lock
    }
    taken.push(lock.value)
  }
  return ok(release)
}

function takeLock(path: string, folder: string): Result<string, FileProblem> {
  const lock = join(folder, `${sha256(Buffer.from(path))}.lock`)
  const mine = `${lock}.${randomBytes(6).toString('hex')}`
  const made = attempt(() => mkdirSync(folder, { recursive: true, mode: 0o700 }), writing(folder))
  if (!made.ok) return made
  const holder: Holder = { pid: process.pid, start: startOf(process.pid) }
  const written = writeNewFile(mine, Buffer.from(JSON.stringify(holder)), null)
  const taken =
    written !== null ? err(written) : attempt(() => claim(mine, lock, path), writing(lock))
  tried(() => rmSync(mine, { force: true }))
  if (!taken.ok) return taken
  return taken.value === null ? ok(lock) : err(taken.value)
}

/** A link appears with its content at once, so that no other process ever reads an empty lock. */
function claim(mine: string, lock: string, path: string): FileProblem | null {
  if (linked(mine, lock)) return null
  const text = textOf(lock)
  const holder = text === null ? null : parseHolder(text)
  if (holder !== null && isAlive(holder)) return { code: 'LOCKED', path, pid: holder.pid }
  const aside = `${mine}.stale`
  if (text !== null) {
    renameSync(lock, aside)
    const moved = textOf(aside)
    // Another process took the stale lock over between the look and the rename: this is its lock.
    const robbed = moved === text ? null : parseHolder(moved ?? '')
    if (robbed !== null) linked(aside, lock)
    rmSync(aside, { force: true })
    if (robbed !== null) return { code: 'LOCKED', path, pid: robbed.pid }
  }
  if (linked(mine, lock)) return null
  return { code: 'LOCKED', path, pid: parseHolder(textOf(lock) ?? '')?.pid ?? 0 }
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false
    throw error
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return null
    throw error
  }
}

function parseHolder(text: string): Holder | null {
  const match = /^\{"pid":(\d+),"start":(?:"(\d+)"|null)\}$/.exec(text)
  return match === null ? null : { pid: Number(match[1]), start: match[2] ?? null }
}

function isAlive({ pid, start }: Holder): boolean {
  const now = startOf(pid)
  if (now !== null) return start === null || start === now
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM'
  }
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets. */
function startOf(pid: number): string | null {
  let stat = ''
  tried(() => {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  })
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
