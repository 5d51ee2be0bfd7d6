import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { accountOf } from './accounts.ts'
import { tried } from './attempt.ts'
import { isThere } from './exists.ts'
import { concerns } from './history.ts'
import { callersOf } from './openFolder.ts'
import { MANIFEST, parseManifest, type Run } from './run.ts'
import { compareRunIds, isRunId } from './runId.ts'
import { historyOf, runOf } from './runs.ts'
import { readSnapshot } from './snapshot.ts'
import { runsFolder, stateFolder } from './stateFolder.ts'

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
    if (isThere(folder)) return { name: account.name, uid: other, stateFolder: folder }
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
  let names: string[] | null = null
  tried(() => {
    if (isFolderOf(uid, state) && isFolderOf(uid, folder)) names = readdirSync(folder)
  })
  if (names === null) return null
  const ids = (names as string[]).filter(isRunId).sort(compareRunIds).reverse()
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
  let size = 0
  tried(() => {
    size = lstatSync(path).size
  })
  const read = size <= LARGEST_RECORD ? readSnapshot(path) : null
  if (!read?.ok || read.value?.uid !== uid) return null
  const manifest = parseManifest(Buffer.from(read.value.bytes).toString())
  if (manifest?.id !== id) return null
  return runOf(manifest, inside, state)
}

function isFolderOf(uid: number, path: string): boolean {
  let isOwn = false
  tried(() => {
    const stat = lstatSync(path)
    isOwn = stat.isDirectory() && stat.uid === uid
  })
  return isOwn
}
