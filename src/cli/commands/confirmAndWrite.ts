// From a plan to the disk: show it, ask, write it, tell how to go back.

import { dirname } from 'node:path'
import { walkImports } from '../../configuration/imports.ts'
import { moduleReader } from '../../configuration/read.ts'
import { type PlannedFile, toChanges } from '../../plan/changes.ts'
import { evalCheck } from '../../plan/evaluate.ts'
import { findObstacle, knownPeople, lenderOf } from '../../storage/access.ts'
import type { Registration } from '../../storage/git.ts'
import type { Arguments } from '../args/parse.ts'
import type { WriteOptions } from '../args/request.ts'
import { callOn } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { folderOfModule, isOwnModule, nameIn } from '../output/diff.ts'
import { reportEdits } from '../output/editReasons.ts'
import { reportActions, reportChecks, reportFile } from '../output/json.ts'
import { printNotice, relayError } from '../output/output.ts'
import { patchOfPlan, type Screens, showPlan } from '../output/plan.ts'
import type { Prepared } from '../prepared.ts'
import { confirm } from '../prompt/prompt.ts'
import { type CheckReport, emptyBody, fail, type PlanBody, type Report } from '../report.ts'
import { obstacleMessage } from '../text/files.ts'
import { ledToRootsMessage, openWayNote, reachesRootsMessage } from '../text/output.ts'
import { savePatch } from './savePatch.ts'
import { registrationsOf, reportWritten, writeChanges } from './write.ts'

/**
 * Shows a plan that has something to do and, as the manner says, asks and writes it. `next` are the
 * lines that a person reads after that.
 */
export async function confirmAndWrite(
  prepared: Prepared,
  manner: WriteOptions,
  given: Arguments,
  screens: Screens,
  next: readonly string[]
): Promise<Report> {
  const { plan, configuration, context } = prepared
  const { quiet } = manner
  const changes = toChanges(plan.files, configuration)
  const registrations = registrationsOf(changes, given)
  let planned: PlanBody = {
    ...bodyOf(prepared, manner),
    actions: reportActions(registrations)
  }
  const output = given.text('output')
  if (output !== undefined) {
    const patch = patchOfPlan(prepared, planned)
    const problem = savePatch(output, patch, configuration, filesOf(prepared))
    if (problem) return fail(problem, planned)
  }
  if (!quiet) showPlan(prepared, planned, registrations, manner.verbose, screens)

  const paths = plan.files.map(it => it.path)
  const led = manner.writes
    ? (ledToRootsMessage(context, configuration.realpath) ??
      reachesRootsMessage(context, configuration, paths))
    : undefined
  if (led) return fail(led, planned)
  // Now rather than after the question.
  for (const { path } of manner.writes ? plan.files : []) {
    const obstacle = findObstacle(path)
    if (obstacle) return fail(obstacleMessage(obstacle, context), planned)
  }
  const folder = dirname(configuration.realpath)
  const lender = manner.writes ? lenderOf(folder, knownPeople()) : null
  const lent =
    lender === null
      ? undefined
      : `${folder} belongs to user ${lender}, who can change it meanwhile.`
  for (const note of [lent, openWayNote(configuration)]) {
    if (note === undefined) continue
    planned = { ...planned, notes: [...planned.notes, note] }
    if (!quiet) printNotice(`Note: ${note}`)
  }
  const command = given.text('eval')
  if (command !== undefined) {
    const evaluated = await evaluate(command, prepared, planned, registrations, manner)
    if ('stop' in evaluated) return evaluated.stop
    planned = evaluated.go
  }
  if (!manner.writes) return { exit: EXIT.differences, outcome: 'planned', body: planned }
  const refusal = await confirm('Write these changes? [y/N] ', given)
  if (refusal) return { ...refusal, body: planned }
  const backup = given.on('backup') !== false
  const purpose = { target: configuration.realpath }
  const written = await writeChanges(changes, registrations, context, given, backup, purpose)
  if (!written.ok) return fail(written.error, planned)
  return reportWritten(written.value, planned, given, run => [
    summaryOf(prepared),
    ...(run ? [`Backup: ${run.folder}   Undo: ${undoCall(prepared, run.id)}`] : []),
    ...next
  ])
}

/** The files that a plan is about, and those that the configuration imports. */
function filesOf({ plan, configuration, context }: Prepared): string[] {
  const text = Buffer.from(configuration.bytes).toString()
  const walk = walkImports({ path: configuration.realpath, text }, moduleReader(context.root))
  const modules = [...walk.modules, ...walk.ours].map(it => it.path)
  return [configuration.realpath, ...plan.files.map(it => it.path), ...modules]
}

/** What is told of a plan before anything is done; what the edits are for only where that is told. */
function bodyOf(prepared: Prepared, { lines, reasons }: WriteOptions): PlanBody {
  const { plan, configuration, context, check, byCard, byGuest, replaced = [] } = prepared
  const wishes = { command: context.command, byCard, byGuest, replaced }
  const files = plan.files.map(({ path: realpath, before, after }) => {
    const isOwn = realpath === configuration.realpath
    const { edits } = plan.configuration
    return reportFile(
      {
        path: isOwn ? context.file : realpath,
        realpath,
        name: nameIn(configuration, realpath),
        before,
        after,
        edits:
          isOwn && reasons && before !== undefined && after !== undefined
            ? reportEdits(before, after, edits, wishes)
            : []
      },
      lines
    )
  })
  const checks = reportChecks(check)
  const { specialisation = null } = plan
  return {
    ...emptyBody(context.root),
    specialisation,
    replaced: replaced.map(({ options: _, ...it }) => it),
    ...(prepared.guest === undefined ? {} : { guest: prepared.guest }),
    files,
    notes: prepared.notes ?? [],
    checks
  }
}

