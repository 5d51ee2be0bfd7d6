import type { NixDocument } from '../document.ts'
import type { Definition } from '../module/definitions.ts'
import { addLines, linesOf, stringIn } from '../module/lineStrings.ts'
import { formOf, listOf } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { spellPath } from '../path.ts'
import { ok } from '../result.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { elementsOf } from '../syntax/shape.ts'
import { bare, type NixValue } from '../values.ts'
import { type ItemPlace, insertItems } from './insertItems.ts'
import { printInline } from './print.ts'
import {
  badLine,
  badValue,
  blockedByPipe,
  conditional,
  type Edits,
  inherited,
  notFound,
  refuse
} from './refusals.ts'
import { define } from './setOperation.ts'
import { layoutAt } from './style.ts'
import { lookUpTarget, type Target } from './target.ts'

/** Where `addIn` puts items: at an end of the list, or beside the item with that value. */
export type Position = 'end' | 'start' | { before: NixValue } | { after: NixValue }

/** `addIn`: see Transaction. */
export function planAdd(
  doc: NixDocument,
  module: Module,
  target: Target,
  items: readonly NixValue[],
  position: Position
): Edits {
  if (canonicalOfValue(items) === undefined) return badValue(items)
  const found = lookUpTarget(doc, module, target)
  const below = found.below[0]
  if (below) {
    return refuse(doc.text, below.binding, {
      code: 'NOT_A_LIST',
      message: `${spellPath(target.path)} is a set, here ${spellPath(below.path)}, and not a list`,
      hint: 'add to a list inside it'
    })
  }
  if (found.exact.length === 0) {
    if (target.kind === 'definition') return notFound(target.path)
    const fresh = unique(items, new Set())
    return fresh.length === 0 ? ok([]) : define(doc, module, found, target.path, fresh)
  }
  const always = found.exact.filter(it => it.conditions.length === 0)
  const string = always.find(it => !it.inherited && stringIn(doc.text, it.value))
  if (string) return addToString(doc, string, items, position)

  const present = new Set(always.flatMap(it => itemsAlwaysIn(doc.text, it)))
  const missing = unique(items, present)
  if (missing.length === 0) return ok([])
  return addToLists(doc, found.exact, always, missing, position)
}

/** Adds to the first definition that has a list which always counts, else gives the first such a list. */
function addToLists(
  doc: NixDocument,
  all: readonly Definition[],
  always: readonly Definition[],
  missing: readonly NixValue[],
  position: Position
): Edits {
  const { text, root } = doc
  const written = always.filter(it => !it.inherited)
  const lists = written.map(it => listOf(text, it.value)).filter(it => it !== undefined)
  const list = lists[0]
  if (list) {
    const blocked = blockedByPipe(doc, list)
    if (blocked) return blocked
    const place = placeIn(text, lists, position)
    if (place) return ok([insertItems(text, root, place.list, missing, place.at)])
    return refuse(text, list, {
      code: 'CONFLICT',
      message: 'the item to add beside is not in this list',
      hint: 'name an item that is there, or add at the end'
    })
  }
  const [first] = written
  if (first) {
    const blocked = blockedByPipe(doc, first.value)
    if (blocked) return blocked
    const form = formOf(text, first.value)
    if (!form.ok) return form
    const { kind, at } = form.value
    const { tightLists } = layoutAt(text, '', root)
    const spelt = printInline(missing, tightLists)
    if (kind === 'merge') return ok([insertItems(text, root, at, [missing], undefined)])
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
  return other ? inherited(text, other) : conditional(text, all[0] as Definition)
}

function addToString(
  doc: NixDocument,
  definition: Definition,
  items: readonly NixValue[],
  position: Position
): Edits {
  const { text } = doc
  const string = stringIn(text, definition.value) as SyntaxNode
  const lines: string[] = []
  for (const item of items) {
    const line = bare(item)
    if (typeof line !== 'string' || /[\r\n]/.test(line)) {
      return badLine(definition.path)
    }
    lines.push(line)
  }
  if (position !== 'end') {
    return refuse(text, string, {
      code: 'CONFLICT',
      message: 'to a string, lines can be added at the end only',
      hint: 'leave the position out'
    })
  }
  const blocked = blockedByPipe(doc, string)
  if (blocked) return blocked
  if (
    string.type === 'indented_string_expression' &&
    /\r/.test(text.slice(string.start, string.end))
  ) {
    return refuse(text, string, {
      code: 'CONFLICT',
      message: 'with line ends of CR and LF, Nix keeps the CR and the indentation of such a string',
      hint: 'convert the file to line ends of LF, for example with dos2unix'
    })
  }
  const present = new Set(linesOf(text, string))
  const missing = [...new Set(lines)].filter(it => !present.has(it))
  return ok(missing.length === 0 ? [] : [addLines(text, string, missing)])
}

function itemsAlwaysIn(text: string, definition: Definition): string[] {
  const list = definition.inherited ? undefined : listOf(text, definition.value)
  return list ? elementsOf(list).map(it => canonicalOfNode(text, it)) : []
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
  text: string,
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
    const item = elementsOf(list).find(it => canonicalOfNode(text, it) === key)
    if (item) return { list, at: { item, side } }
  }
  return undefined
}
