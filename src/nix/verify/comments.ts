// Checks which comments an edit adds and removes. They define nothing, but users wrote them.

import { bisect } from '../bisect.ts'
import { insideAny } from '../errors.ts'
import { isComment } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import { startsLine } from '../text/lines.ts'
import {
  commentSourcesOf,
  isAnnotated,
  isExpr,
  isValueList,
  isValueSet,
  type NixValue
} from '../values.ts'
import { type Difference, nodeAfter, nodeBefore } from './diffTrees.ts'
import type { Claim } from './permitted.ts'

/**
 * A comment that was added or removed without a request; undefined if there is none. A new comment must
 * be part of a requested value. A removed comment must be inside a replaced or removed node, or after a
 * removed node on the same line, or, if the definition moves to another file, on the lines directly above. For an added or removed element of a `mkMerge`, `whole` has the element,
 * and `differences` has its attributes instead.
 */
export function strayComment(
  differences: readonly Difference[],
  whole: readonly Difference[],
  claims: readonly Claim[]
): { kind: 'added' | 'removed'; node: SyntaxNode } | undefined {
  const lost: SyntaxNode[] = []
  const gained: SyntaxNode[] = []
  for (const it of differences) {
    const [before, after] = [nodeBefore(it), nodeAfter(it)]
    if (before) collectComments(before, lost)
    if (after) collectComments(after, gained)
  }
  if (lost.length === 0 && gained.length === 0) return undefined

  const textOf = (it: SyntaxNode) => withoutCr(it.text)
  const moved = counted(lost.map(textOf))
  const requested = counted(claims.flatMap(it => it.values.flatMap(commentsOfValue)))
  for (const node of gained) {
    const text = textOf(node)
    if (!takeOne(moved, text) && !takeOne(requested, text)) return { kind: 'added', node }
  }
  const takesComments = claims.some(it => it.takesComments)
  const removedOf = (all: readonly Difference[]) =>
    all.flatMap(it =>
      takesComments && it.kind === 'removed' && !isComment(it.node) ? [it.node] : []
    )
  const removed = [...removedOf(differences), ...claims.flatMap(it => it.removed)]
  const isRemoved = insideAny(removed)
  const takesAbove = claims.some(it => it.takesCommentsAbove)
  const starts = (takesAbove ? removed : []).map(it => it.start).sort((a, b) => a - b)
  const isReplaced = insideAny(claims.flatMap(it => it.replaced ?? []))
  const ends = [...removed, ...removedOf(whole)].map(it => it.end).sort((a, b) => a - b)
  const kept = counted(gained.map(textOf))
  const node = lost.find(
    it =>
      !takeOne(kept, textOf(it)) &&
      !isReplaced(it) &&
      !isRemoved(it) &&
      !followsOneOf(it, ends) &&
      !isAboveOneOf(it, starts)
  )
  return node && { kind: 'removed', node }
}

function collectComments(node: SyntaxNode, found: SyntaxNode[]): void {
  if (!/#|\/\*/.test(node.text)) return
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (isComment(at)) found.push(at)
    else pushAll(stack, at.children)
  }
}

/** The source of the comments in a value. */
function commentsOfValue(value: NixValue): string[] {
  if (isAnnotated(value)) {
    const { above, after } = commentSourcesOf(value)
    return [...above, ...after, ...commentsOfValue(value.value)]
  }
  if (isExpr(value)) {
    const found: SyntaxNode[] = []
    collectComments(parse(value.source).root, found)
    return found.map(it => withoutCr(it.text))
  }
  if (isValueList(value)) return value.flatMap(commentsOfValue)
  return isValueSet(value) ? Object.values(value).flatMap(commentsOfValue) : []
}

/** With CRLF line endings, the grammar includes the CR in a `#` comment. */
function withoutCr(comment: string): string {
  return comment.replace(/\r$/, '')
}

/** The number of times that each text occurs. */
function counted(all: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const it of all) counts.set(it, (counts.get(it) ?? 0) + 1)
  return counts
}

/** Decrements the count of a text; returns false if the count was 0. */
function takeOne(counts: Map<string, number>, one: string): boolean {
  const count = counts.get(one) ?? 0
  counts.set(one, count - 1)
  return count > 0
}

/**
 * Whether a comment follows one of some nodes on the same line, with only comments between them. `ends`
 * are the ends of the nodes in source order.
 */
function followsOneOf(comment: SyntaxNode, ends: readonly number[]): boolean {
  const end = ends[bisect(ends.length, i => (ends[i] as number) > comment.start) - 1]
  const between = end === undefined ? undefined : comment.documentText.slice(end, comment.start)
  return between !== undefined && /^(?:[^\S\n]|,|\/\*(?:[^*]|\*(?!\/))*\*\/)*$/.test(between)
}

/**
 * Whether a comment is on the lines directly above one of some nodes, with only comments between them. `starts`
 * are the starts of the nodes in source order.
 */
function isAboveOneOf(comment: SyntaxNode, starts: readonly number[]): boolean {
  const { documentText: text, end } = comment
  const start = starts[bisect(starts.length, i => (starts[i] as number) >= end)]
  if (start === undefined || !startsLine(text, comment.start)) return false
  const between = text.slice(end, start)
  const code = between.replace(/#[^\n]*|\/\*[\s\S]*?\*\//g, '').trim()
  return code === '' && !/\n[ \t\r]*\n/.test(between)
}