/** `Wrote FOLDER/ (new) and FILE.`, `Wrote FILE. Removed the modules in FOLDER/.` */
function summaryOf({ plan, configuration, context }: Prepared): string {
  const others = plan.files.filter(it => it.path !== configuration.realpath)
  const gone = foldersOf(others.filter(it => it.after === undefined))
  const written = others.filter(it => isOwnModule(it) && it.after !== undefined)
  const isNew = written.every(it => it.before === undefined)
  const names = others.filter(it => !isOwnModule(it)).map(it => it.path)
  // What is kept aside of modules that go is told in the plan.
  if (gone.length === 0)
    names.push(...foldersOf(written).map(it => `${it}${isNew ? ' (new)' : ''}`))
  if (plan.configuration.changed) names.push(context.file)
  return [
    ...(names.length > 0 ? [`Wrote ${names.join(' and ')}.`] : []),
    ...(gone.length > 0 ? [`Removed the modules in ${gone.join(' and ')}.`] : [])
  ].join(' ')
}

function foldersOf(files: readonly PlannedFile[]): string[] {
  return [...new Set(files.map(it => `${folderOfModule(it.path)}/`))]
}

function undoCall({ plan, context }: Prepared, id: string): string {
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  // Where only modules change, the last run that changed the configuration is another one.
  return plan.configuration.changed
    ? `${sudo}${callOn(context.file, context, 'undo')}`
    : `${sudo}${callOn(undefined, context, 'undo')} --run ${id}`
}

// `--eval`: whether the system evaluates with the change, asked before it is made.

/** The plan with the check in it; or how it ends here. */
export async function evaluate(
  command: string,
  { plan, configuration, context }: Prepared,
  planned: PlanBody,
  registrations: readonly Registration[],
  { quiet, verbose }: { quiet: boolean; verbose: boolean }
): Promise<{ go: PlanBody } | { stop: Report }> {
  if (!quiet) printNotice(`Evaluating a copy: ${command}`)
  const check = await evalCheck({
    command,
    path: configuration.realpath,
    files: plan.files,
    unseen: new Set(registrations.flatMap(it => it.ignored)),
    ...(verbose && !quiet ? { listen: relayError } : {})
  })
  const withCheck = (it: CheckReport): PlanBody => ({ ...planned, checks: [...planned.checks, it] })
  switch (check.status) {
    case 'ok':
      if (!quiet) printNotice('Checked: evaluates.')
      return { go: withCheck({ name: 'eval', status: 'ok', detail: '' }) }
    case 'failed': {
      const detail = lastLines(check.output, 5)
      const body = withCheck({ name: 'eval', status: 'failed', detail })
      return { stop: fail(failedMessage(detail, check.before), body) }
    }
    case 'not-copied':
      return { stop: fail(notCopiedMessage(check.problem, context.file), planned) }
    case 'stopped':
      return { stop: await stoppedBy(check.signal, planned, quiet) }
  }
}

async function stoppedBy(signal: NodeJS.Signals, body: PlanBody, quiet: boolean): Promise<Report> {
  if (signal === 'SIGHUP') {
    // Ends by it, as it would have without a copy to clean up.
    process.kill(process.pid, signal)
    await new Promise(() => setTimeout(() => {}, 1_000))
  }
  if (!quiet) printNotice('Cancelled. Nothing was written.')
  const exit = signal === 'SIGINT' ? EXIT.cancelled : EXIT.terminated
  return { exit, outcome: 'declined', body }
}

function failedMessage(output: string, before: boolean): Message {
  return {
    code: 'EVAL_FAILED',
    exit: EXIT.invalid,
    what: 'the system does not evaluate with this change. Nothing was written.',
    ...(output === '' ? {} : { excerpt: output }),
    ...(before ? { why: 'it does not evaluate without the change either.' } : {}),
    remedy: before
      ? 'mend that first, or leave --eval away; -v shows all that the command printed'
      : 'mend what it complains of; -v shows all that the command printed'
  }
}

function notCopiedMessage(
  problem: Extract<Awaited<ReturnType<typeof evalCheck>>, { status: 'not-copied' }>['problem'],
  file: string
): Message {
  const tooMany = problem.code === 'TOO_MANY'
  return {
    code: 'EVAL_NOT_COPIED',
    exit: EXIT.io,
    what: tooMany
      ? `${problem.path} holds more than ${problem.most} files, too many to copy for --eval. Nothing was written.`
      : `could not copy ${file} and what is around it to ${problem.path} (${problem.syscall}: ${problem.errno}). Nothing was written.`,
    remedy: tooMany
      ? 'keep the configuration in a folder or git repository of its own, or leave --eval away'
      : 'set TMPDIR to a folder with more space, or leave --eval away'
  }
}

function lastLines(text: string, count: number): string {
  const lines = text.split(/\r?\n/).filter(it => it.trim() !== '')
  return lines.slice(-count).join('\n')
}
