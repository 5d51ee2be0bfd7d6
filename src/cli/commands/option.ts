import { buildOf } from '../../configuration/build.ts'
import { kindOf } from '../../configuration/kind.ts'
import { MOST_BYTES } from '../../configuration/read.ts'
import {
  type Definition,
  formatPath,
  type Leaf,
  type NixError,
  type Plan,
  parseDocument
} from '../../nix/index.ts'
import { spellPath, startsWith } from '../../nix/path.ts'
import { err, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import { type Asked, readAsked, tailOf } from '../args/optionArguments.ts'
import { type Arguments, isGiven } from '../args/parse.ts'
import { isQuiet, readWriteOptions } from '../args/request.ts'
import { type Context, contextOf, nameOfFile, readRoot } from '../context.ts'
import { EXIT, type Message, usage } from '../message.ts'
import { reportEdits } from '../output/editReasons.ts'
import { reportChecks, reportFile } from '../output/json.ts'
import { printMessage, printNotice, type Screen, writeExact } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import { type DefinitionReport, emptyBody, fail, type Report, unchanged } from '../report.ts'
import { decodeModule, readModule } from '../request/configuration.ts'
import { readInput } from '../request/guest.ts'
import { applyMessage, hintForPeople, nixMessage } from '../text/apply.ts'
import { tooBigInput } from '../text/files.ts'
import { nextStep } from '../text/nextStep.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { checkWithNix, readCheckMode } from './plan.ts'

type AskedChange = Exclude<Asked, { action: 'get' }>

/** `option`: looks up or edits any option of any module. */
export async function optionCommand(given: Arguments, screens: Screens): Promise<Report> {
  const read = readAsked(given)
  if (!read.ok) return fail(read.error)
  const { asked, file } = read.value
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const tail = tailOf(given)
  const contextFor = (path: string) =>
    contextOf(`option ${asked.action}`, path, root.value, given, screens.err, tail)
  if (file === '-') return filter(asked, given, contextFor(file), screens)

  if (asked.action === 'get') {
    const module = readModule(file, root.value, contextFor, true)
    if (!module.ok) return fail(module.error)
    return optionGet(module.value.text, asked, module.value.context, voiceOf(given), screens.out)
  }
  const manner = readWriteOptions(given, true)
  if (!manner.ok) return fail(manner.error)
  const module = readModule(file, root.value, contextFor)
  if (!module.ok) return fail(module.error)
  const { target, text, context } = module.value
  const path = target.realpath
  const planned = planOption(text, asked, context)
  if (!planned.ok) return fail(planned.error)
  const plan = planned.value
  if (!plan.changed) return nothingToDo(asked, context, manner.value.quiet)
  const files = [{ path, before: text, after: plan.text }]
  const mode = readCheckMode(given)
  if (!mode.ok) return fail(mode.error)
  const check = checkWithNix(files, mode.value, path)
  if (!check.ok) return fail(checkMessage(check.error, context))
  const prepared = {
    plan: { files, configuration: plan },
    configuration: target,
    context,
    check: check.value
  }
  const next = nextOf(text, path, root.value)
  return confirmAndWrite(prepared, manner.value, given, screens, next)
}

/** How a change gets into the system; nothing where it is not known that the file is part of one. */
function nextOf(text: string, path: string, root: string): readonly string[] {
  const kind = kindOf(parseDocument(text))
  const isModule = kind === 'module' || kind === 'generated'
  return isModule && buildOf(path, root, process.env).kind !== 'part' ? nextStep(root, path) : []
}

/** The module comes from standard input, and its new text, or the listing, goes to standard output. */
async function filter(
  asked: Asked,
  given: Arguments,
  context: Context,
  { out }: Screens
): Promise<Report> {
  const misplaced = ['dry-run', 'output'].find(it => isGiven(given, it))
  if (misplaced !== undefined) {
    return fail(
      usage(`--${misplaced} does not go with "-".`, {
        why: 'nothing is written to a file then; the result goes to standard output.',
        remedy: 'name the file, or leave the flag away'
      })
    )
  }
  const mode = readCheckMode(given)
  if (!mode.ok) return fail(mode.error)
  const input = await readInput('give it the module, e.g. with < configuration.nix', MOST_BYTES)
  if (!input.ok) return fail(input.error)
  if (input.value.length > MOST_BYTES) return fail(tooBigInput(MOST_BYTES))
  const text = decodeModule(input.value, context)
  if (!text.ok) return fail(text.error)
  if (asked.action === 'get') return optionGet(text.value, asked, context, voiceOf(given), out)

  const planned = planOption(text.value, asked, context)
  if (!planned.ok) return fail(planned.error)
  const plan = planned.value
  if (!plan.changed) {
    const report = nothingToDo(asked, context, isQuiet(given))
    if (given.on('json') !== true) writeExact(plan.text, out)
    return report
  }
  const files = [{ path: '-', before: text.value, after: plan.text }]
  const check = checkWithNix(files, mode.value, '-')
  if (!check.ok) return fail(checkMessage(check.error, context))
  if (given.on('json') !== true) writeExact(plan.text, out)
  const file = {
    ...{ path: '-', realpath: '-', name: '-' },
    ...{ before: text.value, after: plan.text },
    edits: reportEdits(text.value, plan.text, plan.edits, { command: context.command })
  }
  const body = {
    ...emptyBody(context.root),
    files: [reportFile(file, 3)],
    checks: reportChecks(check.value)
  }
  return { exit: EXIT.done, outcome: 'planned', body }
}

function planOption(text: string, asked: AskedChange, context: Context): Result<Plan, Message> {
  const edit = parseDocument(text).edit()
  switch (asked.action) {
    case 'set':
      edit.setIn(asked.path, asked.value)
      break
    case 'add':
      edit.addIn(asked.path, asked.items, { at: asked.at, lines: asked.lines })
      break
    case 'remove':
      edit.removeIn(asked.path, asked.items)
      break
    case 'import':
      edit.import(asked.module)
      break
  }
  const plan = edit.plan()
  return plan.ok ? plan : err(planMessage(plan.error, context))
}

function planMessage(error: NixError, context: Context): Message {
  if (error.code !== 'BAD_VALUE') return nixMessage(error, context)
  const { line } = error.at
  const remedy = error.hint && hintForPeople(error.hint, nameOfFile(context), line)
  return usage(`${error.message}. Nothing was written.`, remedy === undefined ? {} : { remedy })
}

function checkMessage(problem: ApplyProblem, context: Context): Message {
  const message = applyMessage(problem, context)
  if (problem.code !== 'PARSE_REJECTED') return message
  return {
    ...message,
    what: `Nix would not accept what ${nameOfFile(context)} would become. Nothing was written.`,
    remedy: 'see whether a name in the value is defined there; text needs quotes, or --string'
  }
}

function nothingToDo(asked: AskedChange, context: Context, quiet: boolean): Report {
  const state = asked.action === 'remove' ? 'does not say any of this' : 'says all this already'
  if (!quiet) printNotice(`Nothing to do: ${nameOfFile(context)} ${state}.`)
  return unchanged(emptyBody(context.root))
}

function voiceOf(given: Arguments): { quiet: boolean; json: boolean } {
  return { quiet: isQuiet(given), json: given.on('json') === true }
}

type AskedGet = Asked & { action: 'get' }

/**
 * Finds the definitions of an option and of what lies below it, or with `flat` all leaves there.
 * They are printed, and where there are none that is said, unless `quiet`; with `json` nothing is.
 */
export function optionGet(
  text: string,
  asked: AskedGet,
  context: Context,
  { quiet, json }: { quiet: boolean; json: boolean },
  screen: Screen
): Report {
  const document = parseDocument(text)
  const module = document.module()
  if (!module.ok) return fail(nixMessage(module.error, context, ''))
  const { path } = asked
  let definitions: DefinitionReport[] = []
  if (asked.flat) {
    const leaves = document.leaves().filter(it => startsWith(it.path, path ?? []))
    definitions = leaves.map(it => reportLeaf(it, text))
  } else if (path) {
    const all = [...document.getIn(path), ...document.getBelow(path)]
    definitions = all.sort((a, b) => a.binding.start - b.binding.start).map(report)
  }
  const found = definitions.length > 0
  if (!json && found) {
    const lines = definitions.map(it => (asked.flat ? inOneLine(it) : inFull(it, context)))
    writeExact(`${lines.join('\n')}\n`, screen)
  }
  if (!quiet && !found) printMessage(undefinedHere(path, context))
  return {
    exit: found ? EXIT.done : EXIT.differences,
    outcome: found ? 'found' : 'not-found',
    body: { kind: 'option', path: context.file, definitions }
  }
}

function report(definition: Definition): DefinitionReport {
  const { path, at, source, inherited, conditions, priorities } = definition
  const { line, column } = at
  const option = spellPath(path)
  return { option, names: namesOf(path), line, column, source, conditions, priorities, inherited }
}

function reportLeaf({ path, value }: Leaf, text: string): DefinitionReport {
  const { line, column } = placeOf(text, value.start)
  return {
    option: spellPath(path),
    names: namesOf(path),
    line,
    column,
    source: text.slice(value.start, value.end)
  }
}

function namesOf(path: readonly (string | undefined)[]): (string | null)[] {
  return path.map(it => it ?? null)
}

function inOneLine({ option, source }: DefinitionReport): string {
  const [first = '', ...more] = source.split(/\r?\n/)
  return `${option} = ${first}${more.length > 0 ? ' …' : ''}`
}

/** `FILE:LINE:COL PATH = SOURCE`, and behind it what has to hold for it and which priority it has. */
function inFull(definition: DefinitionReport, { file }: Context): string {
  const { option, line, column, source, inherited } = definition
  const { conditions = [], priorities = [] } = definition
  const remarks = [
    ...(conditions.length > 0 ? [`only if ${conditions.join(' and ')}`] : []),
    ...(priorities.length > 0 ? [`with ${priorities.join(', ')}`] : []),
    ...(inherited ? ['inherited'] : [])
  ]
  const remark = remarks.length > 0 ? ` # ${remarks.join('; ').replace(/\s+/g, ' ')}` : ''
  return `${file}:${line}:${column} ${option} = ${source}${remark}`
}

function undefinedHere(path: readonly string[] | undefined, context: Context): Message {
  return {
    code: 'NOT_DEFINED',
    exit: EXIT.differences,
    what: `${nameOfFile(context)} does not define ${path === undefined ? 'anything' : formatPath(path)}.`
  }
}
