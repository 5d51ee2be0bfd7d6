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
import {
  areImports,
  importKeyOf,
  importKeyOfValue,
  importsOf,
  isImported
} from '../module/imports.ts'
import { allLinesOf, certainStringsIn, linesOf, stringsIn } from '../module/lineStrings.ts'
import { allListsOf, certainItemsOf } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import type { AttrPath } from '../path.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { elementsOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type NixValue, withoutComment } from '../values.ts'
import type { Versions } from './diffTrees.ts'
import { formalsFault } from './formals.ts'
import { type Claim, partsToSet } from './permitted.ts'

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
      return shrinkageFault(versions.before.module, path, { before, after }, operation.items)
    case 'rename':
      return isRenamed(versions, before, operation.target, operation.to)
        ? undefined
        : renamedPartly(path, operation.to)
  }
}

type Names = readonly (string | undefined)[]

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
  const keyOf = isString ? (it: NixValue) => String(withoutComment(it)) : canonicalOfValue
  const keys = items.map(keyOf)
  const requested = new Set(keys)
  const previous = before.exact.flatMap(it => allIn(it))
  const current = after.exact.flatMap(it => allIn(it))
  // A new definition may apply only under a condition if that was requested.
  const isAllowed = conditional === true && before.exact.length === 0
  const written = after.exact.filter(it => !it.inherited)
  const winners = winnersOf(
    candidatesOf(isAllowed ? written.map(it => ({ ...it, conditions: [] })) : written)
  )
  const certain = new Set(winners.filter(it => it.isCertain).flatMap(it => certainIn(it.value)))
  const missing = keys.findIndex(it => it === undefined || !certain.has(it))
  if (missing !== -1) return itemMissing(path, printInline(items[missing] as NixValue))
  const added = withoutItems(current, previous)
  if (!added) return changed()
  const known = new Set<string>()
  for (const it of added) {
    if (!requested.has(it) || known.has(it)) return itemAdded(path, it)
    known.add(it)
  }
  return undefined
}

/** With `all`: undefined if every definition of the option has the items. */
function everywhereFault({ after }: Versions, operation: AddOperation): Message | undefined {
  const { target, items, all } = operation
  if (!all || target.path.some(it => it === undefined)) return undefined
  const { exact } = lookUp(after.module, target.path as AttrPath)
  const parts = exact.flatMap(partsOfDefinition)
  const missing = items.find(item => {
    const forms = [canonicalOfValue(item) ?? '', String(withoutComment(item))]
    return !parts.every(({ value }) => certainIn(value).some(it => forms.includes(it)))
  })
  return missing === undefined ? undefined : itemMissing(target.path, printInline(missing))
}

/** Undefined if only the unwanted items were removed, and the others are kept in their order. */
function shrinkageFault(
  module: Module,
  path: Names,
  { before, after }: { before: Lookup; after: Lookup },
  items: readonly NixValue[]
): Message | undefined {
  const isImports = areImports(module, path)
  const unwanted = new Set([
    ...items.map(canonicalOfValue),
    ...(isImports ? items.flatMap(it => importKeyOfValue(it) ?? []) : []),
    ...items.map(withoutComment).filter(it => typeof it === 'string')
  ])
  const keyOf = (it: SyntaxNode) => (isImports && importKeyOf(it)) || canonicalOfNode(it)
  const all = (it: Definition) => allIn(it, keyOf)
  const current = after.exact.flatMap(all)
  const removed = withoutItems(before.exact.flatMap(all), current)
  if (!removed || after.exact.length !== before.exact.length) {
    return optionChanged(path, before.exact, after.exact)
  }
  const lost = removed.find(it => !unwanted.has(it))
  if (lost !== undefined) return itemLost(path, lost)
  const kept = current.find(it => unwanted.has(it))
  return kept === undefined ? undefined : itemNotRemoved(path, kept)
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

/** The items of all lists and the lines of all strings of a definition. */
function allIn(definition: Definition, keyOf = canonicalOfNode): string[] {
  if (definition.inherited) return []
  const strings = stringsIn(definition.value)
  if (strings.length > 0) {
    return strings.flatMap(allLinesOf).filter(it => it.trim() !== '')
  }
  return allListsOf(definition.value).flatMap(elementsOf).map(keyOf)
}

/** The items or lines that apply regardless of the conditions in the value. */
function certainIn(value: SyntaxNode): string[] {
  const strings = certainStringsIn(value)
  if (strings.length > 0) return strings.flatMap(linesOf)
  return certainItemsOf(value).map(canonicalOfNode)
}

/** `all` without `some`; undefined if `all` does not contain `some` in the same order. */
function withoutItems(all: readonly string[], some: readonly string[]): string[] | undefined {
  const rest: string[] = []
  let next = 0
  for (const it of all) {
    if (it === some[next]) next++
    else rest.push(it)
  }
  return next === some.length ? rest : undefined
}
