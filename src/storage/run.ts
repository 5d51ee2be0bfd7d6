import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { isNumber, isObject, isString, isStrings, parseObject } from './read.ts'
import { isWithin, pathExists, succeeded } from './system.ts'
import { writeNewFile } from './write.ts'

/**
 * One file of a run. The paths of a run are those of the system that was edited, whatever folder it
 * was mounted in.
 */
export interface RunFile {
  path: string
  /**
   * What was there, kept in the run's folder under the name `copy`; null when the run made the
   * file.
   */
  before: { sha256: string; mode: number; uid: number; gid: number; copy: string } | null
  /** What the run left; null when it deleted the file. */
  after: { sha256: string } | null
}

/** What a run is for, as far as its files do not say it; records of earlier versions have none of it. */
export interface Purpose {
  /** The file that the command was called on, which the run need not have changed. */
  target?: string
  /** The run that this one takes back. */
  undoes?: string
  /** The run, taken back before, that this one makes again. */
  redoes?: string
}

/** Whether a run takes another one back, makes it again, or does something of its own. */
export type RunKind = 'undo' | 'redo' | 'change'

/** What kind of run it is; one of an earlier version tells only by its command. */
export function runKind({ undoes, redoes }: Purpose, command: string): RunKind {
  if (redoes !== undefined) return 'redo'
  return undoes !== undefined || command === 'undo' ? 'undo' : 'change'
}

/** What the manifest of a run says: one change of files, as it was planned. */
export interface Manifest extends Purpose {
  /** `20261122-160312-1`: when it started, in UTC, and a number that grows from run to run. */
  id: string
  tool: string
  command: string
  /** ISO 8601, UTC. */
  started: string
  /**
   * The root folder of the system that the paths belong to: relative to the state folder when that
   * lies in it, as both may be mounted elsewhere later, else absolute.
   */
  root: string
  /**
   * In the order of the change: the writes, the last of which is the commit point, and then the
   * deletions.
   */
  files: RunFile[]
  /** The folders that it made, the outermost first. */
  folders: string[]
}

/** A run that was found on the disk. Its `root` is absolute. */
export interface Run extends Manifest {
  /** Its folder. */
  folder: string
  /** False when it was interrupted, so that the files have to tell how far it came. */
  done: boolean
  /** Whether the person saw that it was complete, and nothing went wrong. */
  reported: boolean
}

/** The same purpose, with the path of its target as `pathOf` gives it. */
export function withTarget(purpose: Purpose, pathOf: (path: string) => string): Purpose {
  return purpose.target === undefined ? purpose : { ...purpose, target: pathOf(purpose.target) }
}

export const MANIFEST = 'manifest.json'
export const DONE = 'done'
export const REPORTED = 'reported'
const SCHEMA = 'vfio-patch/run'
const VERSION = 1

/** A path of the edited system as this process sees it, and back. */
export function outerPath(path: string, root: string): string {
  return join(root, path)
}

/** The path below its root folder; one that is not below it stays. The inverse of `outerPath`. */
export function innerPath(path: string, root: string): string {
  return root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path
}

/** A root folder as the manifests in this state folder say it, and back; all without links. */
export function innerRoot(root: string, stateFolder: string): string {
  return isWithin(stateFolder, root) ? relative(stateFolder, root) || '.' : root
}

/** The inverse of `innerRoot`. */
export function outerRoot(root: string, stateFolder: string): string {
  return resolve(stateFolder, root)
}

/** The text of a manifest; `parseManifest` reads it back. */
export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify({ schema: SCHEMA, schemaVersion: VERSION, ...manifest }, null, 2)}\n`
}

/** The manifest in a text; null when it isn't one of this version, or damaged. */
export function parseManifest(text: string): Manifest | null {
  const top = parseObject(text)
  if (top?.schema !== SCHEMA || top.schemaVersion !== VERSION) return null
  const { id, tool, command, started, root, folders } = top
  const files = Array.isArray(top.files) ? top.files.map(parseRunFile) : [null]
  if (!isString(id) || !isString(tool) || !isString(command) || !isString(started)) return null
  if (!isString(root)) return null
  if (!isStrings(folders) || !files.every(file => file !== null)) return null
  const purpose = parsePurpose(top)
  if (purpose === null) return null
  return { id, tool, command, started, root, files, folders, ...purpose }
}

/**
 * The purpose of a run among the fields of its record. Null when they are not what a run writes: a name
 * that is not that of a run, or two purposes at once.
 */
export function parsePurpose({ target, undoes, redoes }: Record<string, unknown>): Purpose | null {
  if (target !== undefined && !isString(target)) return null
  const names = [undoes, redoes].filter(name => name !== undefined)
  if (names.length > 1 || !names.every(name => isString(name) && isRunId(name))) return null
  return {
    ...(isString(target) ? { target } : {}),
    ...(isString(undoes) ? { undoes } : {}),
    ...(isString(redoes) ? { redoes } : {})
  }
}

function parseRunFile(value: unknown): RunFile | null {
  if (!isObject(value) || !isString(value.path)) return null
  const before = parseBefore(value.before)
  const after = parseAfter(value.after)
  if (before === undefined || after === undefined) return null
  return { path: value.path, before, after }
}

function parseBefore(value: unknown): RunFile['before'] | undefined {
  if (value === null) return null
  if (!isObject(value)) return undefined
  const { sha256, mode, uid, gid, copy } = value
  if (!isString(sha256) || !isNumber(mode) || !isNumber(uid) || !isNumber(gid)) return undefined
  // A name, so that a manifest can't lead out of its folder.
  return isString(copy) && /^\d+\.before$/.test(copy) ? { sha256, mode, uid, gid, copy } : undefined
}

function parseAfter(value: unknown): RunFile['after'] | undefined {
  if (value === null) return null
  return isObject(value) && isString(value.sha256) ? { sha256: value.sha256 } : undefined
}

const FORM = /^\d{8}-\d{6}-(\d+)$/

/** Whether the name of a folder is that of a run. */
export function isRunId(name: string): boolean {
  return FORM.test(name)
}

/** The number at the end of a run's name; 0 for any other name. */
export function runNumber(name: string): number {
  return Number(FORM.exec(name)?.[1] ?? 0)
}

/** Orders runs from the oldest to the newest: by number, as clocks go back. */
export function compareRunIds(a: string, b: string): number {
  return runNumber(a) - runNumber(b) || (a < b ? -1 : a > b ? 1 : 0)
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
/** Makes a file that is not there yet, and follows no link. */
const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/**
 * Takes a run's folder away, as if it had never been; false when something of it is left. Stopped
 * in the middle, it leaves a folder without a manifest, which is no run.
 */
export function dropRun(folder: string): boolean {
  return succeeded(() => {
    rmSync(join(folder, MANIFEST), { force: true })
    rmSync(folder, { recursive: true, force: true })
  })
}

/** Says in the run's folder, if it is there, that the run came to its end. Problem: BACKUP_FAILED. */
export function markDone(folder: string): FileProblem | null {
  const path = join(folder, DONE)
  if (!pathExists(folder) || pathExists(path)) return null
  const cause = writeNewFile(path, new Uint8Array(), null) ?? syncFolder(folder)
  return cause === null ? null : { code: 'BACKUP_FAILED', path, cause }
}

/**
 * Notes in the run's folder, if it exists, that the person saw the end of the run. The one call that makes
 * the file is the last thing that a run does. If it fails or gets lost, the next undo reports that end
 * again and does nothing else, so a failure needs no handling.
 */
export function markReported(folder: string): void {
  succeeded(() => closeSync(openSync(join(folder, REPORTED), CREATE, 0o600)))
}
