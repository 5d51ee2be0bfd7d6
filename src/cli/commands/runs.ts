// Which run an undo or a redo is about, or why there is nothing to do.

import { realpathSync } from 'node:fs'
import { ok } from '../../nix/result.ts'
import { knownPeople } from '../../storage/access.ts'
import {
  concerns,
  diskState,
  type FollowUp,
  followUp,
  type HashReader,
  type History,
  isAbout,
  pickUndo,
  type Request,
  reverseOf,
  type Stopped
} from '../../storage/history.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { locateTarget } from '../../storage/read.ts'
import { outerPath, type Purpose, type Run, runKind } from '../../storage/run.ts'
import {
  createHashReader,
  historyOf,
  lastRecord,
  lastRun,
  lastUndone,
  listRecords,
  listRuns,
  runById
} from '../../storage/runs.ts'
import { findOtherAccount, type OtherAccount, runsOfOther } from '../../storage/undo.ts'
import type { UndoRequest } from '../args/request.ts'
import { type Context, stateFolderHere, undoCallOn } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, orThrow, plural, usage } from '../message.ts'
import { dateOf, readMessage } from '../messages/files.ts'
import { nothingLines, otherAccountLines, STATE_WORDS, stoppedLines } from '../messages/undo.ts'
import { folderOfModule, groupFiles } from '../output/diff.ts'
import { printNotice, writeOutput } from '../output/output.ts'
import type { Report, RunReport } from '../report.ts'

/** A run that is taken back or made again. */
export interface Reversal {
  /** The run whose files go back to what they were before it. */
  reverted: Run
  /** The run that messages name: for a redo it is the one that was taken back. */
  subject: Run
  purpose: Purpose
}

/** What is to be done, or the sentences about why that is nothing. */
type Choice =
  | Reversal
  | { lines: string[]; because?: Stopped }
  | { foreseen: { followUp: FollowUp; stopped: Stopped } }

interface Place {
  context: Context
  state: string
  options: { root: string }
  /** The file without links; undefined where it can't be said. */
  realpath: string | undefined
}

/**
 * Chooses the run: the one that `--run` names, else the one that the runs for the file and its present
 * content lead to (`lastRun`, `lastUndone`), unless a run that was `stopped` decides (`followUp`).
 */
export function chooseRun(
  request: UndoRequest,
  stopped: readonly Stopped[],
  context: Context
): Choice {
  const { file, root } = context
  const target = locateTarget(file, { root })
  const options = { root: realpathSync(root) }
  const realpath = target.ok ? target.value.realpath : undefined
  const place: Place = { context, state: stateFolderHere(root), options, realpath }
  if (!target.ok && request.run === undefined) {
    throw new CommandError(readMessage(target.error, context))
  }
  const last = realpath === undefined ? ok(null) : lastRecord(place.state, realpath, options)
  const record = orThrow(last, it => readMessage(it, context))
  const next = followUp(request, withUntold(request, stopped, record))
  const [first] = stopped.filter(it => isAbout(request, it))
  if (!request.write.writes && first !== undefined) {
    return { foreseen: { followUp: next, stopped: first } }
  }
  if (next.stops) {
    const lines = stoppedLines(request, next.because)
    return {
      lines: [...untouchedLines(next.because, record), ...lines],
      because: next.because
    }
  }
  if (request.run !== undefined) {
    return namedRun(request.run, request.file !== undefined, place)
  }
  if (realpath === undefined) throw new CommandError(usage(`${file} can not be found.`))
  return chosenRun(request, next.run, { ...place, realpath })
}

/**
 * With the last run for the file, if it was not reported: it was stopped at its very end, or
 * something went wrong after it. Where that is so, what `nothing` is left of is that run.
 */
function withUntold(
  request: Request,
  stopped: readonly Stopped[],
  record: Run | null
): readonly Stopped[] {
  if (record === null || record.reported) return stopped
  const known = stopped.filter(({ outcome }) => outcome !== 'nothing')
  const { undoes, redoes, id: run, command, done } = record
  const subject = undoes ?? redoes
  // Records of earlier versions don't say.
  if (subject === undefined || !done || request.run !== undefined) return known
  return [...known, { kind: runKind(record, command), command, outcome: 'finished', run, subject }]
}

