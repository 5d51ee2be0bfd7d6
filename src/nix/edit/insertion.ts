import { formatPath } from '../path.ts'
import type { Source } from '../source.ts'
import {
  bindingsOf,
  closingOf,
  commentsOf,
  elementsOf,
  isComment,
  isSet,
  openingOf
} from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { indentAt, lineEnd, startsLine } from '../text/lines.ts'
import { hasComments, isValueSet, type NixValue, withoutComment } from '../values.ts'
import {
  endOfLineAfter,
  endWithComments,
  hasBlankLines,
  innerIndent,
  isBlankBefore,
  isOpenedAbove,
  layoutAt,
  nextSibling,
  startWithComments
} from './layout.ts'
import { type BindingPlace, isOneLine, isOneLineSet } from './placement.ts'
import { type Layout, printBinding, printInline, printItem, printItemLine } from './print.ts'

/** The edit that adds `attrpath = value;` at a place, in the layout of its neighbors. */
export function insertBinding({ text, root }: Source, place: BindingPlace, value: NixValue): Edit {
  const { set, sibling, isBefore } = place
  const outer = layoutAt(root, indentAt(text, set.start))
  const attrpath = formatPath(place.attrpath)

  if (sibling && isOneLineSet(set)) {
    const binding = `${attrpath} = ${printInline(value, outer.tightLists)};`
    return isBefore
      ? insertion(sibling.start, `${binding} `)
      : insertion(endWithComments(sibling), ` ${binding}`)
  }
  if (!sibling && isEmptyInLine(set)) {
    const binding = `${attrpath} = ${printInline(value, outer.tightLists)};`
    const at = openingOf(set).end
    return { offset: at, length: closingOf(set).start - at, content: ` ${binding} ` }
  }
  const layout = { ...outer, indent: innerIndent(set, outer.unit) }
  const binding = bindingLike(sibling, attrpath, value, layout)
  if (!sibling) return intoEmpty(set, binding, layout)
  const isBlock = binding.includes('\n')
  const followsBlock = !isOneLine(sibling) && bindingsOf(set).length > 1
  const isSeparated = (isBlock || place.isApart || followsBlock) && hasBlankLines(set)
  return isBefore
    ? precede(sibling, binding, layout, isSeparated)
    : follow(set, sibling, binding, layout, isSeparated)
}

/** `attrpath = value;` in the layout of a new binding at this place. */
export function printLikeNeighbors(
  { text, root }: Source,
  { set, sibling, attrpath }: BindingPlace,
  value: NixValue
): string {
  const layout = layoutAt(root, indentAt(text, set.start))
  if (isOneLineSet(set))
    return `${formatPath(attrpath)} = ${printInline(value, layout.tightLists)};`
  return bindingLike(sibling, formatPath(attrpath), value, {
    ...layout,
    indent: innerIndent(set, layout.unit)
  })
}

/** Whether a set is empty and inside a one-line set. */
function isEmptyInLine(set: SyntaxNode): boolean {
  let binding = set.parent
  while (binding && binding.type !== 'binding') binding = binding.parent
  const around = binding?.parent?.parent
  const isBare = commentsOf(set).every(it => it.end <= openingOf(set).start)
  return isBare && around !== undefined && isSet(around) && isOneLine(around)
}

/**
 * The printed binding. A short set without comments is printed on one line if the sibling is a one-line
 * set.
 */
function bindingLike(
  sibling: SyntaxNode | undefined,
  attrpath: string,
  value: NixValue,
  layout: Layout
): string {
  const neighbor = sibling?.field('expression')
  const inline = `${attrpath} = ${printInline(value, layout.tightLists)};`
  const isShort = layout.indent.length + inline.length <= 80
  const fits = isShort && isValueSet(withoutComment(value)) && !hasComments(value)
  return fits && neighbor && isSet(neighbor) && isOneLine(neighbor)
    ? inline
    : printBinding(attrpath, value, layout)
}

