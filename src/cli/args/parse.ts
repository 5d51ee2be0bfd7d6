// The fast path: decides whether a command line is valid. yargs itself is loaded only to explain a refusal.

import { CommandError, type Message, shellWord } from '../message.ts'
import * as messages from '../messages/usage.ts'
import { operandCount } from './commands.ts'
import { type Action, type Command, choicesOf, flagOf, isTaken, takesValue } from './flags.ts'
import { type Reading, readWords } from './readWords.ts'

/** The words of a command line that was accepted. */
export interface Arguments {
  /** Undefined if no command was typed; then there are no operands. */
  command: Command | undefined
  file: string | undefined
  /** The action of `option`. */
  action: Action | undefined
  /** The operands of `option` after the file. */
  values: readonly string[]
  /** All words, unchanged. */
  words: readonly string[]
  /** The words, quoted for a shell. */
  line: string
  /** Whether a flag without a value is on or off; undefined if it was not given. */
  on(name: string): boolean | undefined
  text(name: string): string | undefined
  texts(name: string): string[] | undefined
}

/** Whether a flag was given. */
export function isGiven(args: Arguments, name: string): boolean {
  return args.on(name) !== undefined || args.texts(name) !== undefined
}

/**
 * Parses the words after the program's name. Anything ambiguous is a usage error: an unknown flag, a flag that is
 * given twice, an empty value, `--dry-run=false`.
 */
export async function parseArguments(words: readonly string[]): Promise<Arguments> {
  const reading = readWords(words)
  if (isAccepted(reading)) return argumentsOf(reading)
  throw new CommandError(misreading(reading) ?? (await explainWithYargs(reading)))
}

async function explainWithYargs(reading: Reading): Promise<Message> {
  const { explainRefusal } = await import('./refusal.ts')
  return explainRefusal(reading)
}

function argumentsOf({ command, action, operands, words, given }: Reading): Arguments {
  const [file, ...values] = operands
  const texts = (name: string) => {
    const values = [given.get(name) ?? []].flat()
    return values.some(it => typeof it === 'string') ? values.map(String) : undefined
  }
  return {
    ...{ command, action, file, values, words, texts },
    line: words.map(shellWord).join(' '),
    on: name => (given.get(name) === true ? true : given.has(`no-${name}`) ? false : undefined),
    text: name => texts(name)?.[0]
  }
}

/** Whether the words are a valid command line. yargs makes the same decision and gives a reason (`refusal.ts`). */
export function isAccepted(reading: Reading): boolean {
  const { command, call, operands, given, isBroken, unknownWord } = reading
  if (command === undefined && unknownWord !== undefined) return false
  // The help is printed for any flags and operands.
  if (given.get('help') === true || given.get('version') === true) return true
  if (isBroken || misreading(reading)) return false
  if (![...given].every(([key, value]) => flagOf(key) && isChoice(key, value))) return false
  if (command === undefined) return true
  if (call === undefined) return false
  const { least, most } = operandCount(call)
  const { needs = [], conflicts = [] } = call
  return (
    operands.length >= least &&
    operands.length <= most &&
    needs.every(([key, other]) => !given.has(key) || given.has(other)) &&
    conflicts.every(([key, other]) => !given.has(key) || !given.has(other)) &&
    [...given.keys()].every(it => !given.has(`no-${it}`))
  )
}

function isChoice(key: string, value: unknown): boolean {
  const choices = choicesOf(key)
  return choices.length === 0 || [value].flat().every(it => choices.includes(String(it)))
}

/** An error if both parsers accept the words, but hardly as the user meant them. */
export function misreading(reading: Reading): Message | undefined {
  const { command, action, operands, given } = reading
  for (const [key, value] of given) {
    const flag = flagOf(key)
    if (!flag) continue
    if (command && !isTaken(flag, command, action)) return messages.misplacedFlag(key, reading)
    const values = [value].flat().map(String)
    if (!takesValue(flag)) {
      if (value !== true) return messages.unexpectedValue(key)
    } else if (values.includes('')) {
      return messages.emptyValue(flag.name, reading)
    } else if (values.includes('-')) {
      return messages.dashValue(flag.name, reading)
    } else if (flag.kind === 'text' && values.length > 1) {
      return messages.repeatedFlag(flag.name, values)
    }
  }
  return operands[0] === '' ? messages.emptyFile() : misreadWord(reading)
}

function misreadWord(reading: Reading): Message | undefined {
  const end = reading.words.indexOf('--')
  const words = end === -1 ? reading.words : reading.words.slice(0, end)
  for (const [i, word] of words.entries()) {
    // The parsers use these names themselves.
    if (/^--(?:_|\$0|get-yargs-completions)(?:=|$)|^-[a-zA-Z]*_/.test(word)) {
      return messages.unknownFlag(word, undefined, reading)
    }
    // `option` takes values such as `true` as operands, so the word after a flag is not checked there.
    if (reading.command === 'option' || !/^(?:true|false)$/.test(words[i + 1] ?? '')) continue
    const key = /^--(.+)$|^-\w*(\w)$/.exec(word)?.slice(1).join('') ?? ''
    const flag = flagOf(key)
    if (flag && !takesValue(flag)) return messages.unexpectedValue(key)
  }
  return undefined
}
