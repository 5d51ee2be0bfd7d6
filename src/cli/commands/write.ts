// Writes what was agreed on, and tells git of the files that came and went.

import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result } from '../../nix/result.ts'
import type { NewRun } from '../../storage/backup.ts'
import { commit, holdSignals } from '../../storage/commit.ts'
import { planRegistration, type Registration, register } from '../../storage/git.ts'
import type { FileProblem, LockedProblem } from '../../storage/problem.ts'
import { markReported, type Purpose } from '../../storage/run.ts'
import type { FileChange } from '../../storage/step.ts'
import type { Arguments } from '../args/parse.ts'
import { isQuiet } from '../args/request.ts'
import { type Context, stateFolderHere, VERSION, watch } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { printMessage, printNotice } from '../output/output.ts'
import type { PlanBody, Report } from '../report.ts'
import { commitMessage, leftMessage, WAITED, warningMessage } from '../text/files.ts'
import { ignoredMessage, registerMessage } from '../text/git.ts'

export interface Written {
  run: NewRun | null
  /** What went wrong after the change was made. */
  warnings: Message[]
}

/** What git will be told of these changes; nothing where `--no-git-add` says so. */
export function registrationsOf(changes: readonly FileChange[], given: Arguments): Registration[] {
  const created = changes.filter(it => it.before === null && it.after !== null)
  const deleted = changes.filter(it => it.before !== null && it.after === null)
  return registrationsFor(
    created.map(it => it.realpath),
    deleted.map(it => it.realpath),
    given
  )
}

/** The same by the paths of what comes and goes. */
export function registrationsFor(
  created: readonly string[],
  deleted: readonly string[],
  given: Arguments
): Registration[] {
  if (given.on('git-add') === false) return []
  // What is kept aside is no module any more, and no flake misses it.
  const modules = created.filter(it => it.endsWith('.nix'))
  return planRegistration(modules, deleted)
}

/**
 * All of the changes, or none of them and why. It waits for a run on another configuration. Signals wait
 * until git is done, too.
 */
export async function writeChanges(
  changes: readonly FileChange[],
  registrations: readonly Registration[],
  context: Context,
  given: Arguments,
  backup: boolean,
  purpose: Purpose
): Promise<Result<Written, Message>> {
  const { root, command, record = command } = context
  const stateFolder = stateFolderHere(root)
  for (const { realpath, before } of changes) watch(realpath, realpath, before)
  const options = { stateFolder, backup, command: record, tool: VERSION, purpose, root }
  const written = await waitForOthers(stateFolder, isQuiet(given), () => {
    const release = holdSignals()
    try {
      const committed = commit([...changes], options)
      if (!committed.ok) return committed
      const { run, warnings, left } = committed.value
      return ok({
        run,
        warnings: [
          ...warnings.map(it => warningMessage(it, context)),
          ...(left.length > 0 ? [leftMessage(left)] : []),
          ...registrations.flatMap(it => registerOne(it, context.file))
        ]
      })
    } finally {
      release()
    }
  })
  return written.ok ? written : err(commitMessage(written.error, context))
}

/** Tells git of one work tree; what went wrong, as the change is made. */
export function registerOne(registration: Registration, file: string): Message[] {
  const { problem, ignored } = registration
  if (problem) return [registerMessage(registration, problem, file)]
  const done = register(registration)
  return [
    ...(done.ok ? [] : [registerMessage(registration, done.error, file)]),
    ...(ignored.length > 0 ? [ignoredMessage(registration, file)] : [])
  ]
}

/**
 * Tells what was written, in `lines`, and before that what went wrong afterwards. Where nothing did, the
 * record says so: an `undo` after one that ended otherwise only completes that one.
 */
export function reportWritten(
  { run, warnings }: Written,
  planned: PlanBody,
  given: Arguments,
  lines: (run: NewRun | null) => string[]
): Report {
  const body = { ...planned, backup: run && { id: run.id, dir: run.folder } }
  if (given.on('json') !== true) {
    for (const it of warnings) printMessage(it)
  }
  if (!isQuiet(given)) for (const line of lines(run)) printNotice(line)
  return warnings.length > 0
    ? { exit: EXIT.followUp, outcome: 'written-with-warnings', warnings, body }
    : { exit: EXIT.done, outcome: 'written', body, whenTold: () => run && markReported(run.folder) }
}

// All configurations share one state folder, which one run at a time has locked.

const EACH_MS = 100
/** Shorter waits are nothing that anybody notices. */
const TOLD_AFTER_MS = 500

/**
 * Tries `action` until it is not kept from its work by a run on another configuration, which has locked
 * `stateFolder`, for at most five seconds. Tells so on stderr unless it is quiet. `action` must have done
 * nothing where it finds the lock held. Signals end the process while it waits.
 */
export async function waitForOthers<T, P extends FileProblem>(
  stateFolder: string,
  isQuiet: boolean,
  action: () => Result<T, P>
): Promise<Result<T, P>> {
  const begin = performance.now()
  let isTold = isQuiet
  for (;;) {
    const result = action()
    const waited = performance.now() - begin
    if (result.ok || !isHeld(result.error, stateFolder) || waited >= WAITED * 1000) return result
    if (waited >= TOLD_AFTER_MS && !isTold) {
      isTold = true
      const { pid } = result.error
      printNotice(
        `vfio-patch: note: waiting for another vfio-patch (pid ${pid}) on another configuration.`
      )
    }
    await sleep(EACH_MS)
  }
}

function isHeld(problem: FileProblem, stateFolder: string): problem is LockedProblem {
  return problem.code === 'LOCKED' && problem.folder === stateFolder
}
