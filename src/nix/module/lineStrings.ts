// Strings that consist of lines, such as boot.extraModprobeConfig.

import { quote } from '../path.ts'
import { sharedIndent } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { eolOf } from '../text/lines.ts'
import { combinatorOf } from './combinators.ts'
import type { Definition } from './definitions.ts'
import { unwrapped } from './module.ts'

/** A line of a string literal: its value, and its range in the source without the line ending. */
interface StringLine {
  value: string
  start: number
  end: number
}

/**
 * The string literal that a value always is, or to which lines can be added: also inside `mkForce`, `mkAfter`
 * and similar functions, and as the last operand of `+`, or one that ends with a line ending.
 */
export function stringIn(value: SyntaxNode): SyntaxNode | undefined {
  const inner = unwrapped(value)
  if (isString(inner)) return inner
  if (isSum(inner)) {
    const operands = operandsOfSum(inner)
    const last = operands.at(-1)
    // Without a line ending, what follows would continue the last added line.
    const isOpen = (it: SyntaxNode) => !endsLine(it) || readLines(it).length < 2
    return operands.findLast(it => isString(it) && (it === last || !isOpen(it)))
  }
  const combinator = combinatorOf(inner)
  return combinator?.kind === 'priority' ? stringIn(combinator.value) : undefined
}

/** The string literals that a value always contains: of several only in a chain of `+`. */
export function certainStringsIn(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isString(inner)) return [inner]
  if (isSum(inner)) return operandsOfSum(inner).filter(isString)
  const combinator = combinatorOf(inner)
  return combinator?.kind === 'priority' ? certainStringsIn(combinator.value) : []
}

function isSum(node: SyntaxNode): boolean {
  return node.type === 'binary_expression' && node.field('operator')?.type === '+'
}

/**
 * The operands of a chain of `+` whose literals consist of whole lines, unwrapped, in source order; empty if
 * a literal other than the last operand does not end with a line ending, or if there is no literal.
 */
function operandsOfSum(sum: SyntaxNode): SyntaxNode[] {
  const operands: SyntaxNode[] = []
  const stack = [sum]
  for (let at = stack.pop(); at; at = stack.pop()) {
    const inner = unwrapped(at)
    const [left, right] = [inner.field('left'), inner.field('right')]
    if (isSum(inner) && left && right) stack.push(right, left)
    else operands.push(inner)
  }
  const [first] = operands
  // The sum of a path and a string is a path.
  const isPath = first !== undefined && /path_expression$/.test(first.type)
  const parts = operands.slice(0, -1).flatMap(stringsIn)
  return !isPath && parts.every(endsLine) ? operands : []
}

/** Whether nothing follows the last line ending of a string. */
function endsLine(string: SyntaxNode): boolean {
  return readLines(string).at(-1)?.value === ''
}

// The functions that make a string conditional.
const CONDITIONAL = new Set(['mkIf', 'optionalString'])

/**
 * All string literals that a value may consist of, also inside `mkIf`, `mkMerge` and similar functions,
 * in source order.
 */
export function stringsIn(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isString(inner)) return [inner]
  if (isSum(inner)) return operandsOfSum(inner).flatMap(stringsIn)
  const combinator = combinatorOf(inner)
  if (!combinator) return []
  if (combinator.kind === 'merge') return combinator.values.flatMap(stringsIn)
  const opens = combinator.kind === 'priority' || CONDITIONAL.has(combinator.call.name)
  return opens ? stringsIn(combinator.value) : []
}

/**
 * Whether the source of a string shows that it consists of lines: it is an indented string, has a line
 * ending, or is empty. For `"a b"`, only the option's type shows whether it is a line, words or a name.
 */
function showsLines(string: SyntaxNode): boolean {
  if (string.type === 'indented_string_expression') return true
  const { start, end } = bodyOf(string)
  return start === end || readLines(string).length > 1
}

/** Whether a string of an option shows lines: then all strings of the option consist of lines. */
export function definesLines(definitions: readonly Definition[]): boolean {
  const strings = definitions.flatMap(it => (it.inherited ? [] : stringsIn(it.value)))
  return strings.some(showsLines)
}

