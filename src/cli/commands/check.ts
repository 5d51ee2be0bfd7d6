import { gitFaults } from '../../check/gitFaults.ts'
import type { OnMachine } from '../../check/onMachine.ts'
import type { Thing } from '../../check/state.ts'
import type { ModuleSource } from '../../configuration/imports.ts'
import { kindOf } from '../../configuration/kind.ts'
import { type Finding, type LintFile, lint } from '../../lints/index.ts'
import { idOf } from '../../machine/machine.ts'
import { markedLines } from '../../nix/errors.ts'
import type { NixError } from '../../nix/index.ts'
import type { Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { visibleLine } from '../../nix/text/visible.ts'
import { type CheckMode, checkWithNix } from '../../plan/evaluate.ts'
import {
  type FaultFixes,
  type Faults,
  findFaults,
  planFaultFixes,
  withFindings
} from '../../plan/fixes.ts'
import type { Arguments } from '../args/parse.ts'
import { type CheckRequest, readCheckRequest, type WriteOptions } from '../args/request.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, detailsOf, orThrow, plural } from '../message.ts'
import { applyMessage, nixMessage, tooBigNotes } from '../messages/apply.ts'
import { callDevice, type Names } from '../messages/devices.ts'
import { nextStep } from '../messages/nextStep.ts'
import { openWayNote } from '../messages/output.ts'
import { shortName } from '../output/diff.ts'
import {
  drawnByToolkit,
  paint,
  printNotice,
  type Screen,
  type Screens,
  wrap,
  writeOutput
} from '../output/output.ts'
import type { CheckBody, FindingReport, Report } from '../report.ts'
import {
  guestFaults,
  type Inspection,
  inspectAgain,
  inspectMachine,
  withMachine
} from '../request/faults.ts'
import { configurationOf, type ModuleFile, readModule, requireWritable } from '../request/inputs.ts'
import { MachineReader } from '../request/machine.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `check`: reports what in a configuration does not do what it is there for, and mends it on request. */
export async function checkCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readCheckRequest(args, screens)
  const { release } = request
  const module = readModule(request, { store: request.fix === undefined })
  const { target, source, sources, context } = module
  const [syntax] = source.doc.errors
  if (syntax) throw new CommandError(nixMessage(syntax, context, { isReadOnly: true }))

  const path = target.realpath
  const kind = kindOf(source.doc)
  if (kind !== 'module' && kind !== 'generated') {
    throw new CommandError(applyMessage({ code: 'WRONG_KIND', path, kind }, context))
  }
  const configuration = configurationOf(module)
  const inTexts = findFaults(configuration, release)
  const reader = new MachineReader(request.sysfs)
  const inspection = inspectMachine(inTexts, context.file, request, reader)
  const nameIn = (it: string) => shortName(target, it)
  const inGuests = guestFaults(configuration, inspection.host, nameIn)
  const all = { ...inTexts, files: [...inTexts.files, ...inGuests.files] }
  const faults = withFindings(withMachine(all, inspection), [
    ...gitFaults(inTexts.files, sources),
    ...inGuests.findings
  ])
  const fixes = planFaultFixes(faults, files => checkAgain(files, faults, inspection, sources))
  const nameOf = (it: string) => (it === path ? context.file : it)
  const body = checkBody(faults, nameOf, release ?? null, inspection)
  const fixable = fixes.ok
    ? faults.findings.filter(it => fixes.value.mended.includes(it)).length
    : 0
  const warning = openWayNote(target)
  const unread = tooBigNotes(inTexts)
  const shown = { faults, nameOf, body, inspection, fixable, warning, unread }
  return request.fix
    ? fixFaults(shown, fixes, module, { ...request, ...request.fix() })
    : tell(shown, request)
}

/** Offers what an edit mends; where that is nothing, it reports what is found. */
async function fixFaults(
  shown: Shown,
  fixes: Result<FaultFixes, NixError>,
  { target, sources, context }: ModuleFile,
  request: CheckRequest & { write: WriteOptions; checkMode: CheckMode }
): Promise<Report> {
  const { plan, mended, left } = orThrow(fixes, it => nixMessage(it, context))
  if (plan.files.length === 0) return tell(shown, request)
  requireWritable(plan.files, context)
  const checked = checkWithNix(plan.files, request.checkMode, target.realpath)
  const check = orThrow(checked, it => applyMessage(it, context))
  const line = (it: Finding) => {
    const place = placeOf(textOf(it.path, shown.faults.files), it.range.start)
    return `${shortName(target, it.path)}:${place.line}: ${it.code}, ${it.message}`
  }
  const notes = [
    ...shown.unread,
    ...mended.map(it => `Mends ${line(it)}.`),
    ...left.map(it => `Left for you: ${line(it)}.`)
  ]
  const prepared = { plan, target, sources, context, check, notes }
  return confirmAndWrite(prepared, request, nextStep(sources, target.realpath))
}

/** What is found in the same files once some of it is mended. */
function checkAgain(
  files: readonly LintFile[],
  { facts, unread }: Faults,
  inspection: Inspection,
  sources: ModuleSource
): Finding[] {
  const inTexts = { files: [...files], facts, findings: lint(files, facts), unread }
  const again = inspectAgain(inspection, inTexts)
  return [...withMachine(inTexts, again).findings, ...gitFaults(files, sources)]
}

interface Shown {
  faults: Faults
  /** How many of the findings would be gone with --fix. */
  fixable: number
  nameOf: (path: string) => string
  body: CheckBody
  inspection: Inspection
  /** That others can replace the configuration. */
  warning: string | undefined
  /** Lines about imported files that were not read. */
  unread: readonly string[]
}

