// Strings that are read as lines, such as boot.extraModprobeConfig.

import { quote } from '../path.ts'
import { sharedIndent } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { eolOf } from '../text/lines.ts'
import { combinatorOf } from './combinators.ts'
import type { Definition } from './definitions.ts'
import { unwrapped } from './module.ts'

/** A line of a string literal: what it says, and where it is spelt, its line end not included. */
export interface StringLine {
  value: string
  start: number
  end: number
}

/** The string literal that a value always is, also inside `mkForce`, `mkAfter` and their like. */
export function stringIn(value: SyntaxNode): SyntaxNode | undefined {
  const inner = unwrapped(value)
  if (isString(inner)) return inner
  const combinator = combinatorOf(inner)
  return combinator?.kind === 'priority' ? stringIn(combinator.value) : undefined
}

// The conditions that a string can stand under.
const MAYBE = new Set(['mkIf', 'optionalString'])

/**
 * All string literals that a value may consist of, also those inside `mkIf`, `mkMerge` and their
 * like, in source order.
 */
export function stringsIn(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isString(inner)) return [inner]
  const combinator = combinatorOf(inner)
  if (!combinator) return []
  if (combinator.kind === 'merge') return combinator.values.flatMap(stringsIn)
  const opens = combinator.kind === 'priority' || MAYBE.has(combinator.call.name)
  return opens ? stringsIn(combinator.value) : []
}

/**
 * Whether the source of a string shows that it consists of lines: it is an indented string, it has a
 * line end, or it is empty. Of `"a b"` only the option's type says whether it is a line, words, or
 * one name.
 */
function showsLines(string: SyntaxNode): boolean {
  if (string.type === 'indented_string_expression') return true
  const { start, end } = bodyOf(string)
  return start === end || readLines(string).length > 1
}

/** Whether one of the strings that an option consists of shows lines, so that all of them are lines. */
export function definesLines(definitions: readonly Definition[]): boolean {
  const strings = definitions.flatMap(it => (it.inherited ? [] : stringsIn(it.value)))
  return strings.some(showsLines)
}

function isString(node: SyntaxNode): boolean {
  return node.type === 'string_expression' || node.type === 'indented_string_expression'
}

/** What the lines of a string say; lines with an interpolation are left out. */
export function linesOf(string: SyntaxNode): string[] {
  return lineNodesOf(string).map(it => it.value)
}

/** What all lines of a string say, an interpolation as it is spelt, behind a NUL to tell it apart. */
export function allLinesOf(string: SyntaxNode): string[] {
  return readLines(string).map(it => it.value)
}

/** The lines of a string that hold no interpolation. */
export function lineNodesOf(string: SyntaxNode): StringLine[] {
  return readLines(string).filter(it => !it.value.includes('\0'))
}

