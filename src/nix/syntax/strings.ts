import type { SyntaxNode } from './tree.ts'

/** The value of a string literal of either kind in Nix; undefined if it has an interpolation. */
export function stringValue(node: SyntaxNode): string | undefined {
  if (node.children.some(it => it.type === 'interpolation')) return undefined
  if (node.type === 'string_expression') return quotedValue(node.text.slice(1, -1))
  if (node.type === 'indented_string_expression') return indentedValue(node)
  return undefined
}

/** The parts of a `"…"` in source order; undefined for each interpolation of anything but a string literal. */
export function partsOfString(node: SyntaxNode): (string | undefined)[] {
  const values = node.children
    .filter(it => it.type === 'interpolation')
    .map(it => it.field('expression'))
    .map(it => it && stringValue(it))
  const texts = textsBetween(node, 1).map(quotedValue)
  return texts.flatMap((it, i) => (i < values.length ? [it, values[i]] : [it]))
}

/** The value of a string literal of either kind, with these values in place of its interpolations. */
export function interpolatedValue(node: SyntaxNode, values: readonly string[]): string {
  const parts =
    node.type === 'string_expression'
      ? textsBetween(node, 1).map(quotedValue)
      : indentedValue(node, HOLE).split(HOLE)
  return parts.map((it, i) => it + (values[i] ?? '')).join('')
}

// A document with a NUL can't be edited, so no text of a string contains it.
const HOLE = '\0'

/** The source of a string before, between and after its interpolations, without the quotes. */
function textsBetween(node: SyntaxNode, quotes: number): string[] {
  const texts: string[] = []
  let at = node.start + quotes
  for (const child of node.children) {
    if (child.type !== 'interpolation') continue
    texts.push(node.documentText.slice(at, child.start))
    at = child.end
  }
  texts.push(node.documentText.slice(at, node.end - quotes))
  return texts
}

function quotedValue(body: string): string {
  // Nix reads \r\n and \r in a string as \n.
  return body
    .replace(/\r\n?/g, '\n')
    .replace(/\\([\s\S])/g, (_, char: string) => ({ n: '\n', r: '\r', t: '\t' })[char] ?? char)
}

/**
 * Nix removes from an indented string its first line if that is empty, the common indentation of its
 * lines, and the spaces of its last line. The common indentation is also removed after an escaped line
 * ending, although Nix ignores that text when it computes the indentation (stripIndentation in Nix).
 * `hole` is written for each interpolation.
 */
function indentedValue(node: SyntaxNode, hole = ''): string {
  const common = sharedIndent(node)
  const parts = piecesOf(node, hole)
  const first = parts[0]
  if (first && !first.isMark) first.value = first.value.replace(/^ *\n/, '')
  let value = ''
  // The number of spaces so far at the start of the line; undefined after its indentation.
  let seen: number | undefined = 0
  for (const char of parts.map(it => it.value).join('')) {
    if (char === '\n') seen = 0
    else if (char !== ' ') seen = undefined
    else if (seen !== undefined && ++seen <= common) continue
    value += char
  }
  const last = parts.at(-1)
  return last && !last.isMark && /\n *$/.test(last.value) ? value.replace(/ *$/, '') : value
}

/**
 * The number of spaces that Nix removes from each line of an indented string: the smallest indentation
 * of the lines that are not only spaces; Infinity if there is no such line. A tab, a carriage return, an
 * escape and an interpolation end the indentation of their line.
 */
export function sharedIndent(node: SyntaxNode): number {
  let shared = Number.POSITIVE_INFINITY
  let indent: number | undefined = 0
  for (const part of piecesOf(node)) {
    for (const char of part.isMark ? [''] : part.value) {
      if (char === '\n') indent = 0
      else if (indent !== undefined && char === ' ') indent++
      else if (indent !== undefined) {
        shared = Math.min(shared, indent)
        indent = undefined
      }
    }
  }
  return shared
}

/** A piece of an indented string: plain text, or a mark, which is an escape or an interpolation. */
interface StringPart {
  value: string
  isMark: boolean
}

const ESCAPE = /''(?:[$']|\\[\s\S])/g

function piecesOf(node: SyntaxNode, hole = ''): StringPart[] {
  const parts: StringPart[] = []
  const add = (value: string, isMark: boolean) => {
    if (value !== '' || isMark) parts.push({ value, isMark })
  }
  const addText = (written: string) => {
    let at = 0
    for (const it of written.matchAll(ESCAPE)) {
      add(written.slice(at, it.index), false)
      add(unescaped(it[0]), true)
      at = it.index + it[0].length
    }
    add(written.slice(at), false)
  }
  for (const [i, written] of textsBetween(node, 2).entries()) {
    if (i > 0) add(hole, true)
    addText(written)
  }
  return parts
}

function unescaped(source: string): string {
  if (source === "'''") return "''"
  const char = source.at(-1) ?? ''
  return source.includes('\\') ? ({ n: '\n', r: '\r', t: '\t' }[char] ?? char) : char
}