function tell(
  { faults, fixable, nameOf, body, inspection, warning, unread }: Shown,
  { quiet, screens, fix }: CheckRequest
): Report {
  const { findings } = faults
  const { on, host, note } = inspection
  const problems = findings.filter(it => it.level === 'problem').length
  if (!quiet) {
    const parts = findings.map(it => showFinding(it, faults.files, nameOf, screens.out))
    if (on && host) parts.push(showThings(on, host.names, screens.out))
    if (parts.length > 0) writeOutput(`${parts.join('\n\n')}\n`)
    if (note !== undefined) printNotice(note)
    if (warning !== undefined) printNotice(`Note: ${warning}`)
    for (const it of unread) printNotice(it)
    printNotice(summary(problems, findings.length - problems, body, fix ? 0 : fixable))
  }
  return problems > 0
    ? { exit: EXIT.differences, outcome: 'problems', body }
    : { exit: EXIT.done, outcome: 'clean', body }
}

function checkBody(
  { files, findings }: Faults,
  nameOf: (path: string) => string,
  release: string | null,
  { on, host }: Inspection
): CheckBody {
  return {
    kind: 'check',
    release,
    files: files.map(it => nameOf(it.path)),
    findings: findings.map(it => reportFinding(it, files, nameOf)),
    running: on && host ? reportThings(on, host.names) : null
  }
}

/** `2 problems and 1 note in FILE and 3 files that it imports. With --fix, 1 can be mended for you.` */
function summary(problems: number, notes: number, { files }: CheckBody, fixable: number): string {
  const others = files.length - 1
  const where = `${files[0]}${others > 0 ? ` and ${plural(others, 'file')} that it imports` : ''}`
  if (problems + notes === 0) return `Nothing found in ${where}.`
  const counts = [
    ...(problems > 0 ? [plural(problems, 'problem')] : []),
    ...(notes > 0 ? [plural(notes, 'note')] : [])
  ]
  const offer = fixable > 0 ? ` With --fix, ${fixable} can be mended for you.` : ''
  return `${counts.join(' and ')} in ${where}.${offer}`
}

// Findings, for people and for programs.

/** A finding for a program; `nameOf` gives the name by which the user knows a file. */
function reportFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string
): FindingReport {
  const { code, level, path, range, message, why, remedy, fix } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const { start: offset, end } = range
  return {
    code,
    level,
    message,
    why,
    hint: remedy,
    at: { path: nameOf(path), line, column },
    offset,
    length: end - offset,
    fixable: fix !== undefined
  }
}

/** The lines that a person reads of a finding: place, what, the line with carets, why, what to do. */
function showFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string,
  screen: Screen
): string {
  const { code, level, path, range, message, why, remedy } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const taken = 4 + `${line} | `.length + 2
  const excerpt = markedLines(text, range, { color: screen.color, width: screen.width - taken })
  const word = paint(screen, 'bold', level === 'note' ? `note ${code}` : code)
  const head = `${nameOf(path)}:${line}:${column}: ${word}: ${message}.`
  return [
    visibleLine(head),
    ...detailsOf({ excerpt: drawnByToolkit(excerpt.join('\n')), why, remedy })
  ].join('\n')
}

function textOf(path: string, files: readonly LintFile[]): string {
  return files.find(it => it.path === path)?.doc.text ?? ''
}

// What of a configuration is at work on its machine, for people and for programs.

/** A line for each thing, under a line that says what it is about. */
function showThings({ entry, things, isNixOS }: OnMachine, names: Names, screen: Screen): string {
  const title =
    entry === '' ? 'On this machine:' : `On this machine, for the boot entry "${entry}":`
  const lines = things.flatMap(it => {
    const text = `  ${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`
    return wrap(text, Math.max(60, screen.width), '    ')
  })
  return [paint(screen, 'bold', title), ...lines].join('\n')
}

function nameOf({ kind, name, device }: Thing, names: Names): string {
  switch (kind) {
    case 'device':
      return device ? callDevice(device, names) : name
    case 'module':
      return `module ${name}`
    default:
      return name
  }
}

function verdictOf({ verdict, because }: Thing, isNixOS: boolean): string {
  const more = because === undefined ? '' : ` (${because})`
  switch (verdict) {
    case 'active':
      return `active${more}`
    case 'after-reboot':
      return `configured, active after reboot${more}`
    case 'not-built':
      return isNixOS
        ? `configured, not active because the system is not built with it yet${more}`
        : `configured, not active because the machine was not started with it${more}`
    case 'not-active':
      return `not active because ${because}`
    case 'unknown':
      return `not known, as ${because}`
  }
}

/** The same for a program. */
function reportThings(
  { entry, things, isNixOS }: OnMachine,
  names: Names
): NonNullable<CheckBody['running']> {
  const active = things.filter(it => it.verdict === 'active').length
  const isWhole = things.every(it => it.verdict === 'active' || it.verdict === 'unknown')
  return {
    state: isWhole ? 'active' : active === 0 ? 'not-active' : 'partial',
    specialisation: entry === '' ? null : entry,
    reasons: things
      .filter(it => it.verdict !== 'active' && it.verdict !== 'unknown')
      .map(it => `${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`),
    things: things.map(({ kind, name, verdict, because, device }) => ({
      kind,
      name,
      verdict,
      because: because ?? null,
      device: device
        ? { address: device.address, id: idOf(device), driver: device.driver ?? null }
        : null
    }))
  }
}
