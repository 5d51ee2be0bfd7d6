// The words for going back and forth between the states that runs left.

import type { FollowUp, Request, Stopped } from '../../storage/history.ts'
import type { OtherAccount } from '../../storage/undo.ts'
import { COMMANDS } from '../args/flags.ts'
import { type Context, undoCallOn } from '../context.ts'
import { type Message, plural } from '../message.ts'

/** What the two directions are called. */
export const WORDS = {
  undo: {
    will: 'will be taken back',
    question: 'Take this back? [y/N] ',
    done: (run: string) => `Took back run ${run}.`,
    nothing: (run: string) => `Nothing to do: run ${run} is taken back already.`,
    modify: ['as it was', 'as they were'],
    call: 'undo'
  },
  redo: {
    will: 'will be redone',
    question: 'Redo this? [y/N] ',
    done: (run: string) => `Redid run ${run}.`,
    nothing: (run: string) => `Nothing to do: run ${run} is in effect already.`,
    modify: ['as it was after that run', 'as they were after that run'],
    call: 'undo --redo'
  }
} as const

/** What the words in the list of runs mean. */
export const STATE_WORDS = [
  ['current', 'the file is as this run left it'],
  ['edited', 'the last run in effect, and the file was edited since'],
  ['undone', '"vfio-patch undo --redo" redoes the last of these'],
  ['dropped', 'undone, and then another run came in its place'],
  ['interrupted', 'it changed nothing']
] as const

/** Why an `undo` or a redo ends with what became of a run that had been stopped in the middle. */
export function stoppedLines(request: Request, because: Stopped): string[] {
  const { kind, outcome, subject, command = '' } = because
  const run = subject === undefined ? 'the run' : `run ${subject}`
  const further = request.kind === 'undo' ? 'To go further back' : 'To redo more'
  const again = `${further}, run this again.`
  if (outcome === 'nothing') {
    return ['An interrupted run had changed nothing: your files are as they were before it.', again]
  }
  if (outcome === 'finished') {
    const is = kind === 'undo' ? 'is taken back' : 'is in effect again'
    return [`${capital(run)} ${is}: the ${kind} that did not come to its end is complete.`, again]
  }
  if (kind === 'undo') {
    return [`The interrupted undo is taken back, so ${run} is in effect.`, again]
  }
  const name = kind === 'redo' ? 'redo' : nameOfCommand(command)
  const done = `The interrupted ${name} is taken back: your files are as they were before it.`
  return request.kind === 'undo' || kind === 'redo'
    ? [done, again]
    : [done, `To make that change, run its command again. ${again}`]
}

/** What an `undo` or a redo would do about a run that was stopped in the middle, for `--dry-run`. */
export function foreseenLine(request: Request, followUp: FollowUp, { outcome }: Stopped): string {
  const first = outcome === 'finished' ? 'finish it' : 'take it back'
  const verb = request.kind === 'undo' ? 'take back' : 'redo'
  const what =
    'run' in followUp && followUp.run !== undefined ? `run ${followUp.run}` : 'the last run'
  const then = followUp.stops ? 'and stop there' : `and then ${verb} ${what}`
  return `An earlier run was interrupted: ${WORDS[request.kind].call} would ${first} ${then}.`
}

/** There is nothing to go to; `known` is whether there are runs for the file at all. */
export function nothingLines(
  request: Request,
  { file, known, again }: { file: string; known: boolean; again: boolean },
  context: Context
): string[] {
  if (request.kind === 'redo') {
    return [
      known
        ? `Nothing to redo: no run that changed ${file} is undone, or another run came after that.`
        : `Nothing to redo: no run is known that changed ${file}.`
    ]
  }
  return [
    known
      ? `Nothing to undo: ${file} is as it was before the first run that is known.`
      : `Nothing to undo: no run is known that changed ${file}.`,
    ...(again ? [`To redo what was undone last: ${undoCallOn(file, context)} --redo`] : [])
  ]
}

/** Where else there are runs; none where that account has none in effect. */
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
      ? `Runs made by ${name} are kept apart, in ${stateFolder}`
      : `${name} has ${plural(runs.length, 'run')} of their own, the newest of which is ${newest}`
  return [`${what}. To undo those, run this ${how}: ${call}`]
}

/** Another run changed the file since, so that one has to go first. */
export function changedByRun(
  path: string,
  run: { id: string; command: string },
  context: Context
): Message {
  return {
    code: 'EDITED_SINCE',
    what: `${path} was changed by run ${run.id} (${run.command}) since.`,
    nothingWritten: true,
    remedy: `take that one back first: ${undoCallOn(undefined, context)} --run ${run.id}`
  }
}

/** A command as the record of an interrupted run says it; that may be anybody's text. */
function nameOfCommand(command: string): string {
  return COMMANDS.some(it => command === it || command.startsWith(`${it} `)) &&
    /^[a-z ]+$/.test(command)
    ? command
    : 'run'
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
