// Why yargs refuses a command line, as a message.

import type { Message } from '../message.ts'
import * as messages from '../messages/usage.ts'
import { ACTIONS, COMMANDS, FLAGS, flagOf, isTaken, keysOf } from './flags.ts'
import type { Reading } from './readWords.ts'
import { parseWithYargs, suggestionFor, YargsRefusal } from './yargs.ts'

/** Explains why the words are not accepted. */
export function explainRefusal(reading: Reading): Message {
  try {
    parseWithYargs(reading.words)
  } catch (error) {
    if (error instanceof YargsRefusal) return messageOf(error, reading)
    throw error
  }
  throw new Error(`yargs accepts ${JSON.stringify(reading.words)}`)
}

function messageOf({ reason, values }: YargsRefusal, reading: Reading): Message {
  const [key = '', other = ''] = values
  switch (reason) {
    case 'unknownCommand':
      return unknownCommand(reading)
    case 'unknownFlag':
      return unknownFlag(reading)
    case 'missingValue':
      return messages.missingValue(key, reading)
    case 'unexpectedValue':
      return messages.unexpectedValue(key)
    case 'invalidChoice':
      return messages.invalidChoice(key, [reading.given.get(key)].flat().map(String))
    case 'missingFlag': {
      const [flag = '', , needed = ''] = key.split(' ')
      return messages.missingFlag(flag, needed)
    }
    case 'conflict':
      return messages.conflict(key, other)
    case 'missingOperand':
      return messages.missingOperand(reading)
    case 'surplusOperand':
      return messages.surplusOperand(reading)
    default:
      throw new Error(`yargs refuses ${JSON.stringify(reading.words)}: ${reason}`)
  }
}

function unknownCommand({ command, unknownWord = '' }: Reading): Message {
  if (command === 'option') {
    return messages.unknownAction(unknownWord, suggestionFor(unknownWord, ACTIONS))
  }
  return /[./]/.test(unknownWord)
    ? messages.fileAsCommand(unknownWord)
    : messages.unknownCommand(unknownWord, suggestionFor(unknownWord, COMMANDS))
}

/** The message about the first unknown flag. A long flag with one dash was read as several letters. */
function unknownFlag(reading: Reading): Message {
  const { command, action, words, given } = reading
  const flags = FLAGS.filter(it => command === undefined || isTaken(it, command, action))
  const key = [...given.keys()].find(it => !flagOf(it)) ?? ''
  const long = key.length > 1 ? key : words.find(it => /^-[a-zA-Z]/.test(it) && it.includes(key))
  const near = suggestionFor(long?.replace(/^-/, '') ?? '', flags.flatMap(keysOf))
  const typed = key.length > 1 ? `--${key}` : near === undefined ? `-${key}` : (long ?? '')
  return messages.unknownFlag(typed, near && `--${near}`, reading)
}
