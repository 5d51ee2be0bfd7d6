import { type Definition, formatPath, type Leaf, parseDocument } from '../../nix/index.ts'
import { spellPath, startsWith } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Asked } from '../arguments/optionArguments.ts'
import { type Context, nameOfFile } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { nixMessage } from '../messages/messages.ts'
import { type DefinitionReport, fail, type Report } from '../report.ts'
import { sayMessage, writeExact } from '../show/output.ts'
import type { Screen } from '../show/terminal.ts'

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
  if (!quiet && !found) sayMessage(undefinedHere(path, context))
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
