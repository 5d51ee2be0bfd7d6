// What each operation may change in the tree, and which comments may come and go with it.

import {
  type AddOptions,
  lookUpTarget,
  type Operation,
  type Position,
  type Target
} from '../edit/operation.ts'
import { isInside } from '../errors.ts'
import { isMerged, replaceableValue } from '../module/combinators.ts'
import { inModule, type Lookup, lookUp } from '../module/definitions.ts'
import { isImportOf } from '../module/imports.ts'
import { definesLines, stringsIn } from '../module/lineStrings.ts'
import { isConcat } from '../module/lists.ts'
import { unwrapped } from '../module/module.ts'
import { type AttrPath, keysOf } from '../path.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { callOf, elementsOf, isList, unparenthesized } from '../syntax/nodes.ts'
import { isInScope } from '../syntax/scope.ts'
import { stringValue } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, moveOffset } from '../text/edits.ts'
import { type NixValue, withoutComment } from '../values.ts'
import { type Difference, nodeAfter, nodeBefore, type Sides } from './diffTrees.ts'

/** What the two documents say of what an operation is about. */
interface Both {
  was: Lookup
  is: Lookup
}

/** What one operation accounts for. */
export interface Claim extends Both {
  /** The paths, spelt from the module on, in whose definitions something may change. */
  paths: readonly (readonly (string | undefined)[])[]
  /** What speaks against a difference inside them; undefined if it is of the kind that was asked for. */
  objectionTo(difference: Difference): string | undefined
  /** The values that are written, which may bring comments along. */
  values: readonly NixValue[]
  /** A part of the text before that is replaced, and the comments in it with it. */
  replaced: SyntaxNode | undefined
  /** Whether what goes takes the comments behind it on its line along. */
  takesComments: boolean
}

const TAKEN = 'something would be taken away'
const ADDED = 'something would be added'
const REPLACED = 'something would be replaced'

export function claimOf(operation: Operation, sides: Sides, edits: readonly Edit[]): Claim {
  if (operation.kind === 'import') return claimOfImport(operation.path, sides)
  const both = definitionsOf(sides, edits, operation.target)
  const path = inModule(sides.old, operation.target.path)
  switch (operation.kind) {
    case 'set':
      return claimOfSet(path, both, operation.value)
    case 'add':
      return claimOfAdd(path, both, operation.items, operation)
    case 'remove':
      return claimOfRemove(path, both)
    case 'removeItems':
      return claimOfRemoveItems(path, both, operation.items)
    case 'rename':
      return claimOfRename(path, both, sides, operation.to)
  }
}

type Path = readonly (string | undefined)[]

function claimOfImport(file: string, sides: Sides): Claim {
  const isRequested: IsRequested = it => isImportOf(it, file)
  const both = { was: lookUp(sides.old, ['imports']), is: lookUp(sides.fresh, ['imports']) }
  const growth = { isRequested, isInPlace: placesOf(isRequested, 'end'), areLines: false }
  const objectionTo = (it: Difference) => objectionToGrowth(it, both, growth)
  return claim(both, [['imports']], objectionTo)
}

function claimOfSet(path: Path, both: Both, value: NixValue): Claim {
  const [definition] = both.was.exact
  if (!definition || definition.inherited) return claim(both, [path], objectionToNew, [value])
  const replaced = replaceableValue(definition.value, value)
  const [now] = both.is.exact
  const written = now ? [replaceableValue(now.value, value)] : []
  const objectionTo = (it: Difference) =>
    liesIn(it, [replaced], written) ? undefined : 'something around the value would change'
  return { ...claim(both, [path], objectionTo, [value]), replaced }
}

function claimOfAdd(
  path: Path,
  both: Both,
  items: readonly NixValue[],
  { position, lines: wantsLines }: AddOptions
): Claim {
  const isItem = oneOf(items)
  const areLines = wantsLines || definesLines(both.was.exact)
  const isRequested: IsRequested = areLines ? it => isItem(it) || isText(it) : isItem
  // Lines are written as one text.
  const lines = new Set(items.map(withoutComment))
  const isText: IsRequested = it =>
    stringValue(it)
      ?.split('\n')
      .every(line => lines.has(line)) === true
  const growth = { isRequested, isInPlace: placesOf(isRequested, position), areLines }
  const objectionTo = (it: Difference) => objectionToGrowth(it, both, growth)
  return claim(both, [path], objectionTo, items)
}