/** The edit that makes `attrpath = value;` the first binding of a set. */
export function insertFirst(
  { text, root }: Source,
  set: SyntaxNode,
  attrpath: string,
  value: NixValue
): Edit {
  const outer = layoutAt(root, indentAt(text, set.start))
  const first = bindingsOf(set)[0]
  if (first && isOneLineSet(set)) {
    return insertion(first.start, `${attrpath} = ${printInline(value, outer.tightLists)}; `)
  }
  const layout = { ...outer, indent: innerIndent(set, outer.unit) }
  const binding = printBinding(attrpath, value, layout)
  if (!first && commentsOf(set).length === 0) return intoEmpty(set, binding, layout)

  const brace = openingOf(set)
  const at = endOfLineAfter(brace)
  const rest = text.slice(at)
  // Keep a blank line at the start of the set.
  const opensBlank = /^[ \t]*\r?\n[ \t]*\r?\n/.test(rest)
  const lead = opensBlank ? layout.eol : ''
  const isSeparated = hasBlankLines(set) && !opensBlank
  // If the first binding is on the line of the brace, move it to a line of its own.
  const shared = /^[ \t]*[^\s]/.exec(rest)
  const end = shared
    ? layout.eol + (isSeparated ? layout.eol : '') + layout.indent
    : isSeparated
      ? layout.eol
      : ''
  const gap = shared ? shared[0].length - 1 : 0
  return { offset: at, length: gap, content: lead + layout.eol + layout.indent + binding + end }
}

function insertion(offset: number, content: string): Edit {
  return { offset, length: 0, content }
}

function intoEmpty(set: SyntaxNode, binding: string, layout: Layout): Edit {
  const brace = openingOf(set)
  const text = set.documentText
  const closing = closingOf(set)
  const comment = commentsOf(set).findLast(it => it.start > brace.start)
  const at = endOfLineAfter(comment ?? brace)
  const line = layout.eol + layout.indent + binding
  if (text.slice(at, closing.start).includes('\n')) {
    return insertion(at, (comment ? layout.eol : '') + line)
  }
  const outer = indentAt(text, set.start)
  return { offset: at, length: closing.start - at, content: line + layout.eol + outer }
}

function precede(sibling: SyntaxNode, binding: string, layout: Layout, isSeparated: boolean): Edit {
  const text = sibling.documentText
  const at = startWithComments(sibling)
  const gap = isSeparated ? layout.eol : ''
  if (!startsLine(text, at)) {
    return insertion(at, binding + (mayEndInComment(binding) ? layout.eol + layout.indent : ' '))
  }
  const lead = isSeparated && !isBlankBefore(text, at) && !isOpenedAbove(text, at) ? layout.eol : ''
  const start = at - indentAt(text, at).length
  return insertion(start, `${lead}${layout.indent}${binding}${layout.eol}${gap}`)
}

