import parse from 'yargs-parser'
import { type FlagKind, formatFlag } from '../../settings/flag.ts'
import { CommandError, type Message, shellWord, usage } from '../message.ts'
import { COMMANDS, type Command, type CommandFlag, FLAGS } from './flags.ts'

/** What a person typed, read strictly. */
export interface Arguments {
  /** Absent if there was none; then only `help` or `version` can be on. */
  command: Command | undefined
  file: string | undefined
  /** What `option` is to do, as it was typed, and the words behind the file; of no other command. */
  action: string | undefined
  values: readonly string[]
  /** All words as they came. */
  words: readonly string[]
  /** The words as they would be typed again. */
  line: string
  /** Switches and toggles that were given. */
  on(name: string): boolean | undefined
  text(name: string): string | undefined
  texts(name: string): string[] | undefined
}

/** Whether a flag was given that is no list: switched on or off, or with a text. */
export function isGiven(args: Arguments, name: string): boolean {
  return args.on(name) !== undefined || args.text(name) !== undefined
}

/** The value of a flag that takes one; a value that is not among its choices is a usage error. */
export function readChoice(args: Arguments, name: string, remedy?: string): string | undefined {
  const value = args.text(name)
  const flag = flagOf(name)
  const choices = flag && 'choices' in flag ? flag.choices : undefined
  if (value === undefined || !choices || choices.includes(value)) return value
  const all = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
  const details = remedy === undefined ? {} : { remedy }
  throw new CommandError(usage(`--${name} takes ${all}, got "${value}".`, details))
}

/**
 * Reads the words behind the program's name. Anything that could mean something else than it says is
 * a usage error: an unknown flag, one given twice, an empty value, `--dry-run=false`.
 */
export function parseArguments(words: readonly string[]): Arguments {
  const strange = findStrange(words)
  if (strange) throw new CommandError(strange)

  const parsed = parse(words.includes('option') ? shield(words) : [...words], {
    array: flagNames('texts'),
    string: flagNames('text', 'texts'),
    boolean: flagNames('switch', 'toggle', 'off'),
    alias: Object.fromEntries(
      FLAGS.flatMap(it => (it.short === undefined ? [] : [[it.name, it.short]]))
    ),
    configuration: {
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
      'boolean-negation': true,
      'camel-case-expansion': false,
      'dot-notation': false,
      'strip-aliased': true
    }
  })

  const [command, ...operands] = parsed._.map(String)
  const chosen = COMMANDS.find(it => it === command)
  if (command !== undefined && !chosen) throw new CommandError(unknownCommand(command))
  const action = chosen === 'option' ? operands.shift() : undefined
  const [file, ...rest] = operands
  if (chosen !== 'option' && rest[0] !== undefined) {
    throw new CommandError(
      usage(`one file at a time, please: "${rest[0]}" is one too many.`, {
        remedy: 'a flag takes one value; repeat it for more, e.g. --user alice --user bob'
      })
    )
  }
  if (file === '') {
    throw new CommandError(
      usage('the file name is empty.', {
        why: 'a variable that is not set gives an empty name.',
        remedy: 'give the file, e.g. /etc/nixos/configuration.nix'
      })
    )
  }
  const misuse = findMisuse(parsed, chosen, words)
  if (misuse) throw new CommandError(misuse)
  return {
    command: chosen,
    file,
    action,
    values: rest,
    words,
    line: words.map(shellWord).join(' '),
    on: name => (typeof parsed[name] === 'boolean' ? parsed[name] : undefined),
    text: name => (typeof parsed[name] === 'string' ? parsed[name] : undefined),
    texts: name => (Array.isArray(parsed[name]) ? parsed[name].map(String) : undefined)
  }
}

function flagNames(...kinds: FlagKind[]): string[] {
  return FLAGS.filter(it => kinds.includes(it.kind)).map(it => it.name)
}

/** What the parser would read otherwise than it looks: checked on the words themselves. */
function findStrange(words: readonly string[]): Message | undefined {
  const end = words.indexOf('--')
  const own = end === -1 ? words : words.slice(0, end)
  const toggles = new Map<string, string>()
  for (const [i, word] of own.entries()) {
    const found = /^--?(no-)?([a-zA-Z][\w-]*)(=.*)?$/s.exec(word)
    if (!found) continue
    const [, no = '', name = '', value] = found
    const flag = flagOf(word.startsWith('--') ? name : `-${name}`)
    if (!flag) {
      // Of words with one dash, those of several letters are read as several flags.
      if (word.startsWith('--') || flagOf(name)) return unknownFlag(word.replace(/=.*/s, ''), words)
      continue
    }
    if (no !== '' && flag.kind !== 'toggle' && flag.kind !== 'off') {
      return usage(`there is no --no-${name}.`, { remedy: `leave ${formatFlag(flag)} away` })
    }
    if (no === '' && flag.kind === 'off') return unknownFlag(word, words)
    if (flag.kind === 'text' || flag.kind === 'texts') {
      const typed = value === undefined ? own[i + 1] : value.slice(1)
      if (typed === undefined || typed === '' || (value === undefined && typed.startsWith('--'))) {
        return missingValue(flag, typed, words)
      }
      // Else it would be the file of the command.
      if (value === undefined && typed === '-') {
        return usage(`${formatFlag(flag)} needs a value, got "-".`, {
          remedy:
            flag.name === 'domain'
              ? 'write it to a file first: virsh dumpxml --inactive win10 > win10.xml'
              : helpCall(words)
        })
      }
      continue
    }
    // An option's value may well be called so.
    const next = words.includes('option') ? undefined : own[i + 1]
    if (value !== undefined || next === 'true' || next === 'false') {
      const typed = value === undefined ? `${word} ${next}` : word
      return usage(`${formatFlag(flag)} takes no value, got "${typed}".`, {
        remedy:
          flag.kind === 'toggle'
            ? `give --${flag.name} or --no-${flag.name}`
            : `give ${formatFlag(flag)}, or leave it away`
      })
    }
    if (flag.kind === 'toggle' && (toggles.get(name) ?? no) !== no) {
      return usage(`--${name} and --no-${name} contradict each other.`, { remedy: 'give one' })
    }
    toggles.set(name, no)
  }
  return undefined
}

