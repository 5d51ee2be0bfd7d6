import { buildOf } from '../../configuration/build.ts'
import type { Files, SourceFile } from '../../configuration/files.ts'
import { kindOf } from '../../configuration/kind.ts'
import { MAX_BYTES } from '../../configuration/repository.ts'
import { type Leaf, type NixDocument, type Plan, parseDocument } from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { checkWithNix } from '../../plan/evaluate.ts'
import {
  type OptionAction,
  type OptionRequest,
  readOptionRequest
} from '../args/optionArguments.ts'
import type { Arguments } from '../args/parse.ts'
import type { CommandRequest } from '../args/request.ts'
import { type Context, contextOf } from '../context.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, type DefinitionReport, orThrow } from '../message.ts'
import { nixMessage } from '../messages/apply.ts'
import { tooBigInput } from '../messages/files.ts'
import { nextStep } from '../messages/nextStep.ts'
import {
  checkMessage,
  definitionFacts,
  definitionReport,
  leftoverLine,
  namesOf,
  nothingToEdit,
  PIPE_MODULE,
  undefinedHere
} from '../messages/option.ts'
import { reportChecks, reportEdits, reportFile } from '../output/json.ts'
import { printMessage, printNotice, type Screens, writeExact } from '../output/output.ts'
import { emptyBody, type Report, unchanged } from '../report.ts'
import { readInput } from '../request/guest.ts'
import { decodeModule, readModule } from '../request/inputs.ts'
import { confirmAndWrite } from './confirmAndWrite.ts'
import { notesOnOthers, type OptionChange, planOption } from './planOption.ts'

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
  if (!plan.changed) return nothingToDo(change, plan, context, quiet)
  const files = [{ path, before: text, after: plan.text }]
  const checked = checkWithNix(files, request.readCheckMode(), path)
  const check = orThrow(checked, it => checkMessage(it, context))
  const planned = { files, configuration: plan }
  const notes = [
    ...notesOnOthers(source, sources, plan, change),
    ...leftoverLines(plan.notes, context)
  ]
  const prepared = { plan: planned, target, sources, context, check, notes }
  return confirmAndWrite(prepared, { ...request, write }, nextOf(source, sources))
}

/** The command that builds the system; empty if the file is not a module of a known system. */
function nextOf({ path, doc }: SourceFile, sources: Files): readonly string[] {
  const kind = kindOf(doc)
  const isModule = kind === 'module' || kind === 'generated'
  const isPart = () => buildOf(path, sources, process.env).kind === 'part'
  return isModule && !isPart() ? nextStep(sources, path) : []
}

/** Reads the module from standard input, and writes its new text or the listing to standard output. */
async function filter(request: OptionRequest): Promise<Report> {
  const { file: name, tail, action, json, quiet, screens } = request
  const context = contextOf(request, name, tail)
  const checkMode = request.readCheckMode()
  const input = await readInput(PIPE_MODULE, MAX_BYTES)
  if (input.length > MAX_BYTES) throw new CommandError(tooBigInput(MAX_BYTES))
  const doc = parseDocument(decodeModule(input, context))
  if (action.action === 'get') return optionGet(doc, action, context, request)

  const plan = planOption(doc, action, context)
  if (!plan.changed) {
    const report = nothingToDo(action, plan, context, quiet)
    if (!json) writeExact(plan.text, screens.out)
    return report
  }
  const { text } = doc
  const files = [{ path: '-', before: text, after: plan.text }]
  const check = orThrow(checkWithNix(files, checkMode, '-'), it => checkMessage(it, context))
  if (!json) writeExact(plan.text, screens.out)
  const file = {
    ...{ path: '-', realpath: '-', name: '-', before: text, after: plan.text },
    edits: reportEdits(doc, plan.edits, { command: context.command })
  }
  const notes = leftoverLines(plan.notes, context)
  if (!quiet) for (const line of notes) printNotice(line)
  const body = {
    ...emptyBody(context.root),
    notes,
    files: [reportFile(file, 3)],
    checks: reportChecks(check)
  }
  return { exit: EXIT.done, outcome: 'planned', body }
}

function nothingToDo(
  change: OptionChange,
  { notes }: Plan,
  context: Context,
  quiet: boolean
): Report {
  const lines = leftoverLines(notes, context)
  const all = [nothingToEdit(change, context, notes), ...lines]
  if (!quiet) for (const line of all) printNotice(line)
  return unchanged({ ...emptyBody(context.root), notes: lines })
}

function leftoverLines(notes: Plan['notes'], context: Context): string[] {
  return notes.map(it => leftoverLine(it, context))
}

/**
 * Finds the definitions of an option and of the options below it, or with `flat` the leaves below it. Prints
 * them unless `json` is set. If there are none, prints a message unless `quiet` is set.
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
  const isDefined = definitions.length > 0
  if (!json && isDefined) {
    const lines = definitions.map(it => (flat ? inOneLine(it) : inFull(it, context)))
    writeExact(`${lines.join('\n')}\n`, screens.out)
  }
  if (!quiet && !isDefined) printMessage(undefinedHere(path, context))
  return {
    exit: isDefined ? EXIT.done : EXIT.differences,
    outcome: isDefined ? 'found' : 'not-found',
    body: { kind: 'option', path: context.file, definitions }
  }
}

function leafReport({ path, value }: Leaf): DefinitionReport {
  const { line, column } = placeOf(value.documentText, value.start)
  return { ...namesOf(path), line, column, source: value.text }
}

function inOneLine({ option, source }: DefinitionReport): string {
  const [first = '', ...more] = source.split(/\r?\n/)
  return `${option} = ${first}${more.length > 0 ? ' …' : ''}`
}

/** `FILE:LINE:COL PATH = SOURCE`, then its conditions and priorities in a comment. */
function inFull(definition: DefinitionReport, { file }: Context): string {
  const { option, line, column, source, conditions = [], priorities = [] } = definition
  // A condition is source text, which may have several lines.
  const inLine = conditions.map(it => it.replace(/\s+/g, ' '))
  const facts = definitionFacts(inLine, priorities, definition.inherited === true)
  const comment = facts.length > 0 ? ` # ${facts.join('; ')}` : ''
  return `${file}:${line}:${column} ${option} = ${source}${comment}`
}
