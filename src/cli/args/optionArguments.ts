// The arguments of `option`: the action, the path of the option, and the values.

import { expr, type NixValue, parseDocument, parsePath } from '../../nix/index.ts'
import { literalOf } from '../../nix/syntax/literals.ts'
import type { CheckMode } from '../../plan/evaluate.ts'
import { CommandError, orThrow, shellWord } from '../message.ts'
import * as messages from '../messages/arguments.ts'
import type { Screens } from '../output/output.ts'
import { type Arguments, isGiven } from './parse.ts'
import {
  type CommandRequest,
  readCheckMode,
  readCommand,
  readRoot,
  readWriteOptions,
  type WriteOptions
} from './request.ts'

/** Which definitions of the option are edited: the one at a line, all, or also one under a condition. */
export interface OptionChoice {
  line: number | undefined
  all: boolean
  conditional: boolean
}

/** What `option` does. A path is the list of its attribute names. */
export type OptionAction =
  | { action: 'get'; path: readonly string[] | undefined; flat: boolean }
  | { action: 'set'; path: readonly string[]; value: NixValue; choice: OptionChoice }
  | {
      action: 'add'
      path: readonly string[]
      choice: OptionChoice
      items: readonly NixValue[]
      at: 'start' | 'end'
      /** Whether the items are lines of a string, even if nothing in the file shows that. */
      lines: boolean
    }
  | {
      action: 'remove'
      path: readonly string[]
      items: readonly NixValue[] | undefined
      choice: OptionChoice
    }
  | { action: 'rename'; path: readonly string[]; to: readonly string[] }
  | { action: 'import'; module: string; isRemoval: boolean }

/** `option` on a file, or on standard input (`-`). */
export interface OptionRequest extends CommandRequest {
  file: string
  root: string
  action: OptionAction
  /** The operands after the file, with the flags for them, quoted for a shell. */
  tail: string
  /** Called if a file is edited. */
  readWrite: () => WriteOptions
  /** Called if something changes. */
  readCheckMode: () => CheckMode
}

/** Reads the arguments of `option`. A path or value that cannot be parsed is a usage error. */
export function readOptionRequest(args: Arguments, screens: Screens): OptionRequest {
  const { file = '' } = args
  const action = readAction(args)
  const root = readRoot(args)
  const misplaced = ['dry-run', 'output'].find(it => file === '-' && isGiven(args, it))
  if (misplaced !== undefined) throw new CommandError(messages.noFileToWrite(misplaced))
  return {
    ...readCommand(args, screens),
    ...{ file, root, action, tail: tailOf(args) },
    readWrite: () => readWriteOptions(args, true),
    readCheckMode: () => readCheckMode(args)
  }
}

function tailOf(args: Arguments): string {
  const [at, line] = [args.text('at'), args.text('line')]
  const words = [
    ...(line === undefined ? [] : ['--line', line]),
    ...['all', 'conditional'].filter(it => args.on(it) === true).map(it => `--${it}`),
    ...(args.on('string') === true ? ['--string'] : []),
    ...(args.on('lines') === true ? ['--lines'] : []),
    ...(args.on('remove') === true ? ['--remove'] : []),
    ...(at === undefined ? [] : ['--at', at]),
    ...(args.values.some(it => it.startsWith('-')) ? ['--'] : []),
    ...args.values
  ]
  return words.map(shellWord).join(' ')
}

function readAction(args: Arguments): OptionAction {
  const [first, ...rest] = args.values
  const { action } = args
  const flat = args.on('flat') === true
  if (first === undefined) {
    if (flat) return { action: 'get', path: undefined, flat }
    throw new CommandError(messages.missingPath())
  }
  if (action === 'import') return { action, module: first, isRemoval: args.on('remove') === true }
  const path = orThrow(parsePath(first), messages.badPath)
  if (action === 'get') return { action, path, flat }
  if (action === 'rename') {
    return { action, path, to: orThrow(parsePath(rest[0] ?? ''), messages.badPath) }
  }
  const lines = args.on('lines') === true
  const items = rest.map(it => readItem(it, lines, args.on('string') === true))
  const choice = readChoice(args)
  if (action === 'remove') {
    return { action, path, items: items.length === 0 ? undefined : items, choice }
  }
  if (action === 'set') return { action, path, value: items[0] as NixValue, choice }
  const at = args.text('at') === 'start' ? 'start' : 'end'
  return { action: 'add', path, items, at, lines, choice }
}

function readChoice(args: Arguments): OptionChoice {
  const line = args.text('line')
  if (line !== undefined && !/^[1-9]\d{0,8}$/.test(line)) {
    throw new CommandError(messages.badLine(line))
  }
  return {
    line: line === undefined ? undefined : Number(line),
    all: args.on('all') === true,
    conditional: args.on('conditional') === true
  }
}

/** The value of a word: its text if it is a line or with `--string`, otherwise parsed as Nix. */
function readItem(word: string, isLine: boolean, isText: boolean): NixValue {
  if (isLine && !isText && isNixString(word)) throw new CommandError(messages.quotedLine(word))
  return isLine || isText ? word : readValue(word)
}

/** An expression as written. A single-line string becomes its text, because it may be added as a line. */
function readValue(word: string): NixValue {
  if (word.trim() === '') throw new CommandError(messages.emptyNixValue())
  const document = parseDocument(word)
  const [fault] = document.errors
  if (fault) {
    const [, source = '', caret = ''] = fault.render().split('\n')
    throw new CommandError(messages.notNix(fault.message, `${source}\n${caret}`))
  }
  const node = document.root.field('expression')
  if (!node) throw new CommandError(messages.emptyNixValue())
  if (node.type === 'path_expression' && /^[^./~]/.test(word.slice(node.start))) {
    throw new CommandError(messages.pathValue(word.trim()))
  }
  const literal = literalOf(node)
  return typeof literal === 'string' && !/[\r\n]/.test(literal)
    ? literal
    : // Without the comments around it: a line comment would swallow what follows.
      expr(node.text)
}

/** Whether a word is a string in Nix syntax, so that its quotes are probably not meant literally. */
function isNixString(word: string): boolean {
  const document = parseDocument(word)
  const type = document.root.field('expression')?.type
  return document.errors.length === 0 && /^(?:indented_)?string_expression$/.test(type ?? '')
}
