import { basename } from 'node:path'
import type { Files } from '../../configuration/files.ts'
import { stampOf } from '../../configuration/stamp.ts'
import { formatPath } from '../../nix/index.ts'
import type { ApplyPlan } from '../../plan/apply.ts'
import type { ParseCheck } from '../../plan/evaluate.ts'
import type { ObsoleteSetting } from '../../plan/legacy/replaced.ts'
import type { TakeOver } from '../../plan/legacy/takeOver.ts'
import type { Registration } from '../../storage/git.ts'
import type { TargetFile } from '../../storage/read.ts'
import type { CommandRequest } from '../args/request.ts'
import type { Context } from '../context.ts'
import { plural } from '../message.ts'
import { registrationLines } from '../messages/git.ts'
import { checkLine, replacedImport, replacementLine } from '../messages/plan.ts'
import type { FileReport, GuestReport, PlanBody, ReplacedReport } from '../report.ts'
import type { DarkPrompt } from '../request/faults.ts'
import {
  folderOfModule,
  groupFiles,
  isInstalledModule,
  nameIn,
  paintPatch,
  shortName
} from './diff.ts'
import { paint, printNotice, type Screen, wrap, writeExact } from './output.ts'

/** A plan that passed all checks, with the inputs for showing and writing it. */
export interface Prepared {
  plan: ApplyPlan
  /** The file that the user named, or the module that is edited. */
  target: TargetFile
  /** All files that were read for the plan. */
  sources: Files
  /** Its `file` is the configuration as the user named it: symlinks are not resolved. */
  context: Context
  check: ParseCheck
  /** What is replaced in the user's own files. */
  replaced?: readonly Replacement[]
  /** Lines that the user has to read before deciding. */
  notes?: readonly string[]
  /** The options whose values come from `--gpu`. */
  byCard?: readonly string[]
  /** The options whose values come from `--domain`. */
  byGuest?: readonly string[]
  guest?: GuestReport
  dark?: DarkPrompt
}

/** The whole plan as a patch, the user's file first. */
export function patchOfPlan({ target }: Prepared, body: PlanBody): string {
  return targetFirst(body.files, target.realpath)
    .map(it => it.patch)
    .join('')
}

/** Shows the plan: the whole patch in a pipe or file; on a terminal, modules without local edits by name only. */
export function showPlan(
  prepared: Prepared,
  body: PlanBody,
  registrations: readonly Registration[],
  { verbose, screens }: CommandRequest
): void {
  printNotice(headline(prepared))
  for (const line of replacementLines(body.replaced, screens.err)) printNotice(line)
  const { plan, target } = prepared
  const planned = (it: FileReport) => plan.files.find(file => file.path === it.realpath)
  const isIntact = (it: FileReport) => {
    const before = planned(it)?.before
    return before === undefined || stampOf(before) === 'intact'
  }
  // The file of a guest belongs to the user, so its changes are shown.
  const guest = prepared.guest?.path
  const isShownByName = (it: FileReport) =>
    it.realpath !== target.realpath &&
    isIntact(it) &&
    (it.realpath !== guest || it.action === 'create')
  const files = targetFirst(body.files, target.realpath)
  const brief = screens.out.isTerminal && !verbose ? files.filter(isShownByName) : []
  const whole = files.filter(it => !brief.includes(it))
  writeExact(paintPatch(whole.map(it => it.patch).join(''), screens.out), screens.out)
  const groups = groupFiles(
    brief,
    it => nameIn(target, it.realpath),
    it => isInstalledModule({ before: planned(it)?.before, after: planned(it)?.after }),
    it => it.action
  )
  for (const { name, files } of groups) {
    const lines = files.reduce((sum, it) => {
      const { before, after } = planned(it) ?? {}
      return sum + (after ?? before ?? '').split('\n').length - 1
    }, 0)
    const action = files[0]?.action ?? 'modify'
    const [one, several] = WORDS[action]
    const count = files.length > 1 ? `${files.length} files, ` : ''
    const what = files.length > 1 ? several : one
    printNotice(
      paint(screens.err, 'dim', `${what}: ${name} (${count}${lines} lines, shown with -v)`)
    )
  }
  const lines = [
    ...(verbose ? body.files.flatMap(editLines) : []),
    ...(prepared.notes ?? []).flatMap(it => fitting(it, screens.err)),
    ...registrationLines(registrations),
    checkLine(prepared.check)
  ]
  for (const line of lines) printNotice(line)
}

