import { errorAt, type NixError } from '../errors.ts'
import { computedList, computedString, conditionalList, notAList } from '../messages/lists.ts'
import { err, ok, type Result } from '../result.ts'
import { computedCodeOf } from '../syntax/computed.ts'
import { isPlainLiteral } from '../syntax/literals.ts'
import { callOf, elementsOf, inheritedSource, inheritOf, isList } from '../syntax/nodes.ts'
import { letValueOf } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { combinatorOf, mergeFor } from './combinators.ts'
import { unwrapped } from './module.ts'

/**
 * The list literal that a value always contains: the list itself, the first literal operand of `++`, the
 * list inside `mkForce`, `mkDefault`, `mkAfter` and similar functions, or the first one of a `mkMerge`.
 */
export function listOf(value: SyntaxNode): SyntaxNode | undefined {
  const inner = unwrapped(value)
  if (isList(inner)) return inner
  if (isConcat(inner)) return operandsOf(inner).map(unwrapped).find(isList)
  const combinator = combinatorOf(inner)
  if (combinator?.kind === 'priority') return listOf(combinator.value)
  return combinator?.kind === 'merge' ? combinator.values.map(unwrapped).find(isList) : undefined
}

/** One item of the lists that a value consists of. */
export interface ListItem {
  item: SyntaxNode
  /** The list literal, or the call `optional CONDITION ITEM` or `singleton ITEM`. */
  container: SyntaxNode
  /** The conditions under which the value contains it, as source. */
  conditions: readonly string[]
}

/** The items of all lists that a value consists of, in source order, also those under a condition. */
export function itemsOf(value: SyntaxNode): ListItem[] {
  return containersOf(value).flatMap(({ node, conditions }) => {
    const single = singleItemOf(node)
    const items = single ? [single.item] : elementsOf(node)
    return items.map(item => ({ item, container: node, conditions }))
  })
}

/** The items that a value contains regardless of its conditions. */
export function certainItemsOf(value: SyntaxNode): ListItem[] {
  return itemsOf(value).filter(it => it.conditions.length === 0)
}

/** The list literals that a value contains regardless of its conditions. */
export function certainListsOf(value: SyntaxNode): SyntaxNode[] {
  return containersOf(value).flatMap(it =>
    isList(it.node) && it.conditions.length === 0 ? [it.node] : []
  )
}

/** All list literals that a value consists of, including those under a condition. */
export function allListsOf(value: SyntaxNode): SyntaxNode[] {
  return containersOf(value).flatMap(it => (isList(it.node) ? [it.node] : []))
}

/** The list literals, and the calls of functions that return a list of one item, in a value. */
function containersOf(
  value: SyntaxNode,
  conditions: readonly string[] = []
): { node: SyntaxNode; conditions: readonly string[] }[] {
  const inner = unwrapped(value)
  const within = (node: SyntaxNode | undefined, condition?: string) =>
    node ? containersOf(node, condition ? [...conditions, condition] : conditions) : []
  if (isList(inner)) return [{ node: inner, conditions }]
  if (isConcat(inner)) return operandsOf(inner).flatMap(it => within(it))
  if (inner.type === 'if_expression') {
    const condition = inner.field('condition')?.text ?? ''
    return [
      ...within(inner.field('consequence'), condition),
      ...within(inner.field('alternative'), `!(${condition})`)
    ]
  }
  const single = singleItemOf(inner)
  if (single) {
    const all = single.condition ? [...conditions, single.condition.text] : conditions
    return [{ node: inner, conditions: all }]
  }
  const combinator = combinatorOf(inner)
  if (!combinator) return []
  if (combinator.kind === 'condition') return within(combinator.value, combinator.condition.text)
  const values = combinator.kind === 'merge' ? combinator.values : [combinator.value]
  return values.flatMap(it => within(it))
}

/** The item of a call `optional CONDITION ITEM` or `singleton ITEM`; undefined for any other node. */
export function singleItemOf(
  node: SyntaxNode
): { item: SyntaxNode; condition: SyntaxNode | undefined } | undefined {
  const call = node.type === 'apply_expression' ? callOf(node) : undefined
  const [first, second, ...others] = call?.args ?? []
  if (!call || !first || others.length > 0) return undefined
  if (call.name === 'optional' && second) return { item: second, condition: first }
  return call.name === 'singleton' && !second ? { item: first, condition: undefined } : undefined
}

/**
 * How to add a list that always applies to a value that contains none:
 *
 * - `append` at the end of an expression: `EXPRESSION ++ [ … ]`
 * - `append-wrapped` with parentheses, which `if` needs: `(EXPRESSION) ++ [ … ]`
 * - `wrap-merge` around a `mkIf`: `mkMerge [ (EXPRESSION) [ … ] ]`
 * - `merge` as one more element of the list of a `mkMerge`
 */
type ListForm =
  | { kind: 'append' | 'append-wrapped' | 'merge'; at: SyntaxNode }
  | { kind: 'wrap-merge'; at: SyntaxNode; callee: string }

/**
 * The form for a value without a list that always applies. `NOT_A_LIST`, or a `ComputedCode` if the value
 * may not be a plain list: `++` would break a variable whose value is a `mkIf`. `NO_TARGET` for a `mkIf`
 * if `mkMerge` is not in scope.
 */
