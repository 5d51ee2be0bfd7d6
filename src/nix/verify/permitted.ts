// Defines which differences between the trees each operation permits.

import {
  type AddOperation,
  hasTarget,
  lookUpTarget,
  type Operation,
  type Position,
  type Target
} from '../edit/operation.ts'
import { isInside } from '../errors.ts'
import { isMergeList, isMerging, replaceableValue } from '../module/combinators.ts'
import {
  type Definition,
  effectiveIn,
  inModule,
  isConditional,
  type Lookup,
  lookUp,
  partsOfDefinition
} from '../module/definitions.ts'
import { isImportOf } from '../module/imports.ts'
import { definesLines, stringsIn } from '../module/lineStrings.ts'
import { optionPathOf } from '../module/optionPath.ts'
import { type AttrPath, keysOf, samePath } from '../path.ts'
import { elementsOf, inheritedOf, inheritedSource, isList } from '../syntax/nodes.ts'
import { stringValue } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, moveOffset } from '../text/edits.ts'
import { type NixValue, withoutComment } from '../values.ts'
import { type Difference, nodeAfter, nodeBefore, type Versions } from './diffTrees.ts'
import { type FormalOperation, isChangeOfFormals } from './formals.ts'
import { definesOnly, isGrowth, isMergedWith } from './growth.ts'
import { extendsSource, isListOf, isUnwantedIn } from './items.ts'
import { type ItemTest, isOneOf } from './sameItem.ts'
import { spentIn } from './shrinkage.ts'

/** The definitions of an operation's target before and after the edits. */
interface Lookups {
  before: Lookup
  after: Lookup
}

/** Why a difference is not permitted. */
export type Objection =
  | 'addition'
  | 'removal'
  | 'replacement'
  | 'item in another place'
  | 'change outside the value'
  | 'change outside the name'

/** The changes that one operation permits. */
export interface Claim extends Lookups {
  /** The paths, relative to the module, whose definitions may change. */
  paths: readonly (readonly (string | undefined)[])[]
  /** Why a difference in these definitions is not permitted; undefined if it is. */
  objectionTo(difference: Difference): Objection | undefined
  /** The values that are written, which may contain comments. */
  values: readonly NixValue[]
  /** The node that is replaced, together with the comments inside it. */
  replaced: SyntaxNode | undefined
  /** Whether comments after a removed node on the same line may be removed with it. */
  takesComments: boolean
  /** Whether comments on the lines directly above a removed node may be removed with it. */
  takesCommentsAbove?: boolean
  /** Nodes that may be missing, although the differences do not show each as a removed node. */
  removed: readonly SyntaxNode[]
  /** Whether it permits a difference outside of all definitions: in the formals of a function. */
  permitsOutside(difference: Difference): boolean
}

export function claimOf(operation: Operation, versions: Versions, edits: readonly Edit[]): Claim {
  if (operation.kind === 'import') return claimOfImport(operation.path, versions)
  if (!hasTarget(operation)) return claimOfFormals(operation, versions)
  const all = lookUpBoth(versions, edits, operation.target)
  const isGiven = operation.kind === 'set' || operation.kind === 'add'
  const lookups = isGiven ? { before: effectiveIn(all.before), after: effectiveIn(all.after) } : all
  const path = inModule(versions.before.module, operation.target.path)
  switch (operation.kind) {
    case 'set':
      return claimOfSet(path, lookups, operation.value)
    case 'add':
      return claimOfAdd(path, lookups, operation, versions)
    case 'remove':
      return { ...claimOfRemove(path, lookups), takesCommentsAbove: !!operation.takesCommentsAbove }
    case 'removeItems':
      return claimOfRemoveItems(path, lookups, isUnwantedIn(versions.before.module, operation))
    case 'rename':
      return claimOfRename(path, lookups, versions, operation.to)
  }
}

type Path = readonly (string | undefined)[]

function claimOfImport(file: string, { before, after }: Versions): Claim {
  const isRequested: ItemTest = it => isImportOf(it, file)
  const lookups = {
    before: lookUp(before.module, ['imports']),
    after: lookUp(after.module, ['imports'])
  }
  const growth = { isRequested, isInPlace: positionTest(isRequested, 'end'), areLines: false }
  const objectionTo = (it: Difference) => objectionToGrowth(it, lookups, growth)
  return claim(lookups, [['imports']], objectionTo)
}

function claimOfFormals(operation: FormalOperation, versions: Versions): Claim {
  const isPermitted = (it: Difference) => isChangeOfFormals(it, versions, operation)
  const values = operation.kind === 'addFormal' ? [operation.fallback ?? null] : []
  const objectionTo = (it: Difference) => (isPermitted(it) ? undefined : 'change outside the value')
  return {
    ...claim({ before: NOTHING, after: NOTHING }, [['outputs']], objectionTo, values),
    takesComments: operation.kind === 'removeFormal',
    permitsOutside: isPermitted
  }
}

