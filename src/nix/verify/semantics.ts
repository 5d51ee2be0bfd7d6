// The last step of the verification: compares the definitions of the target before and after an edit.

import {
  type AddOperation,
  hasTarget,
  type Operation,
  type SetOperation,
  type Target
} from '../edit/operation.ts'
import { printInline } from '../edit/print.ts'
import type { Message } from '../errors.ts'
import {
  importMissing,
  importsDiffer,
  itemAdded,
  itemLost,
  itemMissing,
  itemNotRemoved,
  optionChanged,
  renamedPartly,
  stillDefined,
  valueDiffers
} from '../messages/verification.ts'
import { candidatesOf, replaceableValue, winnersOf } from '../module/combinators.ts'
import { type Definition, type Lookup, lookUp, partsOfDefinition } from '../module/definitions.ts'
import { importsOf, isImported } from '../module/imports.ts'
import { allLinesOf, certainStringsIn, linesOf, stringsIn } from '../module/lineStrings.ts'
import { certainItemsOf, itemsOf, type ListItem } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import type { AttrPath } from '../path.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type NixValue, withoutComment } from '../values.ts'
import type { Versions } from './diffTrees.ts'
import { formalsFault } from './formals.ts'
import { isUnwantedIn } from './items.ts'
import { type Claim, partsToSet } from './permitted.ts'
import { areAmong, isOneOf } from './sameItem.ts'
import { shrinksTo } from './shrinkage.ts'

/** The message if the definitions are not the previous ones with the requested change; else undefined. */
export function meaningFault(
  versions: Versions,
  operation: Operation,
  { before, after }: Claim
): Message | undefined {
  if (operation.kind === 'import') return importFault(versions, operation.path)
  if (!hasTarget(operation)) return formalsFault(versions, operation)
  const { path } = operation.target
  const definitions = [...after.exact, ...after.below]
  switch (operation.kind) {
    case 'set':
      return hasValue(before, after, operation) && isSetEverywhere(versions, operation)
        ? undefined
        : valueDiffers(path, printInline(operation.value), definitions)
    case 'add':
      return growthFault(before, after, operation) ?? everywhereFault(versions, operation)
    case 'remove':
      // At the place of a chosen definition that was removed, there may be another one now.
      return operation.target.kind === 'definition' || definitions.length === 0
        ? undefined
        : stillDefined(path, definitions)
    case 'removeItems':
      return shrinkageFault(versions.before.module, { before, after }, operation)
    case 'rename':
      return isRenamed(versions, before, operation.target, operation.to)
        ? undefined
        : renamedPartly(path, operation.to)
  }
}

function importFault({ before, after }: Versions, path: string): Message | undefined {
  if (!isImported(after.module, path)) return importMissing(path)
  const added = importsOf(after.module).length - importsOf(before.module).length
  return added === 1 ? undefined : importsDiffer(added)
}

function hasValue(before: Lookup, after: Lookup, operation: SetOperation): boolean {
  const { target, value } = operation
  const [definition, ...others] = partsToSet(after, value)
  if (!definition || others.length > 0 || after.below.length > 0) return false
  if (after.opaque.length !== before.opaque.length) return false
  const [previous] = partsToSet(before, value)
  const isNew = previous === undefined && operation.conditional === true
  // A chosen definition is looked up without its conditions, but not without those in its value.
  const expected = target.kind === 'definition' ? (previous?.conditions ?? []) : []
  if (!isNew && JSON.stringify(definition.conditions) !== JSON.stringify(expected)) return false
  const written = replaceableValue(definition.value, value)
  return canonicalOfNode(written) === canonicalOfValue(value)
}

/** With `all`: whether every definition of the option has the value, under the previous conditions. */
function isSetEverywhere(
  { before, after }: Versions,
  { target, value, all }: SetOperation
): boolean {
  if (!all || target.path.some(it => it === undefined)) return true
  const [old, now] = [before, after].map(({ module }) =>
    partsToSet(lookUp(module, target.path as AttrPath), value)
  ) as [readonly Definition[], readonly Definition[]]
  const wanted = canonicalOfValue(value)
  const conditionsOf = (parts: readonly Definition[]) =>
    JSON.stringify(parts.map(it => it.conditions))
  return (
    (old.length === 0 || conditionsOf(old) === conditionsOf(now)) &&
    now.every(it => canonicalOfNode(replaceableValue(it.value, value)) === wanted)
  )
}

/** Undefined if the new items always apply, and the previous ones are all kept in their order. */
function growthFault(
  before: Lookup,
  after: Lookup,
  { items, target, conditional }: AddOperation
): Message | undefined {
  const { path } = target
  const changed = () => optionChanged(path, before.exact, after.exact)
  const isNew = before.exact.every(it => it.conditions.length > 0)
  const growth = after.exact.length - before.exact.length
  if (growth !== 0 && !(growth === 1 && isNew)) return changed()
  const isString = after.exact.some(it => !it.inherited && stringsIn(it.value).length > 0)
  const previous = before.exact.flatMap(it => allIn(it))
  const current = after.exact.flatMap(it => allIn(it))
  // A new definition may apply only under a condition if that was requested.
  const isAllowed = conditional === true && before.exact.length === 0
  const written = after.exact.filter(it => !it.inherited)
  const winners = winnersOf(
    candidatesOf(isAllowed ? written.map(it => ({ ...it, conditions: [] })) : written)
  )
  const certain = winners.filter(it => it.isCertain).flatMap(it => certainIn(it.value))
  const lines = new Set<string | undefined>(certain.map(it => it.key))
  const nodes = certain.flatMap(it => it.node ?? [])
  const arePresent = isString ? items.map(it => lines.has(lineOf(it))) : areAmong(items, nodes)
  const missing = arePresent.indexOf(false)
  if (missing !== -1) return itemMissing(path, printInline(items[missing] as NixValue))
  const added = withoutItems(current, previous)
  if (!added) return changed()
  const requested = new Set(items.map(lineOf))
  const isRequested = isOneOf(items)
  const known = new Set<string>()
  for (const { key, node } of added) {
    const isExpected = node ? isRequested(node) : requested.has(key)
    if (!isExpected || known.has(key)) return itemAdded(path, key)
    known.add(key)
  }
  return undefined
}

