import { isInside } from '../errors.ts'
import { inheritedValue, notInDocument } from '../messages/definitions.ts'
import {
  computedString,
  crlfString,
  itemNotFound,
  linesNotShown,
  linesOnlyAtEnd,
  listNotLines,
  notALine,
  otherPriority,
  setNotList
} from '../messages/lists.ts'
import { type Candidate, candidatesOf, PLAIN, winnersOf } from '../module/combinators.ts'
import { type Definition, type Lookup, partsOfDefinition } from '../module/definitions.ts'
import {
  addLines,
  certainStringsIn,
  definesLines,
  isIndentedCrlf,
  linesOf,
  stringIn,
  stringsIn
} from '../module/lineStrings.ts'
import {
  certainItemsOf,
  certainListsOf,
  formOf,
  inheritsPlainList,
  isPlainList,
  itemsOf,
  listOf
} from '../module/lists.ts'
import { type Module, unwrapped } from '../module/module.ts'
import type { AttrPath } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfValue } from '../syntax/canonical.ts'
import { computedCodeOf } from '../syntax/computed.ts'
import { elementsOf, inheritedSource } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { expr, type NixValue, withoutComment } from '../values.ts'
import { bindInherited } from './inherits.ts'
import { type ItemPlace, insertItems } from './insertion.ts'
import { ItemSearch, likeItems } from './items.ts'
import { layoutAt } from './layout.ts'
import { mergeWith } from './merge.ts'
import {
  type AddOperation,
  type AddOptions,
  lookUpEffective,
  type Position,
  type Target
} from './operation.ts'
import type { UnderCondition } from './placement.ts'
import { printItem } from './print.ts'
import {
  badValue,
  blockedByPipe,
  conditional,
  type Edits,
  type Refused,
  refuse,
  refuseCall,
  sharedInRec
} from './refusals.ts'
import { addDefinition } from './set.ts'

/** `addIn`: see Transaction. */
export function planAdd(doc: Source, module: Module, operation: AddOperation): Edits {
  const { target, items, position } = operation
  if (canonicalOfValue(items) === undefined) return badValue(items)
  const search = new ItemSearch(items)
  const found = ownFirst(lookUpEffective(doc, module, target))
  const below = found.below[0]
  if (below) {
    return refuse(below.binding, setNotList(target.path, below.path))
  }
  if (found.exact.length === 0) {
    if (target.kind === 'definition') return refuseCall(notInDocument(target.path))
    const added = search.missing([], undefined)
    if (added.length === 0) return ok([])
    if (operation.lines && !added.every(isLine)) return refuseCall(notALine(target.path))
    const value = operation.lines ? asLines(added) : added
    const underCondition: UnderCondition = operation.conditional ? 'inside' : 'refused'
    const how = { path: target.path, newName: 'extends' as const, underCondition }
    return addDefinition({ doc, module }, found, how, value)
  }
  for (const { value, inherited: isInherited } of found.exact) {
    const blocked = isInherited ? undefined : blockedByPipe(doc, value)
    if (blocked) return blocked
  }
  const always = found.exact.filter(it => it.conditions.length === 0)
  const { candidates, applying } = applyingIn(found.exact)
  const shared =
    target.kind === 'path'
      ? always.map(it => sharedInRec(module, it.binding)).find(it => it !== undefined)
      : undefined
  const strings = applying.map(it => stringIn(it.value)).filter(it => it !== undefined)
  const areLines = operation.lines || definesLines(found.exact)
  if (strings.length > 0) {
    const known = applying.flatMap(it => certainStringsIn(it.value)).flatMap(linesOf)
    const options = { position, lines: areLines, known }
    const edits = addToStrings(doc, target.path, strings, items, options)
    return edits.ok && edits.value.length > 0 && shared ? shared : edits
  }

  const lists = applying.flatMap(it => certainListsOf(it.value))
  const present = applying.flatMap(it => certainItemsOf(it.value))
  const place = placeIn(lists, position)
  const list = place?.list ?? lists[0]
  const missing = search.missing(present, list)
  if (missing.length === 0) return ok([])
  if (shared) return shared
  if (list && operation.lines) return refuse(list, listNotLines)
  if (list) return addToList(doc, list, missing, place)
  const competing = priorityFault(candidates, always[0], applying)
  if (competing) return competing
  const stringDefinition = found.exact.find(it => operation.lines || stringsIn(it.value).length > 0)
  const misfit =
    stringDefinition && linesFault(target.path, stringDefinition.value, items, position)
  if (misfit) return misfit
  if (stringDefinition && !areLines) return refuse(stringDefinition.value, linesNotShown)
  const isText = stringDefinition !== undefined
  if (always.length === 0 && target.kind === 'path') {
    const value = isText ? asLines(missing) : missing
    return addBeside(doc, module, found, { path: target.path, value })
  }
  return addFirstList(doc, always, missing, isText)
}

