// Reads words with yargs-parser, without validating them.

import parser from 'yargs-parser'
import { type ResolvedCall, resolveCall } from './commands.ts'
import { FLAGS, keysOf, takesValue } from './flags.ts'

/** How both parsers read words. All names of each flag are declared, so the parsers need not infer negations. */
export const PARSER_CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'strip-aliased': true
}

const OPTIONS = {
  string: FLAGS.filter(takesValue).flatMap(keysOf),
  boolean: FLAGS.filter(it => !takesValue(it)).flatMap(keysOf),
  // With 0, a value after "=" is an error, and the next word is not taken as the value.
  narg: Object.fromEntries(
    FLAGS.flatMap(it => keysOf(it).map(key => [key, takesValue(it) ? 1 : 0]))
  ),
  alias: Object.fromEntries(
    FLAGS.flatMap(it => (it.short === undefined ? [] : [[it.name, it.short]]))
  ),
  configuration: { ...PARSER_CONFIGURATION, 'populate--': true }
}

/** What yargs-parser reads in the words. */
export interface Reading extends ResolvedCall {
  words: readonly string[]
  /** The value of each flag by its name as typed, without dashes; a list if the flag was given more than once. */
  given: ReadonlyMap<string, unknown>
  /** Whether a flag has too few values or too many. */
  isBroken: boolean
}

export function readWords(words: readonly string[]): Reading {
  const { argv, error } = parser.detailed([...words], OPTIONS)
  const { _, '--': after = [], ...given } = argv
  const operands = resolveCall(_.map(String), after.map(String))
  return { ...operands, words, given: new Map(Object.entries(given)), isBroken: error !== null }
}