/** The files that somebody changed while a run took place that is said to be complete. */
function untouchedLines({ outcome, run }: Stopped, record: Run | null): string[] {
  if (outcome !== 'finished' || record === null || record.id !== run) return []
  const now = createHashReader()
  return record.files
    .filter(file => diskState({ ...record, files: [file] }, now) !== 'after')
    .map(({ path }) => `${outerPath(path, record.root)} was changed meanwhile and stays as it is.`)
}

function chosenRun(
  request: Request,
  settled: string | undefined,
  place: Place & { realpath: string }
): Choice {
  const { state, options, realpath } = place
  if (request.kind === 'redo') {
    const undone = lastUndone(state, realpath, options)
    if (!undone.ok) return nothingOr(request, undone.error, place)
    const { run, by } = undone.value
    return { reverted: by, subject: run, purpose: { redoes: run.id } }
  }
  // That name is from a file that others may have written: it has to be one of the runs for this file.
  const named = settled === undefined ? undefined : runById(state, settled, options)
  const isFitting = named?.ok === true && concerns(named.value, realpath)
  const run = isFitting ? named : lastRun(state, realpath, options)
  if (!run.ok) return nothingOr(request, run.error, place)
  return { reverted: run.value, subject: run.value, purpose: { undoes: run.value.id } }
}

function nothingOr(
  request: Request,
  problem: FileProblem,
  { context, state, options, realpath }: Place & { realpath: string }
): Choice {
  const { file, root } = context
  const message = readMessage(problem, context)
  if (problem.code !== 'NO_RUN') throw new CommandError(message)
  const runs = orThrow(listRuns(state, options), it => readMessage(it, context))
  const known = runs.some(run => concerns(run, realpath))
  const exists = locateTarget(file, { root })
  if (!known && exists.ok && !exists.value.exists) {
    const what = `${file} does not exist, and there is no run to undo for it.`
    throw new CommandError({ ...message, what })
  }
  const again = historyOf(runs).undone.some(({ run }) => concerns(run, realpath))
  const elsewhere = request.kind === 'undo' ? elsewhereLines(realpath, context) : []
  return { lines: [...nothingLines(request, { file, known, again }, context), ...elsewhere] }
}

/** Where the other account of this person has runs for the file, or for the system where it is null. */
export function elsewhereLines(realpath: string | null, context: Context): string[] {
  const { root } = context
  const { passwd } = knownPeople()
  const uid = process.geteuid?.() ?? -1
  const account: OtherAccount | null = findOtherAccount({ root, uid, env: process.env, passwd })
  const runs = account === null ? null : runsOfOther(account, realpath, realpathSync(root))
  return otherAccountLines(account, runs, context)
}

function namedRun(
  id: string,
  isFileNamed: boolean,
  { context, state, options, realpath }: Place
): Choice {
  const run = orThrow(runById(state, id, options), it => {
    const message = readMessage(it, context)
    return it.code === 'NO_RUN' ? { ...message, what: `there is no run ${id}.` } : message
  })
  if (isFileNamed && (realpath === undefined || !concerns(run, realpath))) {
    const remedy = `${undoCallOn(undefined, context)} --run ${id}`
    throw new CommandError(usage(`run ${id} did not change ${context.file}.`, { remedy }))
  }
  const runs = orThrow(listRuns(state, options), it => readMessage(it, context))
  const purpose = reverseOf(run, historyOf(runs).purposes.get(id) ?? {})
  return { reverted: run, subject: run, purpose }
}

// The list of runs, of one file or of the whole system.

/** How many runs are listed unless `--all` is given. */
const FEW = 10

/** From how many files on those of one folder are listed as that folder. */
const MANY = 3

