// The folder that keeps the runs: where it is, whether it is safe, and what a new run keeps in it.

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { isOpen, type People } from './access.ts'
import { makeFolder, missingFolders, settleFolder, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import {
  compareRunIds,
  formatManifest,
  innerPath,
  innerRoot,
  MANIFEST,
  type Purpose,
  type RunFile,
  runNumber,
  withTarget
} from './run.ts'
import { attempt, pathExists, pathParts, problemIn, reading, valueOr, writing } from './system.ts'
import type { Step } from './work.ts'
import { writeNewFile } from './write.ts'

/** What the place of the state folder depends on. */
interface StateFolderFacts {
  /** The root of the system that is edited, `/` for the running one. */
  root: string
  uid: number
  home: string
  env: Record<string, string | undefined>
}

/**
 * The folder that keeps the runs: `$VFIO_PATCH_STATE` when set; for root `var/lib/vfio-patch` in
 * the root, so that it goes along with a system that is being installed; for others `vfio-patch` in
 * `$XDG_STATE_HOME`, by default `~/.local/state`.
 */
export function stateFolder({ root, uid, home, env }: StateFolderFacts): string {
  if (env.VFIO_PATCH_STATE) return resolve(env.VFIO_PATCH_STATE)
  if (uid === 0) return join(root, 'var/lib/vfio-patch')
  // The XDG rules: a relative path is invalid and counts as none.
  const base = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : join(home, '.local/state')
  return join(base, 'vfio-patch')
}

/** The folder with one folder for each run. */
export function runsFolder(state: string): string {
  return join(state, 'runs')
}

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
    if (!pathExists(folder)) return null
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
  let pending = pathParts(path)
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
    if (!pathExists(next)) return null
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
    pending = [...pathParts(target.value), ...pending]
  }
  return null
}

/**
 * In a user namespace that does not map root, such as a build sandbox, root's folders appear to belong to
 * the overflow user.
 */
function unmappedRoot(): number[] {
  const map = valueOr('0 0 1', () => readFileSync('/proc/self/uid_map').toString())
  const ranges = map
    .trim()
    .split('\n')
    .map(line => line.trim().split(/ +/).map(Number))
  const isMapped = ranges.some(([, outside = 0]) => outside === 0)
  return isMapped ? [] : [OVERFLOW_UID]
}

/**
 * Makes the state folder, private to the caller, where it doesn't exist, and sees whether it is
 * safe. Problem: BACKUP_FAILED.
 */
export function readyStateFolder(stateFolder: string, people: People): FileProblem | null {
  const cause =
    findUnsafeState(stateFolder, people) ??
    makeStateFolders(stateFolder) ??
    findUnsafeState(stateFolder, people)
  return cause === null ? null : { code: 'BACKUP_FAILED', path: stateFolder, cause }
}

function makeStateFolders(stateFolder: string): FileProblem | null {
  const runs = runsFolder(stateFolder)
  for (const folder of missingFolders(runs)) {
    // What root makes above is for everybody: /mnt/var is of the system that is being installed.
    const ours = folder === runs || folder === stateFolder
    const mode = ours || process.geteuid?.() !== 0 ? 0o700 : 0o755
    const unmade = makeFolder(folder)
    // Another run made it in between; what it is, is looked at below.
    if (unmade !== null && pathExists(folder)) continue
    const problem = unmade ?? settleFolder(folder, mode, false)
    if (problem !== null) return problem
  }
  return null
}

/** A run as the one who started it gets to know it. */
export interface NewRun {
  id: string
  folder: string
}

interface BackupOptions {
  stateFolder: string
  /** Without links; the paths in the manifest are those inside it. */
  root: string
  command: string
  tool: string
  now: Date
  purpose: Purpose
}

/**
 * The name and folder for a new run. It stays free while the caller holds the lock of the state
 * folder. Problem: BACKUP_FAILED.
 */
export function nameRun(stateFolder: string, now: Date): Result<NewRun, FileProblem> {
  const runs = runsFolder(stateFolder)
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const names = attempt(() => readdirSync(runs), reading(runs))
  if (!names.ok) return err({ code: 'BACKUP_FAILED', path: stateFolder, cause: names.error })
  const newest = names.value.sort(compareRunIds).at(-1)
  const number = newest === undefined ? 1 : runNumber(newest) + 1
  const id = `${stamp}-${number}`
  return ok({ id, folder: join(runs, id) })
}

/**
 * Keeps what these steps will replace, and what they are, in the run's folder; all of it is on the
 * disk when this returns null. The folders to be made are `folders`. Problem: BACKUP_FAILED, and
 * then the caller takes the run's folder away.
 */
export function keepBackup(
  run: NewRun,
  steps: readonly Step[],
  folders: string[],
  options: BackupOptions
): FileProblem | null {
  const cause =
    problemIn(() => mkdirSync(run.folder, 0o700), writing(run.folder)) ??
    fillRunFolder(run, steps, folders, options)
  return cause === null ? null : { code: 'BACKUP_FAILED', path: options.stateFolder, cause }
}

function fillRunFolder(
  { id, folder }: NewRun,
  steps: readonly Step[],
  folders: string[],
  { stateFolder, root, command, tool, now, purpose }: BackupOptions
): FileProblem | null {
  const state = attempt(() => realpathSync(stateFolder), reading(stateFolder))
  if (!state.ok) return state.error
  const files: RunFile[] = []
  for (const step of steps) {
    const after = step.after === null ? null : { sha256: step.after }
    const path = innerPath(step.path, root)
    if (step.old === null) {
      files.push({ path, before: null, after })
      continue
    }
    const { bytes, sha256, mode, uid, gid } = step.old
    const copy = `${files.length + 1}.before`
    files.push({ path, before: { sha256, mode, uid, gid, copy }, after })
    const problem = writeNewFile(join(folder, copy), bytes, null)
    if (problem !== null) return problem
  }
  const manifest = formatManifest({
    id,
    tool,
    command,
    started: now.toISOString(),
    root: innerRoot(root, state.value),
    files,
    folders: folders.map(each => innerPath(each, root)),
    ...withTarget(purpose, target => innerPath(target, root))
  })
  // Last: a folder without a manifest is no run.
  return (
    writeNewFile(join(folder, MANIFEST), Buffer.from(manifest), null) ??
    syncFolder(folder) ??
    syncFolder(dirname(folder))
  )
}
