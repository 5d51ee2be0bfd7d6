import { gitFaults, type Read } from '../../check/gitFaults.ts'
import { kindOf } from '../../configuration/kind.ts'
import { moduleReader, tooBigImports } from '../../configuration/read.ts'
import { type Finding, type LintFile, lint } from '../../lints/index.ts'
import { type NixError, parseDocument } from '../../nix/index.ts'
import type { Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import {
  type FaultFixes,
  type Faults,
  findFaults,
  planFaultFixes,
  withFindings
} from '../../plan/fixes.ts'
import { readTarget, type TargetFile } from '../../storage/read.ts'
import { type Arguments, isGiven } from '../args/parse.ts'
import { isQuiet, readRelease, readWriteOptions } from '../args/request.ts'
import { type Context, contextOf, readRoot } from '../context.ts'
import { EXIT, type Message, plural, usage } from '../message.ts'
import { shortName } from '../output/diff.ts'
import { reportFinding, reportThings, showFinding, showThings } from '../output/findings.ts'
import { printNotice, writeOutput } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import { type CheckBody, fail, type Report } from '../report.ts'
import { readModule } from '../request/configuration.ts'
import {
  type Inspection,
  inspectAgain as inspectFiles,
  inspectMachine,
  withMachine
} from '../request/faults.ts'
import { guestFaults } from '../request/guestDisks.ts'
import { applyMessage, nixMessage, tooBigNotes } from '../text/apply.ts'
import { readMessage } from '../text/files.ts'
import { nextStep } from '../text/nextStep.ts'
import { openWayNote } from '../text/output.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { checkWithNix, readCheckMode } from './plan.ts'

/** `check`: tells what in a configuration does not do what it is there for, and mends it on request. */
export async function checkCommand(given: Arguments, screens: Screens): Promise<Report> {
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const release = readRelease(given, root.value)
  if (!release.ok) return fail(release.error)
  const mends = given.on('fix') === true
  const misplaced = mends ? undefined : misplacedFlag(given)
  if (misplaced) return fail(misplaced)
  const read = readModule(
    given.file,
    root.value,
    path => contextOf('check', path, root.value, given, screens.err),
    !mends
  )
  if (!read.ok) return fail(read.error)
  const { target, text, context } = read.value
  const module = parseDocument(text)
  const [syntax] = module.errors
  if (syntax) return fail(nixMessage(syntax, context, ''))

  const path = target.realpath
  const kind = kindOf(module)
  if (kind !== 'module' && kind !== 'generated') {
    return fail(applyMessage({ code: 'WRONG_KIND', path, kind }, context))
  }
  const reader = moduleReader(root.value)
  const inTexts = findFaults({ path, text }, reader, release.value)
  const looked = inspectMachine(inTexts, inTexts.facts, given, context)
  if (!looked.ok) return fail(looked.error)
  const nameIn = (it: string) => shortName(target, it)
  const inGuests = guestFaults({ path, text }, looked.value.host, nameIn, context)
  const all = { ...inTexts, files: [...inTexts.files, ...inGuests.files] }
  const faults = withFindings(withMachine(all, looked.value), [
    ...gitFaults(inTexts.files, reader),
    ...inGuests.findings
  ])
  const fixes = planFaultFixes(faults, files => inspectAgain(files, faults, looked.value, reader))
  const nameOf = (it: string) => (it === path ? context.file : it)
  const body = bodyOf(faults, nameOf, release.value ?? null, looked.value)
  const fixable = fixes.ok
    ? faults.findings.filter(it => fixes.value.mended.includes(it)).length
    : 0
  const warning = openWayNote(target)
  const unread = tooBigNotes(tooBigImports(inTexts, root.value))
  const shown = { faults, nameOf, body, looked: looked.value, fixable, warning, unread }
  return mends
    ? mend(shown, fixes, { target, context }, given, screens)
    : tell(shown, given, screens)
}

/** Flags that say how something is written, without `--fix`. */
function misplacedFlag(given: Arguments): Message | undefined {
  const misplaced = ['yes', 'dry-run', 'output', 'eval'].find(it => isGiven(given, it))
  return misplaced === undefined
    ? undefined
    : usage(`--${misplaced} goes with --fix only.`, { remedy: `add --fix, or leave it away` })
}

/** Offers what an edit mends; where nothing is, it tells what is found. */
async function mend(
  shown: Shown,
  fixes: Result<FaultFixes, NixError>,
  { target, context }: { target: TargetFile; context: Context },
  given: Arguments,
  screens: Screens
): Promise<Report> {
  const manner = readWriteOptions(given, true)
  if (!manner.ok) return fail(manner.error)
  const mode = readCheckMode(given)
  if (!mode.ok) return fail(mode.error)
  if (!fixes.ok) return fail(nixMessage(fixes.error, context))
  const { plan, mended, left } = fixes.value
  if (plan.files.length === 0) return tell(shown, given, screens)
  for (const file of plan.files) {
    const found = readTarget(file.path, { root: context.root })
    if (!found.ok) return fail(readMessage(found.error, context))
  }
  const check = checkWithNix(plan.files, mode.value, target.realpath)
  if (!check.ok) return fail(applyMessage(check.error, context))
  const line = (it: Finding) => {
    const text = shown.faults.files.find(file => file.path === it.path)?.doc.text ?? ''
    const place = placeOf(text, it.range.start)
    return `${shortName(target, it.path)}:${place.line}: ${it.code}, ${it.message}`
  }
  const notes = [
    ...shown.unread,
    ...mended.map(it => `Mends ${line(it)}.`),
    ...left.map(it => `Left for you: ${line(it)}.`)
  ]
  const prepared = { plan, configuration: target, context, check: check.value, notes }
  const next = nextStep(context.root, target.realpath)
  return confirmAndWrite(prepared, manner.value, given, screens, next)
}

/** What is found in the same files once some of it is mended. */
function inspectAgain(
  files: readonly LintFile[],
  { facts, unread }: Faults,
  looked: Inspection,
  read: Read
): Finding[] {
  const inTexts = { files: [...files], facts, findings: lint(files, facts), unread }
  const again = inspectFiles(looked, inTexts)
  return [...withMachine(inTexts, again).findings, ...gitFaults(files, read)]
}

interface Shown {
  faults: Faults
  /** How many of the findings would be gone with --fix. */
  fixable: number
  nameOf: (path: string) => string
  body: CheckBody
  looked: Inspection
  /** That others can replace the configuration. */
  warning: string | undefined
  /** Lines about imported files that were not read. */
  unread: readonly string[]
}

function tell(
  { faults, fixable, nameOf, body, looked, warning, unread }: Shown,
  given: Arguments,
  screens: Screens
): Report {
  const { findings } = faults
  const problems = findings.filter(it => it.level === 'problem').length
  if (!isQuiet(given)) {
    const parts = findings.map(it => showFinding(it, faults.files, nameOf, screens.out))
    if (looked.on) parts.push(showThings(looked.on, looked.names, screens.out))
    if (parts.length > 0) writeOutput(`${parts.join('\n\n')}\n`)
    if (!looked.on && looked.note !== undefined) printNotice(looked.note)
    if (warning !== undefined) printNotice(`Note: ${warning}`)
    for (const it of unread) printNotice(it)
    printNotice(summary(problems, findings.length - problems, body, given.on('fix') ? 0 : fixable))
  }
  return problems > 0
    ? { exit: EXIT.differences, outcome: 'problems', body }
    : { exit: EXIT.done, outcome: 'clean', body }
}

function bodyOf(
  { files, findings }: Faults,
  nameOf: (path: string) => string,
  release: string | null,
  looked: Inspection
): CheckBody {
  return {
    kind: 'check',
    release,
    files: files.map(it => nameOf(it.path)),
    findings: findings.map(it => reportFinding(it, files, nameOf)),
    running: looked.on ? reportThings(looked.on, looked.names) : null
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