/** The words with `=true` at switches before a value that would else be taken for theirs. */
function shield(words: readonly string[]): string[] {
  const end = words.indexOf('--')
  return words.map((word, i) => {
    const next = words[i + 1]
    if ((end !== -1 && i >= end) || (next !== 'true' && next !== 'false')) return word
    const letter = /^-[a-zA-Z]*([a-zA-Z])$/.exec(word)?.[1]
    const flag = flagOf(letter === undefined ? word.replace(/^--/, '') : `-${letter}`)
    return flag?.kind === 'switch' ? `${word}=true` : word
  })
}

function flagOf(name: string): CommandFlag | undefined {
  return FLAGS.find(it => (name.startsWith('-') ? `-${it.short}` === name : it.name === name))
}

function missingValue(
  flag: CommandFlag,
  typed: string | undefined,
  words: readonly string[]
): Message {
  const remedy = helpCall(words)
  if (typed !== '') return usage(`${formatFlag(flag)} needs a value.`, { remedy })
  if (flag.name !== 'root') {
    const why = 'a variable that is not set gives an empty value.'
    return usage(`${formatFlag(flag)} needs a value, got "".`, { why, remedy })
  }
  return usage('--root needs an absolute directory, got "".', {
    why: 'an empty value would mean the running system.',
    remedy: 'check the variable you passed, e.g. --root /mnt'
  })
}

function findMisuse(
  parsed: Record<string, unknown>,
  command: Command | undefined,
  words: readonly string[]
): Message | undefined {
  for (const [name, value] of Object.entries(parsed)) {
    if (['_', '$0', '--'].includes(name) || value === undefined) continue
    const flag = FLAGS.find(it => it.name === name)
    if (!flag) return unknownFlag(name.length === 1 ? `-${name}` : `--${name}`, words)
    if (command && !flag.commands.includes(command)) {
      return usage(`${formatFlag(flag)} does not go with "${command}".`, {
        remedy: helpCall(words)
      })
    }
    if (flag.kind !== 'texts' && Array.isArray(value)) {
      const twice = value.map(String).join(', ')
      return usage(
        `${formatFlag(flag)} was given ${value.length === 2 ? 'twice' : `${value.length} times`} (${twice}).`,
        { remedy: 'give it once' }
      )
    }
    // As the last of several letters (`-qo`).
    if ([value].flat().includes('')) return missingValue(flag, undefined, words)
  }
  return undefined
}

function unknownFlag(word: string, words: readonly string[]): Message {
  const all = FLAGS.flatMap(it =>
    it.kind === 'toggle' ? [`--${it.name}`, `--no-${it.name}`] : [formatFlag(it)]
  )
  return unknown('option', word, closest(word, all), helpCall(words))
}

function unknownCommand(word: string): Message {
  const isFile = /[./]/.test(word)
  return isFile
    ? usage(`"${word}" is not a command.`, { remedy: `vfio-patch apply ${shellWord(word)}` })
    : unknown('command', word, closest(word, COMMANDS), helpCall([]))
}

/** A word that is none of those that can stand there, and perhaps the one that was meant. */
export function unknown(
  what: string,
  word: string,
  near: string | undefined,
  remedy: string
): Message {
  const question = near === undefined ? '' : ` Did you mean "${near}"?`
  return usage(`unknown ${what} "${word}".${question}`, { remedy })
}

/** The help that lists what goes with the command, if these words name one. */
function helpCall(words: readonly string[]): string {
  const command = words.find(it => COMMANDS.some(known => known === it))
  return command === undefined ? 'vfio-patch --help' : `vfio-patch ${command} --help`
}

/**
 * The word that a mistyped or unfinished one most likely stands for, or undefined if none is near.
 */
export function closest(word: string, words: readonly string[]): string | undefined {
  const begun = words.filter(it => it.startsWith(word))
  if (begun.length === 1) return begun[0]
  const most = Math.max(1, Math.floor(word.length / 3))
  const near = words
    .map(it => ({ it, away: distance(word, it) }))
    .filter(({ away }) => away <= most)
    .sort((a, b) => a.away - b.away)
  return near[0]?.it
}

/** How many letters have to be put in, taken out, replaced or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
