// Writes what was agreed on, and tells git of the files that came and went.

import type { NewRun } from '../../files/backup.ts'
import type { FileChange } from '../../files/change.ts'
import { commit } from '../../files/commit.ts'
import { holdSignals } from '../../files/holdSignals.ts'
import type { Purpose } from '../../files/run.ts'
import { markReported } from '../../files/runFolder.ts'
import { planRegistration, type Registration, register } from '../../git/registration.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { isQuiet } from '../arguments/manner.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { commitMessage, leftMessage, warningMessage } from '../messages/fileMessages.ts'
import { ignoredMessage, registerMessage } from '../messages/gitMessages.ts'
import type { PlanBody, Report } from '../report.ts'
import { stateFolderHere } from '../root.ts'
import { say, sayMessage } from '../show/output.ts'
import { VERSION } from '../version.ts'
import { watch } from '../watched.ts'
import { waitForOthers } from './waitForOthers.ts'

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
    for (const it of warnings) sayMessage(it)
  }
  if (!isQuiet(given)) for (const line of lines(run)) say(line)
  return warnings.length > 0
    ? { exit: EXIT.followUp, outcome: 'written-with-warnings', warnings, body }
    : { exit: EXIT.done, outcome: 'written', body, whenTold: () => run && markReported(run.folder) }
}
