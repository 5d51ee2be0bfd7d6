// The words of `option`: what is to be done, to which option, with which values.

import { expr, formatPath, type NixValue, parseDocument, parsePath } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { literalOf } from '../../nix/syntax/literals.ts'
import { type Message, usage } from '../message.ts'
import { ACTIONS, type Action, FLAGS, spell } from './flags.ts'
import { type Arguments, closest, isGiven, unknown } from './parse.ts'
import { shellWord } from './shellWord.ts'

/** What `option` is asked for. Paths are attribute paths by their names. */
export type Asked =
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

/**
 * What the words ask for, and the file. An unknown action, a word too many or too few, and a path or
 * value that is none are usage errors.
 */
export function readAsked(given: Arguments): Result<{ asked: Asked; file: string }, Message> {
  const action = ACTIONS.find(it => it === given.action)
  if (action === undefined) return err(noAction(given.action))
  const foreign = FLAGS.find(
    it => it.actions?.includes(action) === false && isGiven(given, it.name)
  )
  if (foreign) {
    return err(usage(`${spell(foreign)} does not go with "option ${action}".`, { remedy: HELP }))
  }
  const { file, values } = given
  if (file === undefined) return err(missing('a file', action))
  const asked = readOperands(action, values, given)
  return asked.ok ? ok({ asked: asked.value, file }) : asked
}

/** The operands behind the file and the flags that go with them, as they would be typed again. */
export function tailOf(given: Arguments): string {
  const at = given.text('at')
  const words = [
    ...(given.on('string') === true ? ['--string'] : []),
    ...(given.on('lines') === true ? ['--lines'] : []),
    ...(at === undefined ? [] : ['--at', at]),
    ...(given.values.some(it => it.startsWith('-')) ? ['--'] : []),
    ...given.values
  ]
  return words.map(shellWord).join(' ')
}

function readOperands(
  action: Action,
  operands: readonly string[],
  given: Arguments
): Result<Asked, Message> {
  const [first, ...rest] = operands
  if (action === 'import') {
    if (first === undefined) return err(missing('the module to import', action))
    return rest[0] === undefined ? ok({ action, module: first }) : err(tooMany(rest[0], action))
  }
  if (first === undefined) {
    const flat = given.on('flat') === true
    return action === 'get' && flat
      ? ok({ action, path: undefined, flat })
      : err(missing('the path of an option', action))
  }
  const parsed = parsePath(first)
  if (!parsed.ok) {
    const { message, hint = HELP } = parsed.error
    return err(usage(`${message}.`, { remedy: hint }))
  }
  const path = parsed.value
  if (action === 'get') {
    return rest[0] === undefined
      ? ok({ action, path, flat: given.on('flat') === true })
      : err(tooMany(rest[0], action))
  }
  if (action === 'set' && rest[1] !== undefined) return err(tooMany(rest[1], action))
  const lines = given.on('lines') === true
  const areTexts = lines || given.on('string') === true
  const items: NixValue[] = []
  for (const word of rest) {
    if (lines && given.on('string') !== true && isNixString(word)) return err(quoted(word))
    const value = areTexts ? ok(word) : readValue(word)
    if (!value.ok) return value
    items.push(value.value)
  }
  if (action === 'remove') {
    return ok({ action, path, items: items.length === 0 ? undefined : items })
  }
  const [value] = items
  if (value === undefined) return err(missing(`a value for ${formatPath(path)}`, action))
  if (action === 'set') return ok({ action, path, value })
  const at = given.text('at') ?? 'end'
  return at === 'end' || at === 'start'
    ? ok({ action, path, items, at, lines })
    : err(usage(`--at takes end or start, got "${at}".`))
}

/** A piece of Nix, as it is spelt; a string on one line by what it says, as it may become a line. */
function readValue(word: string): Result<NixValue, Message> {
  if (word.trim() === '') return err(empty(word))
  const document = parseDocument(word)
  const [fault] = document.errors
  if (fault) {
    const [, source = '', caret = ''] = fault.render().split('\n')
    return err({
      ...usage(`the value is not Nix: ${fault.message}.`, { remedy: STRING }),
      excerpt: `${source}\n${caret}`
    })
  }
  const node = document.root.field('expression')
  if (!node) return err(empty(word))
  if (node.type === 'path_expression' && /^[^./~]/.test(word.slice(node.start))) {
    return err(
      usage(`Nix reads ${word.trim()} as the path of a file.`, {
        remedy: `if text is meant: ${STRING}\nif a file is meant: ./${word.trim()}`
      })
    )
  }
  const literal = literalOf(word, node)
  return ok(
    typeof literal === 'string' && !/[\r\n]/.test(literal)
      ? literal
      : // Without the comments around it: one would swallow what follows.
        expr(word.slice(node.start, node.end))
  )
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

function tooMany(word: string, action: Action): Message {
  return usage(`"${word}" is one too many for "option ${action}".`, {
    why: 'a value with blanks needs quotes around it for the shell.',
    remedy: CALLS[action]
  })
}