const NOTHING: Lookup = { exact: [], below: [], opaque: [] }

function claimOfSet(path: Path, lookups: Lookups, value: NixValue): Claim {
  const [definition] = partsToSet(lookups.before, value)
  if (!definition) return claim(lookups, [path], objectionToNew, [value])
  if (definition.inherited) {
    const objectionTo = (it: Difference) => objectionToBinding(it, definition.binding)
    return claim(lookups, [path], objectionTo, [value])
  }
  const replaced = replaceableValue(definition.value, value)
  const [now] = partsToSet(lookups.after, value)
  const written = now ? [replaceableValue(now.value, value)] : []
  const objectionTo = (it: Difference) =>
    isWithin(it, [replaced], written) ? undefined : 'change outside the value'
  return { ...claim(lookups, [path], objectionTo, [value]), replaced }
}

/** The values of an option that `setIn` may replace: all of a `mkIf` or `mkMerge` only with another one. */
export function partsToSet({ exact }: Lookup, value: NixValue): readonly Definition[] {
  return isMerging(value) ? exact : exact.flatMap(partsOfDefinition)
}

function claimOfAdd(
  path: Path,
  lookups: Lookups,
  { items, position, lines: wantsLines, target }: AddOperation,
  versions: Versions
): Claim {
  const isItem = isOneOf(items)
  const areLines = wantsLines || definesLines(lookups.before.exact)
  const isRequested: ItemTest = areLines ? it => isItem(it) || isText(it) : isItem
  // Several lines are written as one string.
  const lines = new Set(items.map(withoutComment))
  const isText: ItemTest = it =>
    stringValue(it)
      ?.split('\n')
      .every(line => lines.has(line)) === true
  const growth = { isRequested, isInPlace: positionTest(isRequested, position), areLines }
  // Next to definitions that apply only under conditions, one that always applies may be added.
  const { exact } = lookups.before
  const isBeside = target.kind === 'path' && exact.length > 0 && exact.every(isConditional)
  const isValue: ItemTest = it => isListOf(it, isRequested) || (areLines && isRequested(it))
  const isNew = (it: Difference) =>
    isBeside &&
    it.kind === 'added' &&
    samePath(optionPathOf(versions.after.module, it.node) ?? [], path) &&
    isValue(it.node.field('expression') ?? it.node)
  const isNewPart = (it: Difference) =>
    isBeside &&
    it.kind === 'replaced' &&
    isMergedWith(it.before, it.after, part =>
      definesOnly(part, isValue, path, optionPathOf(versions.before.module, it.before))
    )
  const objectionTo = (it: Difference) =>
    isNew(it) ? undefined : objectionToGrowth(it, lookups, growth)
  return { ...claim(lookups, [path], objectionTo, items), permitsOutside: isNewPart }
}

function claimOfRemove(path: Path, lookups: Lookups): Claim {
  const { exact, below } = lookups.before
  const bindings = new Set([...exact, ...below].map(it => it.binding.start))
  const isRemoved = (it: Difference) => it.kind === 'removed' && bindings.has(it.node.start)
  const objectionTo = (it: Difference) => (isRemoved(it) ? undefined : 'addition')
  return { ...claim(lookups, [path], objectionTo), takesComments: true }
}

function claimOfRemoveItems(path: Path, lookups: Lookups, isUnwanted: ItemTest): Claim {
  const [before, after] = [lookups.before, lookups.after].map(valuesOf) as [
    SyntaxNode[],
    SyntaxNode[]
  ]
  // The values are compared in `semantics.ts`.
  const objectionTo = (it: Difference) => (isWithin(it, before, after) ? undefined : 'removal')
  return {
    ...claim(lookups, [path], objectionTo),
    takesComments: true,
    removed: before.flatMap(it => spentIn(it, isUnwanted))
  }
}

function valuesOf({ exact }: Lookup): SyntaxNode[] {
  return exact.flatMap(it => (it.inherited ? [] : [it.value]))
}

function claimOfRename(path: Path, lookups: Lookups, versions: Versions, to: AttrPath): Claim {
  const namesIn = (found: Lookup) =>
    [...found.exact, ...found.below].flatMap(it => it.binding.field('attrpath') ?? [])
  const names = namesIn(lookups.before)
  const newNames = namesIn(lookUp(versions.after.module, to))
  const objectionTo = (it: Difference) =>
    isWithin(it, names, newNames) ? undefined : 'change outside the name'
  return claim(lookups, [path, inModule(versions.before.module, to)], objectionTo)
}

function claim(
  { before, after }: Lookups,
  paths: Claim['paths'],
  objectionTo: Claim['objectionTo'],
  values: readonly NixValue[] = []
): Claim {
  return {
    before,
    after,
    paths,
    objectionTo,
    values,
    replaced: undefined,
    takesComments: false,
    removed: [],
    permitsOutside: () => false
  }
}