export function formOf(value: SyntaxNode): Result<ListForm, NixError> {
  let at = value
  while (['let_expression', 'with_expression', 'assert_expression'].includes(at.type)) {
    const body = at.field('body')
    if (!body) break
    at = body
  }
  if (at.type === 'parenthesized_expression') {
    const inner = at.field('expression')
    if (isPlainList(at)) return ok({ kind: 'append', at })
    return inner ? formOf(inner) : err(notPlainList(at))
  }
  const combinator = combinatorOf(at)
  if (combinator?.kind === 'condition' && combinator.call.name === 'mkIf') {
    const callee = mergeFor(combinator.call)
    return callee === undefined
      ? err(errorAt(at, conditionalList))
      : ok({ kind: 'wrap-merge', at, callee })
  }
  if (combinator?.kind === 'merge') return ok({ kind: 'merge', at: combinator.list })
  if (combinator?.kind === 'priority') return argumentForm(combinator.value)
  if (isPlainList(at)) {
    return ok({ kind: at.type === 'if_expression' ? 'append-wrapped' : 'append', at })
  }
  return err(notPlainList(at))
}

/** The form for a function's argument. Nothing can be appended to it if it has no parentheses. */
function argumentForm(argument: SyntaxNode): Result<ListForm, NixError> {
  const inner =
    argument.type === 'parenthesized_expression' ? argument.field('expression') : undefined
  return inner ? formOf(inner) : err(notPlainList(argument, true))
}

/** Whether a value is certainly a list, and not a `mkIf` or a similar value of the module system. */
export function isPlainList(value: SyntaxNode, depth = 0): boolean {
  if (depth > 20) return false
  const inner = unwrapped(value)
  const isPlain = (node: SyntaxNode | undefined) =>
    node !== undefined && isPlainList(node, depth + 1)
  if (isList(inner) || isConcat(inner)) return true
  if (inner.type === 'if_expression') {
    return isPlain(inner.field('consequence')) && isPlain(inner.field('alternative'))
  }
  if (inner.type === 'variable_expression') return isPlain(letValueOf(inner))
  if (inner.type === 'select_expression') {
    // The module system has merged the value of an option, so it contains no mkIf.
    return MERGED_OPTION.test(inner.text)
  }
  const call = callOf(inner)
  return call !== undefined && RETURNS_LIST.has(call.name)
}

const MERGED_OPTION = /^(?:config|cfg|osConfig)\./

/** Whether the value of an inherited name is certainly a list, and not a `mkIf` or a similar value. */
export function inheritsPlainList(name: SyntaxNode): boolean {
  if (inheritOf(name).field('expression')) return MERGED_OPTION.test(inheritedSource(name))
  const value = letValueOf(name)
  return value !== undefined && isPlainList(value)
}

// Functions of builtins and nixpkgs' lib whose result is a list.
const RETURNS_LIST = new Set([
  'attrNames',
  'attrValues',
  'catAttrs',
  'concatLists',
  'concatMap',
  'concatMapAttrs',
  'drop',
  'filter',
  'flatten',
  'genList',
  'imap0',
  'imap1',
  'intersectLists',
  'map',
  'mapAttrsToList',
  'optional',
  'optionals',
  'range',
  'remove',
  'reverseList',
  'singleton',
  'sort',
  'splitString',
  'sublist',
  'subtractLists',
  'tail',
  'take',
  'toList',
  'unique'
])

export function isConcat(node: SyntaxNode): boolean {
  return node.type === 'binary_expression' && node.field('operator')?.type === '++'
}

/** The operands of a chain of `++` in source order. */
export function operandsOf(node: SyntaxNode): SyntaxNode[] {
  const left = node.field('left')
  const right = node.field('right')
  return [left, right].flatMap(it => (it ? (isConcat(it) ? operandsOf(it) : [it]) : []))
}

/** Functions of builtins and nixpkgs' lib whose result is a string. */
const RETURNS_TEXT =
  /^(?:concatLines|concatMapStrings(?:Sep)?|concatStrings(?:Sep)?|generators|optionalString|readFile|removeSuffix|replaceStrings|toJSON|toString)$/

/** Whether a value is certainly a string: a literal, a call that returns one, or one with `+` text. */
function isText(value: SyntaxNode): boolean {
  const inner = unwrapped(value)
  const isSum = inner.type === 'binary_expression' && inner.field('operator')?.type === '+'
  const [left, right] = [inner.field('left'), inner.field('right')]
  // The sum of a path and a string is a path.
  if (isSum && left && right) {
    return (
      isText(left) || (isText(right) && !/^(?:h|s)?path_expression$/.test(unwrapped(left).type))
    )
  }
  if (/string_expression$/.test(inner.type)) return true
  return RETURNS_TEXT.test(callOf(inner)?.name ?? '')
}

function notPlainList(value: SyntaxNode, isArgument = false): NixError {
  const inner = unwrapped(value)
  if (!/string_expression$/.test(inner.type) && isText(inner)) {
    return errorAt(inner, computedString(computedCodeOf(inner)))
  }
  const computed = ['apply_expression', 'variable_expression', 'select_expression', 'if_expression']
  const isComputed = computed.includes(inner.type) && !isPlainLiteral(inner)
  return errorAt(inner, isComputed ? computedList(isArgument, computedCodeOf(inner)) : notAList)
}
