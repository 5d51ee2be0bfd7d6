import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { syncFolder } from './folders.ts'
import type { FileProblem } from './problem.ts'
import { isObject, isString, parseObject, readSnapshot } from './read.ts'
import { isRunId, type Purpose, parsePurpose, withTarget } from './run.ts'
import { pathExists, problemIn, writing } from './system.ts'
import type { Work, WorkFile } from './work.ts'
import { isTemporaryName, removeFile, renameInFolder, writeNewFile } from './write.ts'

/**
 * What a run is about to do. The journal is on the disk before the run touches anything else, and is
 * deleted at the end of the run. It is in the folder of the commit point. Its paths are relative to that
 * folder, so they are valid wherever the system is mounted.
 */
interface Journal {
  command: string
  /** ISO 8601, UTC. */
  started: string
  /** The folders that the run locks. */
  locked: string[]
  work: Work
  purpose?: Purpose
}

/** A journal that was read from the disk. */
export interface FoundJournal extends Journal {
  /** The owner of the file. */
  uid: number
}

const JOURNAL = '.vfio-patch.journal'
const DRAFT = `${JOURNAL}.new`
const SCHEMA = 'vfio-patch/journal'
const VERSION = 1

/** Far more than a run that changes every file of a configuration needs. */
const MAX_BYTES = 16 * 1024 * 1024

/** The path of the journal in a folder, whether it exists or not. */
export function journalPath(folder: string): string {
  return join(folder, JOURNAL)
}

/** True for the name of a journal that isn't completely written. */
export function isJournalDraft(name: string): boolean {
  return name === DRAFT
}

/**
 * Writes the journal to the folder, whose lock the caller holds. When this returns null, the journal is on
 * the disk. `about` is the path to name in problems. After a problem the caller deletes the `journalFiles`.
 */
export function writeJournal(journal: Journal, folder: string, about: string): FileProblem | null {
  const draft = join(folder, DRAFT)
  const bytes = Buffer.from(formatJournal(journal, folder))
  const problem = writeNewFile(draft, bytes, null, { about })
  if (problem !== null) return problem
  return (
    problemIn(() => renameInFolder(draft, journalPath(folder)), writing(about)) ??
    syncFolder(folder)
  )
}

/** The existing files of a journal in a folder, complete or not. */
export function journalFiles(folder: string): string[] {
  return [journalPath(folder), join(folder, DRAFT)].filter(pathExists)
}

/** Deletes the journal. When this returns null, the deletion is on the disk. */
export function removeJournal(folder: string): FileProblem | null {
  const draft = join(folder, DRAFT)
  const draftProblem = pathExists(draft) ? removeFile(draft) : null
  return draftProblem ?? removeFile(journalPath(folder)) ?? syncFolder(folder)
}

/**
 * Reads the journal in a folder; null if it doesn't exist. Problems: INTERRUPTED with OTHERS if the caller
 * may not read it; INTERRUPTED with DAMAGED if it isn't a valid journal (also for symlinks, pipes, folders,
 * files with hard links and files that are too big); those of `readSnapshot`.
 */
export function readJournal(folder: string): Result<FoundJournal | null, FileProblem> {
  const path = journalPath(folder)
  const read = readSnapshot(path, MAX_BYTES)
  const interrupted = { code: 'INTERRUPTED', path, journal: path, started: null } as const
  if (!read.ok && read.error.code === 'NOT_READABLE') return err({ ...interrupted, why: 'OTHERS' })
  if (!read.ok && isNotAFile(read.error)) return err({ ...interrupted, why: 'DAMAGED' })
  if (!read.ok) return read
  if (read.value === null) return ok(null)
  const { bytes, uid, links } = read.value
  // With a second hard link it may be the journal of another folder.
  const journal = links === 1 ? parseJournal(Buffer.from(bytes).toString(), folder) : null
  return journal === null ? err({ ...interrupted, why: 'DAMAGED' }) : ok({ ...journal, uid })
}

function isNotAFile(problem: FileProblem): boolean {
  return ['NOT_REGULAR', 'IS_DIRECTORY', 'TOO_BIG'].includes(problem.code)
}

function formatJournal(
  { command, started, locked, work, purpose = {} }: Journal,
  folder: string
): string {
  const inner = (path: string) => relative(folder, path) || '.'
  const innerOrNull = (path: string | null) => (path === null ? null : inner(path))
  const value = {
    schema: SCHEMA,
    schemaVersion: VERSION,
    command,
    started,
    locked: locked.map(inner),
    files: work.files.map(({ path, before, after, temp, spare }) => ({
      path: inner(path),
      before,
      after,
      temp: innerOrNull(temp),
      spare: innerOrNull(spare)
    })),
    folders: work.folders.map(inner),
    emptied: work.emptied.map(inner),
    run: innerOrNull(work.run),
    ...withTarget(purpose, inner)
  }
  return `${JSON.stringify(value, null, 2)}\n`
}

function parseJournal(text: string, folder: string): Journal | null {
  const top = parseObject(text)
  if (top?.schema !== SCHEMA || top.schemaVersion !== VERSION) return null
  const { command, started, locked, folders, emptied, run } = top
  if (!isString(command) || /[\p{Cc}\p{Cf}]/u.test(command) || !isTime(started)) return null
  if (!isPaths(locked) || !isPaths(folders) || !isPaths(emptied)) return null
  if (run !== null && !isPath(run)) return null
  const files = Array.isArray(top.files) ? top.files.map(file => parseWorkFile(file, folder)) : []
  if (files.length === 0 || !files.every(file => file !== null)) return null
  const outer = (path: string) => resolve(folder, path)
  const runFolder = run === null ? null : outer(run)
  if (runFolder !== null && !isRunId(basename(runFolder))) return null
  const purpose = parsePurpose(top)
  if (purpose === null) return null
  return {
    command,
    started,
    locked: locked.map(outer),
    work: { files, folders: folders.map(outer), emptied: emptied.map(outer), run: runFolder },
    // The target is only compared with other paths; its file is not touched.
    purpose: withTarget(purpose, outer)
  }
}

function parseWorkFile(value: unknown, folder: string): WorkFile | null {
  if (!isObject(value) || !isPath(value.path)) return null
  const path = resolve(folder, value.path)
  const { before, after, temp, spare } = value
  if (!isHashOrNull(before) || !isHashOrNull(after) || before === after) return null
  if (!isPathOrNull(temp) || !isPathOrNull(spare)) return null
  const names = [temp, spare].map(name => (name === null ? null : resolve(folder, name)))
  // A journal must not cause other files to be moved or deleted.
  if (names.some(name => name !== null && !isTemporaryFor(name, path))) return null
  const [outerTemp = null, outerSpare = null] = names
  return { path, before, after, temp: outerTemp, spare: outerSpare }
}

function isTemporaryFor(name: string, path: string): boolean {
  return dirname(name) === dirname(path) && isTemporaryName(basename(name), basename(path))
}

/** A relative path without null bytes, which system calls reject. */
function isPath(value: unknown): value is string {
  return isString(value) && value !== '' && !isAbsolute(value) && !value.includes('\0')
}

function isPathOrNull(value: unknown): value is string | null {
  return value === null || isPath(value)
}

function isPaths(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isPath)
}

function isHashOrNull(value: unknown): value is string | null {
  return value === null || (isString(value) && /^[0-9a-f]{64}$/.test(value))
}

/** True only for the format of `toISOString`. `Date.parse` alone is not strict enough: it ignores text in parentheses. */
function isTime(value: unknown): value is string {
  return isString(value) && /^\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{3}Z$/.test(value)
}
