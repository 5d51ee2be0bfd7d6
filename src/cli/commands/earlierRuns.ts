// A run that was stopped in the middle is finished or taken back before another one begins.

import { dirname, join } from 'node:path'
import { locate } from '../../configuration/repository.ts'
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
import { runKind } from '../../storage/run.ts'
import type { RecoveryRequest } from '../args/request.ts'
import { contextOf, stateFolderHere } from '../context.ts'
import { orThrow } from '../message.ts'
import { printMessage, printNotice } from '../output/output.ts'
import type { EarlierRunReport } from '../report.ts'
import { dateOf, readMessage } from '../text/files.ts'
import { registerOne, registrationsFor, waitForOthers } from './write.ts'

/** What was seen of interrupted runs. */
export interface EarlierRuns {
  runs: readonly EarlierRunReport[]
  /** Those for the file of the command, and what became of them, or would if the command wrote. */
  stopped: readonly Stopped[]
}

/**
 * Sees to what an interrupted run left in the way of this command, and says so on stderr unless that is
 * for the document. A command that doesn't write only says it.
 */
export async function recoverInterruptedRuns(request: RecoveryRequest): Promise<EarlierRuns> {
  const { root, file } = request
  const { path } = locate(file, root, process.env)
  const target = locateTarget(path, { root })
  if (!target.ok) return NONE
  const { realpath } = target.value
  // The command is going to refuse that, and a run that was interrupted there is none of its business.
  if (isLedToRoots(path, realpath)) return NONE
  const options = { paths: [realpath], stateFolder: stateFolderHere(root) }
  return request.writes
    ? recoverRuns(request, path, realpath, options)
    : tellInterrupted(request, realpath, options)
}

const NONE: EarlierRuns = { runs: [], stopped: [] }

interface Options {
  paths: string[]
  stateFolder: string
}

function tellInterrupted(
  request: RecoveryRequest,
  realpath: string,
  options: Options
): EarlierRuns {
  const found = findInterrupted(options)
  for (const { started } of found) {
    const when = started === null ? '' : ` (${dateOf(started)})`
    const text = `an earlier run was interrupted${when}; the next command that writes sees to it.`
    if (!request.json) note(text)
  }
  const runs = found.map(({ started }): EarlierRunReport => {
    return { started, outcome: 'pending', files: [] }
  })
  return { runs, stopped: foresee(options).filter(isFor(realpath, request)).map(stoppedOf) }
}

async function recoverRuns(
  request: RecoveryRequest,
  path: string,
  realpath: string,
  options: Options
): Promise<EarlierRuns> {
  const { quiet, gitAdd } = request
  const abandoned = findAbandoned(options).filter(it => isIn(dirname(realpath), it.folder))
  const result = await waitForOthers(options.stateFolder, quiet, () => recover(options))
  const recovered = orThrow(result, it => readMessage(it, contextOf(request, path)))
  for (const it of recovered) {
    if (!quiet) note(sentence(it))
    // It may have been stopped before it told git.
    for (const each of registrationsFor(it.created, it.deleted, gitAdd)) {
      for (const problem of registerOne(each, path)) printMessage(problem)
    }
  }
  const runs = recovered.map(({ started, outcome, files }) => {
    return { started, outcome: OUTCOMES[outcome], files }
  })
  const stopped = [
    ...recovered.filter(isFor(realpath, request)).map(stoppedOf),
    ...abandoned.map(({ kind }): Stopped => ({ kind, outcome: 'nothing' }))
  ]
  return { runs, stopped }
}

/** Whether it was for the file; where `undo` names a run, the name will say. */
function isFor(realpath: string, { run }: RecoveryRequest): (recovered: Recovered) => boolean {
  return ({ files, purpose }) =>
    run !== undefined || purpose?.target === realpath || files.includes(realpath)
}

function isIn(folder: string, path: string): boolean {
  return path === folder || path.startsWith(join(folder, '/'))
}

function stoppedOf({ command, purpose = {}, outcome, run }: Recovered): Stopped {
  const subject = purpose.undoes ?? purpose.redoes
  return {
    kind: runKind(purpose, command),
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

function note(text: string): void {
  printNotice(`vfio-patch: note: ${text}`)
}
