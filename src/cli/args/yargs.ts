// The command line as yargs knows it, built from the tables. Loaded only where it is needed: it takes longer to
// load than most commands take to run.

import yargs, { type Argv } from 'yargs'
import { ACTION_CALLS, CALLS, type Call, operandCount } from './commands.ts'
import {
  ACTIONS,
  type Action,
  COMMANDS,
  type Command,
  type CommandFlag,
  choicesOf,
  FLAGS,
  isTaken,
  keysOf,
  takesValue
} from './flags.ts'
import { PARSER_CONFIGURATION } from './readWords.ts'

// What @types/yargs lacks.
declare module 'yargs' {
  interface Argv<T> {
    updateStrings(strings: Record<string, string | { one: string; other: string }>): this
    usageConfiguration(configuration: { 'hide-types': boolean }): this
  }
}

/** Replaces each sentence of yargs with a reason and values. No word can contain the separator `\0`. */
const REASONS = {
  'Not enough arguments following: %s': 'missingValue\0%s',
  'Argument unexpected for: %s': 'unexpectedValue\0%s',
  'Unknown argument: %s': { one: 'unknownFlag\0', other: 'unknownFlag\0' },
  'Invalid values:': 'invalidChoice',
  'Argument: %s, Given: %s, Choices: %s': '\0%s\0',
  'Implications failed:': 'missingFlag\0',
  'Arguments %s and %s are mutually exclusive': 'conflict\0%s\0%s',
  'Did you mean %s?': 'suggestion\0%s'
}

/** Why yargs refuses words: a key of `REASONS`, and the values of its sentence. */
export class YargsRefusal extends Error {
  readonly reason: string
  readonly values: readonly string[]

  constructor(sentence: string) {
    super(sentence)
    const [reason = '', ...values] = sentence.split('\0').map(it => it.trim())
    this.reason = reason
    this.values = values
  }
}

/** A yargs that neither prints nor exits, and depends neither on the locale nor on a terminal. */
export function create(words: readonly string[]): Argv {
  return yargs([...words])
    .scriptName('vfio-patch')
    .locale('en')
    .parserConfiguration(PARSER_CONFIGURATION)
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((sentence, error) => {
      throw sentence ? new YargsRefusal(sentence) : error
    })
}

/** Parses the words with yargs; a refusal is thrown. */
export function parseWithYargs(words: readonly string[]): Record<string, unknown> {
  const top = declareFlags(create(words).updateStrings(REASONS), FLAGS)
  for (const command of COMMANDS) {
    top.command(command, '', it =>
      command === 'option' ? declareActions(it) : declareCall(it, CALLS[command], command)
    )
  }
  return top.demandCommand(0, 0, '', 'unknownCommand').strictOptions().parseSync()
}

function declareActions(argv: Argv): Argv {
  for (const action of ACTIONS) {
    argv.command(action, '', it => declareCall(it, ACTION_CALLS[action], 'option', action))
  }
  return declareFlags(argv, FLAGS).demandCommand(1, 0, 'missingOperand', 'unknownCommand')
}

function declareCall(argv: Argv, call: Call, command: Command, action?: Action): Argv {
  const flags = FLAGS.filter(it => isTaken(it, command, action))
  for (const [key, other] of call.needs ?? []) argv.implies(key, other)
  for (const [key, other] of call.conflicts ?? []) argv.conflicts(key, other)
  for (const it of flags) if (it.kind === 'toggle') argv.conflicts(it.name, `no-${it.name}`)
  const { least, most } = operandCount(call)
  return declareFlags(argv, flags).demandCommand(least, most, 'missingOperand', 'surplusOperand')
}

/** Declares flags for this level only: each command declares its own. */
function declareFlags(argv: Argv, flags: readonly CommandFlag[]): Argv {
  for (const flag of flags) {
    for (const key of keysOf(flag)) {
      argv.option(key, {
        ...(takesValue(flag) ? { type: 'string', nargs: 1 } : { type: 'boolean', nargs: 0 }),
        ...(flag.short === undefined ? {} : { alias: flag.short }),
        ...(choicesOf(key).length > 0 ? { choices: choicesOf(key) } : {}),
        global: false
      })
    }
  }
  return argv
}

/** The known word that a mistyped or unfinished word probably means. */
export function suggestionFor(word: string, known: readonly string[]): string | undefined {
  if (known.includes(word)) return word
  const begun = known.filter(it => it.startsWith(word))
  if (begun.length === 1) return begun[0]
  const argv = create([word]).updateStrings(REASONS).recommendCommands()
  for (const it of known) argv.command(it, '')
  try {
    argv.parseSync()
  } catch (error) {
    const near = error instanceof YargsRefusal ? error.values[0] : undefined
    // yargs allows three typos, so most short words are similar: also require the same first or last letter.
    if (near?.at(0) === word.at(0) || near?.at(-1) === word.at(-1)) return near
  }
  return undefined
}
