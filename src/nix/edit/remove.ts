import type { NixError } from '../errors.ts'
import { notInDocument } from '../messages/definitions.ts'
import { crlfString, indentationLost } from '../messages/lists.ts'
import { isMergeList } from '../module/combinators.ts'
import { type Lookup, partsOfBinding } from '../module/definitions.ts'
import { areImports, importKeyOf, importKeyOfValue } from '../module/imports.ts'
import {
  isIndentedCrlf,
  lineNodesOf,
  linesOf,
  losesIndent,
  removeLine,
  stringsIn
} from '../module/lineStrings.ts'
import { isConcat, itemsOf, type ListItem } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { ok, type Result } from '../result.ts'
import type { Source } from '../source.ts'
import { bindingsOf, commentsOf, elementsOf, inheritOf, isList, isSet } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { indentAt, lineEnd, lineStart, startsLine } from '../text/lines.ts'
import { type NixValue, withoutComment } from '../values.ts'
import { blockedByComment, removeNames, wholeInherits } from './inherits.ts'
import { ItemSearch } from './items.ts'
import {
  endOfLineAfter,
  endWithComments,
  isBlankBefore,
  isOpenedAbove,
  layoutAt,
  nextSibling,
  previousSibling,
  startWithOwnComments
} from './layout.ts'
import { removeSpent } from './operands.ts'
import { lookUpTarget, type Target } from './operation.ts'
import {
  ambiguous,
  blockedByPipe,
  type Edits,
  exposesOverridden,
  notAnOption,
  refuse,
  refuseCall,
  sharedInRec,
  usedInRec
} from './refusals.ts'

/** `removeIn` without items, for several options: see Transaction. */
export function planRemove(
  doc: Source,
  module: Module,
  targets: readonly Target[],
  takesCommentsAbove = false
): Edits {
  const bindings: SyntaxNode[] = []
  for (const target of targets) {
    const found = definitionsOf(doc, module, target)
    if (!found.ok) return found
    const all = [...found.value.exact, ...found.value.below]
    // The binding of a chosen part may have other parts, which would be removed as well.
    const whole = target.kind === 'definition' && target.steps.length > 0 ? all[0] : undefined
    const parts = whole ? partsOfBinding(whole) : []
    if (parts.length > 1) return ambiguous(parts, undefined)
    const blocker = usedInRec(all)
    if (blocker) return blocker
    for (const it of all) bindings.push(it.binding)
  }
  const exposed = exposesOverridden(bindings)
  if (exposed) return exposed
  const nodes = outermost(bindings)
  const names = nodes.filter(it => it.type !== 'binding')
  const whole = wholeInherits(names)
  const statements = [...nodes.filter(it => it.type === 'binding'), ...whole]
  const some = names.filter(it => !whole.has(inheritOf(it)))
  const startOf = takesCommentsAbove ? startWithOwnComments : (it: SyntaxNode) => it.start
  const edits = [...removeBindings(statements, startOf), ...removeNames(some)]
  return blockedIn(doc, nodes) ?? blockedByComment(names, false) ?? ok(combine(edits))
}

/** The definitions of a target. Refused if the target is not an option or is no longer in the document. */
function definitionsOf(doc: Source, module: Module, target: Target): Result<Lookup, NixError> {
  const misplaced = target.path[0] === 'config' ? notAnOption(module, target.path) : undefined
  if (misplaced) return misplaced
  const found = lookUpTarget(doc, module, target)
  const isMissing = target.kind === 'definition' && found.exact.length === 0
  return isMissing ? refuseCall(notInDocument(target.path)) : ok(found)
}

/** The nodes that are not inside another one of them, without repetitions, in source order. */
function outermost(nodes: readonly SyntaxNode[]): SyntaxNode[] {
  const outer: SyntaxNode[] = []
  for (const node of [...nodes].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = outer.at(-1)
    if (!last || node.start >= last.end) outer.push(node)
  }
  return outer
}

