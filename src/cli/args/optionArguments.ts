// The words of `option`: what is to be done, to which option, with which values.

import { expr, formatPath, type NixValue, parseDocument, parsePath } from '../../nix/index.ts'
import { literalOf } from '../../nix/syntax/literals.ts'
import type { CheckMode } from '../../plan/evaluate.ts'
import { formatFlag } from '../../settings/flag.ts'
import { CommandError, type Message, orThrow, shellWord, usage } from '../message.ts'
import type { Screens } from '../output/output.ts'
import { ACTIONS, type Action, FLAGS } from './flags.ts'
import { type Arguments, closest, isGiven, readChoice, unknown } from './parse.ts'
import {
  type CommandRequest,
  readCheckMode,
  readCommand,
  readRoot,
  readWriteOptions,
  type WriteOptions
} from './request.ts'

/** What `option` does. Paths are attribute paths by their names. */
export type OptionAction =
  | { action: 'get'; path: readonly string[] | undefined; flat: boolean }
  | { action: 'set'; path: readonly string[]; value: NixValue }
  | {
      action: 'add'
      path: readonly string[]
      items: readonly NixValue[]
      at: 'start' | 'end'
      /** Whether the items are lines of a text, even if nothing in the file shows that. */
      lines: boolean
    }
  | { action: 'remove'; path: readonly string[]; items: readonly NixValue[] | undefined }
  | { action: 'import'; module: string }

const HELP = 'vfio-patch option --help'

/** How each action is called. */
const CALLS: Record<Action, string> = {
  get: 'vfio-patch option get FILE PATH',
  set: 'vfio-patch option set FILE PATH VALUE',
  add: 'vfio-patch option add FILE PATH VALUE...',
  remove: 'vfio-patch option remove FILE PATH [VALUE...]',
  import: 'vfio-patch option import FILE MODULE'
}

/** `option` on a file, or on standard input (`-`). */
export interface OptionRequest extends CommandRequest {
  file: string
  root: string
  action: OptionAction
  /** The operands behind the file and the flags that go with them, as they would be typed again. */
  tail: string
  /** Read where a file is edited. */
  readWrite: () => WriteOptions
  /** Read where something changes. */
  readCheckMode: () => CheckMode
}

/**
 * Reads the arguments of `option`. An unknown action, a word too many or too few, and a path or value that
 * is none are usage errors.
 */
export function readOptionRequest(args: Arguments, screens: Screens): OptionRequest {
  const name = ACTIONS.find(it => it === args.action)
  if (name === undefined) throw new CommandError(noAction(args.action))
  const foreign = FLAGS.find(it => it.actions?.includes(name) === false && isGiven(args, it.name))
  if (foreign) {
    const what = `${formatFlag(foreign)} does not go with "option ${name}".`
    throw new CommandError(usage(what, { remedy: HELP }))
  }
  const { file } = args
  if (file === undefined) throw new CommandError(missing('a file', name))
  const action = readAction(name, args)
  const root = readRoot(args)
  const misplaced = ['dry-run', 'output'].find(it => file === '-' && isGiven(args, it))
  if (misplaced !== undefined) {
    throw new CommandError(
      usage(`--${misplaced} does not go with "-".`, {
        why: 'nothing is written to a file then; the result goes to standard output.',
        remedy: 'name the file, or leave the flag away'
      })
    )
  }
  return {
    ...readCommand(args, screens),
    ...{ file, root, action, tail: tailOf(args) },
    readWrite: () => readWriteOptions(args, true),
    readCheckMode: () => readCheckMode(args)
  }
}

function tailOf(args: Arguments): string {
  const at = args.text('at')
  const words = [
    ...(args.on('string') === true ? ['--string'] : []),
    ...(args.on('lines') === true ? ['--lines'] : []),
    ...(at === undefined ? [] : ['--at', at]),
    ...(args.values.some(it => it.startsWith('-')) ? ['--'] : []),
    ...args.values
  ]
  return words.map(shellWord).join(' ')
}

