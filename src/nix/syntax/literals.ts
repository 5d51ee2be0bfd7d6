import { expr, type NixValue } from '../values.ts'
import { bindingsOf, elementsOf, isList, namesOf, unparenthesized } from './nodes.ts'
import { stringValue } from './strings.ts'
import type { SyntaxNode } from './tree.ts'

/**
 * An expression as a value: string, number, boolean, null, list and set literals become JavaScript
 * values, and any other expression becomes an `expr` with its source.
 */
export function literalOf(node: SyntaxNode): NixValue {
  const inner = unparenthesized(node)
  const source = inner.text
  const string = stringValue(inner)
  if (string !== undefined) return string
  if (isList(inner)) return elementsOf(inner).map(literalOf)
  if (inner.type === 'integer_expression' && Number.isSafeInteger(Number(source))) {
    return Number(source)
  }
  if (inner.type === 'float_expression') return Number(source)
  if (inner.type === 'variable_expression') {
    if (source === 'true' || source === 'false') return source === 'true'
    if (source === 'null') return null
  }
  if (inner.type === 'attrset_expression') {
    const set = setValue(inner)
    if (set) return set
  }
  return expr(source)
}

const PLAIN_LITERAL = /^(?:path|uri|integer|float|(?:indented_)?string)_expression$/

/** Whether a value is a string, number, path, boolean or null literal. */
export function isPlainLiteral(node: SyntaxNode): boolean {
  const inner = unparenthesized(node)
  const isName = inner.type === 'variable_expression'
  const isConstant = isName && /^(?:true|false|null)$/.test(inner.text)
  return isConstant || PLAIN_LITERAL.test(inner.type)
}

/** The value of a set literal; undefined if it has inherited, computed or dotted names. */
function setValue(set: SyntaxNode): Record<string, NixValue> | undefined {
  const entries: [string, NixValue][] = []
  for (const binding of bindingsOf(set)) {
    const names = binding.type === 'binding' ? namesOf(binding) : []
    const value = binding.field('expression')
    const [name] = names
    if (names.length !== 1 || name === undefined || !value) return undefined
    entries.push([name, literalOf(value)])
  }
  return Object.fromEntries(entries)
}