function isString(node: SyntaxNode): boolean {
  return node.type === 'string_expression' || node.type === 'indented_string_expression'
}

/** The values of the lines of a string, without lines that have an interpolation. */
export function linesOf(string: SyntaxNode): string[] {
  return lineNodesOf(string).map(it => it.value)
}

/** The values of all lines of a string, with a NUL and the source in place of each interpolation. */
export function allLinesOf(string: SyntaxNode): string[] {
  return readLines(string).map(it => it.value)
}

/** The lines of a string without an interpolation. */
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
    const [source = '', one, two] = token.exec(text) ?? []
    const value = isIndented
      ? indentedToken(source, one, two)
      : one === undefined
        ? source.replace('\r\n', '\n')
        : (ESCAPES[one] ?? one)
    if (value === '\n') {
      close(at)
      at += source.length
      line = { value: '', start: at }
    } else {
      line.value += value
      at += source.length
    }
  }
  close(end)
  return lines
}

function indentedToken(source: string, mark: string | undefined, escaped: string | undefined) {
  if (mark === "'") return "''"
  if (mark === '$') return '$'
  return escaped === undefined ? source : (ESCAPES[escaped] ?? escaped)
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

const leading = (line: string) => /^ */.exec(line)?.[0].length ?? 0

function bodyOf(string: SyntaxNode): { start: number; end: number } {
  const quotes = string.type === 'string_expression' ? 1 : 2
  return { start: string.start + quotes, end: string.end - quotes }
}

/** Whether an indented string has CRLF line endings: Nix then keeps the CR and the indentation. */
export function isIndentedCrlf(string: SyntaxNode): boolean {
  const isIndented = string.type === 'indented_string_expression'
  return isIndented && string.text.includes('\r')
}

/** The edit that adds lines at the end of a string. */
export function addLines(string: SyntaxNode, lines: readonly string[]): Edit {
  const { start, end } = bodyOf(string)
  const text = string.documentText
  const body = text.slice(start, end)
  if (string.type === 'string_expression') {
    const added = lines.map(it => quote(it).slice(1, -1)).join('\\n')
    const last = lineNodesOf(string).at(-1)
    if (body === '') return insertion(end, added)
    return insertion(end, last?.end === end && last.value === '' ? `${added}\\n` : `\\n${added}`)
  }
  const shared = sharedIndent(string)
  // If the string has no lines yet, Nix measures the indentation on the new ones: escape their leading
  // spaces.
  const isFirst = shared === Number.POSITIVE_INFINITY
  const eol = eolOf(text)
  const closing = /(?<!''\\)\n([ \t]*)$/.exec(body)
  if (!closing) {
    // Write everything on one line: a line break in the source would become part of the string.
    const lead = body.trim() === '' ? '' : "''\\n"
    // Nix also removes indentation after an escaped line break, so lines with leading spaces need more.
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

/** A line as source of an indented string; `escapesSpace` protects a leading space. */
export function escapeIndented(line: string, escapesSpace: boolean): string {
  const escaped = line
    .replace(/''|'(?=\$\{)/g, it => (it === "''" ? "'''" : "''\\'"))
    .replace(/\$(?=\{)/g, "''$")
  return escapesSpace ? escaped.replace(/^ /, "''\\ ") : escaped
}

/** A line before an escape or the end of the string, with a quote at its end escaped: it would join that. */
export function closedIndented(line: string, escapesSpace: boolean): string {
  const isOpen = /(?<!')(?:'')*'$/.test(line)
  if (!isOpen) return escapeIndented(line, escapesSpace)
  return `${escapeIndented(line.slice(0, -1), escapesSpace)}''\\'`
}

/** Whether the remaining lines of an indented string would lose indentation without `removed`. */
export function losesIndent(string: SyntaxNode, removed: ReadonlySet<string>): boolean {
  if (string.type !== 'indented_string_expression') return false
  const all = readLines(string).filter(it => /[^ ]/.test(it.value))
  const kept = all.filter(it => !removed.has(it.value))
  return kept.length > 0 && kept.length < all.length && kept.every(it => leading(it.value) > 0)
}

/** The edit that removes one line from a string, with its line ending. */
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
