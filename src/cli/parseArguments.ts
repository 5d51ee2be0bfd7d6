import yargs from 'yargs'
import { err, ok, type Result } from '../nix/result.ts'
import { closest } from './closest.ts'
import { type Command, FLAGS, type Flag, spell } from './flags.ts'
import type { Message } from './message.ts'
import { usage } from './message.ts'

/** What a person typed, read strictly. */
export interface Arguments {
  /** Absent if there was none; then only `help` or `version` can be on. */
  command: Command | undefined
  file: string | undefined
  /** Switches and toggles that were given. */
  on(name: string): boolean | undefined
  text(name: string): string | undefined
  texts(name: string): string[] | undefined
}

const COMMANDS: readonly Command[] = ['apply', 'diff', 'undo']

/**
 * Reads the words behind the program's name. Anything that could mean something else than it says is
 * a usage error: an unknown flag, one given twice, an empty value, `--dry-run=false`.
 */
export function parseArguments(words: readonly string[]): Result<Arguments, Message> {
  const strange = findStrange(words)
  if (strange) return err(strange)

  const parsed = yargs([...words])
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
      'boolean-negation': true,
      'camel-case-expansion': false,
      'dot-notation': false,
      'strip-aliased': true
    })
    .help(false)
    .version(false)
    .options(Object.fromEntries(FLAGS.map(it => [it.name, optionOf(it)])))
    .locale('en')
    .exitProcess(false)
    .fail(false)
    .parseSync() as unknown as Record<string, unknown> & { _: unknown[] }

  const [command, file, ...rest] = parsed._.map(String)
  const chosen = COMMANDS.find(it => it === command)
  if (command !== undefined && !chosen) return err(unknownCommand(command))
  if (rest[0] !== undefined) {
    return err(usage(`one file at a time, please: "${rest[0]}" is one too many.`))
  }
  if (file === '') {
    return err(
      usage('the file name is empty.', {
        why: 'a variable that is not set gives an empty name.',
        remedy: 'give the file, e.g. /etc/nixos/configuration.nix'
      })
    )
  }
  const misuse = findMisuse(parsed, chosen)
  if (misuse) return err(misuse)
  return ok({
    command: chosen,
    file,
    on: name => (typeof parsed[name] === 'boolean' ? parsed[name] : undefined),
    text: name => (typeof parsed[name] === 'string' ? parsed[name] : undefined),
    texts: name => (Array.isArray(parsed[name]) ? parsed[name].map(String) : undefined)
  })
}

function optionOf(flag: Flag) {
  const alias = flag.short === undefined ? {} : { alias: flag.short }
  if (flag.kind === 'texts') return { type: 'string', array: true, ...alias } as const
  if (flag.kind === 'text') return { type: 'string', ...alias } as const
  return { type: 'boolean', ...alias } as const
}

/** What yargs would read otherwise than it looks: checked on the words themselves. */
function findStrange(words: readonly string[]): Message | undefined {
  const end = words.indexOf('--')
  const own = end === -1 ? words : words.slice(0, end)
  for (const [i, word] of own.entries()) {
    const found = /^--?(no-)?([a-zA-Z][\w-]*)(=.*)?$/s.exec(word)
    if (!found) continue
    const [, no = '', name = '', value] = found
    const flag = flagOf(word.startsWith('--') ? name : `-${name}`)
    if (!flag) {
      if (word.startsWith('--')) return unknownFlag(`--${no}${name}`)
      continue
    }
    if (no !== '' && flag.kind !== 'toggle' && flag.kind !== 'off') {
      return usage(`there is no --no-${name}.`, { remedy: `leave ${spell(flag)} away` })
    }
    if (no === '' && flag.kind === 'off') return unknownFlag(word)
    if (flag.kind === 'text' || flag.kind === 'texts') {
      const given = value === undefined ? own[i + 1] : value.slice(1)
      if (given === undefined || given === '' || (value === undefined && given.startsWith('--'))) {
        return missingValue(flag, given)
      }
      continue
    }
    const next = own[i + 1]
    if (value !== undefined || next === 'true' || next === 'false') {
      const given = value ?? ` ${next}`
      return usage(
        `${spell(flag)} takes no value, got "${word}${value === undefined ? given : ''}".`,
        {
          remedy:
            flag.kind === 'toggle'
              ? `give --${flag.name} or --no-${flag.name}`
              : `give ${spell(flag)}, or leave it away`
        }
      )
    }
  }
  return undefined
}

function flagOf(name: string): Flag | undefined {
  return FLAGS.find(it => (name.startsWith('-') ? `-${it.short}` === name : it.name === name))
}

function missingValue(flag: Flag, given: string | undefined): Message {
  if (flag.name === 'root') {
    return usage(`--root needs an absolute directory, got "${given ?? ''}".`, {
      why: 'an empty value would mean the running system.',
      remedy: 'check the variable you passed, e.g. --root /mnt'
    })
  }
  return usage(`${spell(flag)} needs a value.`, {
    ...(given === '' ? { why: 'a variable that is not set gives an empty value.' } : {}),
    remedy: `vfio-patch --help`
  })
}

function findMisuse(
  parsed: Record<string, unknown>,
  command: Command | undefined
): Message | undefined {
  for (const [name, value] of Object.entries(parsed)) {
    if (['_', '$0', '--'].includes(name) || value === undefined) continue
    const flag = FLAGS.find(it => it.name === name)
    if (!flag) return unknownFlag(name.length === 1 ? `-${name}` : `--${name}`)
    if (command && !flag.commands.includes(command)) {
      return usage(`${spell(flag)} does not go with "${command}".`, {
        remedy: `vfio-patch ${command} --help`
      })
    }
    if (flag.kind !== 'texts' && Array.isArray(value)) {
      const twice = value.map(String).join(', ')
      return usage(
        `${spell(flag)} was given ${value.length === 2 ? 'twice' : `${value.length} times`} (${twice}).`,
        { remedy: 'give it once' }
      )
    }
  }
  return undefined
}

function unknownFlag(word: string): Message {
  const all = FLAGS.flatMap(it =>
    it.kind === 'toggle' ? [`--${it.name}`, `--no-${it.name}`] : [spell(it)]
  )
  return unknown('option', word, closest(word, all))
}

function unknownCommand(word: string): Message {
  const near = closest(word, COMMANDS)
  const isFile = /[./]/.test(word)
  return isFile
    ? usage(`"${word}" is not a command.`, { remedy: `vfio-patch apply ${word}` })
    : unknown('command', word, near)
}

function unknown(what: string, word: string, near: string | undefined): Message {
  const question = near === undefined ? '' : ` Did you mean "${near}"?`
  return usage(`unknown ${what} "${word}".${question}`, { remedy: 'vfio-patch --help' })
}
