import { isMerged } from '../module/combinator.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { bindingsOf, commentsOf, isList, isSet } from '../syntax/shape.ts'
import type { Edit } from '../text/edits.ts'
import { indentAt, lineEnd, lineStart, startsLine } from '../text/lines.ts'
import {
  endOfLineBehind,
  endWithComments,
  following,
  isBlankBefore,
  isOpenedAbove,
  preceding
} from './style.ts'

/**
 * The edits that take bindings away, of which none lies inside another. What is left of a set that
 * loses all that is in it is `{ }`, or nothing where it is an element of the list of a `mkMerge`.
 */
export function removeBindings(text: string, bindings: readonly SyntaxNode[]): Edit[] {
  const gone = new Set(bindings)
  const sets = new Set(bindings.map(setAround).filter(it => it !== undefined))
  const emptied = new Set([...sets].filter(it => isEmptiedBy(text, it, gone)))
  const edits = runsOf(
    text,
    bindings.filter(it => !emptied.has(setAround(it) as SyntaxNode))
  ).map(([first, last]) => removeNode(text, first, last))
  return [...edits, ...[...emptied].map(it => emptySet(text, it))]
}

/** Those that stand one behind the other go as one, as first and last of each. */
function runsOf(text: string, bindings: readonly SyntaxNode[]): [SyntaxNode, SyntaxNode][] {
  const runs: [SyntaxNode, SyntaxNode][] = []
  for (const binding of [...bindings].sort((a, b) => a.start - b.start)) {
    const run = runs.at(-1)
    if (run && isNext(text, run[1], binding)) run[1] = binding
    else runs.push([binding, binding])
  }
  return runs
}

/** Whether nothing but blanks stands between two bindings, the comments behind the first aside. */
function isNext(text: string, before: SyntaxNode, binding: SyntaxNode): boolean {
  const between = text.slice(endWithComments(text, before), binding.start)
  return before.parent === binding.parent && /^\s*$/.test(between)
}

function setAround(binding: SyntaxNode): SyntaxNode | undefined {
  const set = binding.parent?.parent
  return set && isSet(set) ? set : undefined
}

function isEmptiedBy(text: string, set: SyntaxNode, gone: ReadonlySet<SyntaxNode>): boolean {
  const bindings = bindingsOf(set)
  if (!bindings.every(it => gone.has(it))) return false
  // Both stand in the order of the text.
  let last = -1
  return commentsOf(set).every(({ start, end }) => {
    while ((bindings[last + 1]?.end ?? Number.POSITIVE_INFINITY) <= start) last++
    const owner = bindings[last]
    return owner !== undefined && end <= endWithComments(text, owner)
  })
}

function emptySet(text: string, set: SyntaxNode): Edit {
  if (set.parent && isMerged(text, set.parent)) return removeNode(text, set)
  const start = set.children.find(it => it.type === '{')?.end ?? set.start
  return { offset: start, length: set.end - 1 - start, content: ' ' }
}

/**
 * The edit that takes a binding or a list element away, or all from it to `last`, with the comment
 * behind it on its line and with the line that it leaves empty. Comments above it stay.
 */
export function removeNode(text: string, node: SyntaxNode, last: SyntaxNode = node): Edit {
  const end = endOfLineBehind(text, last)
  const ownLines = startsLine(text, node.start) && end === lineEnd(text, end)
  return ownLines
    ? removeLines(text, node, end)
    : removeInLine(text, node, last, endWithComments(text, last))
}

function removeLines(text: string, node: SyntaxNode, end: number): Edit {
  const first = lineStart(text, node.start)
  const newline = text.indexOf('\n', end)
  if (newline === -1) return { offset: first, length: end - first, content: '' }
  const next = newline + 1
  // A block goes with the blank line that parted it from the one above, or, as the first, from the
  // one below.
  const blankBelow = /^[ \t]*\r?\n/.exec(text.slice(next))
  if (blankBelow && isOpenedAbove(text, node.start)) {
    return { offset: first, length: next + blankBelow[0].length - first, content: '' }
  }
  const closesBelow = /^[ \t]*[}\])]/.test(text.slice(next))
  const above = isBlankBefore(text, node.start) && (blankBelow !== null || closesBelow)
  const offset = above ? lineStart(text, first - 1) : first
  return { offset, length: next - offset, content: '' }
}

function removeInLine(text: string, node: SyntaxNode, last: SyntaxNode, end: number): Edit {
  const before = preceding(node)
  const sameLine = before && !text.slice(before.end, node.start).includes('\n')
  if (before && sameLine && before.isNamed) {
    // Without it, two items may stand as one.
    const isBetween = node.parent && isList(node.parent) && /[^\s\]]/.test(text[end] ?? ' ')
    return { offset: before.end, length: end - before.end, content: isBetween ? ' ' : '' }
  }
  // The last one, with the bracket behind it: the bracket goes back behind the one above.
  const isLineComment = before !== undefined && text.startsWith('#', before.start)
  if (before?.isNamed && !isLineComment && startsLine(text, node.start)) {
    const until = endWithComments(text, before)
    const comment = text.slice(before.end, until)
    if (!comment.includes('#') && following(last)?.isNamed === false) {
      return { offset: until, length: end - until, content: '' }
    }
  }
  let after = following(last)
  while (after && after.end <= end) after = following(after)
  if (after?.isNamed && !text.slice(end, after.start).includes('\n')) {
    return { offset: node.start, length: after.start - node.start, content: '' }
  }
  // The only one, with the bracket behind it: the bracket gets the line, at the indent of its set.
  const set = node.parent?.type === 'binding_set' ? node.parent.parent : node.parent
  const bracket = end + (/^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0)
  if (set && startsLine(text, node.start) && bracket === set.end - 1) {
    const first = lineStart(text, node.start)
    return { offset: first, length: bracket - first, content: indentAt(text, set.start) }
  }
  // The only one in `[ x ]`: one of the two blanks goes with it.
  const blank = /[ \t]/.test(text[node.start - 1] ?? '') && /[ \t]/.test(text[end] ?? '') ? 1 : 0
  return { offset: node.start - blank, length: end - node.start + blank, content: '' }
}
