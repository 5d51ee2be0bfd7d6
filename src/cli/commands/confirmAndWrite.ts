// Shows a plan, asks, writes it, and prints how to undo it.

import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { walkImports } from '../../configuration/imports.ts'
import { type PlannedFile, toChanges, tracePlan } from '../../plan/changes.ts'
import { evalCheck } from '../../plan/evaluate.ts'
import {
  findObstacle,
  isRedirectedToRootOnly,
  knownPeople,
  sudoCallerOwning
} from '../../storage/access.ts'
import { isTransientName } from '../../storage/commit.ts'
import type { Registration } from '../../storage/git.ts'
import type { TargetFile } from '../../storage/read.ts'
import { isLink } from '../../storage/system.ts'
import { locateOutput, writeOutput } from '../../storage/write.ts'
import type { WritingRequest } from '../args/request.ts'
import { undoCallOn } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import type { Message } from '../message.ts'
import { obstacleMessage } from '../messages/files.ts'
import {
  patchMessage,
  redirectedChangeMessage,
  redirectedFileMessage,
  redirectedOutputMessage,
  replacesMessage,
  writableByOthersNote
} from '../messages/output.ts'
import {
  backupLine,
  CANCELLED,
  EVALUATES,
  evaluatingLine,
  failedMessage,
  folderOwnerNote,
  notCopiedMessage,
  WRITE_QUESTION,
  writtenLine
} from '../messages/write.ts'
import { folderOfModule, isInstalledModule, nameIn } from '../output/diff.ts'
import { reportActions, reportChecks, reportEdits, reportFile } from '../output/json.ts'
import { printNotice, relayError } from '../output/output.ts'
import { type Prepared, patchOfPlan, showPlan } from '../output/plan.ts'
import { confirm } from '../prompt/prompt.ts'
import { type CheckReport, emptyBody, fail, type PlanBody, type Report } from '../report.ts'
import { registrationsOf, writeChanges } from './write.ts'

/**
 * Shows a plan that changes something, asks, and writes it, if the request wants that. `next` are the last lines that
 * are printed.
 */
export async function confirmAndWrite(
  prepared: Prepared,
  request: WritingRequest,
  next: readonly string[]
): Promise<Report> {
  const { plan, target, sources, context } = prepared
  const { write, quiet } = request
  tracePlan(plan.files, { path: target.realpath, edits: plan.configuration.edits })
  const changes = toChanges(plan.files, target)
  const registrations = registrationsOf(changes, write.gitAdd)
  let planned = planBody(prepared, registrations, request)
  const unsaved =
    write.output === undefined ? undefined : savePatch(write.output, prepared, planned)
  if (unsaved) return fail(unsaved, planned)
  if (!quiet) showPlan(prepared, planned, registrations, request)
  // Before the question, not after it.
  const obstacle = write.writes ? obstacleTo(prepared) : undefined
  if (obstacle) return fail(obstacle, planned)
  const notes = accessNotes(target, write.writes)
  planned = { ...planned, notes: [...planned.notes, ...notes] }
  if (!quiet) for (const note of notes) printNotice(`Note: ${note}`)
  const evaluated = await evaluate(prepared, planned, registrations, request)
  if ('stop' in evaluated) return evaluated.stop
  planned = evaluated.go
  if (!write.writes) return { exit: EXIT.differences, outcome: 'planned', body: planned }
  const refusal = await confirm(WRITE_QUESTION, request)
  if (refusal) return { ...refusal, body: planned }
  const purpose = { target: target.realpath }
  const writing = { changes, registrations, purpose, context, planned, sources }
  return writeChanges(writing, request, run => [
    summaryOf(prepared),
    ...(run ? [backupLine(run.folder, undoCall(prepared, run.id))] : []),
    ...next
  ])
}

/** Why the files of a plan can't be written. */
function obstacleTo({ plan, target, context }: Prepared): Message | undefined {
  const paths = plan.files.map(it => it.path)
  const redirected =
    redirectedFileMessage(context, target.realpath) ??
    redirectedChangeMessage(context, target, paths)
  if (redirected) return redirected
  for (const path of paths) {
    const obstacle = findObstacle(path)
    if (obstacle) return obstacleMessage(obstacle, context)
  }
  return undefined
}

/** Notes on other users who can change the configuration. */
function accessNotes(target: TargetFile, writes: boolean): string[] {
  const folder = dirname(target.realpath)
  const owner = writes ? sudoCallerOwning(folder, knownPeople()) : null
  const open = writableByOthersNote(target)
  return [
    ...(owner === null ? [] : [folderOwnerNote(folder, owner)]),
    ...(open === undefined ? [] : [open])
  ]
}

/** The files of a plan, and the files that the configuration imports. */
function filesAbout({ plan, target, sources }: Prepared): string[] {
  const source = sources.module(target.realpath)
  const walk = source && walkImports(source, sources)
  const read = [...(walk?.files ?? []), ...(walk?.installed ?? [])].map(it => it.path)
  // A patch that replaces an unreadable import would be imported.
  const unread = (walk?.unread ?? []).flatMap(it => it.oversize?.path ?? it.path ?? [])
  const imported = [...read, ...unread]
  return [target.realpath, ...plan.files.map(it => it.path), ...imported]
}

