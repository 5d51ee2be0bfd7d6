import { isAbsolute, join, relative, resolve } from 'node:path'
import { isNumber, isObject, isString, isStrings, parseObject } from './json.ts'
import { isRunId } from './runId.ts'

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
export function kindOf({ undoes, redoes }: Purpose, command: string): RunKind {
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
  /** Whether the person was told that it came to its end, and that nothing went wrong. */
  reported: boolean
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
  const inside = relative(root, stateFolder)
  const isOutside = inside === '..' || inside.startsWith('../') || isAbsolute(inside)
  return isOutside ? root : relative(stateFolder, root) || '.'
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
  const files = Array.isArray(top.files) ? top.files.map(parseFile) : [null]
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

function parseFile(value: unknown): RunFile | null {
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