/**
 * Adds a definition that always applies to an option that is defined only under conditions. The module
 * system merges lists, and the lines of strings.
 */
function addBeside(
  doc: Source,
  module: Module,
  found: Lookup,
  { path, value }: { path: AttrPath; value: NixValue }
): Edits {
  const parts = found.exact.flatMap(partsOfDefinition)
  const written = parts.filter(it => !it.inherited)
  const merges = (it: Definition) =>
    typeof value === 'string' ? stringsIn(it.value).length > 0 : isPlainList(it.value)
  const [first] = written
  if (!written.some(merges)) {
    const form = first ? formOf(first.value) : undefined
    return form?.ok === false ? form : conditional(parts)
  }
  const how = { path, newName: 'extends' as const, underCondition: 'beside' as const }
  const added = addDefinition({ doc, module }, found, how, value)
  // A set of its path is conditional in a way that has no other part: an `optionalAttrs` or an `if`.
  const hasNoPlace = !added.ok && /^(?:CONDITIONAL|COMPUTED_VALUE)$/.test(added.error.code)
  return hasNoPlace ? conditional(parts) : added
}

/** Items are added to a definition in `imports` only if the module itself has none. */
function ownFirst(found: Lookup): Lookup {
  const exact = [...found.exact].sort((a, b) => a.modules.length - b.modules.length)
  return { ...found, exact }
}

/**
 * `OTHER_PRIORITY` if a plain list can't be added next to the existing values because they have another
 * priority: only the values with the highest priority apply.
 */
function priorityFault(
  candidates: readonly Candidate[],
  first: Definition | undefined,
  applying: readonly Candidate[]
): Refused | undefined {
  const other = candidates.find(it => it.strength !== PLAIN)
  const form = first && !first.inherited ? formOf(first.value) : undefined
  const isMerged = form?.ok && (form.value.kind === 'merge' || form.value.kind === 'wrap-merge')
  const isWeak = !applying.some(it => first && isInside(it.value, first.binding))
  return other && (isMerged || isWeak) ? refuse(other.value, otherPriority) : undefined
}

/** The values of some definitions, and the values that always apply. */
function applyingIn(definitions: readonly Definition[]) {
  const candidates = candidatesOf(definitions.filter(it => !it.inherited))
  return { candidates, applying: winnersOf(candidates).filter(it => it.isCertain) }
}

/** Whether items added at the end of the option extend an existing list. */
export function extendsList(doc: Source, module: Module, target: Target): boolean {
  const { exact, below } = lookUpEffective(doc, module, target)
  const values = applyingIn(exact).applying.map(it => it.value)
  const isString = values.some(it => stringIn(it) !== undefined)
  return below.length === 0 && !isString && values.some(it => listOf(it) !== undefined)
}

/** Adds to a list. `CONFLICT` without a place: then no list has the item that the position names. */
function addToList(
  doc: Source,
  list: SyntaxNode,
  missing: readonly NixValue[],
  place: ListPlace | undefined
): Edits {
  const blocked = blockedByPipe(doc, list)
  if (blocked) return blocked
  if (place)
    return ok([insertItems(doc, list, likeItems(elementsOf(list), list, missing), place.at)])
  return refuse(list, itemNotFound)
}

