// Chooses the run for an undo or a redo, and lists runs.

import { realpathSync } from 'node:fs'
import { ok } from '../../nix/result.ts'
import { knownPeople } from '../../storage/access.ts'
import {
  concerns,
  concernsRequest,
  diskState,
  type FollowUp,
  followUp,
  type HashReader,
  type History,
  type HistoryRequest,
  type InterruptedRun,
  pickUndo,
  reverseOf
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
import { CommandError, orThrow } from '../message.ts'
import { dateOf, readMessage } from '../messages/files.ts'
import {
  changedMeanwhile,
  damagedRecord,
  NO_RUNS,
  noFileAndNoRun,
  noSuchFile,
  noSuchRun,
  nothingLines,
  olderRuns,
  otherAccountLines,
  otherFile,
  STATE_WORDS,
  stoppedLines
} from '../messages/undo.ts'
import { folderOfModule, groupFiles } from '../output/diff.ts'
import { printNotice, writeOutput } from '../output/output.ts'
import type { Report, RunReport } from '../report.ts'

/** A run that is undone or redone. */
export interface Reversal {
  /** The run whose files are restored to their state before it. */
  reverted: Run
  /** The run that messages name: for a redo, the one that was undone. */
  subject: Run
  purpose: Purpose
}

/** The run to revert; or lines that say why there is nothing to do; or what a call that writes would do. */
type Choice =
  | Reversal
  | { lines: string[]; because?: InterruptedRun }
  | { foreseen: { followUp: FollowUp; stopped: InterruptedRun } }

interface Place {
  context: Context
  state: string
  options: { root: string }
  /** The file without symlinks; undefined if it can't be resolved. */
  realpath: string | undefined
}

/**
 * Chooses the run. An interrupted run (`stopped`) may decide what to do (`followUp`). Otherwise the run is the one
 * that `--run` names, else the one that follows from the file's runs and content (`lastRun`, `lastUndone`).
 */
export function chooseRun(
  request: UndoRequest,
  stopped: readonly InterruptedRun[],
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
  const next = followUp(request, withUnreported(request, stopped, record))
  const [first] = stopped.filter(it => concernsRequest(request, it))
  if (!request.write.writes && first !== undefined) {
    return { foreseen: { followUp: next, stopped: first } }
  }
  if (next.stops) {
    const lines = stoppedLines(request, next.because)
    return {
      lines: [...changedMeanwhileLines(next.because, record), ...lines],
      because: next.because
    }
  }
  if (request.run !== undefined) {
    return namedRun(request.run, request.file !== undefined, place)
  }
  if (realpath === undefined) throw new CommandError(noSuchFile(file))
  return chosenRun(request, next.run, { ...place, realpath })
}

/**
 * The interrupted runs, and the file's last run if the user has not seen its end: it was interrupted at its end,
 * or something went wrong after it. An interrupted run that changed nothing is then the same run, so it is omitted.
 */
function withUnreported(
  request: HistoryRequest,
  stopped: readonly InterruptedRun[],
  record: Run | null
): readonly InterruptedRun[] {
  if (record === null || record.reported) return stopped
  const known = stopped.filter(({ outcome }) => outcome !== 'nothing')
  const { undoes, redoes, id: run, command, done } = record
  const subject = undoes ?? redoes
  // Records of earlier versions do not name the run that was undone or redone.
  if (subject === undefined || !done || request.run !== undefined) return known
  return [...known, { kind: runKind(record, command), command, outcome: 'finished', run, subject }]
}

/** A line for each file that somebody changed while the finished run was interrupted. */
function changedMeanwhileLines({ outcome, run }: InterruptedRun, record: Run | null): string[] {
  if (outcome !== 'finished' || record === null || record.id !== run) return []
  const now = createHashReader()
  return record.files
    .filter(file => diskState({ ...record, files: [file] }, now) !== 'after')
    .map(({ path }) => changedMeanwhile(outerPath(path, record.root)))
}

function chosenRun(
  request: HistoryRequest,
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
  // Others may have written the file that names the run, so the run has to be one for this file.
  const named = settled === undefined ? undefined : runById(state, settled, options)
  const isFitting = named?.ok === true && concerns(named.value, realpath)
  const run = isFitting ? named : lastRun(state, realpath, options)
  if (!run.ok) return nothingOr(request, run.error, place)
  return { reverted: run.value, subject: run.value, purpose: { undoes: run.value.id } }
}

function nothingOr(
  request: HistoryRequest,
  problem: FileProblem,
  { context, state, options, realpath }: Place & { realpath: string }
): Choice {
  const { file, root } = context
  const message = readMessage(problem, context)
  if (problem.code !== 'NO_RUN') throw new CommandError(message)
  const runs = orThrow(listRuns(state, options), it => readMessage(it, context))
  const known = runs.some(run => concerns(run, realpath))
  const target = locateTarget(file, { root })
  if (!known && target.ok && !target.value.exists) {
    throw new CommandError({ ...message, ...noFileAndNoRun(file) })
  }
  const again = historyOf(runs).undone.some(({ run }) => concerns(run, realpath))
  const elsewhere = request.kind === 'undo' ? elsewhereLines(realpath, context) : []
  return { lines: [...nothingLines(request, { file, known, again }, context), ...elsewhere] }
}

/** Lines about the runs of the user's other account for the file, or for the whole system if `realpath` is null. */
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
    return it.code === 'NO_RUN' ? { ...message, ...noSuchRun(id) } : message
  })
  if (isFileNamed && (realpath === undefined || !concerns(run, realpath))) {
    throw new CommandError(otherFile(id, context))
  }
  const runs = orThrow(listRuns(state, options), it => readMessage(it, context))
  const purpose = reverseOf(run, historyOf(runs).purposes.get(id) ?? {})
  return { reverted: run, subject: run, purpose }
}

// The list of runs for one file or for the whole system.

/** How many runs are listed without `--all`. */
const FEW = 10

/** If a run has more files in one folder than this, the list shows the folder instead. */
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
      ...(runs.length === 0 ? [NO_RUNS] : []),
      ...listNotes(shown, runs.length, context),
      ...damaged.map(({ id, path }) => damagedRecord(id, path)),
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
  // The command's file. Records of earlier versions do not have it, so the file that was written last.
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

/** Explains the words in the list, and how to see the runs that are not in it. */
function listNotes(shown: readonly RunReport[], count: number, context: Context): string[] {
  const shownStates = STATE_WORDS.filter(([state]) => shown.some(run => run.state === state))
  const more = count - shown.length
  const file = context.defaultFile === undefined ? context.file : undefined
  return [
    ...shownStates.map(([state, meaning]) => `${state}: ${meaning}`),
    ...(more > 0 ? [olderRuns(more, undoCallOn(file, context))] : [])
  ]
}

/** The files of a run in the list; a folder with more than `MANY` of them is listed instead of its files. */
function shownFiles(paths: readonly string[]): string[] {
  const isOneOfMany = (path: string) =>
    paths.filter(it => folderOfModule(it) === folderOfModule(path)).length > MANY
  return groupFiles(paths, it => it, isOneOfMany).map(({ name, files }) =>
    files.length > 1 ? `${name} (${files.length} files)` : name
  )
}
