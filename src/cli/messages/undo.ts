// Undoing and redoing runs.

import type { FollowUp, HistoryRequest, InterruptedRun } from '../../storage/history.ts'
import type { OtherAccount } from '../../storage/undo.ts'
import { COMMANDS } from '../args/flags.ts'
import { type Context, undoCallOn } from '../context.ts'
import { type Message, plural, usage } from '../message.ts'

/** The words for each direction. */
export const WORDS = {
  undo: {
    will: 'will be undone',
    question: 'Undo this? [y/N] ',
    done: (run: string) => `Undid run ${run}.`,
    nothing: (run: string) => `Nothing to do: run ${run} is already undone.`,
    modify: ['as it was', 'as they were'],
    call: 'undo'
  },
  redo: {
    will: 'will be redone',
    question: 'Redo this? [y/N] ',
    done: (run: string) => `Redid run ${run}.`,
    nothing: (run: string) => `Nothing to do: run ${run} is already in effect.`,
    modify: ['as it was after that run', 'as they were after that run'],
    call: 'undo --redo'
  }
} as const

/** The words in the list of runs, each with its meaning. */
export const STATE_WORDS = [
  ['current', 'the file is as this run left it'],
  ['edited', 'the last run in effect; the file was edited since'],
  ['undone', '"vfio-patch undo --redo FILE" redoes the last of these'],
  ['dropped', 'undone, and replaced by a later run'],
  ['interrupted', 'it changed nothing']
] as const

/** Why an `undo` or a redo stops after an interrupted run was finished or rolled back. */
export function stoppedLines(request: HistoryRequest, because: InterruptedRun): string[] {
  const { kind, outcome, subject, command = '' } = because
  const run = subject === undefined ? 'the run' : `run ${subject}`
  const further = request.kind === 'undo' ? 'To go further back' : 'To redo more'
  const again = `${further}, run this again.`
  if (outcome === 'nothing') {
    return ['An interrupted run had changed nothing: your files are as they were before it.', again]
  }
  if (outcome === 'finished') {
    const state = kind === 'undo' ? 'is undone' : 'is in effect again'
    return [`The interrupted ${kind} is complete: ${run} ${state}.`, again]
  }
  if (kind === 'undo') {
    return [`The interrupted undo was rolled back: ${run} is in effect.`, again]
  }
  const name = kind === 'redo' ? 'redo' : nameOfCommand(command)
  const done = `The interrupted ${name} was rolled back: your files are as they were before it.`
  return request.kind === 'undo' || kind === 'redo'
    ? [done, again]
    : [done, `To make that change, run its command again. ${again}`]
}

/** What an `undo` or a redo would do about an interrupted run, for `--dry-run`. */
export function foreseenLine(
  request: HistoryRequest,
  followUp: FollowUp,
  { outcome }: InterruptedRun
): string {
  const first = outcome === 'finished' ? 'finish it' : 'roll it back'
  const verb = request.kind === 'undo' ? 'undo' : 'redo'
  const what =
    'run' in followUp && followUp.run !== undefined ? `run ${followUp.run}` : 'the last run'
  const then = followUp.stops ? 'and stop' : `and then ${verb} ${what}`
  return `An earlier run was interrupted: ${WORDS[request.kind].call} would ${first} ${then}.`
}

/** There is nothing to undo or redo; `known` is whether there are runs for the file at all. */
export function nothingLines(
  request: HistoryRequest,
  { file, known, again }: { file: string; known: boolean; again: boolean },
  context: Context
): string[] {
  if (request.kind === 'redo') {
    return [
      known
        ? `Nothing to redo for ${file}: no run is undone, or a later run replaced the undone runs.`
        : `Nothing to redo: no known run changed ${file}.`
    ]
  }
  return [
    known
      ? `Nothing to undo: ${file} is as it was before the first known run.`
      : `Nothing to undo: no known run changed ${file}.`,
    ...(again ? [`To redo the run that was undone last: ${undoCallOn(file, context)} --redo`] : [])
  ]
}

/** The runs that the other account has in effect, and how to undo them; no lines without such runs. */
export function otherAccountLines(
  account: OtherAccount | null,
  runs: readonly string[] | null,
  context: Context
): string[] {
  if (account === null || runs?.length === 0) return []
  const { name, stateFolder, uid } = account
  const call = `${uid === 0 ? 'sudo ' : ''}${context.line}`
  const how = uid === 0 ? 'with sudo' : `without sudo, as ${name}`
  const [newest] = runs ?? []
  const what =
    runs === null || newest === undefined
      ? `Runs of ${name} are in ${stateFolder}`
      : `${name} has ${plural(runs.length, 'run')}, the newest of which is ${newest}`
  return [`${what}. To undo these runs, run this ${how}: ${call}`]
}

/** Another run changed the file since, so that run has to be undone first. */
export function changedByRun(
  path: string,
  run: { id: string; command: string },
  context: Context
): Message {
  return {
    code: 'EDITED_SINCE',
    what: `run ${run.id} (${run.command}) has changed ${path} since.`,
    nothingWritten: true,
    remedy: `undo that run first: ${undoCallOn(undefined, context)} --run ${run.id}`
  }
}

/** The command in the record of an interrupted run, or "run": the record may have anybody's text. */
function nameOfCommand(command: string): string {
  return COMMANDS.some(it => command === it || command.startsWith(`${it} `)) &&
    /^[a-z ]+$/.test(command)
    ? command
    : 'run'
}

/** There is no run with this ID. */
export function noSuchRun(id: string): Message {
  return { code: 'NO_RUN', what: `there is no run ${id}.` }
}

/** The file does not exist, and no known run changed it. */
export function noFileAndNoRun(file: string): Message {
  return { code: 'NO_RUN', what: `${file} does not exist, and no known run changed it.` }
}

/** The run did not change the file that was named. */
export function otherFile(id: string, context: Context): Message {
  return usage(`run ${id} did not change ${context.file}.`, {
    remedy: `${undoCallOn(undefined, context)} --run ${id}`
  })
}

/** The file does not exist. */
export function noSuchFile(file: string): Message {
  return usage(`${file} cannot be found.`)
}

/** A file that somebody changed during a run that is complete. */
export function changedMeanwhile(path: string): string {
  return `${path} was changed meanwhile and is kept as it is.`
}

/** A file that imports a folder of modules that an undo deletes. */
export function stillImports(path: string, folder: string): string {
  return `${path} imports ${folder}, which is deleted, so that file no longer evaluates.`
}

/** The run that is undone or redone. */
export function reversalTitle(run: { id: string; command: string }, will: string): string {
  return `Run ${run.id} (${run.command}) ${will}:`
}

/** What happens to a file, or to several files of a folder, that an undo creates or deletes. */
export const REVERTED = {
  create: ['is restored', 'are restored'],
  delete: ['is deleted', 'are deleted']
} as const

export const NO_RUNS = 'No runs yet.'

export function damagedRecord(id: string, path: string): string {
  return `The record of run ${id} is damaged: ${path}`
}

/** Runs that the list leaves out. */
export function olderRuns(count: number, call: string): string {
  return `${plural(count, 'older run')}: ${call} --list --all`
}

/** The parser can't be loaded, so the command for the next step is not known. */
export const BUILD_AGAIN = 'Next:   build the system again, with nixos-rebuild boot'