/** The line that an item is; undefined for an item that is not text. */
function lineOf(item: NixValue): string | undefined {
  const value = withoutComment(item)
  return typeof value === 'string' ? value : undefined
}

/** With `all`: undefined if every definition of the option has the items. */
function everywhereFault({ after }: Versions, operation: AddOperation): Message | undefined {
  const { target, items, all } = operation
  if (!all || target.path.some(it => it === undefined)) return undefined
  const { exact } = lookUp(after.module, target.path as AttrPath)
  const parts = exact.flatMap(partsOfDefinition)
  const isIn = (item: NixValue) => (part: Definition) => {
    const certain = certainIn(part.value)
    const line = lineOf(item)
    const [isPresent] = areAmong(
      [item],
      certain.flatMap(it => it.node ?? [])
    )
    return isPresent || certain.some(it => !it.node && it.key === line)
  }
  const missing = items.find(item => !parts.every(isIn(item)))
  return missing === undefined ? undefined : itemMissing(target.path, printInline(missing))
}

/** Undefined if only the unwanted items were removed, and the others are kept in their order. */
function shrinkageFault(
  module: Module,
  { before, after }: { before: Lookup; after: Lookup },
  { target, items }: { target: Target; items: readonly NixValue[] }
): Message | undefined {
  const { path } = target
  const changed = () => optionChanged(path, before.exact, after.exact)
  const lines = new Set(items.map(withoutComment).filter(it => typeof it === 'string'))
  const isUnwantedItem = isUnwantedIn(module, { target, items })
  const isUnwanted = ({ key, node }: Item) => (node ? isUnwantedItem(node) : lines.has(key))
  const kept = after.exact.flatMap(allIn).find(isUnwanted)
  if (kept) return itemNotRemoved(path, kept.key)
  if (after.exact.length !== before.exact.length) return changed()
  for (const [i, definition] of before.exact.entries()) {
    const now = after.exact[i] as Definition
    const areItems = !definition.inherited && stringsIn(definition.value).length === 0
    if (areItems && shrinksTo(definition.value, now.value, isUnwantedItem)) continue
    const removed = withoutItems(allIn(definition), allIn(now))
    const lost = removed?.find(it => !isUnwanted(it))
    if (lost) return itemLost(path, lost.key)
    if (!removed || areItems) return changed()
  }
  return undefined
}

function isRenamed(versions: Versions, before: Lookup, target: Target, to: AttrPath): boolean {
  const renamed = lookUp(versions.after.module, to)
  // If the target is one definition and not a path, its lookup has no conditions to compare.
  const conditionsOf = (it: Definition) => (target.kind === 'path' ? it.conditions : [])
  const describe = (from: number) => (it: Definition) =>
    JSON.stringify([it.path.slice(from), conditionsOf(it), canonicalOfNode(it.value)])
  const all = [...before.exact, ...before.below].map(describe(target.path.length))
  const now = new Set([...renamed.exact, ...renamed.below].map(describe(to.length)))
  // In an operand of `//`, the new name may override definitions in another operand.
  const countOf = (module: Module) => {
    const { exact, below } = lookUp(module, to.slice(0, 1))
    return exact.length + below.length
  }
  const keepsFirstName = [...before.exact, ...before.below].every(it => it.path[0] === to[0])
  const added = countOf(versions.after.module) - countOf(versions.before.module)
  return (
    all.length === renamed.exact.length + renamed.below.length &&
    all.every(it => now.has(it)) &&
    added === (keepsFirstName ? 0 : all.length)
  )
}

/** An item of a list, or a line of a string, which has no node. */
interface Item {
  key: string
  node?: SyntaxNode
}

/** The items of all lists or the lines of all strings of a definition. */
function allIn(definition: Definition): Item[] {
  if (definition.inherited) return []
  const strings = stringsIn(definition.value)
  if (strings.length > 0) {
    const lines = strings.flatMap(allLinesOf)
    return lines.filter(it => it.trim() !== '').map(key => ({ key }))
  }
  return itemsOf(definition.value).map(asItem)
}

/** The items or lines that apply regardless of the conditions in the value. */
function certainIn(value: SyntaxNode): Item[] {
  const strings = certainStringsIn(value)
  if (strings.length > 0) return strings.flatMap(linesOf).map(key => ({ key }))
  return certainItemsOf(value).map(asItem)
}

function asItem({ item }: ListItem): Item {
  return { key: canonicalOfNode(item), node: item }
}

/** `all` without `some`; undefined if `all` does not contain `some` in the same order. */
function withoutItems(all: readonly Item[], some: readonly Item[]): Item[] | undefined {
  const rest: Item[] = []
  let next = 0
  for (const it of all) {
    if (it.key === some[next]?.key) next++
    else rest.push(it)
  }
  return next === some.length ? rest : undefined
}
