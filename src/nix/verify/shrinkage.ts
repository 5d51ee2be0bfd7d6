// Checks a value from which items were removed: it is the value before without these items.

import { combinatorOf } from '../module/combinators.ts'
import { isConcat, operandsOf, singleItemOf } from '../module/lists.ts'
import { canonicalOfNode } from '../syntax/canonical.ts'
import { callOf, elementsOf, isComment, isList, unparenthesized } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { ItemTest } from './sameItem.ts'

/**
 * Whether `after` is `before` without the unwanted items of its lists. An operand of `++` that consists
 * only of unwanted items may be missing, or be an empty list.
 */
export function shrinksTo(before: SyntaxNode, after: SyntaxNode, isUnwanted: ItemTest): boolean {
  const [one, other] = [unparenthesized(before), unparenthesized(after)]
  if (isConcat(one)) return operandsShrinkTo(operandsOf(one), operandsIn(other), isUnwanted)
  if (isList(one) && isList(other)) return elementsShrinkTo(one, other, isUnwanted)
  if (isList(other) && elementsOf(other).length === 0 && isSpent(one, isUnwanted)) return true
  if (one.type !== other.type) return false
  const [parts, now] = [partsOf(one), partsOf(other)]
  if (parts.length === 0) return canonicalOfNode(one) === canonicalOfNode(other)
  return (
    parts.length === now.length &&
    parts.every((it, i) => shrinksTo(it, now[i] as SyntaxNode, isUnwanted)) &&
    restOf(one, parts) === restOf(other, now)
  )
}

function operandsIn(value: SyntaxNode): SyntaxNode[] {
  return isConcat(value) ? operandsOf(value) : [value]
}

function operandsShrinkTo(
  before: readonly SyntaxNode[],
  after: readonly SyntaxNode[],
  isUnwanted: ItemTest
): boolean {
  const areSpent = before.map(it => isSpent(it, isUnwanted))
  const [only, ...others] = after.map(unparenthesized)
  const isEmpty = only && others.length === 0 && isList(only) && elementsOf(only).length === 0
  if (isEmpty && areSpent.every(it => it)) return true
  // The numbers of operands of `after` to which the operands so far may have shrunk.
  let counts = new Set([0])
  before.forEach((operand, i) => {
    const next = new Set<number>()
    for (const count of counts) {
      if (areSpent[i]) next.add(count)
      const now = after[count]
      if (now && shrinksTo(operand, now, isUnwanted)) next.add(count + 1)
    }
    counts = next
  })
  return counts.has(after.length)
}

/** Whether a value consists only of unwanted items, with at least one. */
function isSpent(value: SyntaxNode, isUnwanted: ItemTest): boolean {
  let inner = unparenthesized(value)
  while (/^(?:let|with)_expression$/.test(inner.type)) {
    inner = unparenthesized(inner.field('body') ?? inner.children[0] ?? inner)
  }
  if (isConcat(inner)) return operandsOf(inner).every(it => isSpent(it, isUnwanted))
  const single = singleItemOf(inner)
  const items = single ? [single.item] : isList(inner) ? elementsOf(inner) : []
  return items.length > 0 && items.every(isUnwanted)
}

/** The operands, or the whole value, that consist only of unwanted items. */
export function spentIn(value: SyntaxNode, isUnwanted: ItemTest): SyntaxNode[] {
  const inner = unparenthesized(value)
  if (isSpent(inner, isUnwanted)) return [inner]
  const parts = isConcat(inner) ? operandsOf(inner) : partsOf(inner)
  return parts.flatMap(it => spentIn(it, isUnwanted))
}

function elementsShrinkTo(before: SyntaxNode, after: SyntaxNode, isUnwanted: ItemTest): boolean {
  const kept = elementsOf(before).filter(it => !isUnwanted(it))
  const now = elementsOf(after)
  return (
    kept.length === now.length &&
    kept.every((it, i) => canonicalOfNode(it) === canonicalOfNode(now[i] as SyntaxNode))
  )
}

/** The parts of a value that may contain its lists. */
function partsOf(value: SyntaxNode): readonly SyntaxNode[] {
  const fields = (...names: string[]) =>
    names.map(it => value.field(it)).filter(it => it !== undefined)
  if (value.type === 'if_expression') return fields('consequence', 'alternative')
  if (/^(?:let|with|assert)_expression$/.test(value.type)) return fields('body')
  const combinator = callOf(value) && combinatorOf(value)
  if (!combinator) return []
  return combinator.kind === 'merge' ? combinator.values : [combinator.value]
}

/** The code of a node around its parts. */
function restOf(node: SyntaxNode, parts: readonly SyntaxNode[]): string {
  const rest: string[] = []
  const inside = new Set(parts)
  const add = (at: SyntaxNode) => {
    if (inside.has(at)) rest.push('…')
    else if (!parts.some(it => it.start >= at.start && it.end <= at.end)) {
      if (!isComment(at)) rest.push(canonicalOfNode(at))
    } else at.children.forEach(add)
  }
  node.children.forEach(add)
  return rest.join(' ')
}