/** `removeIn` with items: see Transaction. */
export function planRemoveItems(
  doc: Source,
  module: Module,
  target: Target,
  items: readonly NixValue[]
): Edits {
  const found = definitionsOf(doc, module, target)
  if (!found.ok) return found
  const { exact } = found.value
  const written = exact.filter(it => !it.inherited)
  const isImports = areImports(module, target.path)
  const imports = new Set(isImports ? items.flatMap(it => importKeyOfValue(it) ?? []) : [])
  const search = new ItemSearch(items)
  const isUnwanted = (it: ListItem) =>
    search.has(it) || (isImports && imports.has(importKeyOf(it.item) ?? ''))
  const unwanted = written.flatMap(it => itemsOf(it.value)).filter(isUnwanted)
  const lines = new Set(items.map(withoutComment).filter(it => typeof it === 'string'))
  const strings = written.flatMap(it => stringsIn(it.value))
  const withCr = strings.find(
    string => isIndentedCrlf(string) && linesOf(string).some(it => lines.has(it.trim()))
  )
  if (withCr) return refuse(withCr, crlfString)
  const indented = strings.find(it => losesIndent(it, lines))
  if (indented) return refuse(indented, indentationLost)
  const edits = [
    ...removeItems(doc, unwanted),
    ...strings.flatMap(string =>
      lineNodesOf(string)
        .filter(it => lines.has(it.value))
        .map(it => removeLine(string, it))
    )
  ]
  if (edits.length === 0) return ok([])
  const shared = target.kind === 'path' ? written.map(it => sharedInRec(module, it.binding)) : []
  const blocker =
    shared.find(it => it !== undefined) ??
    blockedIn(doc, [...unwanted.map(it => it.item), ...strings])
  return blocker ?? ok(combine(edits))
}

/** The edits that remove items from their lists, and `optional CONDITION ITEM` as a whole. */
function removeItems(doc: Source, all: readonly ListItem[]): Edit[] {
  const byList = new Map<SyntaxNode, SyntaxNode[]>()
  for (const { item, container } of all) {
    const items = byList.get(container)
    if (items) items.push(item)
    else byList.set(container, [item])
  }
  const calls = [...byList.keys()].filter(it => !isList(it))
  const lists = [...byList].filter(([it]) => isList(it))
  const areOperands = lists.every(([list, items]) => emptiesOperand(list, items))
  const empty = layoutAt(doc.root, '').tightLists ? '[]' : '[ ]'
  if (calls.length > 0 && areOperands) {
    return removeSpent([...calls, ...lists.map(([list]) => list)], empty)
  }
  const fromLists = lists.flatMap(([list, items]) => removeFrom(list, items, areOperands))
  return [...removeSpent(calls, empty), ...fromLists]
}

/** Whether nothing remains of a list that is the right operand of `++`. */
function emptiesOperand(list: SyntaxNode, unwanted: readonly SyntaxNode[]): boolean {
  const left = list.parent && isConcat(list.parent) ? list.parent.field('left') : undefined
  const isEmptied = unwanted.length === elementsOf(list).length
  if (!isEmptied || !left || left.end >= list.start || commentsOf(list).length > 0) return false
  return /^\s*\+\+\s*$/.test(list.documentText.slice(left.end, list.start))
}

/**
 * Removes elements from a list. With `removeOperands`, a list that becomes empty is removed with the `++`
 * before it. The caller requests that only if every changed list becomes empty.
 */
function removeFrom(
  list: SyntaxNode,
  unwanted: readonly SyntaxNode[],
  removeOperands: boolean
): Edit[] {
  const isEmptied = unwanted.length === elementsOf(list).length
  const left = list.parent?.field('left')
  if (removeOperands && left) {
    return [{ offset: left.end, length: list.end - left.end, content: '' }]
  }
  const first = unwanted[0]
  if (isEmptied && first && !list.text.includes('\n')) {
    return [{ offset: first.start, length: list.end - 1 - first.start, content: '' }]
  }
  return runsOf(list, unwanted).map(([node, last]) => removeNode(node, last))
}

