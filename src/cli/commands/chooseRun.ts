// Which run an undo or a redo is about, or why there is nothing to do.

import { realpathSync } from 'node:fs'
import {
  type FollowUp,
  followUp,
  isAbout,
  type Request,
  type Stopped
} from '../../files/followUp.ts'
import { concerns, reverseOf, standOf } from '../../files/history.ts'
import { knownPeople } from '../../files/openFolder.ts'
import { findOtherAccount, type OtherAccount, runsOfOther } from '../../files/otherAccount.ts'
import type { FileProblem } from '../../files/problem.ts'
import { kindOf, outerPath, type Purpose, type Run } from '../../files/run.ts'
import {
  createNow,
  historyOf,
  lastRecord,
  lastRun,
  lastUndone,
  listRuns,
  runById
} from '../../files/runs.ts'
import { locateTarget } from '../../files/target.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { type Context, undoCallOn } from '../context.ts'
import { type Message, usage } from '../message.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { nothingLines, otherAccountLines, stoppedLines } from '../messages/undoMessages.ts'
import { stateFolderHere } from '../root.ts'

/** What is to be done. */
export interface Chosen {
  /** The run whose files go back to what they were before it. */
  reverted: Run
  /** The run that messages name: for a redo it is the one that was taken back. */
  subject: Run
  purpose: Purpose
}

/** What is to be done, or the sentences about why that is nothing. */
export type Choice =
  | Chosen
  | { lines: string[]; because?: Stopped }
  | { foreseen: { followUp: FollowUp; stopped: Stopped } }

interface Place {
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
  given: Arguments,
  request: Request,
  stopped: readonly Stopped[],
  context: Context
): Result<Choice, Message> {
  const { file, root } = context
  const target = locateTarget(file, { root })
  const options = { root: realpathSync(root) }
  const realpath = target.ok ? target.value.realpath : undefined
  const place: Place = { state: stateFolderHere(root), options, realpath }
  if (!target.ok && request.run === undefined) return err(readMessage(target.error, context))
  const record = realpath === undefined ? ok(null) : lastRecord(place.state, realpath, options)
  if (!record.ok) return err(readMessage(record.error, context))
  const all = withUntold(request, stopped, record.value)
  const next = followUp(request, all)
  const [first] = stopped.filter(it => isAbout(request, it))
  if (given.on('dry-run') === true && first !== undefined)
    return ok({ foreseen: { followUp: next, stopped: first } })
  if (next.stops) {
    const lines = stoppedLines(request, next.because)
    return ok({
      lines: [...untouchedLines(next.because, record.value), ...lines],
      because: next.because
    })
  }
  if (request.run !== undefined) return namedRun(given, request.run, place, context)
  if (realpath === undefined) return err(usage(`${file} can not be found.`))
  return chosenRun(request, next.run, realpath, place, context)
}

/**
 * With the last run for the file, if it is one that nobody was told of: it was stopped at its very end, or
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
  // Records of earlier versions don't tell.
  if (subject === undefined || !done || request.run !== undefined) return known
  return [...known, { kind: kindOf(record, command), command, outcome: 'finished', run, subject }]
}

/** The files that somebody changed while a run took place that is said to be complete. */
function untouchedLines({ outcome, run }: Stopped, record: Run | null): string[] {
  if (outcome !== 'finished' || record === null || record.id !== run) return []
  const now = createNow()
  return record.files
    .filter(file => standOf({ ...record, files: [file] }, now) !== 'after')
    .map(({ path }) => `${outerPath(path, record.root)} was changed meanwhile and stays as it is.`)
}

function chosenRun(
  request: Request,
  settled: string | undefined,
  realpath: string,
  { state, options }: Place,
  context: Context
): Result<Choice, Message> {
  if (request.kind === 'redo') {
    const undone = lastUndone(state, realpath, options)
    if (!undone.ok) return nothingOr(request, undone.error, realpath, context)
    const { run, by } = undone.value
    return ok({ reverted: by, subject: run, purpose: { redoes: run.id } })
  }
  // That name is from a file that others may have written: it has to be one of the runs for this file.
  const named = settled === undefined ? undefined : runById(state, settled, options)
  const isFitting = named?.ok === true && concerns(named.value, realpath)
  const run = isFitting ? named : lastRun(state, realpath, options)
  if (!run.ok) return nothingOr(request, run.error, realpath, context)
  return ok({ reverted: run.value, subject: run.value, purpose: { undoes: run.value.id } })
}

function nothingOr(
  request: Request,
  problem: FileProblem,
  realpath: string,
  context: Context
): Result<Choice, Message> {
  const { file, root } = context
  const message = readMessage(problem, context)
  if (problem.code !== 'NO_RUN') return err(message)
  const runs = listRuns(stateFolderHere(root), { root: realpathSync(root) })
  if (!runs.ok) return err(readMessage(runs.error, context))
  const known = runs.value.some(run => concerns(run, realpath))
  const exists = locateTarget(file, { root })
  if (!known && exists.ok && !exists.value.exists)
    return err({ ...message, what: `${file} does not exist, and there is no run to undo for it.` })
  const again = historyOf(runs.value).undone.some(({ run }) => concerns(run, realpath))
  const elsewhere = request.kind === 'undo' ? elsewhereLines(realpath, context) : []
  return ok({ lines: [...nothingLines(request, { file, known, again }, context), ...elsewhere] })
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
  given: Arguments,
  id: string,
  { state, options, realpath }: Place,
  context: Context
): Result<Choice, Message> {
  const named = runById(state, id, options)
  if (!named.ok) {
    const message = readMessage(named.error, context)
    return err(
      named.error.code === 'NO_RUN' ? { ...message, what: `there is no run ${id}.` } : message
    )
  }
  const run = named.value
  if (given.file !== undefined && (realpath === undefined || !concerns(run, realpath))) {
    return err(
      usage(`run ${id} did not change ${context.file}.`, {
        remedy: `${undoCallOn(undefined, context)} --run ${id}`
      })
    )
  }
  const runs = listRuns(state, options)
  if (!runs.ok) return err(readMessage(runs.error, context))
  const purpose = reverseOf(run, historyOf(runs.value).purposes.get(id) ?? {})
  return ok({ reverted: run, subject: run, purpose })
}