const WORDS = {
  create: ['new file', 'new files'],
  modify: ['updated', 'updated'],
  delete: ['removed', 'removed']
} as const

/** A text, wrapped on a terminal. */
function fitting(text: string, { isTerminal, width }: Screen): string[] {
  return isTerminal ? wrap(text, width, '  ') : [text]
}

function targetFirst(files: readonly FileReport[], configuration: string): FileReport[] {
  const target = files.filter(it => it.realpath === configuration)
  return [...target, ...files.filter(it => it.realpath !== configuration)]
}

/** `configuration.nix:8: imports (modules)`, for each option that an edit touches. */
function editLines({ path, edits }: FileReport): string[] {
  return edits.flatMap(({ line, reasons }) =>
    reasons.map(({ option, rule }) => `${basename(path)}:${line}: ${option} (${rule})`)
  )
}

/** `/etc/nixos/configuration.nix: 2 changes; vfio/: 4 new files` */
function headline({ plan, target, context }: Prepared): string {
  const count = plan.configuration.edits.length
  const parts = count === 0 ? [] : [`${context.file}: ${plural(count, 'change')}`]
  const others = plan.files.filter(it => it.path !== target.realpath)
  for (const { path, before } of others.filter(it => !isInstalledModule(it))) {
    parts.push(`${shortName(target, path)}: ${before === undefined ? 'new' : 'changed'}`)
  }
  const modules = others.filter(isInstalledModule)
  for (const folder of new Set(modules.map(it => folderOfModule(it.path)))) {
    const files = modules.filter(it => folderOfModule(it.path) === folder)
    const created = files.filter(it => it.before === undefined).length
    const deleted = files.filter(it => it.after === undefined).length
    const updated = files.length - created - deleted
    const counts = [
      // If modules are deleted, new files are edited modules that are kept under new names.
      ...(created > 0 && deleted === 0 ? [plural(created, 'new file')] : []),
      ...(updated > 0 ? [`${plural(updated, 'file')} updated`] : []),
      ...(deleted > 0 ? [`${plural(deleted, 'file')} removed`] : []),
      ...(created > 0 && deleted > 0 ? [`${created} renamed`] : [])
    ]
    parts.push(`${shortName(target, folder)}/: ${counts.join(', ')}`)
  }
  return parts.join('; ')
}

// What is replaced in the user's file; listed above the diff.

/** A replaced value or import. */
interface Replacement extends ReplacedReport {
  /** The options that the replacement edits. */
  options: readonly string[]
}

/** Everything that a plan replaces: imports first, then values in the order of the text. */
export function replacementsIn(
  { replaced = [] }: ApplyPlan,
  takeOver: TakeOver | undefined,
  { file }: Context,
  configuration: string
): Replacement[] {
  const imports = (takeOver?.replaced ?? []).map(({ path, line, column, spelling, option }) => ({
    code: 'OLD_MODULE',
    message: replacedImport(spelling, option),
    at: { path: path === configuration ? file : path, line, column },
    options: ['imports']
  }))
  const values = replaced.map(it => ({
    code: it.code,
    message: it.message,
    at: { path: file, line: it.line, column: it.column },
    options: optionsOf(it)
  }))
  return [...imports, ...values.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)]
}

function optionsOf({ fix, devices = [], deviceACL = [] }: ObsoleteSetting): string[] {
  return [
    ...fix.flatMap(it => [formatPath(it.path), ...(it.op === 'rename' ? [formatPath(it.to)] : [])]),
    ...(devices.length > 0 ? ['virtualisation.vfio.devices', 'virtualisation.vfio.addresses'] : []),
    ...(deviceACL.length > 0 ? ['virtualisation.libvirtd.deviceACL'] : [])
  ]
}

/** A line for each replacement, wrapped on a terminal. */
function replacementLines(replacements: readonly ReplacedReport[], screen: Screen): string[] {
  return replacements.flatMap(it =>
    fitting(replacementLine(it, paint(screen, 'bold', it.code)), screen)
  )
}
