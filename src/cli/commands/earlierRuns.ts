// A run that was stopped in the middle is finished or taken back before another one begins.

import { dirname, join } from 'node:path'
import { locate } from '../../configuration/read.ts'
import { isLedToRoots } from '../../storage/access.ts'
import type { Stopped } from '../../storage/history.ts'
import { locateTarget } from '../../storage/read.ts'
import {
  findAbandoned,
  findInterrupted,
  foresee,
  type Recovered,
  recover
} from '../../storage/recovery.ts'
import { kindOf } from '../../storage/run.ts'
import type { Arguments } from '../args/parse.ts'
import { isQuiet } from '../args/request.ts'
import { contextOf, readRoot, stateFolderHere } from '../context.ts'
import type { Message } from '../message.ts'
import { printMessage, printNotice, type Screen } from '../output/output.ts'
import type { EarlierRunReport } from '../report.ts'
import { dateOf, readMessage } from '../text/files.ts'
import { registerOne, registrationsFor, waitForOthers } from './write.ts'

/** What was seen of interrupted runs, and why the command can't go on if it can't. */
export interface EarlierRuns {
  runs: readonly EarlierRunReport[]
  hindrance?: Message
  /** Those for the file of the command, and what became of them, or would if the command wrote. */
  stopped: readonly Stopped[]
}

/**
 * Sees to what an interrupted run left in the way of this command, and says so on stderr unless that is
 * for the document. A command that doesn't write only says it. What is wrong with the words of the command
 * is for the command to say.
 */
export async function recoverInterruptedRuns(
  given: Arguments,
  screen: Screen
): Promise<EarlierRuns> {
  const { command, action, file } = given
  if (command === undefined || command === 'scan' || command === 'domain' || file === '-')
    return NONE
  const root = readRoot(given)
  if (!root.ok) return NONE
  const { path } = locate(file, root.value, process.env)
  const target = locateTarget(path, { root: root.value })
  if (!target.ok) return NONE
  const { realpath } = target.value
  // The command is going to refuse that, and a run that was interrupted there is none of its business.
  if (isLedToRoots(path, realpath)) return NONE
  const options = { paths: [realpath], stateFolder: stateFolderHere(root.value) }
  const writes =
    command !== 'diff' &&
    action !== 'get' &&
    (command !== 'check' || given.on('fix') === true) &&
    given.on('dry-run') !== true &&
    given.on('list') !== true
  if (!writes) {
    const found = findInterrupted(options)
    for (const { started } of found) {
      const when = started === null ? '' : ` (${dateOf(started)})`
      note(`an earlier run was interrupted${when}; the next command that writes sees to it.`, given)
    }
    const runs = found.map(({ started }): EarlierRunReport => {
      return { started, outcome: 'pending', files: [] }
    })
    return { runs, stopped: foresee(options).filter(isFor(realpath, given)).map(stoppedOf) }
  }
  const abandoned = findAbandoned(options).filter(it => isIn(dirname(realpath), it.folder))
  const recovered = await waitForOthers(options.stateFolder, isQuiet(given), () => recover(options))
  if (!recovered.ok) {
    const name = action === undefined ? command : `${command} ${action}`
    const context = contextOf(name, path, root.value, given, screen)
    return { ...NONE, hindrance: readMessage(recovered.error, context) }
  }
  for (const it of recovered.value) {
    if (given.on('quiet') !== true) note(sentence(it), given)
    // It may have been stopped before it told git.
    for (const each of registrationsFor(it.created, it.deleted, given)) {
      for (const problem of registerOne(each, path)) printMessage(problem)
    }
  }
  const runs = recovered.value.map(({ started, outcome, files }) => {
    return { started, outcome: OUTCOMES[outcome], files }
  })
  const stopped = [
    ...recovered.value.filter(isFor(realpath, given)).map(stoppedOf),
    ...abandoned.map(({ kind }): Stopped => ({ kind, outcome: 'nothing' }))
  ]
  return { runs, stopped }
}

const NONE: EarlierRuns = { runs: [], stopped: [] }

/** Whether it was for the file; where `undo` names a run, the name will say. */
function isFor(realpath: string, given: Arguments): (recovered: Recovered) => boolean {
  return ({ files, purpose }) =>
    given.text('run') !== undefined || purpose?.target === realpath || files.includes(realpath)
}

function isIn(folder: string, path: string): boolean {
  return path === folder || path.startsWith(join(folder, '/'))
}

function stoppedOf({ command, purpose = {}, outcome, run }: Recovered): Stopped {
  const subject = purpose.undoes ?? purpose.redoes
  return {
    kind: kindOf(purpose, command),
    command,
    outcome,
    ...(run === undefined ? {} : { run }),
    ...(subject === undefined ? {} : { subject })
  }
}

const OUTCOMES = { finished: 'finished', 'taken back': 'taken-back' } as const

function sentence({ started, outcome }: Recovered): string {
  return `an earlier run was interrupted (${dateOf(started)}); it was ${outcome}.`
}

function note(text: string, given: Arguments): void {
  if (given.on('json') === true) return
  printNotice(`vfio-patch: note: ${text}`)
}
