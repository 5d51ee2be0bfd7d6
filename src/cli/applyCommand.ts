import { dirname } from 'node:path'
import { toChanges } from '../apply/toChanges.ts'
import { commit } from '../files/commit.ts'
import { findObstacle } from '../files/obstacle.ts'
import { confirm } from './confirm.ts'
import { callOn } from './context.ts'
import { commitMessage, obstacleMessage, warningLine } from './fileMessages.ts'
import { EXIT, type Message, usage } from './message.ts'
import type { Arguments } from './parseArguments.ts'
import { type Prepared, prepare } from './planCommand.ts'
import { nextStep, stateFolderHere } from './root.ts'
import { savePatch } from './savePatch.ts'
import { fail, say } from './say.ts'
import { patchOfPlan, type Screens, showPlan } from './showPlan.ts'
import { VERSION } from './version.ts'

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. Returns the exit code. */
export async function applyCommand(
  command: 'apply' | 'diff',
  given: Arguments,
  screens: Screens
): Promise<number> {
  const quiet = given.on('quiet') === true
  const writes = command === 'apply' && given.on('dry-run') !== true
  const misuse = findMisuse(given, writes, quiet)
  if (misuse) return fail(misuse)
  const lines = readUnified(given)
  if (typeof lines !== 'number') return fail(lines)

  const prepared = prepare(command, given, screens.err)
  if (!prepared.ok) return fail(prepared.error)
  const { plan, configuration, context } = prepared.value
  if (plan.files.length === 0) {
    if (!quiet) say(`Nothing to do: ${context.file} says all this already.`)
    return EXIT.done
  }
  const output = given.text('output')
  if (output !== undefined) {
    const patch = patchOfPlan(prepared.value, lines)
    const problem = savePatch(output, patch, configuration.realpath)
    if (problem) return fail(problem)
  }
  if (!quiet) showPlan(prepared.value, lines, given.on('verbose') === true, screens)
  if (!writes) return EXIT.differences

  // Now rather than after the question.
  for (const { path } of plan.files) {
    const obstacle = findObstacle(path)
    if (obstacle) return fail(obstacleMessage(obstacle, context))
  }
  const refusal = await confirm('Write these changes? [y/N] ', given)
  return refusal ?? write(prepared.value, given)
}

function findMisuse(given: Arguments, writes: boolean, quiet: boolean): Message | undefined {
  const yes = given.on('yes') === true
  if (quiet && writes && !yes) {
    return usage('--quiet does not go with a question.', {
      remedy: 'add --yes, or leave --quiet away'
    })
  }
  if (given.on('backup') === false && !yes) {
    return usage('--no-backup needs --yes.', {
      why: 'without a backup there is no undo, so it has to be meant.',
      remedy: 'add --yes, or leave --no-backup away'
    })
  }
  return undefined
}

function readUnified(given: Arguments): number | Message {
  const text = given.text('unified') ?? '3'
  return /^\d{1,4}$/.test(text)
    ? Number(text)
    : usage(`-U needs a number of lines, got "${text}".`, { remedy: 'e.g. -U 5' })
}

function write(prepared: Prepared, given: Arguments): number {
  const { plan, configuration, context } = prepared
  const { root } = context
  const committed = commit(toChanges(plan.files, configuration), {
    stateFolder: stateFolderHere(root),
    backup: given.on('backup') !== false,
    command: 'apply',
    tool: VERSION,
    root
  })
  if (!committed.ok) return fail(commitMessage(committed.error, context))
  const { run, warnings } = committed.value
  for (const it of warnings) process.stderr.write(warningLine(it, context))
  if (given.on('quiet') !== true) {
    say(`Wrote ${writtenNames(prepared).join(' and ')}.`)
    if (run) say(`Backup: ${run.folder}   Undo: ${undoCall(prepared, run.id)}`)
    say(nextStep(root))
    if (root === '/') {
      say('        If there is no picture, pick the previous generation in the boot menu.')
    }
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
