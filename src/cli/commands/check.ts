import { findGitFaults } from '../../check/gitFaults.ts'
import type { MachineComparison } from '../../check/onMachine.ts'
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
import { CommandError, detailsOf, orThrow } from '../message.ts'
import { applyMessage, nixMessage, tooBigNotes } from '../messages/apply.ts'
import { fixesLine, notFixedLine, summary, thingLine, thingsTitle } from '../messages/check.ts'
import type { Names } from '../messages/devices.ts'
import { nextStep } from '../messages/nextStep.ts'
import { writableByOthersNote } from '../messages/output.ts'
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
  findGuestFaults,
  type Inspection,
  inspectAgain,
  inspectMachine,
  withMachine
} from '../request/faults.ts'
import { configurationOf, type ModuleFile, readModule, requireWritable } from '../request/inputs.ts'
import { MachineReader } from '../request/machine.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

/** `check`: reports problems in a configuration, and fixes them on request. */
export async function checkCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readCheckRequest(args, screens)
  const { release } = request
  const module = readModule(request, { store: request.readFix === undefined })
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
  const inGuests = findGuestFaults(configuration, inspection.host, nameIn)
  const all = { ...inTexts, files: [...inTexts.files, ...inGuests.files] }
  const faults = withFindings(withMachine(all, inspection), [
    ...findGitFaults(inTexts.files, sources),
    ...inGuests.findings
  ])
  const fixes = planFaultFixes(faults, files => checkAgain(files, faults, inspection, sources))
  const nameOf = (it: string) => (it === path ? context.file : it)
  const body = checkBody(faults, nameOf, release ?? null, inspection)
  const fixable = fixes.ok ? faults.findings.filter(it => fixes.value.fixed.includes(it)).length : 0
  const warning = writableByOthersNote(target)
  const unread = tooBigNotes(inTexts)
  const shown = { faults, nameOf, body, inspection, fixable, warning, unread }
  return request.readFix
    ? fixFaults(shown, fixes, module, { ...request, ...request.readFix() })
    : report(shown, request)
}

/** Offers the fixes; if there are none, reports the findings. */
async function fixFaults(
  shown: CheckResult,
  fixes: Result<FaultFixes, NixError>,
  { target, sources, context }: ModuleFile,
  request: CheckRequest & { write: WriteOptions; checkMode: CheckMode }
): Promise<Report> {
  const { plan, fixed, remaining } = orThrow(fixes, it => nixMessage(it, context))
  if (plan.files.length === 0) return report(shown, request)
  requireWritable(plan.files, context)
  const checked = checkWithNix(plan.files, request.checkMode, target.realpath)
  const check = orThrow(checked, it => applyMessage(it, context))
  const where = (it: Finding) => {
    const { line } = placeOf(textOf(it.path, shown.faults.files), it.range.start)
    return `${shortName(target, it.path)}:${line}`
  }
  const notes = [
    ...shown.unread,
    ...fixed.map(it => fixesLine(it, where(it))),
    ...remaining.map(it => notFixedLine(it, where(it)))
  ]
  const prepared = { plan, target, sources, context, check, notes }
  return confirmAndWrite(prepared, request, nextStep(sources, target.realpath))
}

/** The findings in the same files after some of them were fixed. */
function checkAgain(
  files: readonly LintFile[],
  { facts, unread }: Faults,
  inspection: Inspection,
  sources: ModuleSource
): Finding[] {
  const inTexts = { files: [...files], facts, findings: lint(files, facts), unread }
  const again = inspectAgain(inspection, inTexts)
  return [...withMachine(inTexts, again).findings, ...findGitFaults(files, sources)]
}

/** What `check` reports. */
interface CheckResult {
  faults: Faults
  /** How many of the findings `--fix` would fix. */
  fixable: number
  nameOf: (path: string) => string
  body: CheckBody
  inspection: Inspection
  /** A note that others can replace the configuration. */
  warning: string | undefined
  /** Notes on imported files that were not read. */
  unread: readonly string[]
}

function report(
  { faults, fixable, nameOf, body, inspection, warning, unread }: CheckResult,
  { quiet, screens, readFix }: CheckRequest
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
    const counts = { problems, notes: findings.length - problems }
    printNotice(summary(counts, body.files, readFix ? 0 : fixable))
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

// Findings, for people and for programs.

/** A finding for a program; `nameOf` returns the name of a file as the user knows it. */
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

/** A finding for people: its place and message, the line with carets, the reason and the remedy. */
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

// What is active on the machine of a configuration, for people and for programs.

/** A title, and a line for each thing. */
function showThings(on: MachineComparison, names: Names, screen: Screen): string {
  const lines = on.things.flatMap(it =>
    wrap(`  ${thingLine(it, on.isNixOS, names)}`, Math.max(60, screen.width), '    ')
  )
  return [paint(screen, 'bold', thingsTitle(on)), ...lines].join('\n')
}

/** The things for a program. */
function reportThings(
  { entry, things, isNixOS }: MachineComparison,
  names: Names
): NonNullable<CheckBody['running']> {
  const active = things.filter(it => it.verdict === 'active').length
  const isWhole = things.every(it => it.verdict === 'active' || it.verdict === 'unknown')
  return {
    state: isWhole ? 'active' : active === 0 ? 'not-active' : 'partial',
    specialisation: entry === '' ? null : entry,
    reasons: things
      .filter(it => it.verdict !== 'active' && it.verdict !== 'unknown')
      .map(it => thingLine(it, isNixOS, names)),
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