function readLines(string: SyntaxNode): StringLine[] {
  const isIndented = string.type === 'indented_string_expression'
  const indent = isIndented ? sharedIndent(string) : 0
  const text = string.documentText
  const holes = new Map(
    string.children.filter(it => it.type === 'interpolation').map(it => [it.start, it.end])
  )
  const lines: StringLine[] = []
  const { start, end } = bodyOf(string)
  let line = { value: '', start }
  const close = (at: number) => {
    const cut = Math.min(indent, leading(line.value))
    lines.push({ value: line.value.slice(cut), start: line.start, end: at })
  }
  const token = isIndented ? /''(?:([$'])|\\([\s\S]))|\n|[\s\S]/y : /\\([\s\S])|\r?\n|[\s\S]/y
  for (let at = start; at < end; ) {
    const hole = holes.get(at)
    if (hole !== undefined) {
      line.value += `\0${text.slice(at, hole)}`
      at = hole
      continue
    }
    token.lastIndex = at
    const [spelt = '', one, two] = token.exec(text) ?? []
    const value = isIndented
      ? indentedToken(spelt, one, two)
      : one === undefined
        ? spelt.replace('\r\n', '\n')
        : (ESCAPES[one] ?? one)
    if (value === '\n') {
      close(at)
      at += spelt.length
      line = { value: '', start: at }
    } else {
      line.value += value
      at += spelt.length
    }
  }
  close(end)
  return lines
}

function indentedToken(spelt: string, mark: string | undefined, escaped: string | undefined) {
  if (mark === "'") return "''"
  if (mark === '$') return '$'
  return escaped === undefined ? spelt : (ESCAPES[escaped] ?? escaped)
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

const leading = (line: string) => /^ */.exec(line)?.[0].length ?? 0

function bodyOf(string: SyntaxNode): { start: number; end: number } {
  const quotes = string.type === 'string_expression' ? 1 : 2
  return { start: string.start + quotes, end: string.end - quotes }
}

/**
 * Whether a string over several lines has line ends of CR and LF: to Nix the CR is part of the line,
 * and so is then its indentation.
 */
export function keepsReturns(string: SyntaxNode): boolean {
  const isIndented = string.type === 'indented_string_expression'
  return isIndented && string.text.includes('\r')
}

/** The edit that writes lines behind the last one of a string. */
export function addLines(string: SyntaxNode, lines: readonly string[]): Edit {
  const { start, end } = bodyOf(string)
  const text = string.documentText
  const body = text.slice(start, end)
  if (string.type === 'string_expression') {
    const spelt = lines.map(it => quote(it).slice(1, -1)).join('\\n')
    const last = lineNodesOf(string).at(-1)
    if (body === '') return insertion(end, spelt)
    return insertion(end, last?.end === end && last.value === '' ? `${spelt}\\n` : `\\n${spelt}`)
  }
  const shared = sharedIndent(string)
  // Where no line is there to say how much indentation goes, what belongs to a line is marked.
  const isFirst = shared === Number.POSITIVE_INFINITY
  const eol = eolOf(text)
  const closing = /(?<!''\\)\n([ \t]*)$/.exec(body)
  if (!closing) {
    // All on one line: a line break of the text would count as part of the string.
    const lead = body.trim() === '' ? '' : "''\\n"
    // Nix takes indentation off what follows an escaped line break, too, so blanks of a line need as many more.
    const pad = (line: string) => (isFirst || !line.startsWith(' ') ? '' : ' '.repeat(shared))
    const closed = lines.map(it => pad(it) + closedIndented(it, isFirst))
    return insertion(end, lead + closed.join("''\\n"))
  }
  const inner = isFirst
    ? `${closing[1] ?? ''}${/\t/.test(closing[1] ?? '') ? '\t' : '  '}`
    : ' '.repeat(shared)
  const at = end - (closing[1] ?? '').length
  return insertion(at, lines.map(it => inner + escapeIndented(it, isFirst) + eol).join(''))
}

function escapeIndented(line: string, marksBlanks: boolean): string {
  const escaped = line
    .replace(/''|'(?=\$\{)/g, it => (it === "''" ? "'''" : "''\\'"))
    .replace(/\$(?=\{)/g, "''$")
  return marksBlanks ? escaped.replace(/^ /, "''\\ ") : escaped
}

/** A line that an escape or the end of the string follows: a lone quote would be read with theirs. */
function closedIndented(line: string, marksBlanks: boolean): string {
  const isOpen = /(?<!')(?:'')*'$/.test(line)
  if (!isOpen) return escapeIndented(line, marksBlanks)
  return `${escapeIndented(line.slice(0, -1), marksBlanks)}''\\'`
}

/** Whether the lines that are left of an indented string, without these, would lose more blanks. */
export function losesIndent(string: SyntaxNode, gone: ReadonlySet<string>): boolean {
  if (string.type !== 'indented_string_expression') return false
  const written = readLines(string).filter(it => /[^ ]/.test(it.value))
  const left = written.filter(it => !gone.has(it.value))
  return left.length > 0 && left.length < written.length && left.every(it => leading(it.value) > 0)
}

/** The edit that takes one line out of a string, with its line end. */
export function removeLine(string: SyntaxNode, line: StringLine): Edit {
  const text = string.documentText
  const body = bodyOf(string)
  const after = /^(?:\r?\n|(?:'')?\\[n\n])/.exec(text.slice(line.end, body.end))
  if (after) {
    return deletion(line.start, line.end + after[0].length)
  }
  const isIndented = string.type === 'indented_string_expression'
  const end = isIndented ? /(?:''\\[n\n]|\n)$/ : /(?:\\[n\n]|\r?\n)$/
  const before = end.exec(text.slice(body.start, line.start))
  return deletion(line.start - (before?.[0].length ?? 0), line.end)
}

function insertion(offset: number, content: string): Edit {
  return { offset, length: 0, content }
}

function deletion(start: number, end: number): Edit {
  return { offset: start, length: end - start, content: '' }
}