function claimOfRemove(path: Path, both: Both): Claim {
  const bindings = new Set([...both.was.exact, ...both.was.below].map(it => it.binding.start))
  const isGone = (it: Difference) => it.kind === 'removed' && bindings.has(it.node.start)
  const objectionTo = (it: Difference) => (isGone(it) ? undefined : ADDED)
  return { ...claim(both, [path], objectionTo), takesComments: true }
}

function claimOfRemoveItems(path: Path, both: Both, items: readonly NixValue[]): Claim {
  const isUnwanted = oneOf(items)
  const objectionTo = (it: Difference) => objectionToShrinkage(it, both, isUnwanted)
  return { ...claim(both, [path], objectionTo), takesComments: true }
}

function claimOfRename(path: Path, both: Both, sides: Sides, to: AttrPath): Claim {
  const namesIn = (found: Lookup) =>
    [...found.exact, ...found.below].flatMap(it => it.binding.field('attrpath') ?? [])
  const [names, fresh] = [namesIn(both.was), namesIn(lookUp(sides.fresh, to))]
  const objectionTo = (it: Difference) =>
    liesIn(it, names, fresh) ? undefined : 'more than a name would change'
  return claim(both, [path, inModule(sides.old, to)], objectionTo)
}

function claim(
  { was, is }: Both,
  paths: Claim['paths'],
  objectionTo: Claim['objectionTo'],
  values: readonly NixValue[] = []
): Claim {
  return { was, is, paths, objectionTo, values, replaced: undefined, takesComments: false }
}

/** What the two documents say of a target, which may be a definition that the edits moved. */
function definitionsOf(
  { before, after, old, fresh }: Sides,
  edits: readonly Edit[],
  target: Target
): Both {
  const moved =
    target.kind === 'path' ? target : { ...target, offset: moveOffset(edits, target.offset) }
  return { was: lookUpTarget(before, old, target), is: lookUpTarget(after, fresh, moved) }
}

/**
 * Finds the claims that are about a path, spelt from the module on, or about one that it begins
 * with.
 */
export function claimsByPath(
  claims: readonly Claim[]
): (path: readonly (string | undefined)[]) => readonly Claim[] {
  const byKey = new Map<string, Claim[]>()
  for (const claim of claims) {
    for (const key of new Set(claim.paths.map(it => keysOf(it).at(-1) ?? ''))) {
      const others = byKey.get(key)
      if (others) others.push(claim)
      else byKey.set(key, [claim])
    }
  }
  return path => keysOf(path).flatMap(it => byKey.get(it) ?? [])
}

/** Whether what a difference has on each side lies in one of the nodes for that side. */
function liesIn(
  difference: Difference,
  old: readonly SyntaxNode[],
  fresh: readonly SyntaxNode[]
): boolean {
  const lies = (node: SyntaxNode | undefined, all: readonly SyntaxNode[]) =>
    node === undefined || all.some(it => isInside(node, it))
  return lies(nodeBefore(difference), old) && lies(nodeAfter(difference), fresh)
}

function oneOf(items: readonly NixValue[]): IsRequested {
  const keys = new Set(items.map(canonicalOfValue))
  return element => keys.has(canonicalOfNode(element))
}

/** One definition more is all that may differ where there was none. */
function objectionToNew(difference: Difference): string | undefined {
  if (difference.kind === 'added') return difference.node.type === 'binding' ? undefined : ADDED
  return difference.kind === 'removed' ? TAKEN : REPLACED
}

/** What may be added, and where. */
interface Growth {
  isRequested: IsRequested
  isInPlace: (list: SyntaxNode, item: SyntaxNode) => boolean
  /** Whether the strings of the option consist of lines, so that one may get more of them. */
  areLines: boolean
}

function objectionToGrowth(
  difference: Difference,
  both: Both,
  { isRequested, isInPlace, areLines }: Growth
): string | undefined {
  if (both.was.exact.length === 0) return objectionToNew(difference)
  if (difference.kind === 'removed') return TAKEN
  // What lines say is compared in `meaning.ts`.
  if (areLines && isOfLines(difference, both)) return undefined
  if (difference.kind === 'replaced') {
    const { before: was, after: is } = difference
    const grown = isGrowth(was, is, isRequested)
    return grown ? undefined : REPLACED
  }
  const { node } = difference
  const list = node.parent
  if (!list || !isList(list)) return ADDED
  if (isRequested(node)) {
    return isInPlace(list, node) ? undefined : 'an item would stand in another place'
  }
  return isListOf(node, isRequested) && isMerged(list) ? undefined : ADDED
}

