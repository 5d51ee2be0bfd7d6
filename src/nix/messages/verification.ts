// Results that differ from what was requested. Each of these is a bug in the planning of edits.

import type { Message } from '../errors.ts'
import { type AttrPath, formatPath, formatPathPattern } from '../path.ts'

type Names = readonly (string | undefined)[]

/** A definition of an option, or of an option below it. */
interface FoundDefinition {
  path: Names
  source: string
  conditions: readonly string[]
}

/** `difference` is a clause about the result. */
function differs(difference: string): Message {
  return {
    code: 'VERIFICATION_FAILED',
    message: `the result differs from the request: ${difference}`,
    hint: 'nothing was changed; please report this as a bug, with the file if you can'
  }
}

const LONGEST = 60

/** A piece of source on one line of limited length. */
function short(source: string): string {
  const line = source.trim().replace(/\s+/g, ' ')
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
}

function list(option: Names, definitions: readonly FoundDefinition[]): string {
  return definitions
    .map(({ path, source, conditions }) => {
      const name = path.length > option.length ? `${formatPathPattern(path)} = ` : ''
      const condition = conditions.length > 0 ? ` if ${conditions.join(' and ')}` : ''
      return `${name}${short(source)}${condition}`
    })
    .join(' and ')
}

/** For an option whose definitions `after` the edit are not the requested ones. */
export function optionChanged(
  option: Names,
  before: readonly FoundDefinition[],
  after: readonly FoundDefinition[]
): Message {
  const name = formatPathPattern(option)
  const [from, to] = [list(option, before), list(option, after)]
  if (before.length === 0 && after.length > 0) return differs(`${name} is added as ${to}`)
  if (before.length > 0 && after.length === 0) return differs(`${name} is removed (it was ${from})`)
  return differs(from === to ? `${name} changes` : `${name} changes from ${from} to ${to}`)
}

/** `expected` is the source of the requested value. `found` are the definitions in the result. */
export function valueDiffers(
  option: Names,
  expected: string,
  found: readonly FoundDefinition[]
): Message {
  const name = formatPathPattern(option)
  if (found.length === 0) return differs(`${name} = ${short(expected)} is missing`)
  const value = list(option, found)
  return differs(
    value === short(expected)
      ? `${name} is not certain to be ${value}`
      : `${name} is ${value}, not ${short(expected)}`
  )
}

export function itemMissing(option: Names, item: string): Message {
  return differs(`${formatPathPattern(option)} does not contain ${short(item)}`)
}

export function itemAdded(option: Names, item: string): Message {
  return differs(`${formatPathPattern(option)} gets the item ${short(item)}`)
}

export function itemLost(option: Names, item: string): Message {
  return differs(`${formatPathPattern(option)} loses the item ${short(item)}`)
}

export function itemNotRemoved(option: Names, item: string): Message {
  return differs(`${formatPathPattern(option)} still contains ${short(item)}`)
}

export function stillDefined(option: Names, found: readonly FoundDefinition[]): Message {
  return differs(`${formatPathPattern(option)} is still defined, as ${list(option, found)}`)
}

export function renamedPartly(option: Names, to: AttrPath): Message {
  const [name, newName] = [formatPathPattern(option), formatPath(to)]
  return differs(`${newName} does not have exactly the definitions of ${name}`)
}

/** `name` is that of a formal to add or remove. */
export function formalsDiffer(name: string): Message {
  return differs(`the formals change in another way than by "${name}"`)
}

export function importMissing(path: string): Message {
  return differs(`${path} is not always imported`)
}

/** `added` is the number of new imports. */
export function importsDiffer(added: number): Message {
  return differs(`${added} new paths are added to imports instead of 1`)
}

export function commentDiffers(kind: 'added' | 'removed', comment: string): Message {
  return differs(`a comment is ${kind}: ${short(comment)}`)
}

export const commentReplaced = differs('a comment becomes code')

export const codeOutsideOptions = differs('code outside the options changes')

export function variableDiffers(name: string): Message {
  return differs(`the variable "${name}" gets another meaning`)
}

export function attributeDuplicated(option: Names): Message {
  return differs(`${formatPathPattern(option)} is defined twice`)
}

/** `reason` is the message of the error at this line of the result. */
export function resultInvalid(line: number, reason: string): Message {
  return differs(`it has an error at line ${line} (${reason})`)
}

export const otherOperandChanges = differs(
  'an attribute of another operand of "//" starts or ceases to take effect'
)

export const parsedDifferently = differs('text outside the edits no longer parses the same way')

export const noModuleLeft = differs('it is not a module')

export const editsGiveOtherText = differs('the returned edits produce another text')
