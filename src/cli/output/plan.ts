import { basename } from 'node:path'
import { stampOf } from '../../configuration/stamp.ts'
import type { Registration } from '../../storage/git.ts'
import type { CommandRequest } from '../args/request.ts'
import { plural } from '../message.ts'
import type { Prepared } from '../prepared.ts'
import type { EditReport, FileReport, PlanBody } from '../report.ts'
import { registrationLines } from '../text/git.ts'
import { folderOfModule, groupFiles, isOwnModule, nameIn, paintPatch, shortName } from './diff.ts'
import { replacementLines } from './findings.ts'
import { paint, printNotice, type Screen, wrap, writeExact } from './output.ts'

/** The whole plan as a patch: the person's own file first, as it is what they want to see. */
export function patchOfPlan({ target }: Prepared, body: PlanBody): string {
  return ownFirst(body.files, target.realpath)
    .map(it => it.patch)
    .join('')
}

/** The patch, whole where a program reads it; on a terminal our own new files by name only. */
export function showPlan(
  prepared: Prepared,
  body: PlanBody,
  registrations: readonly Registration[],
  { verbose, screens }: CommandRequest
): void {
  printNotice(headline(prepared))
  for (const line of replacementLines(body.replaced, screens.err)) printNotice(line)
  const { plan, target } = prepared
  const intact = new Set(
    plan.files
      .filter(({ before }) => before === undefined || stampOf(before) === 'intact')
      .map(it => it.path)
  )
  // A guest is the person's own, so what changes in it is shown.
  const guest = prepared.guest?.path
  const isPlain = ({ realpath, action }: FileReport) =>
    realpath !== target.realpath &&
    intact.has(realpath) &&
    (realpath !== guest || action === 'create')
  const files = ownFirst(body.files, target.realpath)
  const brief = screens.out.isTerminal && !verbose ? files.filter(isPlain) : []
  const whole = files.filter(it => !brief.includes(it))
  writeExact(paintPatch(whole.map(it => it.patch).join(''), screens.out), screens.out)
  const planned = (it: FileReport) => plan.files.find(file => file.path === it.realpath)
  const groups = groupFiles(
    brief,
    it => nameIn(target, it.realpath),
    it => isOwnModule({ before: planned(it)?.before, after: planned(it)?.after }),
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
  if (verbose)
    for (const it of body.files)
      for (const edit of it.edits) for (const line of editLines(it, edit)) printNotice(line)
  for (const line of prepared.notes ?? [])
    for (const it of fitting(line, screens.err)) printNotice(it)
  for (const line of registrationLines(registrations)) printNotice(line)
  printNotice(checkLine(prepared))
}

const WORDS = {
  create: ['new file', 'new files'],
  modify: ['updated', 'updated'],
  delete: ['removed', 'removed']
} as const

/** A line of words, in as many as a terminal needs. */
function fitting(text: string, { isTerminal, width }: Screen): string[] {
  return isTerminal ? wrap(text, width, '  ') : [text]
}

function ownFirst(files: readonly FileReport[], configuration: string): FileReport[] {
  const own = files.filter(it => it.realpath === configuration)
  return [...own, ...files.filter(it => it.realpath !== configuration)]
}

/** `configuration.nix:8: imports (modules)`, for each option that an edit touches. */
function editLines({ path }: FileReport, { line, reasons }: EditReport): string[] {
  return reasons.map(({ option, rule }) => `${basename(path)}:${line}: ${option} (${rule})`)
}

function checkLine({ check }: Prepared): string {
  return check.status === 'skipped'
    ? `Checked: parses (own parser only; ${check.detail}).`
    : 'Checked: parses (nix-instantiate).'
}

/** `/etc/nixos/configuration.nix: 2 changes; vfio/: 4 new files` */
function headline({ plan, target, context }: Prepared): string {
  const count = plan.configuration.edits.length
  const parts = count === 0 ? [] : [`${context.file}: ${plural(count, 'change')}`]
  const others = plan.files.filter(it => it.path !== target.realpath)
  for (const { path, before } of others.filter(it => !isOwnModule(it))) {
    parts.push(`${shortName(target, path)}: ${before === undefined ? 'new' : 'changed'}`)
  }
  const modules = others.filter(isOwnModule)
  for (const folder of new Set(modules.map(it => folderOfModule(it.path)))) {
    const files = modules.filter(it => folderOfModule(it.path) === folder)
    const fresh = files.filter(it => it.before === undefined).length
    const gone = files.filter(it => it.after === undefined).length
    const updated = files.length - fresh - gone
    const counts = [
      // What is new beside modules that go is what is kept aside of them.
      ...(fresh > 0 && gone === 0 ? [plural(fresh, 'new file')] : []),
      ...(updated > 0 ? [`${plural(updated, 'file')} updated`] : []),
      ...(gone > 0 ? [`${plural(gone, 'file')} removed`] : []),
      ...(fresh > 0 && gone > 0 ? [`${fresh} kept aside`] : [])
    ]
    parts.push(`${shortName(target, folder)}/: ${counts.join(', ')}`)
  }
  return parts.join('; ')
}