/** Adds a list or a string of lines to the first definition that always applies. It has no list yet. */
function addFirstList(
  doc: Source,
  always: readonly Definition[],
  missing: readonly NixValue[],
  areLines: boolean
): Edits {
  const written = always.filter(it => !it.inherited)
  const [first] = written
  if (first) {
    const blocked = blockedByPipe(doc, first.value)
    if (blocked) return blocked
    const form = formOf(first.value)
    if (!form.ok)
      return areLines
        ? refuse(first.value, computedString(computedCodeOf(unwrapped(first.value))))
        : form
    const { kind, at } = form.value
    const isAppend = kind === 'append' || kind === 'append-wrapped'
    if (areLines && isAppend) return refuse(first.value, listNotLines)
    const { tightLists } = layoutAt(doc.root, '')
    // A single string, since a second run looks for each line in the string that contains it.
    const neighbors = itemsOf(first.value).map(it => it.item)
    const added = areLines ? [asLines(missing)] : [likeItems(neighbors, at, missing)]
    if (kind === 'merge') return ok([insertItems(doc, at, added, undefined)])
    const source = added.map(it => printItem(it, tightLists)).join(' ')
    if (kind === 'wrap-merge') return ok(mergeWith(at, form.value.callee, () => source))
    const [before, after] = kind === 'append-wrapped' ? ['(', ') ++ '] : ['', ' ++ ']
    const edits = [
      { offset: at.start, length: 0, content: before },
      { offset: at.end, length: 0, content: after + source }
    ]
    return ok(edits.filter(it => it.content !== ''))
  }
  const [other] = always as [Definition]
  const { binding: name } = other
  if (areLines || !inheritsPlainList(name)) return refuse(name, inheritedValue(other.path))
  const list = printItem(missing, layoutAt(doc.root, '').tightLists)
  return bindInherited(doc, name, expr(`${inheritedSource(name)} ++ ${list}`))
}

/** Adds to the first string the lines that no string contains. */
function addToStrings(
  doc: Source,
  path: readonly (string | undefined)[],
  strings: readonly SyntaxNode[],
  items: readonly NixValue[],
  { position, lines: areLines, known }: AddOptions & { known: readonly string[] }
): Edits {
  const [string] = strings as [SyntaxNode]
  const misfit = linesFault(path, string, items, position)
  if (misfit) return misfit
  const blocked = blockedByPipe(doc, string)
  if (blocked) return blocked
  if (isIndentedCrlf(string)) return refuse(string, crlfString)
  const present = new Set(known)
  const lines = new Set(items.map(it => String(withoutComment(it))))
  const missing = [...lines].filter(it => !present.has(it))
  if (missing.length === 0) return ok([])
  return areLines ? ok([addLines(string, missing)]) : refuse(string, linesNotShown)
}

function isLine(item: NixValue): boolean {
  const value = withoutComment(item)
  return typeof value === 'string' && !/[\r\n]/.test(value)
}

function asLines(lines: readonly NixValue[]): string {
  return lines.map(withoutComment).join('\n')
}

/** `BAD_VALUE` or `CONFLICT` if items can't be added as lines to a value made of strings. */
function linesFault(
  path: readonly (string | undefined)[],
  value: SyntaxNode,
  items: readonly NixValue[],
  position: Position
): Refused | undefined {
  if (!items.every(isLine)) return refuseCall(notALine(path))
  return position === 'end' ? undefined : refuse(value, linesOnlyAtEnd)
}

/** A list, and the place in it where items are added; undefined for the end. */
interface ListPlace {
  list: SyntaxNode
  at: ItemPlace | undefined
}

/** The first of the lists or, if the position names an item, the list with this item; else undefined. */
function placeIn(lists: readonly SyntaxNode[], position: Position): ListPlace | undefined {
  const [first] = lists
  if (!first) return undefined
  if (position === 'end') return { list: first, at: undefined }
  if (position === 'start') {
    const item = elementsOf(first)[0]
    return { list: first, at: item && { item, side: 'before' } }
  }
  const side = 'before' in position ? 'before' : 'after'
  const search = new ItemSearch(['before' in position ? position.before : position.after])
  for (const list of lists) {
    const item = elementsOf(list).find(it => search.has({ item: it, container: list }))
    if (item) return { list, at: { item, side } }
  }
  return undefined
}
