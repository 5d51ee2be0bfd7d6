import { errorAt, type NixError } from '../errors.ts'
import { err, ok, type Result } from '../result.ts'
import { isPlainLiteral } from '../syntax/literals.ts'
import { callOf, elementsOf, isList } from '../syntax/nodes.ts'
import { isInScope, letValueOf } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { combinatorOf } from './combinators.ts'
import { unwrapped } from './module.ts'

/**
 * The list literal that a value always contains: the list itself, the first literal operand of `++`,
 * or the list inside `mkForce`, `mkDefault`, `mkAfter` and their like, or among those of `mkMerge`.
 */
export function listOf(value: SyntaxNode): SyntaxNode | undefined {
  const inner = unwrapped(value)
  if (isList(inner)) return inner
  if (isConcat(inner)) return operandsOf(inner).map(unwrapped).find(isList)
  const combinator = combinatorOf(inner)
  if (combinator?.kind === 'priority') return listOf(combinator.value)
  return combinator?.kind === 'merge' ? combinator.values.map(unwrapped).find(isList) : undefined
}

/** All list literals that a value is made of, also those that count only under a condition. */
export function allListsOf(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isList(inner)) return [inner]
  if (isConcat(inner)) return operandsOf(inner).flatMap(allListsOf)
  if (inner.type === 'if_expression') {
    const branches = [inner.field('consequence'), inner.field('alternative')]
    return branches.flatMap(it => (it ? allListsOf(it) : []))
  }
  const combinator = combinatorOf(inner)
  if (!combinator) return []
  const values = combinator.kind === 'merge' ? combinator.values : [combinator.value]
  return values.flatMap(allListsOf)
}

/** The items that a value contains whatever its conditions are. */
export function certainItemsOf(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isList(inner)) return elementsOf(inner)
  if (isConcat(inner)) return operandsOf(inner).flatMap(certainItemsOf)
  const combinator = combinatorOf(inner)
  if (!combinator || combinator.kind === 'condition') return []
  const values = combinator.kind === 'merge' ? combinator.values : [combinator.value]
  return values.flatMap(certainItemsOf)
}

/**
 * How a list that always counts is added to a value that contains none:
 *
 * - `append` at the end of an expression: `EXPRESSION ++ [ … ]`
 * - `append-wrapped` with parentheses, which `if` needs: `(EXPRESSION) ++ [ … ]`
 * - `wrap-merge` around a `mkIf`: `mkMerge [ (EXPRESSION) [ … ] ]`
 * - `merge` as one more element of the list of a `mkMerge`
 */
export type ListForm =
  | { kind: 'append' | 'append-wrapped' | 'merge'; at: SyntaxNode }
  | { kind: 'wrap-merge'; at: SyntaxNode; callee: string }

/**
 * The form for a value without a list that always counts. Refuses with `NOT_A_LIST`, or with
 * `SHARED_BINDING` where nothing tells that the value is a plain list: `++` would break a `mkIf`
 * that hides in a variable.
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
    return inner ? formOf(inner) : err(refuse(at))
  }
  const combinator = combinatorOf(at)
  if (combinator?.kind === 'condition' && combinator.call.name === 'mkIf') {
    const callee = combinator.call.callee.replace(/mkIf$/, 'mkMerge')
    if (callee.includes('.') || isInScope(at, callee)) {
      return ok({ kind: 'wrap-merge', at, callee })
    }
    return err(
      errorAt(at, {
        code: 'NO_TARGET',
        message: 'the list counts only under a condition, so what is added to it could be lost',
        hint: 'bring mkMerge into scope beside mkIf, or define the option in another module'
      })
    )
  }
  if (combinator?.kind === 'merge') return ok({ kind: 'merge', at: combinator.list })
  if (combinator?.kind === 'priority') return argumentForm(combinator.value)
  if (isPlainList(at)) {
    return ok({ kind: at.type === 'if_expression' ? 'append-wrapped' : 'append', at })
  }
  return err(refuse(at))
}

/** As the argument of a function, an expression needs parentheses, so only what has them can grow. */
function argumentForm(argument: SyntaxNode): Result<ListForm, NixError> {
  const inner =
    argument.type === 'parenthesized_expression' ? argument.field('expression') : undefined
  return inner ? formOf(inner) : err(refuse(argument, true))
}

/** Whether a value is certainly a list, and neither a `mkIf` nor anything else of the module system. */
export function isPlainList(value: SyntaxNode, depth = 0): boolean {
  if (depth > 20) return false
  const inner = unwrapped(value)
  const isOne = (node: SyntaxNode | undefined) => node !== undefined && isPlainList(node, depth + 1)
  if (isList(inner) || isConcat(inner)) return true
  if (inner.type === 'if_expression') {
    return isOne(inner.field('consequence')) && isOne(inner.field('alternative'))
  }
  if (inner.type === 'variable_expression') return isOne(letValueOf(inner))
  if (inner.type === 'select_expression') {
    // What an option holds has been merged: no mkIf is left in it.
    return /^(?:config|cfg|osConfig)\./.test(inner.text)
  }
  const call = callOf(inner)
  return call !== undefined && GIVES_LIST.has(call.name)
}

// Functions of builtins and nixpkgs' lib whose result is a list.
const GIVES_LIST = new Set([
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
function operandsOf(node: SyntaxNode): SyntaxNode[] {
  const left = node.field('left')
  const right = node.field('right')
  return [left, right].flatMap(it => (it ? (isConcat(it) ? operandsOf(it) : [it]) : []))
}

function refuse(value: SyntaxNode, isArgument = false): NixError {
  const inner = unwrapped(value)
  const computed = ['apply_expression', 'variable_expression', 'select_expression', 'if_expression']
  if (computed.includes(inner.type) && !isPlainLiteral(inner)) {
    return errorAt(inner, {
      code: 'SHARED_BINDING',
      message: 'the value is computed elsewhere, so there is no list to edit here',
      hint: `if it is a plain list, add one of your own behind it:  ${isArgument ? '(… ++ [ ])' : '… ++ [ ]'}`
    })
  }
  return errorAt(inner, {
    code: 'NOT_A_LIST',
    message: 'the value is not a list',
    hint: 'check the path, or give the option a list first'
  })
}
