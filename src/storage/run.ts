import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { isNumber, isObject, isString, isStrings, parseObject } from './read.ts'
import { isWithin, pathExists, succeeded } from './system.ts'
import { writeNewFile } from './write.ts'

/** One file of a run. */
export interface RunFile {
  /** As the edited system sees it, wherever that was mounted. */
  path: string
  /** The replaced file, kept in the run's folder under the name `copy`; null if the run created it. */
  before: { sha256: string; mode: number; uid: number; gid: number; copy: string } | null
  /** The file that the run left; null if it deleted it. */
  after: { sha256: string } | null
}

/** What a run is for, beyond the changes of its files. Records of earlier versions have none of it. */
export interface Purpose {
  /** The file that the command was called on. The run need not have changed it. */
  target?: string
  /** The ID of the run that this one undoes. */
  undoes?: string
  /** The ID of the undone run that this one redoes. */
  redoes?: string
}

export type RunKind = 'undo' | 'redo' | 'change'

/** The kind of a run, inferred from the command for records of earlier versions. */
export function runKind({ undoes, redoes }: Purpose, command: string): RunKind {
  if (redoes !== undefined) return 'redo'
  return undoes !== undefined || command === 'undo' ? 'undo' : 'change'
}

/** The record of a run, `manifest.json`. */
export interface Manifest extends Purpose {
  /** `20261122-160312-1`: the start in UTC, and a number that grows from run to run. */
  id: string
  tool: string
  command: string
  /** ISO 8601, UTC. */
  started: string
  /**
   * The root folder of the edited system: relative to the state folder if that is in it, because both
   * may be mounted elsewhere later, else absolute.
   */
  root: string
  /** In order: the writes, the last of which is the commit point, then the deletions. */
  files: RunFile[]
  /** The folders that it created, outermost first. */
  folders: string[]
}

/** A run that was read from the disk. Its `root` is absolute. */
export interface Run extends Manifest {
  folder: string
  /** False if it was interrupted: the files show how far it came. */
  done: boolean
  /** True if the user saw its successful end. */
  reported: boolean
}

/** The purpose with `pathOf` applied to its target. */
export function withTarget(purpose: Purpose, pathOf: (path: string) => string): Purpose {
  return purpose.target === undefined ? purpose : { ...purpose, target: pathOf(purpose.target) }
}

export const MANIFEST = 'manifest.json'
export const DONE = 'done'
export const REPORTED = 'reported'
const SCHEMA = 'vfio-patch/run'
const VERSION = 1

/** Turns a path of the edited system into one of this process. */
export function outerPath(path: string, root: string): string {
  return join(root, path)
}

/** The inverse of `outerPath`. A path outside of `root` is returned unchanged. */
export function innerPath(path: string, root: string): string {
  return root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path
}

/** Turns a root folder into the form for manifests in this state folder. Both are without symlinks. */
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

/** Reads a manifest; null if it is damaged or of another version. */
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

/** Reads the purpose from a record. Null if it is invalid: not the ID of a run, or two purposes at once. */
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
  // Only a plain name, so that a manifest can't lead out of its folder.
  return isString(copy) && /^\d+\.before$/.test(copy) ? { sha256, mode, uid, gid, copy } : undefined
}

function parseAfter(value: unknown): RunFile['after'] | undefined {
  if (value === null) return null
  return isObject(value) && isString(value.sha256) ? { sha256: value.sha256 } : undefined
}

const RUN_ID = /^\d{8}-\d{6}-(\d+)$/

/** True for the ID of a run, which is also the name of its folder. */
export function isRunId(name: string): boolean {
  return RUN_ID.test(name)
}

/** The number at the end of a run's ID; 0 for any other text. */
export function runNumber(name: string): number {
  return Number(RUN_ID.exec(name)?.[1] ?? 0)
}

/** Orders run IDs from the oldest to the newest, by number because clocks can go back. */
export function compareRunIds(a: string, b: string): number {
  return runNumber(a) - runNumber(b) || (a < b ? -1 : a > b ? 1 : 0)
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
/** Creates a file that must not exist, without following a symlink. */
const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/**
 * Deletes the folder of a run; false if something is left of it. If interrupted, it leaves a folder
 * without a manifest, which doesn't count as a run.
 */
export function deleteRun(folder: string): boolean {
  return succeeded(() => {
    rmSync(join(folder, MANIFEST), { force: true })
    rmSync(folder, { recursive: true, force: true })
  })
}

/** Marks the run as done in its folder, if that exists. Problem: BACKUP_FAILED. */
export function markDone(folder: string): FileProblem | null {
  const path = join(folder, DONE)
  if (!pathExists(folder) || pathExists(path)) return null
  const cause = writeNewFile(path, new Uint8Array(), null) ?? syncFolder(folder)
  return cause === null ? null : { code: 'BACKUP_FAILED', path, cause }
}

/**
 * Marks the run as reported in its folder, if that exists: the user saw its end. This is the last thing
 * that a run does. If it fails or is lost, the next undo only reports that end again, so a failure needs
 * no handling.
 */
export function markReported(folder: string): void {
  succeeded(() => closeSync(openSync(join(folder, REPORTED), CREATE, 0o600)))
}
