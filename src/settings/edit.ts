import { groupBy, uniqueBy } from '../collections.ts'
import {
  canonicalOfValue,
  expr,
  formatPath,
  type NixDocument,
  type NixValue,
  parseDocument,
  type Transaction
} from '../nix/index.ts'
import { startsWith } from '../nix/path.ts'
import { eolOf, indentAt, startsLine } from '../nix/text/lines.ts'
import { BLOCKS, type OptionChange } from './options.ts'

/**
 * Adds changes of options below `prefix` to a transaction. A set of options that the document does not
 * define is written as one block; otherwise each option is edited where it is.
 */
export function applyOptionChanges(
  doc: NixDocument,
  edit: Transaction,
  changes: readonly OptionChange[],
  prefix: readonly string[] = []
): void {
  const effective = withListsJoined(changes).filter(it => !isEmptyAddition(it))
  let rest = effective.map(it => ({ ...it, path: [...prefix, ...it.path] }))
  if (prefix.length > 0 && rest.length > 0 && !isDefined(doc, prefix)) {
    edit.setIn(prefix, emptySet(doc, prefix))
  }
  for (const block of BLOCKS.map(it => [...prefix, ...it])) {
    const inside = rest.filter(it => isBelow(it.path, block))
    rest = rest.filter(it => !isBelow(it.path, block))
    if (inside.length > 0) editBlock(doc, edit, block, inside)
  }
  for (const it of rest) editOption(doc, edit, it)
}

/** Joins the changes of each list into one change, so that a new list is laid out for all its items. */
function withListsJoined(changes: readonly OptionChange[]): OptionChange[] {
  const groups = [...groupBy(changes, it => formatPath(it.path)).values()]
  return groups.flatMap(group => {
    const [first] = group
    if (first === undefined || !('items' in first)) return group
    const items = group.flatMap(it => ('items' in it ? it.items : []))
    return { ...first, items: uniqueBy(items, keyOf) }
  })
}

/** An attribute set with its braces on separate lines, so that new bindings are written between them. */
function emptySet(doc: NixDocument, path: readonly string[]): NixValue {
  const plan = doc.edit().setIn(path, {}).plan()
  const [found] = plan.ok ? parseDocument(plan.value.text).getIn(path) : []
  if (!plan.ok || !found) return {}
  const { text } = plan.value
  const { start } = found.binding
  return startsLine(text, start) ? expr(`{${eolOf(text)}${indentAt(text, start)}}`) : {}
}

function editBlock(
  doc: NixDocument,
  edit: Transaction,
  path: readonly string[],
  inside: readonly OptionChange[]
): void {
  if (!isDefined(doc, path)) {
    edit.setIn(path, blockOf(path, inside))
    return
  }
  const depth = path.length + 1
  for (const it of inside.filter(it => it.path.length === depth)) editOption(doc, edit, it)
  // Nested options, such as those of one shared memory file, are blocks of their own.
  const deeper = inside.filter(it => it.path.length > depth)
  for (const [name, group] of groupBy(deeper, it => it.path[path.length] ?? '')) {
    editBlock(doc, edit, [...path, name], group)
  }
}

function editOption(doc: NixDocument, edit: Transaction, change: OptionChange): void {
  const { path } = change
  const isNew = !isDefined(doc, path)
  switch (change.kind) {
    case 'value':
      edit.setIn(path, change.value)
      return
    case 'default':
      if (isNew) edit.setIn(path, change.value)
      return
    case 'items':
      edit.addIn(path, change.items)
      return
    case 'exactly': {
      if (change.items.length === 0) edit.removeIn(path)
      else if (isNew || !isLiteralList(doc, path)) edit.setIn(path, change.items)
      else {
        const kept = new Set(change.items.map(keyOf))
        edit.addIn(path, change.items)
        edit.removeIn(
          path,
          doc.itemsIn(path).filter(it => !kept.has(keyOf(it)))
        )
      }
    }
  }
}

/** Whether all definitions of the option are literal lists, so that single items can be edited. */
function isLiteralList(doc: NixDocument, path: readonly string[]): boolean {
  return doc.getIn(path).every(it => it.value.type === 'list_expression')
}

function isEmptyAddition(change: OptionChange): boolean {
  return change.kind === 'items' && change.items.length === 0
}

function isBelow(path: readonly string[], block: readonly string[]): boolean {
  return path.length > block.length && startsWith(path, block)
}

/** Whether a document defines an option or one below it. */
export function isDefined(doc: NixDocument, path: readonly string[]): boolean {
  return doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
}

type Block = { [name: string]: Block | NixValue }

function blockOf(path: readonly string[], inside: readonly OptionChange[]): Block {
  const block: Block = {}
  for (const it of inside) {
    const value = it.kind === 'exactly' || it.kind === 'items' ? it.items : it.value
    if (it.kind === 'exactly' && it.items.length === 0) continue
    let at = block
    const names = it.path.slice(path.length)
    for (const name of names.slice(0, -1)) {
      at[name] ??= {}
      at = at[name] as Block
    }
    at[names.at(-1) ?? ''] = value
  }
  return block
}

function keyOf(value: NixValue): string {
  return canonicalOfValue(value) ?? ''
}
