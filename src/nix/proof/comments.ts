// Comments define nothing, but somebody wrote them: which of them may come and go with an edit.

import { isInside } from '../errors.ts'
import { parse, type SyntaxNode } from '../syntax/parser.ts'
import { isComment } from '../syntax/shape.ts'
import { isAnnotated, isExpr, isValueList, isValueSet, type NixValue } from '../values.ts'
import type { Claim } from './claims.ts'
import { type Difference, newNodeOf, oldNodeOf } from './compareTrees.ts'
import type { Sides } from './sides.ts'

/**
 * A comment that is gone or new without reason; undefined if there is none. New ones are asked for
 * as part of a value. Those inside what is replaced or removed go with it, and those behind what is
 * removed on its line; a part of a `mkMerge`, of which the differences are what is in it, is one of
 * `whole`.
 */
export function strayComment(
  differences: readonly Difference[],
  whole: readonly Difference[],
  claims: readonly Claim[],
  { before, after }: Sides
): SyntaxNode | undefined {
  const lost: SyntaxNode[] = []
  const gained: SyntaxNode[] = []
  for (const it of differences) {
    const [old, fresh] = [oldNodeOf(it), newNodeOf(it)]
    if (old) lost.push(...commentsIn(before.text, old))
    if (fresh) gained.push(...commentsIn(after.text, fresh))
  }
  if (lost.length === 0 && gained.length === 0) return undefined

  const spelt = (text: string) => (it: SyntaxNode) => withoutCr(text.slice(it.start, it.end))
  const there = lost.map(spelt(before.text))
  const asked = claims.flatMap(it => it.values.flatMap(commentsOfValue))
  for (const comment of gained) {
    const text = spelt(after.text)(comment)
    if (!takeOne(there, text) && !takeOne(asked, text)) return comment
  }
  const takesComments = claims.some(it => it.takesComments)
  const removedOf = (all: readonly Difference[]) =>
    all.flatMap(it =>
      takesComments && it.kind === 'removed' && !isComment(it.node) ? [it.node] : []
    )
  const removed = removedOf(differences)
  const behind = [...removed, ...removedOf(whole)]
  const kept = gained.map(spelt(after.text))
  return lost.find(
    it =>
      !takeOne(kept, spelt(before.text)(it)) &&
      !claims.some(({ replaced }) => replaced && isInside(it, replaced)) &&
      !removed.some(node => isInside(it, node)) &&
      !behind.some(node => isBehind(before.text, it, node))
  )
}

function commentsIn(text: string, node: SyntaxNode): SyntaxNode[] {
  if (!/#|\/\*/.test(text.slice(node.start, node.end))) return []
  const found: SyntaxNode[] = []
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (isComment(at)) found.push(at)
    else stack.push(...at.children)
  }
  return found
}

/** The comments that a value may bring along, as they are spelt. */
function commentsOfValue(value: NixValue): string[] {
  if (isAnnotated(value)) return [`# ${value.comment}`.trimEnd(), ...commentsOfValue(value.value)]
  if (isExpr(value)) {
    const { source } = value
    return commentsIn(source, parse(source).root).map(it =>
      withoutCr(source.slice(it.start, it.end))
    )
  }
  if (isValueList(value)) return value.flatMap(commentsOfValue)
  return isValueSet(value) ? Object.values(value).flatMap(commentsOfValue) : []
}

/** With CRLF the grammar takes the CR for a part of a `#` comment. */
function withoutCr(comment: string): string {
  return comment.replace(/\r$/, '')
}

/** Takes one out of a list; false if it is not in there. */
function takeOne(all: string[], one: string): boolean {
  const at = all.indexOf(one)
  if (at !== -1) all.splice(at, 1)
  return at !== -1
}

/** Whether a comment stands behind a node on its line, with nothing but comments between. */
function isBehind(text: string, comment: SyntaxNode, node: SyntaxNode): boolean {
  if (comment.start < node.end) return false
  return /^(?:[^\S\n]|\/\*(?:[^*]|\*(?!\/))*\*\/)*$/.test(text.slice(node.end, comment.start))
}
