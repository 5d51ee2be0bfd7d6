import type { SyntaxNode } from '../syntax/parser.ts'
import { commentsOf, elementsOf, isComment } from '../syntax/shape.ts'
import type { Edit } from '../text/edits.ts'
import { indentAt, lineEnd, startsLine } from '../text/lines.ts'
import type { NixValue } from '../values.ts'
import { isOneLine } from './place.ts'
import { printItem, printItemLine } from './print.ts'
import { endOfLineBehind, innerIndent, layoutAt, startWithComments } from './style.ts'

/** Beside which item new ones go. */
export interface ItemPlace {
  item: SyntaxNode
  side: 'before' | 'after'
}

/**
 * The edit that writes items into a list, laid out as the list is: at the place, or behind the last
 * one where there is none.
 */
export function insertItems(
  text: string,
  root: SyntaxNode,
  list: SyntaxNode,
  items: readonly NixValue[],
  place: ItemPlace | undefined
): Edit {
  const isLast = place?.side === 'after' && place.item === elementsOf(list).at(-1)
  return place && !isLast
    ? insertBeside(text, root, place, items)
    : insertLast(text, root, list, items)
}

function insertBeside(
  text: string,
  root: SyntaxNode,
  { item, side }: ItemPlace,
  items: readonly NixValue[]
): Edit {
  const { eol, tightLists } = layoutAt(text, '', root)
  const indent = indentAt(text, item.start)
  const inline = items.map(it => printItem(it, tightLists)).join(' ')
  const lines = items.map(it => indent + printItemLine(it, tightLists))
  if (side === 'before') {
    const start = startWithComments(text, item)
    return startsLine(text, start)
      ? insertion(start - indentAt(text, start).length, lines.map(it => it + eol).join(''))
      : insertion(item.start, `${touches(text[item.start - 1]) ? ' ' : ''}${inline} `)
  }
  const end = endOfLineBehind(text, item)
  if (end === lineEnd(text, end)) return insertion(end, lines.map(it => eol + it).join(''))
  const isTight = touches(text[end])
  return insertion(end, ` ${inline}${isTight ? ' ' : ''}`)
}

/** Whether a character next to an item belongs to another one. */
function touches(neighbour: string | undefined): boolean {
  return neighbour !== undefined && !/[\s[\]]/.test(neighbour)
}

function insertion(offset: number, content: string): Edit {
  return { offset, length: 0, content }
}

function insertLast(
  text: string,
  root: SyntaxNode,
  list: SyntaxNode,
  items: readonly NixValue[]
): Edit {
  const layout = layoutAt(text, indentAt(text, list.start), root)
  const closing = list.children.findLast(it => it.type === ']') ?? list
  const last = elementsOf(list).at(-1) ?? commentsOf(list).at(-1)
  const bracket = list.children[0] ?? list
  const at = endOfLineBehind(text, last ?? bracket)

  if (isOneLine(text, list)) {
    const inline = items.map(it => printItem(it, layout.tightLists)).join(' ')
    if (last) return { offset: at, length: 0, content: ` ${inline}` }
    // `[ ]` keeps its blanks, `[]` gets those that the file's other lists have.
    const padding = layout.tightLists ? '' : ' '
    return {
      offset: at,
      length: closing.start - at,
      content: padding + inline + padding
    }
  }
  const indent = innerIndent(text, list, layout.unit)
  const lines = items.map(it => layout.eol + indent + printItemLine(it, layout.tightLists)).join('')
  // Items in rows, with the bracket behind the last: the new one goes to the end of the row.
  const sharesLine = last && !isComment(last) && !startsLine(text, last.start)
  const closesLine = !text.slice(at, closing.start).includes('\n')
  if (sharesLine && closesLine && !text.slice(at, closing.start).includes('#')) {
    const inline = items.map(it => printItem(it, layout.tightLists)).join(' ')
    return { offset: at, length: 0, content: ` ${inline}` }
  }
  if (!closesLine || items.every(it => printItemLine(it) === printItem(it))) {
    return { offset: at, length: 0, content: lines }
  }
  // A comment behind the last item would swallow the bracket.
  const end = layout.eol + indentAt(text, list.start)
  return { offset: at, length: closing.start - at, content: lines + end }
}
