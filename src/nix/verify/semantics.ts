// The last part of the proof: what the definitions of a path say before and after an edit.

import type { Operation, Target } from '../edit/operation.ts'
import { candidatesOf, replaceableValue, winnersOf } from '../module/combinators.ts'
import { type Definition, type Lookup, lookUp } from '../module/definitions.ts'
import { importsOf, isImported } from '../module/imports.ts'
import { allLinesOf, linesOf, stringIn, stringsIn } from '../module/lineStrings.ts'
import { allListsOf, certainItemsOf } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { type AttrPath, formatPathPattern } from '../path.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { elementsOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type NixValue, withoutComment } from '../values.ts'
import type { Sides } from './diffTrees.ts'
import type { Claim } from './permitted.ts'

/** Why the definitions after the edits are not those before with what was asked; undefined if they are. */
export function meaningFault(
  sides: Sides,
  operation: Operation,
  { was, is }: Claim
): string | undefined {
  if (operation.kind === 'import') {
    const more = importsOf(sides.fresh).length - importsOf(sides.old).length
    const counts = isImported(sides.fresh, operation.path) && more === 1
    return counts ? undefined : 'the import would not count'
  }
  const fault = faultOf(sides, operation, was, is)
  return fault === undefined
    ? undefined
    : `${formatPathPattern(operation.target.path)} would ${fault}`
}

/** What is wrong with the option; undefined if it is what was asked. */
function faultOf(
  sides: Sides,
  operation: Exclude<Operation, { kind: 'import' }>,
  was: Lookup,
  is: Lookup
): string | undefined {
  switch (operation.kind) {
    case 'set':
      return hasValue(was, is, operation.value) ? undefined : 'not have the value'
    case 'add':
      return hasGrown(was, is, operation.items) ? undefined : 'not hold the items'
    case 'remove':
      // Behind a chosen definition that went, another may stand at its place now.
      return operation.target.kind === 'definition' || is.exact.length + is.below.length === 0
        ? undefined
        : 'still be defined'
    case 'removeItems':
      return hasShrunk(was, is, operation.items) ? undefined : 'not keep its other items'
    case 'rename':
      return hasMoved(sides, was, operation.target, operation.to)
        ? undefined
        : 'not have moved whole'
  }
}

function hasValue(was: Lookup, is: Lookup, value: NixValue): boolean {
  const [definition] = is.exact
  if (!definition || is.exact.length !== 1 || is.below.length > 0) return false
  if (is.opaque.length !== was.opaque.length || definition.conditions.length > 0) return false
  const written = replaceableValue(definition.value, value)
  return canonicalOfNode(written) === canonicalOfValue(value)
}

/** The new items always count, and the old ones are all there, in their order. */
function hasGrown(was: Lookup, is: Lookup, items: readonly NixValue[]): boolean {
  if (is.exact.length !== Math.max(was.exact.length, 1)) return false
  const isString = is.exact.some(it => !it.inherited && stringsIn(it.value).length > 0)
  const keyOf = isString ? (it: NixValue) => String(withoutComment(it)) : canonicalOfValue
  const asked = new Set(items.map(keyOf))
  const had = was.exact.flatMap(allIn)
  const has = is.exact.flatMap(allIn)
  const winners = winnersOf(candidatesOf(is.exact.filter(it => !it.inherited)))
  const certain = new Set(winners.filter(it => it.isCertain).flatMap(it => certainIn(it.value)))
  const more = takeOut(has, had)
  return (
    more?.every(it => asked.has(it)) === true &&
    new Set(more).size === more.length &&
    [...asked].every(it => it !== undefined && certain.has(it))
  )
}

/** Only the unwanted items are gone, and the others are there in their order. */
function hasShrunk(was: Lookup, is: Lookup, items: readonly NixValue[]): boolean {
  const unwanted = new Set([
    ...items.map(canonicalOfValue),
    ...items.map(withoutComment).filter(it => typeof it === 'string')
  ])
  const had = was.exact.flatMap(allIn)
  const has = is.exact.flatMap(allIn)
  const gone = takeOut(had, has)
  return (
    is.exact.length === was.exact.length &&
    gone?.every(it => unwanted.has(it)) === true &&
    !has.some(it => unwanted.has(it))
  )
}

function hasMoved({ old, fresh }: Sides, was: Lookup, target: Target, to: AttrPath): boolean {
  const there = lookUp(fresh, to)
  // A chosen definition is looked up without what it depends on.
  const conditionsOf = (it: Definition) => (target.kind === 'path' ? it.conditions : [])
  const describe = (from: number) => (it: Definition) =>
    JSON.stringify([it.path.slice(from), conditionsOf(it), canonicalOfNode(it.value)])
  const all = [...was.exact, ...was.below].map(describe(target.path.length))
  const now = new Set([...there.exact, ...there.below].map(describe(to.length)))
  // In an operand of `//` the new name may hide what another operand says of it.
  const countOf = (module: Module) => {
    const { exact, below } = lookUp(module, to.slice(0, 1))
    return exact.length + below.length
  }
  const stays = [...was.exact, ...was.below].every(it => it.path[0] === to[0])
  const more = countOf(fresh) - countOf(old)
  return (
    all.length === there.exact.length + there.below.length &&
    all.every(it => now.has(it)) &&
    more === (stays ? 0 : all.length)
  )
}

/** The items of all lists and the lines of all strings of a definition. */
function allIn(definition: Definition): string[] {
  if (definition.inherited) return []
  const strings = stringsIn(definition.value)
  if (strings.length > 0) {
    return strings.flatMap(allLinesOf).filter(it => it.trim() !== '')
  }
  return allListsOf(definition.value).flatMap(elementsOf).map(canonicalOfNode)
}

/** Those that count whatever the conditions in the value are. */
function certainIn(value: SyntaxNode): string[] {
  const string = stringIn(value)
  if (string) return linesOf(string)
  return certainItemsOf(value).map(canonicalOfNode)
}

/** What is left of `all` when `some` is taken out in its order; undefined if it is not in there. */
function takeOut(all: readonly string[], some: readonly string[]): string[] | undefined {
  const rest: string[] = []
  let next = 0
  for (const it of all) {
    if (it === some[next]) next++
    else rest.push(it)
  }
  return next === some.length ? rest : undefined
}
