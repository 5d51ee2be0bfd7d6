// From a plan to the disk: show it, ask, write it, tell how to go back.

import { dirname } from 'node:path'
import { toChanges } from '../apply/toChanges.ts'
import { commit } from '../files/commit.ts'
import { findObstacle } from '../files/obstacle.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { confirm } from './confirm.ts'
import { callOn } from './context.ts'
import { commitMessage, obstacleMessage, warningLine } from './fileMessages.ts'
import { EXIT, type Message, usage } from './message.ts'
import type { Arguments } from './parseArguments.ts'
import type { Prepared } from './prepared.ts'
import { stateFolderHere } from './root.ts'
import { savePatch } from './savePatch.ts'
import { fail, say } from './say.ts'
import { patchOfPlan, type Screens, showPlan } from './showPlan.ts'
import { VERSION } from './version.ts'

/** What the flags say about showing and writing a change. */
export interface Manner {
  writes: boolean
  quiet: boolean
  /** Lines of context in the diff. */
  lines: number
}

/** Reads these flags; `mayWrite` is whether the command writes at all. */
export function readManner(given: Arguments, mayWrite: boolean): Result<Manner, Message> {
  const quiet = given.on('quiet') === true
  const writes = mayWrite && given.on('dry-run') !== true
  const yes = given.on('yes') === true
  if (quiet && writes && !yes) {
    return err(
      usage('--quiet does not go with a question.', {
        remedy: 'add --yes, or leave --quiet away'
      })
    )
  }
  if (given.on('backup') === false && !yes) {
    return err(
      usage('--no-backup needs --yes.', {
        why: 'without a backup there is no undo, so it has to be meant.',
        remedy: 'add --yes, or leave --no-backup away'
      })
    )
  }
  const text = given.text('unified') ?? '3'
  return /^\d{1,4}$/.test(text)
    ? ok({ writes, quiet, lines: Number(text) })
    : err(usage(`-U needs a number of lines, got "${text}".`, { remedy: 'e.g. -U 5' }))
}

/**
 * Shows a plan that has something to do and, as the manner says, asks and writes it. `next` are the
 * lines that a person reads after that. Returns the exit code.
 */
export async function offerChange(
  prepared: Prepared,
  { writes, quiet, lines }: Manner,
  given: Arguments,
  screens: Screens,
  next: readonly string[]
): Promise<number> {
  const { plan, configuration, context } = prepared
  const output = given.text('output')
  if (output !== undefined) {
    const patch = patchOfPlan(prepared, lines)
    const problem = savePatch(output, patch, configuration.realpath)
    if (problem) return fail(problem)
  }
  if (!quiet) showPlan(prepared, lines, given.on('verbose') === true, screens)
  if (!writes) return EXIT.differences

  // Now rather than after the question.
  for (const { path } of plan.files) {
    const obstacle = findObstacle(path)
    if (obstacle) return fail(obstacleMessage(obstacle, context))
  }
  const refusal = await confirm('Write these changes? [y/N] ', given)
  return refusal ?? write(prepared, given, quiet, next)
}

function write(
  prepared: Prepared,
  given: Arguments,
  quiet: boolean,
  next: readonly string[]
): number {
  const { plan, configuration, context } = prepared
  const { root, command } = context
  const committed = commit(toChanges(plan.files, configuration), {
    stateFolder: stateFolderHere(root),
    backup: given.on('backup') !== false,
    command,
    tool: VERSION,
    root
  })
  if (!committed.ok) return fail(commitMessage(committed.error, context))
  const { run, warnings } = committed.value
  for (const it of warnings) process.stderr.write(warningLine(it, context))
  if (!quiet) {
    say(`Wrote ${writtenNames(prepared).join(' and ')}.`)
    if (run) say(`Backup: ${run.folder}   Undo: ${undoCall(prepared, run.id)}`)
    for (const line of next) say(line)
  }
  return warnings.length > 0 ? EXIT.followUp : EXIT.done
}

function writtenNames({ plan, configuration, context }: Prepared): string[] {
  const modules = plan.files.filter(it => it.path !== configuration.realpath)
  const [first] = modules
  const names: string[] = []
  if (first) {
    const isNew = modules.every(it => it.before === undefined)
    names.push(`${dirname(first.path)}/${isNew ? ' (new)' : ''}`)
  }
  if (plan.configuration.changed) names.push(context.file)
  return names
}

function undoCall({ plan, context }: Prepared, id: string): string {
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  // Where only modules change, the last run that changed the configuration is another one.
  return plan.configuration.changed
    ? `${sudo}${callOn(context.file, context, 'undo')}`
    : `${sudo}${callOn(undefined, context, 'undo')} --run ${id}`
}
