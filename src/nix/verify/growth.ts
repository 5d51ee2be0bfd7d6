// What may become of the value of a list that gets or loses items.

import { isConcat } from '../module/lists.ts'
import { unwrapped } from '../module/module.ts'
import { samePath } from '../path.ts'
import { canonicalOfNode } from '../syntax/canonical.ts'
import {
  bindingsOf,
  callOf,
  elementsOf,
  isList,
  isSet,
  namesOf,
  unparenthesized
} from '../syntax/nodes.ts'
import { isInScope } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { isListOf } from './items.ts'
import type { ItemTest } from './sameItem.ts'

type Path = readonly (string | undefined)[]

/** Whether a node is a set that defines one attribute, which together with `around` is `path`. */
export function definesOnly(
  node: SyntaxNode,
  isValue: ItemTest,
  path: Path,
  around: Path | undefined
): boolean {
  const [binding, ...others] = isSet(node) ? bindingsOf(node) : []
  const value = binding?.field('expression')
  if (!binding || !value || !around || others.length > 0) return false
  return samePath([...around, ...namesOf(binding)], path) && isValue(value)
}

/**
 * Whether `after` is `before` with requested items added: `before ++ [ … ]` or, if `before` is a `mkIf`,
 * `mkMerge [ (before) [ … ] ]`. Lines are added as `mkMerge [ (before) "…" ]`. `mkMerge` must have the
 * same prefix, such as `lib.`, as the `mkIf`.
 */
export function isGrowth(before: SyntaxNode, after: SyntaxNode, isRequested: ItemTest): boolean {
  const same = (node: SyntaxNode) => canonicalOfNode(node) === canonicalOfNode(before)
  const isRequestedList = (node: SyntaxNode) => isListOf(node, isRequested)
  const inner = unparenthesized(after)
  if (isConcat(inner)) {
    const left = inner.field('left')
    const right = inner.field('right')
    return left !== undefined && right !== undefined && same(left) && isRequestedList(right)
  }
  const isOneList = (parts: readonly SyntaxNode[]) =>
    parts.length === 1 && parts.every(isRequestedList)
  return isMergedWithAll(before, after, it => isOneList(it) || it.every(isRequested))
}

/** Whether `after` is `mkMerge [ (before) PART ]`, where `before` is a `mkIf` with the same prefix. */
export function isMergedWith(
  before: SyntaxNode,
  after: SyntaxNode,
  isPart: (part: SyntaxNode) => boolean
): boolean {
  return isMergedWithAll(before, after, it => it.length === 1 && it.every(isPart))
}

function isMergedWithAll(
  before: SyntaxNode,
  after: SyntaxNode,
  areParts: (parts: readonly SyntaxNode[]) => boolean
): boolean {
  const inner = unparenthesized(after)
  const call = callOf(inner)
  const list = call?.args[0]
  if (call?.name !== 'mkMerge' || call.args.length !== 1 || !list || !isList(list)) return false
  const [first, ...parts] = elementsOf(list)
  if (!first || parts.length === 0 || canonicalOfNode(first) !== canonicalOfNode(before))
    return false
  if (!areParts(parts)) return false
  const condition = callOf(unwrapped(before))
  const isSamePrefix = condition?.callee.replace(/mkIf$/, 'mkMerge') === call.callee
  return isSamePrefix && (call.callee.includes('.') || isInScope(inner, call.callee))
}

/** Whether `after` is `before` without those operands of `++` that are lists of only requested items. */
export function isShrinkage(before: SyntaxNode, after: SyntaxNode, isRequested: ItemTest): boolean {
  const kept = restOf(after, () => false)
  return isConcat(unparenthesized(before)) && restOf(before, isRequested) === kept
}

/** The operands of a chain of `++`, except lists of only requested items, in canonical form. */
function restOf(node: SyntaxNode, isRequested: ItemTest): string {
  const operands: string[] = []
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    const inner = unparenthesized(at)
    const left = inner.field('left')
    const right = inner.field('right')
    if (isConcat(inner) && left && right) stack.push(right, left)
    else if (!isListOf(at, isRequested)) operands.push(canonicalOfNode(at))
  }
  return operands.join(' ++ ')
}
