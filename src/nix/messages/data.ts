// Why an expression is not plain data.

/**
 * Why an expression is not plain data. Each code has one meaning:
 *
 * - `SYNTAX` the text is not Nix, or not one that can be edited
 * - `VARIABLE` a variable, or an attribute of one, whose value is not a literal of the same file
 * - `CALL` the result of a function
 * - `FUNCTION` a function
 * - `COMPUTED_VALUE` the result of an operator or of `if`, or what another binding adds to a `rec` set
 * - `INTERPOLATION` a string with an interpolation that is not a string of the same file
 * - `PATH` a path: JavaScript has no such type, and what it means depends on the file
 * - `NUMBER` an integer beyond 2^53 or a float that JavaScript would change
 * - `DYNAMIC_ATTRIBUTE` an attribute has a computed name
 * - `INHERITED` an attribute is inherited from another set
 * - `DUPLICATE_ATTRIBUTE` an attribute is defined twice in a way that Nix rejects
 * - `RECURSION` a value is defined by itself
 * - `TOO_DEEP` the value has thousands of levels, or a text of more than ten million characters
 */
export type NotDataCode =
  | 'SYNTAX'
  | 'VARIABLE'
  | 'CALL'
  | 'FUNCTION'
  | 'COMPUTED_VALUE'
  | 'INTERPOLATION'
  | 'PATH'
  | 'NUMBER'
  | 'DYNAMIC_ATTRIBUTE'
  | 'INHERITED'
  | 'DUPLICATE_ATTRIBUTE'
  | 'RECURSION'
  | 'TOO_DEEP'

const REASONS: Record<NotDataCode, string> = {
  SYNTAX: 'cannot be read',
  VARIABLE: 'is a variable whose value is not a literal of this file',
  CALL: 'is the result of a function',
  FUNCTION: 'is a function',
  COMPUTED_VALUE: 'is computed',
  INTERPOLATION: 'is computed, so the string around it is not a literal',
  PATH: 'is a path, which JavaScript does not have',
  NUMBER: 'is a number that JavaScript would change',
  DYNAMIC_ATTRIBUTE: 'is a computed name',
  INHERITED: 'is inherited from another set',
  DUPLICATE_ATTRIBUTE: 'is defined twice, which Nix rejects',
  RECURSION: 'is defined by itself',
  TOO_DEEP: 'has too many levels or too long a text'
}

const LONGEST = 60

/** `shown` is the source of the expression at fault on one line, without control characters. */
export function notDataMessage(code: NotDataCode, shown: string): string {
  const short = shown.length > LONGEST ? `${shown.slice(0, LONGEST - 1)}…` : shown
  return `${short} ${REASONS[code]}`
}
