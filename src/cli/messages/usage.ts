// Why a command line is not accepted.

import { formatFlag } from '../../settings/flag.ts'
import {
  CALLS,
  type Call,
  formatCall,
  formatCommand,
  operandCount,
  type ResolvedCall
} from '../args/commands.ts'
import { choicesOf, flagOf } from '../args/flags.ts'
import { type Message, shellWord, usage } from '../message.ts'

const UNSET_VALUE = 'an unset variable expands to an empty value.'

export function unknownCommand(word: string, near: string | undefined): Message {
  return unknown('command', word, near, 'vfio-patch --help')
}

/** A file where a command is expected. */
export function fileAsCommand(file: string): Message {
  return usage(`"${file}" is not a command.`, { remedy: `vfio-patch apply ${shellWord(file)}` })
}

export function unknownAction(word: string, near: string | undefined): Message {
  const meant = near === undefined ? undefined : `option ${near}`
  return unknown('command', `option ${word}`, meant, 'vfio-patch option --help')
}

/** `word` and `near` have their dashes. */
export function unknownFlag(word: string, near: string | undefined, parsed: ResolvedCall): Message {
  return unknown('flag', word, near, helpOf(parsed))
}

function unknown(kind: string, word: string, near: string | undefined, remedy: string): Message {
  const question = near === undefined || near === word ? '' : ` Did you mean "${near}"?`
  return usage(`unknown ${kind} "${word}".${question}`, { remedy })
}

/** A flag of another command. */
export function misplacedFlag(key: string, parsed: ResolvedCall): Message {
  return usage(`"${formatCommand(parsed)}" does not take --${key}.`, { remedy: helpOf(parsed) })
}

/** `key` is the name or the letter of the flag, here and below. */
export function missingValue(key: string, parsed: ResolvedCall): Message {
  return usage(`${typedFlag(key)} needs a value.`, { remedy: helpOf(parsed) })
}

export function emptyValue(name: string, parsed: ResolvedCall): Message {
  if (name !== 'root') {
    return usage(`--${name} needs a value, got "".`, { why: UNSET_VALUE, remedy: helpOf(parsed) })
  }
  return usage('--root needs an absolute path, got "".', {
    why: 'an empty value would mean the running system.',
    remedy: 'check the variable you passed, e.g. --root /mnt'
  })
}

/** Standard input as the value of a flag. */
export function dashValue(name: string, parsed: ResolvedCall): Message {
  const remedy =
    name === 'domain'
      ? 'write it to a file first: virsh dumpxml --inactive win10 > win10.xml'
      : helpOf(parsed)
  return usage(`--${name} needs a value, got "-".`, { remedy })
}

export function unexpectedValue(key: string): Message {
  const flag = typedFlag(key)
  const remedy =
    flagOf(key)?.kind === 'toggle'
      ? `pass --${flagOf(key)?.name} or --no-${flagOf(key)?.name}`
      : `pass only ${flag}, or omit it`
  return usage(`${flag} takes no value.`, { remedy })
}

function typedFlag(key: string): string {
  const flag = flagOf(key)
  return flag && key.length === 1 ? formatFlag(flag) : `--${key}`
}

export function repeatedFlag(name: string, values: readonly string[]): Message {
  const times = values.length === 2 ? 'twice' : `${values.length} times`
  return usage(`--${name} was given ${times} (${values.join(', ')}).`, { remedy: 'give it once' })
}

export function invalidChoice(name: string, values: readonly string[]): Message {
  const choices = choicesOf(name)
  const wrong = values.find(it => !choices.includes(it))
  const all = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
  return usage(`--${name} takes ${all}, got "${wrong}".`)
}

/** Why a flag needs another flag, by the name of the first flag. */
const NEEDED: Record<string, string> = {
  'no-backup': 'a run without a backup cannot be undone.'
}

export function missingFlag(key: string, needed: string): Message {
  const why = NEEDED[key]
  return usage(`--${key} needs --${needed}.`, {
    ...(why === undefined ? {} : { why }),
    remedy: `add --${needed}, or omit --${key}`
  })
}

/** Why a flag excludes other flags, by the name of the first flag. */
const EXCLUDED: Record<string, string> = {
  redo: '--redo repeats the run that was undone last.',
  check: '--check only reports whether FILE converts without loss, and prints nothing else.'
}

export function conflict(key: string, other: string): Message {
  const why = EXCLUDED[key]
  return usage(`--${key} and --${other} cannot be used together.`, {
    ...(why === undefined ? {} : { why }),
    remedy: 'omit one of them'
  })
}

/** An operand is missing: the next one after the operands that were typed. */
export function missingOperand(parsed: ResolvedCall): Message {
  const call: Call = parsed.call ?? CALLS.option
  const next = call.operands[parsed.operands.length]
  return usage(`"${formatCommand(parsed)}" needs ${next?.name}: ${next?.help}.`, {
    remedy: callOf(parsed, call)
  })
}

export function emptyFile(): Message {
  return usage('the file name is empty.', {
    why: UNSET_VALUE,
    remedy: 'pass the file, e.g. /etc/nixos/configuration.nix'
  })
}

export function surplusOperand(parsed: ResolvedCall): Message {
  const call: Call = parsed.call ?? CALLS.option
  const what = `unexpected argument "${parsed.operands[operandCount(call).most]}".`
  const remedy = callOf(parsed, call)
  switch (parsed.command) {
    case 'scan':
      return usage(what, { why: '"scan" reads the machine, not a file.', remedy })
    case 'option':
      return usage(what, { why: 'a value with spaces must be quoted for the shell.', remedy })
    case 'apply':
    case 'diff':
      return usage(what, {
        why: `"${parsed.command}" takes one file, and a flag takes one value.`,
        remedy: 'repeat the flag for each value, e.g. --user alice --user bob'
      })
    default:
      return usage(what, { why: `"${parsed.command}" takes one file.`, remedy })
  }
}

function callOf(parsed: ResolvedCall, call: Call): string {
  return `vfio-patch ${formatCall(formatCommand(parsed), call)}`
}

function helpOf({ command }: ResolvedCall): string {
  return command === undefined ? 'vfio-patch --help' : `vfio-patch ${command} --help`
}