/** The definitions of a target in both documents. The edits may have moved a chosen definition. */
function lookUpBoth({ before, after }: Versions, edits: readonly Edit[], target: Target): Lookups {
  const moved =
    target.kind === 'path' ? target : { ...target, offset: moveOffset(edits, target.offset) }
  return {
    before: lookUpTarget(before.source, before.module, target),
    after: lookUpTarget(after.source, after.module, moved)
  }
}

/** Returns a lookup for the claims on a path, relative to the module, or on a prefix of it. */
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

/** Whether each node of a difference, before and after, is inside one of the given nodes. */
function isWithin(
  difference: Difference,
  before: readonly SyntaxNode[],
  after: readonly SyntaxNode[]
): boolean {
  const isInsideOne = (node: SyntaxNode | undefined, all: readonly SyntaxNode[]) =>
    node === undefined || all.some(it => isInside(node, it))
  return isInsideOne(nodeBefore(difference), before) && isInsideOne(nodeAfter(difference), after)
}

/** For an option without a definition: only a new binding is permitted. */
function objectionToNew(difference: Difference): Objection | undefined {
  if (difference.kind === 'removed') return 'removal'
  if (difference.kind === 'replaced') return 'replacement'
  return difference.node.type === 'binding' ? undefined : 'addition'
}

/** For an inherited name that becomes a binding. An `inherit` of that name only may be replaced by it. */
function objectionToBinding(difference: Difference, name: SyntaxNode): Objection | undefined {
  if (difference.kind === 'added') return objectionToNew(difference)
  if (difference.kind === 'removed') return difference.node === name ? undefined : 'removal'
  const [only, ...others] = inheritedOf(difference.before)
  const isBound = only === name && others.length === 0 && difference.after.type === 'binding'
  return isBound ? undefined : 'replacement'
}

/** Which items may be added, and where. */
interface Growth {
  isRequested: ItemTest
  isInPlace: (list: SyntaxNode, item: SyntaxNode) => boolean
  /** Whether the strings of the option consist of lines, so that lines may be added. */
  areLines: boolean
}

function objectionToGrowth(
  difference: Difference,
  lookups: Lookups,
  { isRequested, isInPlace, areLines }: Growth
): Objection | undefined {
  const [first] = lookups.before.exact
  if (!first) return objectionToNew(difference)
  if (first.inherited && lookups.before.exact.length === 1) {
    const [value] = lookups.after.exact.map(it => it.value)
    const isExtended = value && extendsSource(value, inheritedSource(first.binding), isRequested)
    return isExtended ? objectionToBinding(difference, first.binding) : 'change outside the value'
  }
  if (difference.kind === 'removed') return 'removal'
  // The values of lines are compared in `semantics.ts`.
  if (areLines && isInString(difference, lookups)) return undefined
  if (difference.kind === 'replaced') {
    const { before, after } = difference
    return isGrowth(before, after, isRequested) ? undefined : 'replacement'
  }
  const { node } = difference
  const list = node.parent
  if (!list || !isList(list)) return 'addition'
  if (isRequested(node)) return isInPlace(list, node) ? undefined : 'item in another place'
  return isListOf(node, isRequested) && isMergeList(list) ? undefined : 'addition'
}

/** Whether a difference is inside the strings that define the option. */
function isInString(difference: Difference, { before, after }: Lookups): boolean {
  const strings = ({ exact }: Lookup) =>
    exact.flatMap(it => (it.inherited ? [] : stringsIn(it.value)))
  return isWithin(difference, strings(before), strings(after))
}

/** Returns a function that tests whether a new item is at the requested position. */
function positionTest(isRequested: ItemTest, position: Position): Growth['isInPlace'] {
  const known = new Map<SyntaxNode, ReadonlySet<number>>()
  return (list, item) => {
    const starts = known.get(list) ?? new Set(itemsInPlace(list, isRequested, position))
    known.set(list, starts)
    return starts.has(item.start)
  }
}

/** The offsets of the items with only requested items between them and the position. */
function itemsInPlace(list: SyntaxNode, isRequested: ItemTest, position: Position): number[] {
  const isBefore = position === 'end' || (typeof position === 'object' && 'before' in position)
  const elements = isBefore ? [...elementsOf(list)].reverse() : elementsOf(list)
  const isAnchor =
    typeof position === 'string'
      ? () => false
      : isOneOf(['before' in position ? position.before : position.after])
  const starts: number[] = []
  let isInPlace = typeof position === 'string'
  for (const element of elements) {
    if (isInPlace) starts.push(element.start)
    if (isAnchor(element)) isInPlace = true
    else if (!isRequested(element)) isInPlace = false
  }
  return starts
}