/**
 * Divides elements into runs to remove together, each as its first and last element: neighbors on one
 * line, and the elements at the end of the list if the closing bracket is on the line of the last one.
 */
function runsOf(list: SyntaxNode, unwanted: readonly SyntaxNode[]): [SyntaxNode, SyntaxNode][] {
  const text = list.documentText
  const runs: [SyntaxNode, SyntaxNode][] = []
  const closing = list.children.findLast(it => it.type === ']')
  let next = closing
  for (const it of [...unwanted].reverse()) {
    const between = next ? text.slice(endWithComments(it), next.start) : ''
    const run = runs.at(-1)
    const endsAtBracket =
      run !== undefined && run[1] === unwanted.at(-1) && sharesLineWith(run[1], closing)
    if (run && next === run[0] && (endsAtBracket ? /^\s*$/ : /^[^\S\n]*$/).test(between)) {
      run[0] = it
    } else runs.push([it, it])
    next = it
  }
  return runs
}

/** Whether the closing bracket follows the last item on the same line. */
function sharesLineWith(last: SyntaxNode, closing: SyntaxNode | undefined): boolean {
  return (
    closing !== undefined &&
    /^[^\S\n]*$/.test(last.documentText.slice(endWithComments(last), closing.start))
  )
}

function blockedIn(doc: Source, nodes: readonly SyntaxNode[]): Edits | undefined {
  return nodes.map(it => blockedByPipe(doc, it)).find(it => it !== undefined)
}

/** Joins removals that touch or overlap, as neighbors do at the whitespace between them. */
function combine(edits: readonly Edit[]): Edit[] {
  const joined: Edit[] = []
  for (const edit of [...edits].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1)
    if (last && edit.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, edit.offset + edit.length)
      last.length = end - last.offset
      if (edit.content.trim() !== '') last.content += edit.content
    } else joined.push({ ...edit })
  }
  return joined
}

/**
 * The edits that remove bindings. No binding is inside another. A set that becomes empty is written as
 * `{ }`, or is removed if it is an element of a `mkMerge`. `startOf` is the start of a binding with the
 * comments above it that are removed too.
 */
function removeBindings(bindings: readonly SyntaxNode[], startOf: StartOf): Edit[] {
  const removed = new Set(bindings)
  const sets = new Set(bindings.map(setAround).filter(it => it !== undefined))
  const emptied = new Set([...sets].filter(it => isEmptiedBy(it, removed, startOf)))
  const edits = bindingRuns(bindings.filter(it => !emptied.has(setAround(it) as SyntaxNode))).map(
    ([first, last]) => removeNode(first, last, startOf(first))
  )
  return [...edits, ...[...emptied].map(emptySet)]
}

type StartOf = (binding: SyntaxNode) => number

/** Divides bindings into runs of consecutive ones, each as its first and last binding. */
function bindingRuns(bindings: readonly SyntaxNode[]): [SyntaxNode, SyntaxNode][] {
  const runs: [SyntaxNode, SyntaxNode][] = []
  for (const binding of [...bindings].sort((a, b) => a.start - b.start)) {
    const run = runs.at(-1)
    if (run && isNext(run[1], binding)) run[1] = binding
    else runs.push([binding, binding])
  }
  return runs
}

/** Whether only whitespace, and comments on the line of the first, separate two bindings. */
function isNext(before: SyntaxNode, binding: SyntaxNode): boolean {
  const between = before.documentText.slice(endWithComments(before), binding.start)
  return before.parent === binding.parent && /^\s*$/.test(between)
}

function setAround(binding: SyntaxNode): SyntaxNode | undefined {
  const set = binding.parent?.parent
  return set && isSet(set) ? set : undefined
}

