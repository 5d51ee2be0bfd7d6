// The items that an operation adds to a list or removes from it.

import type { Target } from '../edit/operation.ts'
import { areImports, importKeyOf, importKeyOfValue } from '../module/imports.ts'
import { isConcat } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { elementsOf, isList, unparenthesized } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { expr, type NixValue } from '../values.ts'
import { type ItemTest, isOneOf } from './sameItem.ts'

/** Tests whether an item is one to remove: an import in any spelling of its path. */
export function isUnwantedIn(
  module: Module,
  { target, items }: { target: Target; items: readonly NixValue[] }
): ItemTest {
  const isItem = isOneOf(items)
  if (!areImports(module, target.path)) return isItem
  const keys = new Set(items.map(importKeyOfValue))
  return it => isItem(it) || keys.has(importKeyOf(it) ?? '')
}

/** Whether a value is `SOURCE ++ [ … ]` with requested items. */
export function extendsSource(value: SyntaxNode, source: string, isRequested: ItemTest): boolean {
  const [left, right] = [value.field('left'), value.field('right')]
  if (!isConcat(value) || !left || !right || !isListOf(right, isRequested)) return false
  return canonicalOfNode(left) === canonicalOfValue(expr(source))
}

/** Whether a node is a list literal of requested items, with at least one. */
export function isListOf(node: SyntaxNode, isRequested: ItemTest): boolean {
  const inner = unparenthesized(node)
  if (!isList(inner)) return false
  const elements = elementsOf(inner)
  return elements.length > 0 && elements.every(isRequested)
}
