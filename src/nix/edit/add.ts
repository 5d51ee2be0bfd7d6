import { isInside } from '../errors.ts'
import { type Candidate, candidatesOf, PLAIN, winnersOf } from '../module/combinators.ts'
import type { Definition } from '../module/definitions.ts'
import {
  addLines,
  definesLines,
  keepsReturns,
  linesOf,
  stringIn,
  stringsIn
} from '../module/lineStrings.ts'
import { formOf, listOf } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { formatPathPattern } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { elementsOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type NixValue, withoutComment } from '../values.ts'
import { type ItemPlace, insertItems } from './insertion.ts'
import { layoutAt } from './layout.ts'
import {
  type AddOperation,
  type AddOptions,
  lookUpTarget,
  type Position,
  type Target
} from './operation.ts'
import { printItem } from './print.ts'
import {
  badLine,
  badValue,
  blockedByPipe,
  conditional,
  type Edits,
  inherited,
  listNotLines,
  notFound,
  notShownAsLines,
  type Refused,
  refuse,
  returnsKept,
  sharedInRec
} from './refusals.ts'
import { define } from './set.ts'

/** `addIn`: see Transaction. */
export function planAdd(doc: Source, module: Module, operation: AddOperation): Edits {
  const { target, items, position } = operation
  if (canonicalOfValue(items) === undefined) return badValue(items)
  const found = lookUpTarget(doc, module, target)
  const below = found.below[0]
  if (below) {
    return refuse(below.binding, {
      code: 'NOT_A_LIST',
      message: `${formatPathPattern(target.path)} is a set, here ${formatPathPattern(below.path)}, and not a list`,
      hint: 'add to a list inside it'
    })
  }
  if (found.exact.length === 0) {
    if (target.kind === 'definition') return notFound(target.path)
    const fresh = unique(items, new Set())
    if (fresh.length === 0) return ok([])
    if (operation.lines && !fresh.every(isLine)) return badLine(target.path)
    const value = operation.lines ? asLines(fresh) : fresh
    return define(doc, module, found, target.path, value)
  }
  for (const { value, inherited: isInherited } of found.exact) {
    const blocked = isInherited ? undefined : blockedByPipe(doc, value)
    if (blocked) return blocked
  }
  const always = found.exact.filter(it => it.conditions.length === 0)
  const { candidates, counting } = countingIn(found.exact)
  const shared =
    target.kind === 'path'
      ? always.map(it => sharedInRec(it.binding)).find(it => it !== undefined)
      : undefined
  const strings = counting.map(it => stringIn(it.value)).filter(it => it !== undefined)
  const areLines = operation.lines || definesLines(found.exact)
  if (strings.length > 0) {
    const edits = addToStrings(doc, target.path, strings, items, { position, lines: areLines })
    return edits.ok && edits.value.length > 0 && shared ? shared : edits
  }

  const lists = counting.map(it => listOf(it.value)).filter(it => it !== undefined)
  const present = new Set(lists.flatMap(elementsOf).map(canonicalOfNode))
  const missing = unique(items, present)
  if (missing.length === 0) return ok([])
  if (shared) return shared
  const [list] = lists
  if (list && operation.lines) return listNotLines(list)
  if (list) return addToList(doc, lists, missing, position)
  const competing = priorityFault(candidates, always[0], counting)
  if (competing) return competing
  const ofText = found.exact.find(it => operation.lines || stringsIn(it.value).length > 0)
  const misfit = ofText && linesFault(target.path, ofText.value, items, position)
  if (misfit) return misfit
  if (ofText && !areLines) return notShownAsLines(ofText.value)
  return addFirstList(doc, found.exact, always, missing, ofText !== undefined)
}

/** Why a plain list may not come beside what is there: of two priorities only one counts. */
function priorityFault(
  candidates: readonly Candidate[],
  first: Definition | undefined,
  counting: readonly Candidate[]
): Refused | undefined {
  const other = candidates.find(it => it.strength !== PLAIN)
  const form = first && !first.inherited ? formOf(first.value) : undefined
  const isBeside = form?.ok && (form.value.kind === 'merge' || form.value.kind === 'wrap-merge')
  const isWeak = !counting.some(it => first && isInside(it.value, first.binding))
  if (other && (isBeside || isWeak)) {
    return refuse(other.value, {
      code: 'NO_TARGET',
      message: 'this has another priority than a plain list, so one of the two would be dropped',
      hint: 'add to it by hand, inside the mkForce or mkDefault'
    })
  }
  return undefined
}

/** The values of some definitions, and those of them that always count. */
function countingIn(definitions: readonly Definition[]) {
  const candidates = candidatesOf(definitions.filter(it => !it.inherited))
  return { candidates, counting: winnersOf(candidates).filter(it => it.isCertain) }
}

