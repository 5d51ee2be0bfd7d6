// Lists, strings of lines and imports whose items can't be added or removed.

import type { ComputedCode, Message } from '../errors.ts'
import { formatPathPattern } from '../path.ts'

type Names = readonly (string | undefined)[]

export const notAList: Message = {
  code: 'NOT_A_LIST',
  message: 'the value is not a list',
  hint: 'check the path, or make the value a list first'
}

/** `part` is the path of an attribute of the set. */
export function setNotList(path: Names, part: Names): Message {
  return {
    code: 'NOT_A_LIST',
    message: `${formatPathPattern(path)} is not a list but a set with ${formatPathPattern(part)}`,
    hint: 'add to a list inside the set'
  }
}

/** `isArgument`: the value is an argument of a function, so `++` needs parentheses around it. */
export function computedList(isArgument: boolean, code: ComputedCode): Message {
  return {
    code,
    message: 'the value is computed elsewhere, so there is no list to edit here',
    hint: `if it is a plain list, append a list to it:  ${isArgument ? '(… ++ [ ])' : '… ++ [ ]'}`
  }
}

export const conditionalList: Message = {
  code: 'NO_TARGET',
  message: 'the list applies only under a condition, so items added to it would not always apply',
  hint: 'bring mkMerge into scope next to mkIf, or define the option in another module'
}

export const otherPriority: Message = {
  code: 'OTHER_PRIORITY',
  message: 'this value has another priority than an added list, so only one of the two would apply',
  hint: 'add the items manually, inside the mkForce or mkDefault'
}

export const itemNotFound: Message = {
  code: 'CONFLICT',
  message: 'this list does not contain the item that the position names',
  hint: 'name an item of this list, or omit the position to add at the end'
}

export const listNotLines: Message = {
  code: 'CONFLICT',
  message: 'this is a list, and lines can be added only to a string',
  hint: 'omit { lines: true } to add items to the list',
  remedy: 'OMIT_LINES'
}

export const linesNotShown: Message = {
  code: 'NOT_A_LIST',
  message: 'this is a string, and its text does not show what separates its items',
  hint: 'set the whole string, or pass { lines: true } if its items are lines',
  remedy: 'SET_STRING_OR_PASS_LINES'
}

export const linesOnlyAtEnd: Message = {
  code: 'CONFLICT',
  message: 'lines can be added to a string only at the end',
  hint: 'omit the position'
}

export function notALine(path: Names): Message {
  return {
    code: 'BAD_VALUE',
    message: `${formatPathPattern(path)} is a string of lines, and this item is not a line`,
    hint: 'pass each line as a string without a line ending',
    remedy: 'ONE_STRING_PER_LINE'
  }
}

export function computedString(code: ComputedCode): Message {
  return {
    code,
    message: "this string is computed, so a line can't be added",
    hint: 'add the text manually, or define the option in another module'
  }
}

export const crlfString: Message = {
  code: 'CONFLICT',
  message: 'with CRLF line endings, Nix keeps the CR and the indentation of this string',
  hint: 'convert the file to LF line endings, for example with dos2unix'
}

export const indentationLost: Message = {
  code: 'CONFLICT',
  message: 'without this line, Nix would remove more indentation from the remaining lines',
  hint: 'if the indentation does not matter, first give all lines the same indentation'
}

export const importsNotAList: Message = {
  code: 'NOT_A_LIST',
  message: 'imports is not a list here',
  hint: 'write it as a list:  imports = [ … ];'
}

/** `item` is the source of the import to add. */
export function importsInherited(item: string): Message {
  return {
    code: 'INHERITED',
    message: 'imports is inherited here, so nothing can be added to it',
    hint: `write it out, followed by the inherited value:  imports = [ ${item} ] ++ …;`
  }
}
