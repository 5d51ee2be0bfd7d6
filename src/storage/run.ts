import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { isNumber, isObject, isString, isStrings, parseObject } from './read.ts'
import { isWithin, pathExists, succeeded } from './system.ts'
import { writeNewFile } from './write.ts'

/** One file of a run. */
export interface RunFile {
  /** Inside the edited system, without the folder that the system was mounted on. */
  path: string
  /** The file before the run; `copy` is its backup in the run's folder. Null if the run created the file. */
  before: { sha256: string; mode: number; uid: number; gid: number; copy: string } | null
  /** The file after the run; null if the run deleted it. */
  after: { sha256: string } | null
}

/** What a run is for. Records of earlier versions have none of these fields. */
export interface Purpose {
  /** The file that the command was called on. The run need not have changed it. */
  target?: string
  /** The ID of the run that this one undoes. */
  undoes?: string
  /** The ID of the undone run that this one redoes. */
  redoes?: string
}

export type RunKind = 'undo' | 'redo' | 'change'

/** The kind of a run. For records of earlier versions it is inferred from the command. */
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
   * The root folder of the edited system. If it contains the state folder, the path is relative to the
   * state folder, because both may be mounted elsewhere later. Otherwise it is absolute.
   */
  root: string
  /** First the writes, then the deletions. The commit point is the last write, else the first deletion. */
  files: RunFile[]
  /** The folders that the run created, outermost first. */
  folders: string[]
}

/** A run that was read from the disk. Its `root` is absolute. */
export interface Run extends Manifest {
  folder: string
  /** False if the run was interrupted. Only its files then show how far it got. */
  done: boolean
  /** True if the user saw that the run succeeded. */
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

/** Turns a path inside the edited system into a path for this process. */
export function outerPath(path: string, root: string): string {
  return join(root, path)
}

/** The inverse of `outerPath`. A path outside of `root` is returned unchanged. */
export function innerPath(path: string, root: string): string {
  return root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path
}

/** Turns a root folder into the form for manifests in this state folder. Both paths are without symlinks. */
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

/** Reads the purpose from a record. Null for an invalid target or run ID, and for `undoes` with `redoes`. */
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
  // Only a plain name: a path could lead out of the run's folder.
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
 * Deletes the folder of a run; false if a part could not be deleted. The manifest is deleted first: without
 * it, the rest doesn't count as a run.
 */
export function deleteRun(folder: string): boolean {
  return succeeded(() => {
    rmSync(join(folder, MANIFEST), { force: true })
    rmSync(folder, { recursive: true, force: true })
  })
}

/** Marks the run as done in its folder, if the folder exists. Problem: BACKUP_FAILED. */
export function markDone(folder: string): FileProblem | null {
  const path = join(folder, DONE)
  if (!pathExists(folder) || pathExists(path)) return null
  const cause = writeNewFile(path, new Uint8Array(), null) ?? syncFolder(folder)
  return cause === null ? null : { code: 'BACKUP_FAILED', path, cause }
}

/**
 * Records in the run's folder, if it exists, that the user saw that the run succeeded. A run does this
 * last. Failures are ignored: without this mark, the next undo only reports the success again.
 */
export function markReported(folder: string): void {
  succeeded(() => closeSync(openSync(join(folder, REPORTED), CREATE, 0o600)))
}