/** Whether items for the end of a list go behind each other into one that is there. */
export function growsList(doc: Source, module: Module, target: Target): boolean {
  const { exact, below } = lookUpTarget(doc, module, target)
  const values = countingIn(exact).counting.map(it => it.value)
  const isString = values.some(it => stringIn(it) !== undefined)
  return below.length === 0 && !isString && values.some(it => listOf(it) !== undefined)
}

/** Adds to the first of the lists that always count, or to the one with the item to add beside. */
function addToList(
  doc: Source,
  lists: readonly SyntaxNode[],
  missing: readonly NixValue[],
  position: Position
): Edits {
  const place = placeIn(lists, position)
  const list = place?.list ?? (lists[0] as SyntaxNode)
  const blocked = blockedByPipe(doc, list)
  if (blocked) return blocked
  if (place) return ok([insertItems(doc, place.list, missing, place.at)])
  return refuse(list, {
    code: 'CONFLICT',
    message: 'the item to add beside is not in this list',
    hint: 'name an item that is there, or add at the end'
  })
}

/** Gives the first definition that always counts a list, or lines, of its own. */
function addFirstList(
  doc: Source,
  all: readonly Definition[],
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
    if (!form.ok && areLines) {
      return refuse(first.value, {
        code: 'SHARED_BINDING',
        message: 'the text is put together here, so there is no place for one more line',
        hint: 'write the line in by hand'
      })
    }
    if (!form.ok) return form
    const { kind, at } = form.value
    const isAppend = kind === 'append' || kind === 'append-wrapped'
    if (areLines && isAppend) return listNotLines(first.value)
    const { tightLists } = layoutAt(doc.root, '')
    // In one string: a second run looks for each line in the string that contains it.
    const more = areLines ? [asLines(missing)] : [missing]
    const spelt = more.map(it => printItem(it, tightLists)).join(' ')
    if (kind === 'merge') return ok([insertItems(doc, at, more, undefined)])
    const [before, after] =
      kind === 'wrap-merge'
        ? [`${form.value.callee} [ (`, `) ${spelt} ]`]
        : [
            kind === 'append-wrapped' ? '(' : '',
            `${kind === 'append-wrapped' ? ')' : ''} ++ ${spelt}`
          ]
    const edits = [
      { offset: at.start, length: 0, content: before },
      { offset: at.end, length: 0, content: after }
    ]
    return ok(edits.filter(it => it.content !== ''))
  }
  const other = always[0]
  return other ? inherited(other) : conditional(all[0] as Definition)
}

/** Adds the lines that none of the strings has to the first of them. */
function addToStrings(
  doc: Source,
  path: readonly (string | undefined)[],
  strings: readonly SyntaxNode[],
  items: readonly NixValue[],
  { position, lines: areLines }: AddOptions
): Edits {
  const [string] = strings as [SyntaxNode]
  const misfit = linesFault(path, string, items, position)
  if (misfit) return misfit
  const blocked = blockedByPipe(doc, string)
  if (blocked) return blocked
  if (keepsReturns(string)) return returnsKept(string)
  const present = new Set(strings.flatMap(linesOf))
  const lines = new Set(items.map(it => String(withoutComment(it))))
  const missing = [...lines].filter(it => !present.has(it))
  if (missing.length === 0) return ok([])
  return areLines ? ok([addLines(string, missing)]) : notShownAsLines(string)
}

function isLine(item: NixValue): boolean {
  const value = withoutComment(item)
  return typeof value === 'string' && !/[\r\n]/.test(value)
}

function asLines(lines: readonly NixValue[]): string {
  return lines.map(withoutComment).join('\n')
}

/** Why items can't be added as lines to a value of strings. */
function linesFault(
  path: readonly (string | undefined)[],
  value: SyntaxNode,
  items: readonly NixValue[],
  position: Position
): Refused | undefined {
  if (!items.every(isLine)) return badLine(path)
  if (position === 'end') return undefined
  return refuse(value, {
    code: 'CONFLICT',
    message: 'to a string, lines can be added at the end only',
    hint: 'leave the position out'
  })
}

/** The items that are not there yet, each once. */
function unique(items: readonly NixValue[], present: ReadonlySet<string>): NixValue[] {
  const seen = new Set(present)
  return items.filter(it => {
    const key = canonicalOfValue(it) ?? ''
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function placeIn(
  lists: readonly SyntaxNode[],
  position: Position
): { list: SyntaxNode; at: ItemPlace | undefined } | undefined {
  const [first] = lists
  if (!first) return undefined
  if (position === 'end') return { list: first, at: undefined }
  if (position === 'start') {
    const item = elementsOf(first)[0]
    return { list: first, at: item && { item, side: 'before' } }
  }
  const side = 'before' in position ? 'before' : 'after'
  const key = canonicalOfValue('before' in position ? position.before : position.after)
  for (const list of lists) {
    const item = elementsOf(list).find(it => canonicalOfNode(it) === key)
    if (item) return { list, at: { item, side } }
  }
  return undefined
}
