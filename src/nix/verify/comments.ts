// Comments define nothing, but somebody wrote them: which of them may come and go with an edit.

import { bisect } from '../bisect.ts'
import { insideAny } from '../errors.ts'
import { isComment } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import { isAnnotated, isExpr, isValueList, isValueSet, type NixValue } from '../values.ts'
import { type Difference, nodeAfter, nodeBefore } from './diffTrees.ts'
import type { Claim } from './permitted.ts'

/**
 * A comment that is gone or new without reason; undefined if there is none. New ones are asked for
 * as part of a value. Those inside what is replaced or removed go with it, and those behind what is
 * removed on its line; a part of a `mkMerge`, of which the differences are what is in it, is one of
 * `whole`.
 */
export function strayComment(
  differences: readonly Difference[],
  whole: readonly Difference[],
  claims: readonly Claim[]
): SyntaxNode | undefined {
  const lost: SyntaxNode[] = []
  const gained: SyntaxNode[] = []
  for (const it of differences) {
    const [old, fresh] = [nodeBefore(it), nodeAfter(it)]
    if (old) collectComments(old, lost)
    if (fresh) collectComments(fresh, gained)
  }
  if (lost.length === 0 && gained.length === 0) return undefined

  const spelt = (it: SyntaxNode) => withoutCr(it.text)
  const there = counted(lost.map(spelt))
  const asked = counted(claims.flatMap(it => it.values.flatMap(commentsOfValue)))
  for (const comment of gained) {
    const text = spelt(comment)
    if (!takeOne(there, text) && !takeOne(asked, text)) return comment
  }
  const takesComments = claims.some(it => it.takesComments)
  const removedOf = (all: readonly Difference[]) =>
    all.flatMap(it =>
      takesComments && it.kind === 'removed' && !isComment(it.node) ? [it.node] : []
    )
  const removed = removedOf(differences)
  const isRemoved = insideAny(removed)
  const isReplaced = insideAny(claims.flatMap(it => it.replaced ?? []))
  const ends = [...removed, ...removedOf(whole)].map(it => it.end).sort((a, b) => a - b)
  const kept = counted(gained.map(spelt))
  return lost.find(
    it => !takeOne(kept, spelt(it)) && !isReplaced(it) && !isRemoved(it) && !followsOneOf(it, ends)
  )
}

function collectComments(node: SyntaxNode, found: SyntaxNode[]): void {
  if (!/#|\/\*/.test(node.text)) return
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (isComment(at)) found.push(at)
    else pushAll(stack, at.children)
  }
}

/** The comments that a value may bring along, as they are spelt. */
function commentsOfValue(value: NixValue): string[] {
  if (isAnnotated(value)) return [`# ${value.comment}`.trimEnd(), ...commentsOfValue(value.value)]
  if (isExpr(value)) {
    const found: SyntaxNode[] = []
    collectComments(parse(value.source).root, found)
    return found.map(it => withoutCr(it.text))
  }
  if (isValueList(value)) return value.flatMap(commentsOfValue)
  return isValueSet(value) ? Object.values(value).flatMap(commentsOfValue) : []
}

/** With CRLF the grammar takes the CR for a part of a `#` comment. */
function withoutCr(comment: string): string {
  return comment.replace(/\r$/, '')
}

/** How often each text is there. */
function counted(all: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const it of all) counts.set(it, (counts.get(it) ?? 0) + 1)
  return counts
}

/** Takes one away; false if there is none. */
function takeOne(counts: Map<string, number>, one: string): boolean {
  const count = counts.get(one) ?? 0
  counts.set(one, count - 1)
  return count > 0
}

/**
 * Whether a comment follows a node on its line, with nothing but comments between. `ends` are where
 * the nodes end, in the order of the text.
 */
function followsOneOf(comment: SyntaxNode, ends: readonly number[]): boolean {
  const end = ends[bisect(ends.length, i => (ends[i] as number) > comment.start) - 1]
  const between = end === undefined ? undefined : comment.documentText.slice(end, comment.start)
  return between !== undefined && /^(?:[^\S\n]|\/\*(?:[^*]|\*(?!\/))*\*\/)*$/.test(between)
}
