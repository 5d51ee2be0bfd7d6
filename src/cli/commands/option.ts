import { buildOf } from '../../configuration/build.ts'
import type { Files, SourceFile } from '../../configuration/files.ts'
import { kindOf } from '../../configuration/kind.ts'
import { MOST_BYTES } from '../../configuration/repository.ts'
import {
  type Definition,
  formatPath,
  type Leaf,
  type NixDocument,
  type NixError,
  type Plan,
  parseDocument
} from '../../nix/index.ts'
import { formatPathPattern, startsWith } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import {
  type OptionAction,
  type OptionRequest,
  readOptionRequest
} from '../args/optionArguments.ts'
import type { Arguments } from '../args/parse.ts'
import type { CommandRequest } from '../args/request.ts'
import { type Context, contextOf, nameOfFile } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, type Message, orThrow, usage } from '../message.ts'
import { applyMessage, hintForPeople, nixMessage } from '../messages/apply.ts'
import { tooBigInput } from '../messages/files.ts'
import { nextStep } from '../messages/nextStep.ts'
import { reportChecks, reportEdits, reportFile } from '../output/json.ts'
import { printMessage, printNotice, type Screens, writeExact } from '../output/output.ts'
import { type DefinitionReport, emptyBody, type Report, unchanged } from '../report.ts'
import { readInput } from '../request/guest.ts'
import { decodeModule, readModule } from '../request/inputs.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'

type OptionChange = Exclude<OptionAction, { action: 'get' }>

/** `option`: looks up or edits any option of any module. */
export async function optionCommand(args: Arguments, screens: Screens): Promise<Report> {
  const request = readOptionRequest(args, screens)
  const { file, action, tail } = request
  if (file === '-') return filter(request)
  if (action.action !== 'get') return editFile(action, request)
  const { source, context } = readModule(request, { tail, store: true })
  return optionGet(source.doc, action, context, request)
}

async function editFile(change: OptionChange, request: OptionRequest): Promise<Report> {
  const { tail, quiet } = request
  const write = request.readWrite()
  const { target, source, sources, context } = readModule(request, { tail })
  const { path, text, doc } = source
  const plan = planOption(doc, change, context)
  if (!plan.changed) return nothingToDo(change, context, quiet)
  const files = [{ path, before: text, after: plan.text }]
  const checked = checkWithNix(files, request.readCheckMode(), path)
  const check = orThrow(checked, it => checkMessage(it, context))
  const planned = { files, configuration: plan }
  const prepared = { plan: planned, target, sources, context, check }
  return confirmAndWrite(prepared, { ...request, write }, nextOf(source, sources))
}

/** How a change gets into the system; nothing where it is not known that the file is part of one. */
function nextOf({ path, doc }: SourceFile, sources: Files): readonly string[] {
  const kind = kindOf(doc)
  const isModule = kind === 'module' || kind === 'generated'
  const isPart = () => buildOf(path, sources, process.env).kind === 'part'
  return isModule && !isPart() ? nextStep(sources, path) : []
}

/** The module comes from standard input, and its new text, or the listing, goes to standard output. */
async function filter(request: OptionRequest): Promise<Report> {
  const { file: name, tail, action, json, quiet, screens } = request
  const context = contextOf(request, name, tail)
  const mode = request.readCheckMode()
  const input = await readInput('give it the module, e.g. with < configuration.nix', MOST_BYTES)
  if (input.length > MOST_BYTES) throw new CommandError(tooBigInput(MOST_BYTES))
  const doc = parseDocument(decodeModule(input, context))
  if (action.action === 'get') return optionGet(doc, action, context, request)

  const plan = planOption(doc, action, context)
  if (!plan.changed) {
    const report = nothingToDo(action, context, quiet)
    if (!json) writeExact(plan.text, screens.out)
    return report
  }
  const { text } = doc
  const files = [{ path: '-', before: text, after: plan.text }]
  const check = orThrow(checkWithNix(files, mode, '-'), it => checkMessage(it, context))
  if (!json) writeExact(plan.text, screens.out)
  const file = {
    ...{ path: '-', realpath: '-', name: '-', before: text, after: plan.text },
    edits: reportEdits(doc, plan.edits, { command: context.command })
  }
  const body = {
    ...emptyBody(context.root),
    files: [reportFile(file, 3)],
    checks: reportChecks(check)
  }
  return { exit: EXIT.done, outcome: 'planned', body }
}