function readAction(action: Action, args: Arguments): OptionAction {
  const [first, ...rest] = args.values
  const flat = args.on('flat') === true
  if (action === 'import') {
    if (first === undefined) throw new CommandError(missing('the module to import', action))
    refuseMore(rest[0], action)
    return { action, module: first }
  }
  if (first === undefined) {
    if (action === 'get' && flat) return { action, path: undefined, flat }
    throw new CommandError(missing('the path of an option', action))
  }
  const path = orThrow(parsePath(first), ({ message, hint = HELP }) =>
    usage(`${message}.`, { remedy: hint })
  )
  if (action === 'get') {
    refuseMore(rest[0], action)
    return { action, path, flat }
  }
  if (action === 'set') refuseMore(rest[1], action)
  const lines = args.on('lines') === true
  const items = rest.map(it => readItem(it, lines, args.on('string') === true))
  if (action === 'remove') return { action, path, items: items.length === 0 ? undefined : items }
  const [value] = items
  if (value === undefined) {
    throw new CommandError(missing(`a value for ${formatPath(path)}`, action))
  }
  if (action === 'set') return { action, path, value }
  const at = readChoice(args, 'at') === 'start' ? 'start' : 'end'
  return { action, path, items, at, lines }
}

function refuseMore(word: string | undefined, action: Action): void {
  if (word === undefined) return
  throw new CommandError(
    usage(`"${word}" is one too many for "option ${action}".`, {
      why: 'a value with blanks needs quotes around it for the shell.',
      remedy: CALLS[action]
    })
  )
}

/** A word as text, where it is a line or `--string` says so; else as a piece of Nix. */
function readItem(word: string, isLine: boolean, isText: boolean): NixValue {
  if (isLine && !isText && isNixString(word)) throw new CommandError(quoted(word))
  return isLine || isText ? word : readValue(word)
}

/** A piece of Nix, as it is spelt; a string on one line by what it says, as it may become a line. */
function readValue(word: string): NixValue {
  if (word.trim() === '') throw new CommandError(empty(word))
  const document = parseDocument(word)
  const [fault] = document.errors
  if (fault) {
    const [, source = '', caret = ''] = fault.render().split('\n')
    throw new CommandError({
      ...usage(`the value is not Nix: ${fault.message}.`, { remedy: STRING }),
      excerpt: `${source}\n${caret}`
    })
  }
  const node = document.root.field('expression')
  if (!node) throw new CommandError(empty(word))
  if (node.type === 'path_expression' && /^[^./~]/.test(word.slice(node.start))) {
    const remedy = `if text is meant: ${STRING}\nif a file is meant: ./${word.trim()}`
    throw new CommandError(usage(`Nix reads ${word.trim()} as the path of a file.`, { remedy }))
  }
  const literal = literalOf(node)
  return typeof literal === 'string' && !/[\r\n]/.test(literal)
    ? literal
    : // Without the comments around it: one would swallow what follows.
      expr(node.text)
}

/** Whether a word is a string in the spelling of Nix, so that its quotation marks may be no part of it. */
function isNixString(word: string): boolean {
  const document = parseDocument(word)
  const type = document.root.field('expression')?.type
  return document.errors.length === 0 && /^(?:indented_)?string_expression$/.test(type ?? '')
}

function quoted(word: string): Message {
  return usage(
    `--lines takes ${word.trim()} as it is, so its quotation marks would become part of the line.`,
    {
      remedy: 'omit these quotation marks; or add --string if they belong to the line'
    }
  )
}

function empty(word: string): Message {
  return usage(`the value "${word}" says nothing.`, { remedy: STRING })
}

const STRING = `a string needs quotes of its own, e.g. '"text"', or --string`

function noAction(word: string | undefined): Message {
  return word === undefined
    ? usage('"option" needs to know what to do: get, set, add, remove or import.', { remedy: HELP })
    : unknown('command', `option ${word}`, suggestion(word), HELP)
}

function suggestion(word: string): string | undefined {
  const near = closest(word, ACTIONS)
  return near === undefined ? undefined : `option ${near}`
}

function missing(what: string, action: Action): Message {
  const flat = action === 'get' ? '\nor all of a file: vfio-patch option get FILE --flat' : ''
  return usage(`"option ${action}" needs ${what}.`, { remedy: `${CALLS[action]}${flat}` })
}
