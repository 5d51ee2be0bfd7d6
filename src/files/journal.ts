import { basename, dirname, join, relative, resolve } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { attempt } from './attempt.ts'
import { writing } from './errno.ts'
import { isThere } from './exists.ts'
import { syncFolder } from './folders.ts'
import { isObject, isString, isStrings, parseObject } from './json.ts'
import type { FileProblem } from './problem.ts'
import { removeFile, renameBeside } from './remove.ts'
import { isRunId } from './runId.ts'
import { readSnapshot } from './snapshot.ts'
import { isTemporaryName, writeNewFile } from './tempFile.ts'
import type { Work, WorkFile } from './work.ts'

/**
 * What a run is about to do, on the disk before it touches anything else, and gone when all is
 * done. It lies in the folder of the file whose rename decides, and its paths are relative to that
 * folder, so that it holds under any root.
 */
export interface Journal {
  command: string
  /** ISO 8601, UTC. */
  started: string
  /** The folders that it locked. */
  locked: string[]
  work: Work
}

/** A journal that was found, and whose it is. */
export interface FoundJournal extends Journal {
  uid: number
}

const JOURNAL = '.vfio-patch.journal'
const DRAFT = `${JOURNAL}.new`
const SCHEMA = 'vfio-patch/journal'
const VERSION = 1

/** Where the journal of a folder lies, whether there is one or not. */
export function journalPath(folder: string): string {
  return join(folder, JOURNAL)
}

/** Whether a name is that of a journal that is not written to its end. */
export function isJournalDraft(name: string): boolean {
  return name === DRAFT
}

/**
 * Puts the journal into the folder, whose lock the caller holds; it is on the disk when this
 * returns null. On a problem, which names `about`, the caller takes away what there is of it.
 */
export function writeJournal(journal: Journal, folder: string, about: string): FileProblem | null {
  const draft = join(folder, DRAFT)
  const bytes = Buffer.from(format(journal, folder))
  const unwritten = writeNewFile(draft, bytes, null, { about })
  if (unwritten !== null) return unwritten
  const renamed = attempt(() => renameBeside(draft, journalPath(folder)), writing(about))
  return renamed.ok ? syncFolder(folder) : renamed.error
}

/** Takes the journal away, for good when this returns null. */
export function removeJournal(folder: string): FileProblem | null {
  const draft = join(folder, DRAFT)
  const undrafted = isThere(draft) ? removeFile(draft) : null
  return undrafted ?? removeFile(journalPath(folder)) ?? syncFolder(folder)
}

/**
 * The journal in a folder; null when there is none. Problems: INTERRUPTED with DAMAGED for a file
 * that is none, and with OTHERS when it can't be read; those of `readSnapshot`.
 */
export function readJournal(folder: string): Result<FoundJournal | null, FileProblem> {
  const path = journalPath(folder)
  const read = readSnapshot(path)
  if (!read.ok && read.error.code === 'NOT_READABLE')
    return err({ code: 'INTERRUPTED', path, why: 'OTHERS', journal: path, started: null })
  if (!read.ok) return read
  if (read.value === null) return ok(null)
  const { bytes, uid } = read.value
  const journal = parse(Buffer.from(bytes).toString(), folder)
  return journal === null
    ? err({ code: 'INTERRUPTED', path, why: 'DAMAGED', journal: path, started: null })
    : ok({ ...journal, uid })
}

function format({ command, started, locked, work }: Journal, folder: string): string {
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
    run: innerOrNull(work.run)
  }
  return `${JSON.stringify(value, null, 2)}\n`
}

function parse(text: string, folder: string): Journal | null {
  const top = parseObject(text)
  if (top?.schema !== SCHEMA || top.schemaVersion !== VERSION) return null
  const { command, started, locked, folders, emptied, run } = top
  if (!isString(command) || !isString(started) || Number.isNaN(Date.parse(started))) return null
  if (!isStrings(locked) || !isStrings(folders) || !isStrings(emptied)) return null
  if (run !== null && !isString(run)) return null
  const files = Array.isArray(top.files) ? top.files.map(file => parseFile(file, folder)) : []
  if (files.length === 0 || !files.every(file => file !== null)) return null
  const outer = (path: string) => resolve(folder, path)
  const runFolder = run === null ? null : outer(run)
  if (runFolder !== null && !isRunId(basename(runFolder))) return null
  return {
    command,
    started,
    locked: locked.map(outer),
    work: { files, folders: folders.map(outer), emptied: emptied.map(outer), run: runFolder }
  }
}

function parseFile(value: unknown, folder: string): WorkFile | null {
  if (!isObject(value) || !isString(value.path)) return null
  const path = resolve(folder, value.path)
  const { before, after, temp, spare } = value
  if (!isStringOrNull(before) || !isStringOrNull(after)) return null
  if (!isStringOrNull(temp) || !isStringOrNull(spare)) return null
  const names = [temp, spare].map(name => (name === null ? null : resolve(folder, name)))
  // So that no journal can have any other file moved or deleted.
  if (names.some(name => name !== null && !isBeside(name, path))) return null
  const [outerTemp = null, outerSpare = null] = names
  return { path, before, after, temp: outerTemp, spare: outerSpare }
}

function isBeside(name: string, path: string): boolean {
  return dirname(name) === dirname(path) && isTemporaryName(basename(name), basename(path))
}

function isStringOrNull(value: unknown): value is string | null {
  return value === null || isString(value)
}
