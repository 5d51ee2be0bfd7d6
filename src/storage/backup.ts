import { mkdirSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import type { People } from './access.ts'
import { makeFolder, missingFolders, settleFolder, syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import {
  compareRunIds,
  findUnsafeState,
  formatManifest,
  innerPath,
  innerRoot,
  MANIFEST,
  type Purpose,
  type RunFile,
  runNumber,
  runsFolder
} from './run.ts'
import { attempt, pathExists, problemIn, reading, writing } from './system.ts'
import type { Step } from './work.ts'
import { writeNewFile } from './write.ts'

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
    ...purpose,
    ...(purpose.target === undefined ? {} : { target: innerPath(purpose.target, root) })
  })
  // Last: a folder without a manifest is no run.
  return (
    writeNewFile(join(folder, MANIFEST), Buffer.from(manifest), null) ??
    syncFolder(folder) ??
    syncFolder(dirname(folder))
  )
}
