import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { accountOf, sudoCallers } from './access.ts'
import { concerns } from './history.ts'
import type { FileProblem } from './problem.ts'
import { readSnapshot, stateHash } from './read.ts'
import { compareRunIds, isRunId, MANIFEST, outerPath, parseManifest, type Run } from './run.ts'
import { historyOf, readCopy, toRun } from './runs.ts'
import { runsFolder, stateFolder } from './stateFolder.ts'
import { pathExists, valueOr } from './system.ts'
import type { FileChange } from './work.ts'

/**
 * The changes that undo a run, for `commit`. They restore the files that the run changed or deleted, and
 * delete the files and empty folders that it created. Files that are already as before the run are
 * omitted. Writes nothing.
 * Problems: EDITED_SINCE (names the first edited file; one is enough to refuse the undo), BACKUP_DAMAGED,
 * those of reading the files.
 */
export function planUndo(run: Run): Result<FileChange[], FileProblem> {
  const emptied = run.folders.map(folder => outerPath(folder, run.root))
  const changes: FileChange[] = []
  let edited: FileProblem | null = null
  for (const { path, before, after } of run.files) {
    const realpath = outerPath(path, run.root)
    const read = readSnapshot(realpath)
    if (!read.ok) return read
    const current = stateHash(read.value)
    const backup = before === null ? ok(null) : readCopy(run, before)
    if (!backup.ok) return backup
    if (current === stateHash(before)) continue
    if (current !== stateHash(after))
      edited ??= { code: 'EDITED_SINCE', path: realpath, run: run.id, found: current }
    const ownershipFrom = before === null ? {} : { ownershipFrom: before }
    const found = current === null ? null : { sha256: current }
    changes.push({ realpath, before: found, after: backup.value, emptied, ...ownershipFrom })
  }
  if (edited !== null) return err(edited)
  // A file must be created before the file that imports it, and deleted after that file. So creations and
  // deletions are undone in reverse order. Changed files keep their order: the configuration is the last.
  const missing = changes.filter(({ before }) => before === null)
  const present = changes.filter(({ before }) => before !== null)
  return ok([
    ...missing.reverse(),
    ...present.filter(({ after }) => after !== null),
    ...present.filter(({ after }) => after === null).reverse()
  ])
}

/** Another account with runs, which this process doesn't undo. */
export interface OtherAccount {
  name: string
  uid: number
  stateFolder: string
}

/** Upper limits: a record is far smaller, and fewer runs are kept for the files of a configuration. */
const MAX_RECORD_BYTES = 2 ** 20
const MAX_RECORDS = 200

/**
 * For root, the user who called sudo or doas; for other users, root. Null if that account doesn't exist or
 * has no state folder. The state folder need not be readable.
 */
export function findOtherAccount(facts: {
  root: string
  uid: number
  env: NodeJS.ProcessEnv
  passwd: string
}): OtherAccount | null {
  const { root, uid, env, passwd } = facts
  const candidates = uid === 0 ? sudoCallers(env, passwd).filter(each => each !== 0) : [0]
  for (const other of candidates) {
    const account = other === 0 ? { name: 'root', home: '/root' } : accountOf(other, passwd)
    if (account === null) continue
    // The environment of this process doesn't apply to the other account.
    const folder = stateFolder({ root, uid: other, home: account.home, env: {} })
    if (pathExists(folder)) return { name: account.name, uid: other, stateFolder: folder }
  }
  return null
}

/**
 * The IDs of another account's runs that are in effect, newest first: the runs for the file at `realpath`
 * or, if that is null, all runs for the system in `root` (without symlinks). Null if the runs can't be read.
 * Files and folders that don't belong to the account are ignored, so that its symlinks can't lead to other
 * users' files.
 */
export function runsOfOther(
  { uid, stateFolder: state }: OtherAccount,
  realpath: string | null,
  root: string
): string[] | null {
  const folder = runsFolder(state)
  if (!isFolderOf(uid, state) || !isFolderOf(uid, folder)) return null
  const names = valueOr(null, () => readdirSync(folder))
  if (names === null) return null
  const ids = names.filter(isRunId).sort(compareRunIds).reverse()
  const runs = ids.slice(0, MAX_RECORDS).flatMap(id => recordOf(uid, folder, id, state) ?? [])
  // Only completed runs: to judge an interrupted run, the files listed in its record would have to be read.
  const { applied } = historyOf(runs.filter(run => run.root === root && run.done))
  return applied
    .filter(run => realpath === null || concerns(run, realpath))
    .map(({ id }) => id)
    .sort(compareRunIds)
    .reverse()
}

function recordOf(uid: number, folder: string, id: string, state: string): Run | null {
  const inside = join(folder, id)
  const path = join(inside, MANIFEST)
  if (!isFolderOf(uid, inside)) return null
  const read = readSnapshot(path, MAX_RECORD_BYTES)
  if (!read.ok || read.value?.uid !== uid) return null
  const manifest = parseManifest(Buffer.from(read.value.bytes).toString())
  if (manifest?.id !== id) return null
  return toRun(manifest, inside, state)
}

function isFolderOf(uid: number, path: string): boolean {
  return valueOr(false, () => {
    const stat = lstatSync(path)
    return stat.isDirectory() && stat.uid === uid
  })
}
