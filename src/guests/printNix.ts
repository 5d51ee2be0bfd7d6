// Prints a domain in the usual layout of NixOS modules: short sets on one line, a set with one binding as
// an attribute path, comments kept.

import { formatPath } from '../nix/index.ts'
import type { DomainValue, Entry, Item, SetValue } from './value.ts'

const WIDTH = 100

/**
 * A NixOS module that defines the option at `path` as `value`, with `comments` above the module. `value` may
 * contain only strings, lists and sets.
 */
export function printModule(
  path: readonly string[],
  value: SetValue,
  comments: readonly string[]
): string {
  const isEmpty = value.entries.length === 0 && !value.comments
  const lines = isEmpty ? ['{ }'] : printLong(value, '  ')
  const binding = surround(`  ${formatPath(path)} = `, lines, ';')
  return `${[...commentLines(comments, ''), '{', ...binding, '}'].join('\n')}\n`
}

/** The lines of a definition: `name = value;`, with nested single bindings joined to one attribute path. */
function bindingLines(entry: Entry, path: readonly string[], indent: string): string[] {
  const { path: fullPath, value } = joinSingleBindings(entry.value, path)
  const head = `${indent}${formatPath(fullPath)} = `
  const above = commentLines(entry.comments ?? [], indent)
  const inline = inlineValue(value)
  if (inline !== undefined && head.length + inline.length < WIDTH) {
    return [...above, `${head}${inline};`]
  }
  return [...above, ...surround(head, printLong(value, indent), ';')]
}

/** Descends through sets with a single binding: `source = { dev = …; }` becomes `source.dev = …`. */
function joinSingleBindings(
  value: DomainValue,
  path: readonly string[]
): { path: readonly string[]; value: DomainValue } {
  if (value.kind !== 'set' || value.comments) return { path, value }
  const [only] = value.entries
  if (!only || value.entries.length > 1 || only.comments) return { path, value }
  return joinSingleBindings(only.value, [...path, only.name])
}

/** Adds `head` before the first line and `tail` after the last line. */
function surround(head: string, lines: readonly string[], tail: string): string[] {
  return lines.map((line, i) => (i === 0 ? head : '') + line + (i === lines.length - 1 ? tail : ''))
}

/** A value on one line; undefined if the value needs several lines. */
function inlineValue(value: DomainValue): string | undefined {
  if (value.kind === 'text') return value.text.includes('\n') ? undefined : nixString(value.text)
  if (value.kind === 'list') {
    const [only] = value.items
    if (!only) return '[ ]'
    const inner = only.comments ? undefined : inlineValue(only.value)
    return value.items.length === 1 && inner !== undefined ? `[ ${inner} ]` : undefined
  }
  if (value.kind !== 'set' || value.comments) return undefined
  if (value.entries.length === 0) return '{ }'
  const parts = value.entries.map(printInlineBinding)
  return parts.every(it => it !== undefined) ? `{ ${parts.join(' ')} }` : undefined
}

/** `name = "text";` or `name = { };`; undefined for a value with more content. */
function printInlineBinding(entry: Entry): string | undefined {
  if (entry.comments) return undefined
  const { path, value } = joinSingleBindings(entry.value, [entry.name])
  const isSimple = value.kind === 'text' || (value.kind === 'set' && value.entries.length === 0)
  const inner = isSimple ? inlineValue(value) : undefined
  return inner === undefined ? undefined : `${formatPath(path)} = ${inner};`
}

function printLong(value: DomainValue, indent: string): string[] {
  const inner = `${indent}  `
  switch (value.kind) {
    case 'text':
      return printText(value.text, indent)
    case 'list':
      return ['[', ...value.items.flatMap(it => itemLines(it, inner)), `${indent}]`]
    case 'set':
      return [
        '{',
        ...value.entries.flatMap(it => bindingLines(it, [it.name], inner)),
        ...commentLines(value.comments ?? [], inner),
        `${indent}}`
      ]
    default:
      return ['null']
  }
}

function itemLines({ value, comments = [] }: Item, indent: string): string[] {
  const inline = inlineValue(value)
  const fits = inline !== undefined && indent.length + inline.length <= WIDTH
  const lines = fits ? [inline] : printLong(value, indent)
  return [...commentLines(comments, indent), ...surround(indent, lines, '')]
}

/** An indented string if Nix reads the same text from it, otherwise a string on one line. */
function printText(text: string, indent: string): string[] {
  const lines = text.split('\n')
  const hasMargin = lines.some(it => /^[^ ]/.test(it))
  const isPlain = !/\r|\t|''|\$\{|'$|\n +(\n|$)|^ +\n/.test(text) && !text.startsWith('\n')
  if (lines.length < 2 || !hasMargin || !isPlain) return [nixString(text)]
  const inner = `${indent}  `
  const body = lines.map(it => (it === '' ? '' : inner + it))
  if (lines.at(-1) === '') return ["''", ...body.slice(0, -1), `${indent}''`]
  return ["''", ...body.slice(0, -1), `${body.at(-1)}''`]
}

/** A Nix string on one line. A text with quotes, such as JSON, uses '' to avoid backslashes. */
function nixString(text: string): string {
  if (text.includes('"') && !/^[ ']|['$]$|''|\$\{|[\n\r\t]/.test(text)) return `''${text}''`
  const escaped = text
    .replace(/["\\]|\$(?=\{)/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
  return `"${escaped}"`
}

/** Comments as lines, without the indentation that they had in XML. */
function commentLines(comments: readonly string[], indent: string): string[] {
  return comments
    .flatMap(it => it.trim().split('\n'))
    .map(it => `${indent}# ${it.trim()}`.trimEnd())
}
