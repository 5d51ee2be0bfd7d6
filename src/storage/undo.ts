import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { accountOf, callersOf } from './access.ts'
import { concerns } from './history.ts'
import type { FileProblem } from './problem.ts'
import { readSnapshot, stateHash } from './read.ts'
import { compareRunIds, isRunId, MANIFEST, outerPath, parseManifest, type Run } from './run.ts'
import { historyOf, readCopy, toRun } from './runs.ts'
import { runsFolder, stateFolder } from './stateFolder.ts'
import { pathExists, valueOr } from './system.ts'
import type { FileChange } from './work.ts'

/**
 * The changes that take a run back, for `commit`: files that it changed or deleted get their bytes
 * again, files that it made go, and the folders that it made, once empty. A file that is already as
 * before the run is left out. Nothing is written here.
 * Problems: EDITED_SINCE (all or nothing: the first such file), BACKUP_DAMAGED, those of reading
 * the files.
 */
export function planUndo(run: Run): Result<FileChange[], FileProblem> {
  const emptied = run.folders.map(folder => outerPath(folder, run.root))
  const changes: FileChange[] = []
  let edited: FileProblem | null = null
  for (const { path, before, after } of run.files) {
    const realpath = outerPath(path, run.root)
    const read = readSnapshot(realpath)
    if (!read.ok) return read
    const now = stateHash(read.value)
    const kept = before === null ? ok(null) : readCopy(run, before)
    if (!kept.ok) return kept
    if (now === stateHash(before)) continue
    if (now !== stateHash(after))
      edited ??= { code: 'EDITED_SINCE', path: realpath, run: run.id, found: now }
    const like = before === null ? {} : { like: before }
    const found = now === null ? null : { sha256: now }
    changes.push({ realpath, before: found, after: kept.value, emptied, ...like })
  }
  if (edited !== null) return err(edited)
  // As in any change a file comes before the one that imports it, and goes after it. What a run
  // made or deleted is undone from its last to its first; what it changed keeps the order, in which
  // the configuration is the last.
  const missing = changes.filter(({ before }) => before === null)
  const present = changes.filter(({ before }) => before !== null)
  return ok([
    ...missing.reverse(),
    ...present.filter(({ after }) => after !== null),
    ...present.filter(({ after }) => after === null).reverse()
  ])
}

/** An account that has runs of its own, which this process does not undo. */
export interface OtherAccount {
  name: string
  uid: number
  stateFolder: string
}

/** Far more than any record takes, and any number of runs that are kept for a few files. */
const LARGEST_RECORD = 2 ** 20
const MOST_RECORDS = 200

/**
 * For root the user who called sudo or doas, for others root; null where there is none, or where it has
 * no folder for runs. Whether that folder can be looked into is another matter.
 */
export function findOtherAccount(facts: {
  root: string
  uid: number
  env: NodeJS.ProcessEnv
  passwd: string
}): OtherAccount | null {
  const { root, uid, env, passwd } = facts
  const candidates = uid === 0 ? callersOf(env, passwd).filter(each => each !== 0) : [0]
  for (const other of candidates) {
    const account = other === 0 ? { name: 'root', home: '/root' } : accountOf(other, passwd)
    if (account === null) continue
    // What this process has in its environment is not the other's.
    const folder = stateFolder({ root, uid: other, home: account.home, env: {} })
    if (pathExists(folder)) return { name: account.name, uid: other, stateFolder: folder }
  }
  return null
}

/**
 * The names of the runs of another account that are in effect, the newest first: those that changed the
 * file at `realpath`, or all of the system in `root` (without links) where it is null. Null where they
 * can't be looked at. Nothing is believed that does not belong to that account, so that its links lead to
 * nobody else's files, and nothing is returned but names of runs.
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
  const runs = ids.slice(0, MOST_RECORDS).flatMap(id => recordOf(uid, folder, id, state) ?? [])
  // Those that are done: of others the files would have to be read, wherever these records say they are.
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
  const read = readSnapshot(path, LARGEST_RECORD)
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