/** Prints the runs, the newest first: all, or those for the file that was named. */
export function listRunsOf(request: UndoRequest, context: Context): Report {
  const isFileNamed = request.file !== undefined
  const root = realpathSync(context.root)
  const found = listRecords(stateFolderHere(context.root), { root })
  const { runs: all, damaged } = orThrow(found, it => readMessage(it, context))
  const target = locateTarget(context.file, { root: context.root })
  const isListed = (run: Run) => !isFileNamed || (target.ok && concerns(run, target.value.realpath))
  const now = createHashReader()
  const history = historyOf(all, now)
  const runs = all.filter(isListed).map(run => reportRun(run, history, now))
  const shown = request.all ? runs : runs.slice(0, FEW)
  if (!request.json) printRuns(shown)
  if (!request.quiet) {
    const realpath = isFileNamed && target.ok ? target.value.realpath : null
    const lines = [
      ...(runs.length === 0 ? ['No runs yet.'] : []),
      ...listNotes(shown, runs.length, context),
      ...damaged.map(({ id, path }) => `The record of run ${id} is damaged: ${path}`),
      ...elsewhereLines(realpath, context)
    ]
    for (const line of lines) printNotice(line)
  }
  const outcome = runs.length > 0 ? 'found' : 'not-found'
  const body = { kind: 'runs', runs, damaged: damaged.map(({ id }) => id) } as const
  return { exit: EXIT.done, outcome, body }
}

function reportRun(run: Run, history: History, now: HashReader): RunReport {
  const { id, command, tool, started, done, files, target } = run
  const { undoes = null, redoes = null } = history.purposes.get(id) ?? {}
  return {
    ...{ id, command, tool, started, done, state: runState(run, history, now), undoes, redoes },
    target: target ?? null,
    files: files.map(it => it.path)
  }
}

function runState(run: Run, history: History, now: HashReader): RunReport['state'] {
  if (history.purposes.has(run.id)) return 'step'
  // What the command was called on; for a record of an earlier version what was written last.
  const last = run.files.findLast(({ after }) => after !== null) ?? run.files[0]
  const key = run.target ?? last?.path
  const picked = key === undefined ? null : pickUndo(history, outerPath(key, run.root), now)
  if (picked === run) return diskState(run, now) === 'other' ? 'edited' : 'current'
  if (history.undone.some(it => it.run === run)) return 'undone'
  if (history.applied.includes(run)) return 'earlier'
  return run.done ? 'dropped' : 'interrupted'
}

function printRuns(runs: readonly RunReport[]): void {
  const rows = runs.map(run => [
    run.id,
    dateOf(run.started),
    run.command,
    wordOf(run),
    shownFiles(run.files).join(' ')
  ])
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0))) ?? []
  for (const row of rows) {
    const cells = row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell))
    writeOutput(`${cells.filter((_, i) => widths[i] !== 0).join('  ')}\n`)
  }
}

function wordOf({ state, undoes, redoes }: RunReport): string {
  const subject = undoes ?? redoes
  if (state === 'step') return subject === null ? '' : `of ${subject}`
  return state === 'earlier' ? '' : state
}

/** What the words in the list mean, and what is not in it. */
function listNotes(shown: readonly RunReport[], count: number, context: Context): string[] {
  const words = STATE_WORDS.filter(([state]) => shown.some(run => run.state === state))
  const more = count - shown.length
  const file = context.unnamed === undefined ? context.file : undefined
  return [
    ...words.map(([state, meaning]) => `${state}: ${meaning}`),
    ...(more > 0 ? [`${plural(more, 'older run')}: ${undoCallOn(file, context)} --list --all`] : [])
  ]
}

/** The files of a run as the list shows them; many in one folder by that folder. */
function shownFiles(paths: readonly string[]): string[] {
  const isOneOfMany = (path: string) =>
    paths.filter(it => folderOfModule(it) === folderOfModule(path)).length > MANY
  return groupFiles(paths, it => it, isOneOfMany).map(({ name, files }) =>
    files.length > 1 ? `${name} (${files.length} files)` : name
  )
}