function isEmptiedBy(set: SyntaxNode, removed: ReadonlySet<SyntaxNode>, startOf: StartOf): boolean {
  const bindings = bindingsOf(set)
  if (!bindings.every(it => removed.has(it))) return false
  // Both lists are in source order.
  let last = -1
  return commentsOf(set).every(({ start, end }) => {
    while ((bindings[last + 1]?.end ?? Number.POSITIVE_INFINITY) <= start) last++
    const [owner, next] = [bindings[last], bindings[last + 1]]
    const isAfter = owner !== undefined && end <= endWithComments(owner)
    return isAfter || (next !== undefined && start >= startOf(next))
  })
}

function emptySet(set: SyntaxNode): Edit {
  if (set.parent && isMergeList(set.parent)) return removeNode(set)
  const start = set.children.find(it => it.type === '{')?.end ?? set.start
  return { offset: start, length: set.end - 1 - start, content: ' ' }
}

/**
 * The edit that removes everything from a binding or list element to `last`, with the comments after
 * `last` on the same line, and with the lines that become empty. Comments above are kept, except those from
 * `start` on.
 */
export function removeNode(node: SyntaxNode, last: SyntaxNode = node, start = node.start): Edit {
  const text = node.documentText
  const end = endOfLineAfter(last)
  const ownLines = startsLine(text, node.start) && end === lineEnd(text, end)
  return ownLines ? removeLines(text, start, end) : removeInLine(node, last, endWithComments(last))
}

/** Removes the lines of a block, and one of two blank lines around it. */
function removeLines(text: string, start: number, end: number): Edit {
  const first = lineStart(text, start)
  const newline = text.indexOf('\n', end)
  if (newline === -1) return { offset: first, length: end - first, content: '' }
  const next = newline + 1
  // Remove the blank line above the block or, for the first block of a set, the blank line below it.
  const blankBelow = /^[ \t]*\r?\n/.exec(text.slice(next))
  if (blankBelow && isOpenedAbove(text, start)) {
    return { offset: first, length: next + blankBelow[0].length - first, content: '' }
  }
  const closesBelow = /^[ \t]*[}\])]/.test(text.slice(next))
  const above = isBlankBefore(text, start) && (blankBelow !== null || closesBelow)
  const offset = above ? lineStart(text, first - 1) : first
  return { offset, length: next - offset, content: '' }
}

function removeInLine(node: SyntaxNode, last: SyntaxNode, end: number): Edit {
  const text = node.documentText
  const before = previousSibling(node)
  const sameLine = before && !text.slice(before.end, node.start).includes('\n')
  if (before && sameLine && before.isNamed) {
    // Without a space, the two neighbors may be read as one item.
    const isBetween = node.parent && isList(node.parent) && /[^\s\]]/.test(text[end] ?? ' ')
    return { offset: before.end, length: end - before.end, content: isBetween ? ' ' : '' }
  }
  // The bracket follows on the line of the last node: move the bracket to the end of the node above.
  const isLineComment = before !== undefined && text.startsWith('#', before.start)
  if (before?.isNamed && !isLineComment && startsLine(text, node.start)) {
    const until = endWithComments(before)
    const comment = text.slice(before.end, until)
    if (!comment.includes('#') && nextSibling(last)?.isNamed === false) {
      return { offset: until, length: end - until, content: '' }
    }
  }
  let after = nextSibling(last)
  while (after && after.end <= end) after = nextSibling(after)
  if (after?.isNamed && !text.slice(end, after.start).includes('\n')) {
    return { offset: node.start, length: after.start - node.start, content: '' }
  }
  // The bracket follows on the line of the only node: indent the bracket like the line of its set.
  const set = node.parent?.type === 'binding_set' ? node.parent.parent : node.parent
  const bracket = end + (/^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0)
  if (set && startsLine(text, node.start) && bracket === set.end - 1) {
    const first = lineStart(text, node.start)
    return { offset: first, length: bracket - first, content: indentAt(text, set.start) }
  }
  // The only item in `[ x ]`: remove one of the two spaces around it as well.
  const space = /[ \t]/.test(text[node.start - 1] ?? '') && /[ \t]/.test(text[end] ?? '') ? 1 : 0
  return { offset: node.start - space, length: end - node.start + space, content: '' }
}