/** The report of a plan before anything is written. Edits are included only if their reasons are shown. */
function planBody(
  prepared: Prepared,
  registrations: readonly Registration[],
  { write, verbose, json }: WritingRequest
): PlanBody {
  const { plan, target, sources, context, check, byCard, byGuest, replaced = [] } = prepared
  const reasons = { command: context.command, byCard, byGuest, replaced }
  const source = verbose || json ? sources.module(target.realpath) : undefined
  const files = plan.files.map(({ path: realpath, before, after }) => {
    const isOwn = realpath === target.realpath
    const { edits } = plan.configuration
    const file = {
      path: isOwn ? context.file : realpath,
      realpath,
      name: nameIn(target, realpath),
      before,
      after,
      edits: isOwn && source ? reportEdits(source.doc, edits, reasons) : []
    }
    return reportFile(file, write.lines)
  })
  const { specialisation = null } = plan
  return {
    ...emptyBody(context.root),
    specialisation,
    replaced: replaced.map(({ options: _, ...it }) => it),
    ...(prepared.guest === undefined ? {} : { guest: prepared.guest }),
    files,
    actions: reportActions(registrations),
    notes: prepared.notes ?? [],
    checks: reportChecks(check)
  }
}

/** `Wrote FOLDER/ (new) and FILE.`, `Wrote FILE. Removed the modules in FOLDER/.` */
function summaryOf({ plan, target, context }: Prepared): string {
  const others = plan.files.filter(it => it.path !== target.realpath)
  const removed = foldersOf(others.filter(it => it.after === undefined))
  const written = others.filter(it => isInstalledModule(it) && it.after !== undefined)
  const isNew = written.every(it => it.before === undefined)
  const names = others.filter(it => !isInstalledModule(it)).map(it => it.path)
  // The plan already showed which modules are renamed.
  if (removed.length === 0)
    names.push(...foldersOf(written).map(it => `${it}${isNew ? ' (new)' : ''}`))
  if (plan.configuration.changed) names.push(context.file)
  return writtenLine(names, removed)
}

function foldersOf(files: readonly PlannedFile[]): string[] {
  return [...new Set(files.map(it => `${folderOfModule(it.path)}/`))]
}

function undoCall({ plan, context }: Prepared, id: string): string {
  // If only modules change, `undo FILE` would undo another run: the last one that changed the configuration.
  return plan.configuration.changed
    ? undoCallOn(context.file, context)
    : `${undoCallOn(undefined, context)} --run ${id}`
}

// `--eval`: evaluates the system with the change before it is written.

/** Runs the command of `--eval`, if any. Returns the plan with this check, or the report that ends the command. */
async function evaluate(
  { plan, target, context }: Prepared,
  planned: PlanBody,
  registrations: readonly Registration[],
  { quiet, verbose, write }: WritingRequest
): Promise<{ go: PlanBody } | { stop: Report }> {
  const command = write.evalCommand
  if (command === undefined) return { go: planned }
  if (!quiet) printNotice(evaluatingLine(command))
  const check = await evalCheck({
    command,
    path: target.realpath,
    files: plan.files,
    unseen: new Set(registrations.flatMap(it => it.ignored)),
    ...(verbose && !quiet ? { listen: relayError } : {})
  })
  const withCheck = (it: CheckReport): PlanBody => ({ ...planned, checks: [...planned.checks, it] })
  switch (check.status) {
    case 'ok':
      if (!quiet) printNotice(EVALUATES)
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
    // The copy has been deleted by now, so the signal can end the process as usual.
    process.kill(process.pid, signal)
    await new Promise(() => setTimeout(() => {}, 1_000))
  }
  if (!quiet) printNotice(CANCELLED)
  const exit = signal === 'SIGINT' ? EXIT.cancelled : EXIT.terminated
  return { exit, outcome: 'declined', body }
}

function lastLines(text: string, count: number): string {
  const lines = text.split(/\r?\n/).filter(it => it.trim() !== '')
  return lines.slice(-count).join('\n')
}

/**
 * Writes the patch of a plan to the file that was named, and replaces this file. Only users who can read the
 * configuration can read the patch. Symlinks are not followed. Nix files, files of the plan and imported files are
 * not replaced, whatever name they have.
 */
function savePatch(path: string, prepared: Prepared, planned: PlanBody): Message | undefined {
  const named = resolve(path)
  const realpath = realpathIfAny(path)
  if (
    realpath.endsWith('.nix') ||
    isTransientName(basename(realpath)) ||
    isOneOf(named, filesAbout(prepared))
  ) {
    return replacesMessage(realpath)
  }
  const target = locateOutput(named)
  if (!target.ok) return patchMessage(path, target.error, isLink(named))
  if (isRedirectedToRootOnly(named, target.value.path)) {
    return redirectedOutputMessage('-o', path, target.value.path)
  }
  const patch = Buffer.from(patchOfPlan(prepared, planned))
  const problem = writeOutput(target.value, patch, prepared.target)
  return problem === null ? undefined : patchMessage(path, problem, false)
}

/** Whether a path is a name of one of these files. */
function isOneOf(path: string, files: readonly string[]): boolean {
  const number = fileNumber(path)
  return number !== undefined && files.some(it => fileNumber(it) === number)
}

function fileNumber(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    // A missing file has no other name, and a file that can't be reached can't be replaced.
    return undefined
  }
}

function realpathIfAny(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
