import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt, isSystemError, tried } from './attempt.ts'
import { writing } from './errno.ts'
import { makeFolder, missingFolders, settleFolder, syncFolder } from './folders.ts'
import { findOpenFolder, type People } from './openFolder.ts'
import type { FileProblem } from './problem.ts'
import { formatManifest, innerPath, MANIFEST, type RunFile } from './run.ts'
import { compareRunIds, runNumber } from './runId.ts'
import { runsFolder } from './stateFolder.ts'
import type { Steps } from './step.ts'
import { writeNewFile } from './tempFile.ts'

/** A run as the one who started it gets to know it. */
export interface NewRun {
  id: string
  folder: string
}

export interface BackupOptions {
  stateFolder: string
  /** Without links; the paths in the manifest are those inside it. */
  root: string
  command: string
  tool: string
  now: Date
  people: People
}

/**
 * Keeps what these steps will replace, and what they are, in a new folder of the state folder; all
 * of it is on the disk when this returns. The folders to be made are `folders`. Problem:
 * BACKUP_FAILED, and then no run is left behind.
 */
export function keepBackup(
  steps: Steps,
  folders: string[],
  options: BackupOptions
): Result<NewRun, FileProblem> {
  const made = makeRunFolder(options)
  if (!made.ok) return err({ code: 'BACKUP_FAILED', path: options.stateFolder, cause: made.error })
  const problem = fillRunFolder(made.value, steps, folders, options)
  if (problem === null) return made
  dropRun(made.value)
  return err({ code: 'BACKUP_FAILED', path: options.stateFolder, cause: problem })
}

/** Takes a run's folder away, as if it had never been; false when something of it is left. */
export function dropRun({ folder }: NewRun): boolean {
  return tried(() => rmSync(folder, { recursive: true, force: true }))
}

function makeRunFolder({ stateFolder, now, people }: BackupOptions): Result<NewRun, FileProblem> {
  const runs = runsFolder(stateFolder)
  for (const folder of missingFolders(runs)) {
    // What root makes above is for everybody: /mnt/var is of the system that is being installed.
    const ours = folder === runs || folder === stateFolder
    const mode = ours || process.geteuid?.() !== 0 ? 0o700 : 0o755
    const problem = makeFolder(folder) ?? settleFolder(folder, mode, false)
    if (problem !== null) return err(problem)
  }
  const open = findOpenFolder(runs, people)
  if (open !== null) return err(open)
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const names = attempt(() => readdirSync(runs), writing(runs))
  if (!names.ok) return names
  const newest = names.value.sort(compareRunIds).at(-1)
  let number = newest === undefined ? 1 : runNumber(newest) + 1
  while (true) {
    const id = `${stamp}-${number}`
    const folder = join(runs, id)
    const made = attempt(() => makeNew(folder), writing(folder))
    if (!made.ok) return made
    if (made.value) return ok({ id, folder })
    number += 1
  }
}

/** False when another process was faster. */
function makeNew(folder: string): boolean {
  try {
    mkdirSync(folder, 0o700)
    return true
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false
    throw error
  }
}

function fillRunFolder(
  { id, folder }: NewRun,
  { writes, deletions }: Steps,
  folders: string[],
  { root, command, tool, now }: BackupOptions
): FileProblem | null {
  const files: RunFile[] = []
  for (const step of [...writes, ...deletions]) {
    const after = 'afterHash' in step ? { sha256: step.afterHash } : null
    const path = innerPath(step.path, root)
    if (step.before === null) {
      files.push({ path, before: null, after })
      continue
    }
    const { bytes, sha256, mode, uid, gid } = step.before
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
    files,
    folders: folders.map(each => innerPath(each, root)),
    temporary: writes
      .flatMap(({ temp, spare }) => (spare === null ? [temp] : [temp, spare]))
      .map(each => innerPath(each, root))
  })
  // Last: a folder without a manifest is no run.
  return (
    writeNewFile(join(folder, MANIFEST), Buffer.from(manifest), null) ??
    syncFolder(folder) ??
    syncFolder(dirname(folder))
  )
}
