// The messages of `option`.

import { type Definition, formatPath, type NixError, type Note } from '../../nix/index.ts'
import { placeOfDefinition } from '../../nix/module/definitions.ts'
import { formatPathPattern } from '../../nix/path.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import type { OptionAction } from '../args/optionArguments.ts'
import { type Context, callOn, nameOfFile } from '../context.ts'
import { type DefinitionReport, type Message, usage } from '../message.ts'
import { applyMessage, nixMessage, remedyFor } from './apply.ts'
import { upToDate } from './plan.ts'

type OptionChange = Exclude<OptionAction, { action: 'get' }>

/** What to do if nothing comes from standard input. */
export const PIPE_MODULE = 'pass the module, e.g. with < configuration.nix'

/** Why an edit can't be made; a wrong value is a usage error. */
export function planMessage(error: NixError, context: Context): Message {
  if (error.code === 'BAD_VALUE') {
    const remedy = remedyFor(error, context)
    const more = remedy === undefined ? {} : { remedy }
    return usage(`${error.message}.`, { nothingWritten: true, ...more })
  }
  const message = nixMessage(error, context)
  const { definitions, places } = error
  const calls = callsFor(error, context)
  return {
    ...message,
    ...(calls.length === 0 ? {} : { remedy: calls.join('\n') }),
    ...(definitions === undefined ? {} : { definitions: definitions.map(definitionReport) }),
    ...(places === undefined
      ? {}
      : { places: places.map(({ at, conditions }) => ({ ...at, conditions })) })
  }
}

/** The calls that edit the definitions of an error, each after what it does. */
function callsFor({ definitions = [], places = [] }: NixError, context: Context): string[] {
  const tail = context.tail.replace(/^(?:--line \d+ ?|--all ?|--conditional ?)+/, '')
  const call = (flags: string) => {
    return `  ${callOn(context.file, { ...context, tail: `${flags} ${tail}`.trim() })}`
  }
  const [place] = places
  if (place) {
    return [
      `to add it there, so that it applies only if ${inOneLine(place.conditions)}:`,
      call('--conditional')
    ]
  }
  const [only, ...others] = definitions
  if (!only) return []
  if (others.length === 0) {
    return [
      `to edit it, although it applies only if ${inOneLine(only.conditions)}:`,
      call('--conditional')
    ]
  }
  const lines = definitions.map(it => placeOfDefinition(it).line)
  const choices = definitions.flatMap((it, i) => {
    const isUnique = lines.filter(line => line === lines[i]).length === 1
    const when = it.conditions.length === 0 ? '' : `, only if ${inOneLine(it.conditions)}`
    return isUnique ? [`to edit line ${lines[i]}${when}:`, call(`--line ${lines[i]}`)] : []
  })
  return [...choices, 'to edit all of them:', call('--all')]
}

/** Conditions are source text, which may have several lines. */
function inOneLine(conditions: readonly string[]): string {
  return conditions.map(it => it.replace(/\s+/g, ' ')).join(' and ')
}

/** No definition of the option begins at the line of `--line`; `lines` are where they begin. */
export function notAtLine(
  path: readonly string[],
  line: number,
  lines: readonly number[],
  context: Context
): Message {
  const known = [...new Set(lines)].join(', ')
  return usage(`${nameOfFile(context)} has no definition of ${formatPath(path)} at line ${line}.`, {
    nothingWritten: true,
    remedy: known === '' ? 'omit --line' : `pass a line where it is defined: ${known}`
  })
}

export function severalAtLine(path: readonly string[], line: number, count: number): Message {
  return usage(`${formatPath(path)} is defined ${count} times at line ${line}.`, {
    nothingWritten: true,
    remedy: 'omit --line, and pass --all to edit all of them'
  })
}

/** Another definition of an option that is set, in the same file unless `file` names another one. */
export function alsoSetNote(
  { path, conditions, line }: Pick<Definition, 'path' | 'conditions'> & { line: number },
  file?: string
): string {
  const place = file === undefined ? `line ${line}` : `${file}:${line}`
  const when = conditions.length === 0 ? '' : `, only if ${inOneLine(conditions)}`
  return `Note: ${place} sets ${formatPathPattern(path)}, too${when}.`
}

export function definitionReport(definition: Definition): DefinitionReport {
  const { path, source, inherited, conditions, priorities } = definition
  const { line, column } = placeOfDefinition(definition)
  return { ...namesOf(path), line, column, source, conditions, priorities, inherited }
}

/** The path of an option, for people and for programs. */
export function namesOf(path: readonly (string | undefined)[]) {
  return { option: formatPathPattern(path), names: path.map(it => it ?? null) }
}

/** Why Nix rejects the result; the value may be wrong. */
export function checkMessage(problem: ApplyProblem, context: Context): Message {
  const message = applyMessage(problem, context)
  if (problem.code !== 'PARSE_REJECTED') return message
  return {
    ...message,
    what: `Nix would not accept the edited ${nameOfFile(context)}.`,
    remedy:
      'check whether the names in the value are defined there; a text value needs Nix quotes inside the shell quotes, or --string'
  }
}

/** Nothing has to change. */
export function nothingToEdit(
  change: OptionChange,
  context: Context,
  notes: readonly Note[]
): string {
  const name = nameOfFile(context)
  const isRemoval = change.action === 'import' ? change.isRemoval : /^re/.test(change.action)
  if (!isRemoval) return upToDate(name)
  if (change.action !== 'remove' || change.items === undefined)
    return `Nothing to do: ${name} has nothing to remove.`
  const option = formatPath(change.path)
  return notes.length > 0
    ? `Nothing is removed: in ${name}, this is not an item that can be removed from ${option}.`
    : `Nothing to do: no list or string of ${option} in ${name} contains this.`
}

/** What an edit leaves in place. */
export function leftoverLine({ at, message }: Note, { file }: Context): string {
  return `${file}:${at.line}:${at.column}: ${message}.`
}

/** The file does not define the option, or any option if it is undefined. */
export function undefinedHere(path: readonly string[] | undefined, context: Context): Message {
  return {
    code: 'NOT_DEFINED',
    what: `${nameOfFile(context)} does not define ${path === undefined ? 'anything' : formatPath(path)}.`
  }
}

/** The conditions of a definition, its priority, and whether it is inherited. */
export function definitionFacts(
  conditions: readonly string[],
  priorities: readonly string[],
  isInherited: boolean
): string[] {
  return [
    ...(conditions.length > 0 ? [`only if ${conditions.join(' and ')}`] : []),
    ...(priorities.length > 0 ? [`with ${priorities.join(', ')}`] : []),
    ...(isInherited ? ['inherited'] : [])
  ]
}
