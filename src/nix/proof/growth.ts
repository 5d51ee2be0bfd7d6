// The forms in which a list is added to an expression that is no list literal.

import { isConcat } from '../module/lists.ts'
import { unwrapped } from '../module/module.ts'
import { canonicalOfNode } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { isInScope } from '../syntax/scope.ts'
import { callOf, elementsOf, isList, unparenthesised } from '../syntax/shape.ts'

/** Says of an element of a list whether it is one of those that are to be added, or taken out. */
export type IsAsked = (text: string, element: SyntaxNode) => boolean

/**
 * Whether `is` is `was` with asked items behind it: `was ++ [ … ]` (then also `was` may be one, as
 * `++` is read from the right), or, for a `mkIf`, `mkMerge [ (was) [ … ] ]` by the same prefix, and
 * for one of lines `mkMerge [ (was) "…" ]`.
 */
export function isGrowth(
  [text, was]: [string, SyntaxNode],
  [freshText, is]: [string, SyntaxNode],
  isAsked: IsAsked
): boolean {
  const same = (node: SyntaxNode) => canonicalOfNode(freshText, node) === canonicalOfNode(text, was)
  const asked = (node: SyntaxNode) => isListOf(freshText, node, isAsked)
  const inner = unparenthesised(is)
  if (isConcat(inner)) {
    const left = inner.field('left')
    const right = inner.field('right')
    return left !== undefined && right !== undefined && same(left) && asked(right)
  }
  const call = callOf(freshText, inner)
  const list = call?.args[0]
  if (call?.name !== 'mkMerge' || call.args.length !== 1 || !list || !isList(list)) return false
  const [first, second, ...others] = elementsOf(list)
  if (!first || !second || !same(first)) return false
  const isOneList = others.length === 0 && asked(second)
  const areLines = [second, ...others].every(it => isAsked(freshText, it))
  if (!isOneList && !areLines) return false
  const condition = callOf(text, unwrapped(was))
  const isSamePrefix = condition?.callee.replace(/mkIf$/, 'mkMerge') === call.callee
  return isSamePrefix && (call.callee.includes('.') || isInScope(freshText, inner, call.callee))
}

/** Whether `is` is `was` without those of its operands that are `[ … ]` of nothing but asked items. */
export function isShrinkage(
  [text, was]: [string, SyntaxNode],
  [freshText, is]: [string, SyntaxNode],
  isAsked: IsAsked
): boolean {
  const kept = restOf(freshText, is, () => false)
  return isConcat(unparenthesised(was)) && restOf(text, was, isAsked) === kept
}

/** The operands of a chain of `++` that are no list of asked items only, in canonical form. */
function restOf(text: string, node: SyntaxNode, isAsked: IsAsked): string {
  const operands: string[] = []
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    const inner = unparenthesised(at)
    const left = inner.field('left')
    const right = inner.field('right')
    if (isConcat(inner) && left && right) stack.push(right, left)
    else if (!isListOf(text, at, isAsked)) operands.push(canonicalOfNode(text, at))
  }
  return operands.join(' ++ ')
}

/** Whether a node is a list literal of asked items, with at least one. */
export function isListOf(text: string, node: SyntaxNode, isAsked: IsAsked): boolean {
  const inner = unparenthesised(node)
  if (!isList(inner)) return false
  const elements = elementsOf(inner)
  return elements.length > 0 && elements.every(it => isAsked(text, it))
}