function objectionToShrinkage(
  difference: Difference,
  both: Both,
  isRequested: IsRequested
): string | undefined {
  if (difference.kind === 'added') return ADDED
  if (isOfLines(difference, both)) return undefined
  if (difference.kind === 'replaced') {
    const { before: was, after: is } = difference
    return isShrinkage(was, is, isRequested) ? undefined : REPLACED
  }
  const { node } = difference
  const isItem = node.parent !== undefined && isList(node.parent)
  return isItem && isRequested(node) ? undefined : TAKEN
}

/** Whether a difference lies in the strings of lines that define the option, not in just any string. */
function isOfLines(difference: Difference, { was, is }: Both): boolean {
  const strings = ({ exact }: Lookup) =>
    exact.flatMap(it => (it.inherited ? [] : stringsIn(it.value)))
  return liesIn(difference, strings(was), strings(is))
}

/** Says of new items whether they stand where they should among those that were there. */
function placesOf(isRequested: IsRequested, position: Position): Growth['isInPlace'] {
  const known = new Map<SyntaxNode, ReadonlySet<number>>()
  return (list, item) => {
    const starts = known.get(list) ?? new Set(itemsInPlace(list, isRequested, position))
    known.set(list, starts)
    return starts.has(item.start)
  }
}

/** Where the items begin between which, and the end or the item that the position names, only new ones stand. */
function itemsInPlace(list: SyntaxNode, isRequested: IsRequested, position: Position): number[] {
  const isBefore = position === 'end' || (typeof position === 'object' && 'before' in position)
  const elements = isBefore ? [...elementsOf(list)].reverse() : elementsOf(list)
  const beside =
    typeof position === 'string'
      ? undefined
      : canonicalOfValue(withoutComment('before' in position ? position.before : position.after))
  const starts: number[] = []
  let isInPlace = typeof position === 'string'
  for (const element of elements) {
    if (isInPlace) starts.push(element.start)
    if (beside !== undefined && canonicalOfNode(element) === beside) isInPlace = true
    else if (!isRequested(element)) isInPlace = false
  }
  return starts
}

// The forms in which a list is added to an expression that is no list literal.

/** Says of an element of a list whether it is one of those that are to be added, or taken out. */
export type IsRequested = (element: SyntaxNode) => boolean

/**
 * Whether `is` is `was` with asked items behind it: `was ++ [ … ]` (then also `was` may be one, as
 * `++` is read from the right), or, for a `mkIf`, `mkMerge [ (was) [ … ] ]` by the same prefix, and
 * for one of lines `mkMerge [ (was) "…" ]`.
 */
export function isGrowth(was: SyntaxNode, is: SyntaxNode, isRequested: IsRequested): boolean {
  const same = (node: SyntaxNode) => canonicalOfNode(node) === canonicalOfNode(was)
  const asked = (node: SyntaxNode) => isListOf(node, isRequested)
  const inner = unparenthesized(is)
  if (isConcat(inner)) {
    const left = inner.field('left')
    const right = inner.field('right')
    return left !== undefined && right !== undefined && same(left) && asked(right)
  }
  const call = callOf(inner)
  const list = call?.args[0]
  if (call?.name !== 'mkMerge' || call.args.length !== 1 || !list || !isList(list)) return false
  const [first, second, ...others] = elementsOf(list)
  if (!first || !second || !same(first)) return false
  const isOneList = others.length === 0 && asked(second)
  const areLines = [second, ...others].every(isRequested)
  if (!isOneList && !areLines) return false
  const condition = callOf(unwrapped(was))
  const isSamePrefix = condition?.callee.replace(/mkIf$/, 'mkMerge') === call.callee
  return isSamePrefix && (call.callee.includes('.') || isInScope(inner, call.callee))
}

/** Whether `is` is `was` without those of its operands that are `[ … ]` of nothing but asked items. */
export function isShrinkage(was: SyntaxNode, is: SyntaxNode, isRequested: IsRequested): boolean {
  const kept = restOf(is, () => false)
  return isConcat(unparenthesized(was)) && restOf(was, isRequested) === kept
}

/** The operands of a chain of `++` that are no list of asked items only, in canonical form. */
function restOf(node: SyntaxNode, isRequested: IsRequested): string {
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

/** Whether a node is a list literal of asked items, with at least one. */
export function isListOf(node: SyntaxNode, isRequested: IsRequested): boolean {
  const inner = unparenthesized(node)
  if (!isList(inner)) return false
  const elements = elementsOf(inner)
  return elements.length > 0 && elements.every(isRequested)
}