function follow(
  set: SyntaxNode,
  sibling: SyntaxNode,
  binding: string,
  layout: Layout,
  isSeparated: boolean
): Edit {
  const text = set.documentText
  const last = nodeToAddAfter(set, sibling)
  const at = endOfLineAfter(last)
  const separate = isSeparated || last !== sibling
  const lead = separate ? layout.eol + layout.eol : layout.eol
  const next = nextSibling(last)
  const rest = text.slice(at)
  // Add a blank line after a separated binding, unless there is one or the set ends.
  const closes = next === closingOf(set) || /^\s*(?:\}|in(?![\w'-]))/.test(rest)
  const sameLine = /^[ \t]*[^\s]/.test(rest)
  const tail = closes || !separate || /^[ \t]*\r?\n[ \t]*\r?\n/.test(rest) ? '' : layout.eol
  // Keep a brace on the line of the last binding, unless it would become part of a comment.
  const breaks = sameLine && (!closes || mayEndInComment(binding))
  const closing = breaks ? layout.eol + indentAt(text, set.start) : tail
  return insertion(at, lead + layout.indent + binding + closing)
}

/** Whether the last line may end in a comment, so that nothing can follow on it. */
function mayEndInComment(binding: string): boolean {
  return binding.slice(binding.lastIndexOf('\n') + 1).includes('#')
}

/**
 * The node after which to add a binding: the sibling or, if that is the last binding of the set, the last
 * comment after it. Such a comment is often a binding that was commented out.
 */
function nodeToAddAfter(set: SyntaxNode, sibling: SyntaxNode): SyntaxNode {
  if (bindingsOf(set).at(-1)?.start !== sibling.start) return sibling
  return (
    commentsOf(set)
      .filter(it => it.start > sibling.end)
      .at(-1) ?? sibling
  )
}

/** The existing item next to which new items are added. */
export interface ItemPlace {
  item: SyntaxNode
  side: 'before' | 'after'
}

/**
 * The edit that adds items to a list, in the layout of the list. Without a place, they are added after
 * the last item.
 */
export function insertItems(
  { root }: Source,
  list: SyntaxNode,
  items: readonly NixValue[],
  place: ItemPlace | undefined
): Edit {
  const isLast = place?.side === 'after' && place.item === elementsOf(list).at(-1)
  return place && !isLast ? insertNextTo(root, place, items) : insertLast(root, list, items)
}

function insertNextTo(
  root: SyntaxNode,
  { item, side }: ItemPlace,
  items: readonly NixValue[]
): Edit {
  const text = root.documentText
  const { eol, tightLists } = layoutAt(root, '')
  const indent = indentAt(text, item.start)
  const inline = items.map(it => printItem(it, tightLists)).join(' ')
  const lines = items.map(it => indent + printItemLine(it, tightLists))
  if (side === 'before') {
    const start = startWithComments(item)
    return startsLine(text, start)
      ? insertion(start - indentAt(text, start).length, lines.map(it => it + eol).join(''))
      : insertion(item.start, `${touches(text[item.start - 1]) ? ' ' : ''}${inline} `)
  }
  const end = endOfLineAfter(item)
  if (end === lineEnd(text, end)) return insertion(end, lines.map(it => eol + it).join(''))
  const isTight = touches(text[end])
  return insertion(end, ` ${inline}${isTight ? ' ' : ''}`)
}

/** Whether the character next to an item belongs to another item. */
function touches(neighbor: string | undefined): boolean {
  return neighbor !== undefined && !/[\s[\]]/.test(neighbor)
}

function insertLast(root: SyntaxNode, list: SyntaxNode, items: readonly NixValue[]): Edit {
  const text = list.documentText
  const layout = layoutAt(root, indentAt(text, list.start))
  const closing = list.children.findLast(it => it.type === ']') ?? list
  const last = elementsOf(list).at(-1) ?? commentsOf(list).at(-1)
  const bracket = list.children[0] ?? list
  const at = endOfLineAfter(last ?? bracket)

  if (isOneLine(list)) {
    const inline = items.map(it => printItem(it, layout.tightLists)).join(' ')
    if (last) return { offset: at, length: 0, content: ` ${inline}` }
    // Inside the brackets, use spaces if the other lists of the file do.
    const padding = layout.tightLists ? '' : ' '
    return {
      offset: at,
      length: closing.start - at,
      content: padding + inline + padding
    }
  }
  const indent = innerIndent(list, layout.unit)
  const lines = items.map(it => layout.eol + indent + printItemLine(it, layout.tightLists)).join('')
  // If the last line has several items and the bracket, add to the end of that line.
  const sharesLine = last && !isComment(last) && !startsLine(text, last.start)
  const closesLine = !text.slice(at, closing.start).includes('\n')
  if (sharesLine && closesLine && !text.slice(at, closing.start).includes('#')) {
    const inline = items.map(it => printItem(it, layout.tightLists)).join(' ')
    return { offset: at, length: 0, content: ` ${inline}` }
  }
  if (!closesLine || items.every(it => printItemLine(it) === printItem(it))) {
    return { offset: at, length: 0, content: lines }
  }
  // The new items end in a comment, so the bracket needs a line of its own.
  const end = layout.eol + indentAt(text, list.start)
  return { offset: at, length: closing.start - at, content: lines + end }
}