function planOption(doc: NixDocument, change: OptionChange, context: Context): Plan {
  const edit = doc.edit()
  switch (change.action) {
    case 'set':
      edit.setIn(change.path, change.value)
      break
    case 'add':
      edit.addIn(change.path, change.items, { at: change.at, lines: change.lines })
      break
    case 'remove':
      edit.removeIn(change.path, change.items)
      break
    case 'import':
      edit.import(change.module)
      break
  }
  return orThrow(edit.plan(), it => planMessage(it, context))
}

function planMessage(error: NixError, context: Context): Message {
  if (error.code !== 'BAD_VALUE') return nixMessage(error, context)
  const { line } = error.at
  const remedy = error.hint && hintForPeople(error.hint, nameOfFile(context), line)
  const more = remedy === undefined ? {} : { remedy }
  return usage(`${error.message}.`, { nothingWritten: true, ...more })
}

function checkMessage(problem: ApplyProblem, context: Context): Message {
  const message = applyMessage(problem, context)
  if (problem.code !== 'PARSE_REJECTED') return message
  return {
    ...message,
    what: `Nix would not accept what ${nameOfFile(context)} would become.`,
    nothingWritten: true,
    remedy: 'see whether a name in the value is defined there; text needs quotes, or --string'
  }
}

function nothingToDo({ action }: OptionChange, context: Context, quiet: boolean): Report {
  const state = action === 'remove' ? 'does not say any of this' : 'says all this already'
  if (!quiet) printNotice(`Nothing to do: ${nameOfFile(context)} ${state}.`)
  return unchanged(emptyBody(context.root))
}

/**
 * Finds the definitions of an option and of what lies below it, or with `flat` all leaves there.
 * They are printed, and where there are none that is said, unless `quiet`; with `json` nothing is.
 */
function optionGet(
  document: NixDocument,
  { path, flat }: OptionAction & { action: 'get' },
  context: Context,
  { quiet, json, screens }: CommandRequest
): Report {
  orThrow(document.module(), it => nixMessage(it, context, { isReadOnly: true }))
  let definitions: DefinitionReport[] = []
  if (flat) {
    const leaves = document.leaves().filter(it => startsWith(it.path, path ?? []))
    definitions = leaves.map(leafReport)
  } else if (path) {
    const all = [...document.getIn(path), ...document.getBelow(path)]
    definitions = all.sort((a, b) => a.binding.start - b.binding.start).map(definitionReport)
  }
  const found = definitions.length > 0
  if (!json && found) {
    const lines = definitions.map(it => (flat ? inOneLine(it) : inFull(it, context)))
    writeExact(`${lines.join('\n')}\n`, screens.out)
  }
  if (!quiet && !found) printMessage(undefinedHere(path, context))
  return {
    exit: found ? EXIT.done : EXIT.differences,
    outcome: found ? 'found' : 'not-found',
    body: { kind: 'option', path: context.file, definitions }
  }
}

function definitionReport(definition: Definition): DefinitionReport {
  const { path, at, source, inherited, conditions, priorities } = definition
  const { line, column } = at
  return { ...namesOf(path), line, column, source, conditions, priorities, inherited }
}

function leafReport({ path, value }: Leaf): DefinitionReport {
  const { line, column } = placeOf(value.documentText, value.start)
  return { ...namesOf(path), line, column, source: value.text }
}

/** The path of an option as a person and as a program reads it. */
function namesOf(path: readonly (string | undefined)[]) {
  return { option: formatPathPattern(path), names: path.map(it => it ?? null) }
}

function inOneLine({ option, source }: DefinitionReport): string {
  const [first = '', ...more] = source.split(/\r?\n/)
  return `${option} = ${first}${more.length > 0 ? ' …' : ''}`
}

/** `FILE:LINE:COL PATH = SOURCE`, then what has to hold for it and which priority it has. */
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
    what: `${nameOfFile(context)} does not define ${path === undefined ? 'anything' : formatPath(path)}.`
  }
}
