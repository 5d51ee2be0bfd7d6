// Checks that an edit of one operand of `//` does not change which attributes of the others take effect.

import type { Operation } from '../edit/operation.ts'
import { asOption } from '../module/definitions.ts'
import { optionPathOf } from '../module/optionPath.ts'
import { exposedBy, isUpdate, presenceOf } from '../module/updates.ts'
import { samePath } from '../path.ts'
import { inheritedOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Difference, Versions } from './diffTrees.ts'

/**
 * Whether a new binding overrides an attribute on the left of a `//`, or one on the left is no longer
 * overridden. A value that was requested as a whole may override one.
 */
export function changesOtherOperand(
  differences: readonly Difference[],
  versions: Versions,
  operations: readonly Operation[]
): boolean {
  const added = differences.flatMap(it =>
    it.kind === 'added' && it.node.type === 'binding' ? [it.node] : []
  )
  const removed = differences.flatMap(it => (it.kind === 'removed' ? definingNodes(it.node) : []))
  const isWritten = new Set(added.map(it => namesOf(it)[0]))
  const gone = removed.filter(it => it.type !== 'identifier' || !isWritten.has(it.text))
  if (exposedBy(gone)) return true
  const isNew = new Set(added)
  return added.some(it => overridesLeft(it, isNew) && !isRequestedWhole(it, versions, operations))
}

/** The bindings and inherited names in a removed node. */
function definingNodes(node: SyntaxNode): readonly SyntaxNode[] {
  if (node.type === 'binding') return [node]
  return node.parent?.type === 'inherited_attrs' ? [node] : inheritedOf(node)
}

/** Whether a binding is the whole value that an operation sets. */
function isRequestedWhole(
  binding: SyntaxNode,
  { after }: Versions,
  operations: readonly Operation[]
): boolean {
  const path = optionPathOf(after.module, binding)
  const option = path && asOption(after.module, path)
  const isTarget = (it: Operation) =>
    it.kind === 'set' && option !== undefined && samePath(it.target.path, option)
  return namesOf(binding).length === 1 && operations.some(isTarget)
}

/** Whether the left side of a `//` may have the attribute that a new binding defines. */
function overridesLeft(binding: SyntaxNode, added: ReadonlySet<SyntaxNode>): boolean {
  const set = binding.parent?.parent
  const name = namesOf(binding)[0]
  if (!set || presenceOf(set, name, added) === 'always') return false
  let at = set
  for (let around = at.parent; around; at = around, around = at.parent) {
    if (around.type === 'binding') return false
    const left = isUpdate(around) && around.field('right') === at ? around.field('left') : undefined
    if (left && presenceOf(left, name) !== 'never') return true
  }
  return false
}
