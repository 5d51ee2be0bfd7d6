// Values that can't be written at all, or not at the requested place.

import type { Message } from '../errors.ts'

function badValue(message: string, hint: string): Message {
  return { code: 'BAD_VALUE', message, hint }
}

export const itemsNotAnArray = badValue(
  'items must be an array',
  'for one item, pass an array of one: [value]'
)

export const valueTooDeep = badValue(
  'the value contains itself, or is nested too deeply to be written',
  'use at most 200 levels'
)

export const commentNotText = badValue(
  'a comment in a Nix file cannot contain a NUL or half a surrogate pair',
  'remove the character'
)

export const stringNotText = badValue(
  'strings and names in Nix cannot contain a NUL or half a surrogate pair',
  'remove the character'
)

/** `value` is the value as text, such as `undefined`. */
export function notWritable(value: string): Message {
  return badValue(
    `${value} cannot be written in Nix`,
    'use null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else'
  )
}

/** `attribute` is the source of the second definition. */
export function duplicateInExpression(source: string, attribute: string): Message {
  return badValue(
    `${exprOf(source)} defines a name twice, which Nix rejects`,
    `remove one of the two:  ${attribute}`
  )
}

export function pipeInExpression(source: string): Message {
  return badValue(
    `${exprOf(source)} has a pipe operator, which few versions of Nix support`,
    'write it without the pipe'
  )
}

export function notOneExpression(source: string): Message {
  return badValue(
    `${exprOf(source)} is not one complete expression`,
    'use an expression that can follow "=", and annotated(value, comment) for a comment'
  )
}

function exprOf(source: string): string {
  return `expr(${JSON.stringify(source)})`
}

export const expressionTooDeep: Message = {
  code: 'TOO_DEEP',
  message: 'the expression has thousands of levels or chained operators',
  hint: 'split it into several values'
}

export function notInScope(name: string): Message {
  return {
    code: 'BAD_VALUE',
    message: `"${name}" is not in scope where it would be written, so Nix would reject the file`,
    hint: `if it is an argument of the module, add it at the top:  { ${name}, ... }:`,
    remedy: 'ADD_ARGUMENT'
  }
}

export function notImportable(path: string): Message {
  return badValue(
    `${JSON.stringify(path)} is not a path that can be imported`,
    'a path begins with ./, ../ or /, and has no control characters'
  )
}
