// The state folder with the runs: its location, its safety, and the backup of a new run.

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

/** What the location of the state folder depends on. */
interface StateFolderFacts {
  /** The root folder of the edited system, `/` for the running one. */
  root: string
  uid: number
  home: string
  env: Record<string, string | undefined>
}

/**
 * The folder for the runs: `$VFIO_PATCH_STATE` if set. Otherwise, for root: `var/lib/vfio-patch` in
 * `root`, so that a system that is being installed contains it. For other users: `vfio-patch` in
 * `$XDG_STATE_HOME`, default `~/.local/state`.
 */
export function stateFolder({ root, uid, home, env }: StateFolderFacts): string {
  if (env.VFIO_PATCH_STATE) return resolve(env.VFIO_PATCH_STATE)
  if (uid === 0) return join(root, 'var/lib/vfio-patch')
  // XDG: a relative path is invalid and ignored.
  const base = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : join(home, '.local/state')
  return join(base, 'vfio-patch')
}

/** The folder with a folder for each run. */
export function runsFolder(state: string): string {
  return join(state, 'runs')
}

const MAX_LINKS = 40
const OVERFLOW_UID = 65534

/**
 * Why it isn't safe to store backups in a state folder or to read them from it; null if it is safe.
 * Missing folders are safe.
 *
 * Anyone who can write to the folder can choose what an undo restores. So the state folder and the folder
 * of the runs must belong to the caller, without permissions for others (NOT_PRIVATE). No untrusted user
 * may be able to replace a parent folder (OPEN_FOLDER) or own a symlink on the path (NOT_PRIVATE). Sticky
 * folders such as /tmp are safe. For root, the sudo caller counts as untrusted. Problems: these, and those
 * of reading.
 */
export function findUnsafeState(stateFolder: string, people: People): FileProblem | null {
  const runs = runsFolder(stateFolder)
  const unsafeParent = findUnsafeParent(stateFolder, people)
  if (unsafeParent !== null) return unsafeParent
  for (const folder of [stateFolder, runs]) {
    if (!pathExists(folder)) return null
    const stats = attempt(() => statSync(folder), reading(folder))
    if (!stats.ok) return stats.error
    const { uid, mode } = stats.value
    if (!stats.value.isDirectory()) return { code: 'NOT_DIRECTORY', path: folder }
    if (uid !== process.geteuid?.() || (mode & 0o077) !== 0)
      return { code: 'NOT_PRIVATE', path: folder, uid, mode: mode & 0o7777 }
  }
  return null
}

/** Checks the parent folders of the path, the symlinks on it, and the parent folders of their targets. */
function findUnsafeParent(path: string, known: People): FileProblem | null {
  const self = process.geteuid?.() ?? -1
  const people = { ...known, trusted: new Set([0, self, ...unmappedRoot()]) }
  let at = '/'
  let pending = pathParts(path)
  let links = 0
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    const stats = attempt(() => statSync(at), reading(at))
    if (!stats.ok) return stats.error
    const { uid, gid, mode } = stats.value
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
    if (links > MAX_LINKS) return { code: 'LINK_LOOP', path, hops: [path] }
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
 * The overflow user if this runs in a user namespace that doesn't map root, such as a build sandbox: there,
 * root's folders appear to belong to that user. Otherwise empty.
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
 * Creates the state folder, private to the caller, if it doesn't exist, and checks its safety. Problem:
 * BACKUP_FAILED.
 */
export function prepareStateFolder(stateFolder: string, people: People): FileProblem | null {
  const cause =
    findUnsafeState(stateFolder, people) ??
    makeStateFolders(stateFolder) ??
    findUnsafeState(stateFolder, people)
  return cause === null ? null : { code: 'BACKUP_FAILED', path: stateFolder, cause }
}

function makeStateFolders(stateFolder: string): FileProblem | null {
  const runs = runsFolder(stateFolder)
  for (const folder of missingFolders(runs)) {
    // Parent folders such as /mnt/var are for all users of the system that root is installing.
    const isPrivate = folder === runs || folder === stateFolder
    const mode = isPrivate || process.geteuid?.() !== 0 ? 0o700 : 0o755
    const makeProblem = makeFolder(folder)
    // Another run created the folder meanwhile; the caller checks its safety.
    if (makeProblem !== null && pathExists(folder)) continue
    const problem = makeProblem ?? settleFolder(folder, mode, false)
    if (problem !== null) return problem
  }
  return null
}

/** The ID and folder of a new run. */
export interface NewRun {
  id: string
  folder: string
}

interface BackupOptions {
  stateFolder: string
  /** Without symlinks; the paths in the manifest are relative to it. */
  root: string
  command: string
  tool: string
  now: Date
  purpose: Purpose
}

/**
 * The ID and folder for a new run. No other run gets them while the caller holds the lock of the state
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
 * Writes the record of these steps, and copies of the files that they replace, to the run's folder. When
 * this returns null, all of it is on the disk. `folders` are the folders that the run will create. Problem:
 * BACKUP_FAILED; the caller then deletes the run's folder.
 */
export function writeBackup(
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
    if (step.existing === null) {
      files.push({ path, before: null, after })
      continue
    }
    const { bytes, sha256, mode, uid, gid } = step.existing
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
  // The manifest comes last: a folder without one doesn't count as a run.
  return (
    writeNewFile(join(folder, MANIFEST), Buffer.from(manifest), null) ??
    syncFolder(folder) ??
    syncFolder(dirname(folder))
  )
}
