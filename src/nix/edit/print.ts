import { formatName, quote } from '../path.ts'
import { parse } from '../syntax/parser.ts'
import {
  commentSourcesOf,
  isAnnotated,
  isExpr,
  isValueList,
  isValueSet,
  type NixValue,
  withoutComment
} from '../values.ts'

/** The layout of new text. `indent` is the indentation of the line where the value begins. */
export interface Layout {
  indent: string
  /** One level of indentation: spaces or a tab. */
  unit: string
  eol: string
  /** `[x]` instead of `[ x ]`. */
  tightLists: boolean
}

const WIDTH = 80

/**
 * A value as Nix source. The first line has no indentation, later lines do. A set takes several lines
 * unless it is short and inside another value; a list takes several lines if it is long or has
 * comments. `column` is the number of columns already used on the first line.
 */
export function printValue(value: NixValue, layout: Layout, column = 0): string {
  const plain = withoutComment(value)
  if (isValueSet(plain)) return printSet(plain, layout)
  if (isValueList(plain)) return printList(plain, layout, column)
  return printInline(plain, layout.tightLists)
}

/** A value on one line, without comments. */
export function printInline(value: NixValue, tightLists = false): string {
  const plain = withoutComment(value)
  if (plain === null) return 'null'
  if (typeof plain === 'boolean') return String(plain)
  if (typeof plain === 'number') return printNumber(plain)
  if (typeof plain === 'string') return quote(plain)
  if (isExpr(plain)) return plain.source
  if (isValueList(plain)) {
    const items = plain.map(it => printItem(it, tightLists)).join(' ')
    if (items === '') return tightLists ? '[]' : '[ ]'
    return tightLists ? `[${items}]` : `[ ${items} ]`
  }
  const bindings = Object.entries(plain).map(entry => {
    const { head, value: inner } = dotted(entry)
    return `${head} = ${printInline(inner, tightLists)};`
  })
  return bindings.length === 0 ? '{ }' : `{ ${bindings.join(' ')} }`
}

/** A value as a list item, in parentheses if it would be read as several items without them. */
export function printItem(value: NixValue, tightLists = false): string {
  const plain = withoutComment(value)
  if (isExpr(plain)) return needsParentheses(plain.source) ? `(${plain.source})` : plain.source
  if (typeof plain === 'number' && plain < 0) return `(${printInline(plain)})`
  return printInline(plain, tightLists)
}

/** `name = value;` with its comments, if there are any, without the indentation of the first line. */
export function printBinding(attrpath: string, value: NixValue, layout: Layout): string {
  const head = `${attrpath} = `
  const printed = printValue(value, layout, layout.indent.length + head.length)
  const above = isAnnotated(value) ? commentSourcesOf(value).above : []
  const lines = above.map(it => it + layout.eol + layout.indent)
  return `${lines.join('')}${head}${printed};${commentOf(value)}`
}

/** A list item with its comment, to be written on its own line. */
export function printItemLine(value: NixValue, tightLists = false): string {
  return printItem(value, tightLists) + commentOf(value)
}

function commentOf(value: NixValue): string {
  return isAnnotated(value)
    ? commentSourcesOf(value)
        .after.map(it => ` ${it}`)
        .join('')
    : ''
}

function printSet(set: { readonly [name: string]: NixValue }, layout: Layout): string {
  const entries = Object.entries(set)
  if (entries.length === 0) return '{ }'
  const inner = { ...layout, indent: layout.indent + layout.unit }
  const lines = entries.map(entry => {
    const { head, value } = dotted(entry)
    const plain = withoutComment(value)
    const inline = `${head} = ${printInline(plain, layout.tightLists)};`
    const short =
      isValueSet(plain) && !isDeep(plain) && inner.indent.length + inline.length <= WIDTH
    return inner.indent + (short ? inline : printBinding(head, value, inner))
  })
  return ['{', ...lines, `${layout.indent}}`].join(layout.eol)
}

/** Writes nested sets with a single attribute each as one binding: `a.b.c = 1;`. */
function dotted([name, value]: [string, NixValue]): { head: string; value: NixValue } {
  const names = [formatName(name)]
  let inner = value
  for (;;) {
    const [only, ...others] = isValueSet(inner) ? Object.entries(inner) : []
    // A set with one attribute that is not a set is easier to read in braces than dotted.
    const isLast = names.length === 1 && !(only && isValueSet(only[1]))
    if (!only || others.length > 0 || isLast) return { head: names.join('.'), value: inner }
    names.push(formatName(only[0]))
    inner = only[1]
  }
}

function printList(items: readonly NixValue[], layout: Layout, column: number): string {
  const inline = printInline(items, layout.tightLists)
  if (!items.some(isAnnotated) && column + inline.length < WIDTH) return inline
  const indent = layout.indent + layout.unit
  const lines = items.map(it => indent + printItemLine(it, layout.tightLists))
  return ['[', ...lines, `${layout.indent}]`].join(layout.eol)
}

function isDeep(set: { readonly [name: string]: NixValue }): boolean {
  return Object.values(set).some(
    it => isAnnotated(it) || isValueList(it) || (isValueSet(it) && Object.keys(it).length > 0)
  )
}

function printNumber(value: number): string {
  const printed = String(value)
  // Nix needs a decimal point with digits on both sides before an exponent.
  return /e/.test(printed) && !printed.includes('.') ? printed.replace('e', '.0e') : printed
}

// Expressions that can be list items without parentheses.
const ATOMS = new Set([
  'variable_expression',
  'select_expression',
  'attrset_expression',
  'rec_attrset_expression',
  'let_attrset_expression',
  'list_expression',
  'parenthesized_expression',
  'string_expression',
  'indented_string_expression',
  'integer_expression',
  'float_expression',
  'path_expression',
  'hpath_expression',
  'spath_expression',
  'uri_expression'
])

function needsParentheses(source: string): boolean {
  const [first, ...others] = parse(source).root.children
  return first === undefined || others.length > 0 || !ATOMS.has(first.type)
}
