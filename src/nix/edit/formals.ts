import {
  argumentCaptures,
  argumentUsed,
  commentInFormals,
  formalDiffers,
  inputFollowed,
  noFormals,
  notAFormal
} from '../messages/formals.ts'
import { leavesOf, lookUp } from '../module/definitions.ts'
import { type Formal, formalsNodeOf, formalsOf, lambdaOf } from '../module/formals.ts'
import { hasEllipsis, type Module } from '../module/module.ts'
import { formatName } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { isComment } from '../syntax/nodes.ts'
import { usesOfArgument } from '../syntax/recSets.ts'
import { capturedBy } from '../syntax/scope.ts'
import { stringValue } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { eolOf, indentAt, lineEnd, lineStart, startsLine } from '../text/lines.ts'
import type { AddFormal, RemoveFormal } from './operation.ts'
import { printInline } from './print.ts'
import { badValue, type Edits, refuse, refuseCall } from './refusals.ts'

/** `addFormal`: see Transaction. For a flake's `outputs`, nothing is done if they accept any input. */
export function planAddFormal(doc: Source, module: Module, operation: AddFormal): Edits {
  const { name, fallback, of } = operation
  const lambda = lambdaOf(module, of)
  const formals = formalsNodeOf(lambda)
  const isOpen = of === 'outputs' && (!formals || hasEllipsis(formals))
  if (isOpen) return ok([])
  if (!lambda || !formals) return refuseCall(noFormals)
  if (formatName(name) !== name) return refuseCall(notAFormal(name))
  const wanted = fallback === undefined ? undefined : canonicalOfValue(fallback)
  if (fallback !== undefined && wanted === undefined) return badValue(fallback)
  const existing = formalsOf(lambda).find(it => it.name === name)
  if (existing) {
    const isSame = wanted === undefined || isDefault(existing, wanted)
    return isSame ? ok([]) : refuse(existing.node, formalDiffers(name))
  }
  if (lambda.field('universal')?.text === name) return ok([])
  const [captured] = capturedBy(lambda, name)
  if (captured) return refuse(captured, argumentCaptures(name))
  const source = fallback === undefined ? name : `${name} ? ${printInline(fallback)}`
  return ok(insertFormal(doc, formals, source))
}

function isDefault({ fallback }: Formal, wanted: string): boolean {
  return fallback !== undefined && canonicalOfNode(fallback) === wanted
}

/**
 * `removeFormal`: see Transaction. With `unlessDefined`, nothing is done if that path is defined. For a
 * flake's `outputs`, refused also if they use an input without a formal for it, or another input follows
 * it.
 */
export function planRemoveFormal(doc: Source, module: Module, operation: RemoveFormal): Edits {
  const { name, of, unlessDefined } = operation
  if (unlessDefined) {
    const { exact, below } = lookUp(module, unlessDefined)
    if (exact.length + below.length > 0) return ok([])
  }
  const lambda = lambdaOf(module, of)
  if (!lambda) return of === 'set' ? refuseCall(noFormals) : ok([])
  const formal = formalsOf(lambda).find(it => it.name === name)
  if (!formal && of === 'set') return ok([])
  const [use] = usesOfArgument(lambda, name)
  if (use) return refuse(use, argumentUsed(name))
  const follower = of === 'outputs' ? followerOf(module, name) : undefined
  if (follower) return refuse(follower, inputFollowed(name))
  if (!formal) return ok([])
  const { renamedTo } = operation
  return renamedTo === undefined || formalsOf(lambda).some(it => it.name === renamedTo)
    ? removeFormal(doc, formal.node)
    : renameFormal(lambda, formal, renamedTo)
}

/** Replaces the name of a formal that is not used, and keeps its default and its comments. */
function renameFormal(lambda: SyntaxNode, { name, node }: Formal, to: string): Edits {
  if (formatName(to) !== to) return refuseCall(notAFormal(to))
  const [captured] = capturedBy(lambda, to)
  if (captured) return refuse(captured, argumentCaptures(to))
  return ok([{ offset: node.start, length: name.length, content: to }])
}

/** The `follows` of another input of a flake that names this one, or an input of it. */
function followerOf(module: Module, name: string): SyntaxNode | undefined {
  const others = leavesOf(module).filter(
    ({ path }) => path[0] === 'inputs' && path.at(-1) === 'follows' && path[1] !== name
  )
  return others.find(({ value }) => stringValue(value)?.split('/')[0] === name)?.value
}

/** Whether a line of formals begins with the comma that separates them from those above. */
function leadsWithComma(text: string, node: SyntaxNode): boolean {
  return /^[ \t]*,[ \t]*$/.test(text.slice(lineStart(text, node.start), node.start))
}

/** The edits that add a formal as the last one, in the layout of the others. */
function insertFormal(doc: Source, formals: SyntaxNode, source: string): Edit[] {
  const { text } = doc
  const eol = eolOf(text)
  const insertion = (offset: number, content: string) => [{ offset, length: 0, content }]
  const ellipsis = formals.children.find(it => it.type === 'ellipses')
  if (ellipsis) {
    const indent = indentAt(text, ellipsis.start)
    if (leadsWithComma(text, ellipsis)) {
      const comma = text.lastIndexOf(',', ellipsis.start)
      return insertion(comma, `, ${source}${eol}${indent}`)
    }
    const gap = startsLine(text, ellipsis.start) ? eol + indent : ' '
    return insertion(ellipsis.start, `${source},${gap}`)
  }
  const last = formals.children.findLast(it => it.type === 'formal')
  if (!last) {
    const brace = formals.children[0] ?? formals
    const isBare = formals.children.every(it => !isComment(it))
    const length = isBare ? formals.end - 1 - brace.end : 0
    return [{ offset: brace.end, length, content: ` ${source} ` }]
  }
  const indent = indentAt(text, last.start)
  if (leadsWithComma(text, last)) {
    return insertion(endOfComments(formals, last, last.end), `${eol}${indent}, ${source}`)
  }
  const line = startsLine(text, last.start) ? eol + indent : ' '
  const comma = commaAfter(doc, last)
  const end = endOfComments(formals, last, comma ?? last.end)
  const comment = text.slice(comma === undefined ? last.end : comma + 1, end)
  if (comment.trim() === '') return insertion(last.end, `,${line}${source}`)
  // The comment is about the formal before it, so the new one follows the comment.
  return comma === undefined
    ? [...insertion(last.end, ','), ...insertion(end, `${eol}${indent}${source}`)]
    : insertion(end, `${eol}${indent}${source},`)
}

/** The offset of the comma after a formal; undefined if there is none. */
function commaAfter(doc: Source, formal: SyntaxNode): number | undefined {
  const siblings = formal.parent?.children ?? []
  const after = siblings.slice(siblings.indexOf(formal) + 1).find(it => !isComment(it))
  if (after?.type === ',') return after.start
  // The grammar has no comma after the last formal, so the parser reads a space in its place.
  const last = doc.workarounds.find(
    it => it.kind === 'comma' && it.start >= formal.end && it.start < (after?.start ?? 0)
  )
  return last?.start
}

/** The end of the comments on the line of an offset after a formal; the end of the formal or comma if none. */
function endOfComments(formals: SyntaxNode, formal: SyntaxNode, from: number): number {
  const text = formals.documentText
  const comments = formals.children.filter(
    it => isComment(it) && it.start >= formal.end && it.start < lineEnd(text, from)
  )
  return comments.at(-1)?.end ?? (text[from] === ',' ? from + 1 : from)
}

/**
 * The edits that remove a formal, one of the commas next to it, and the comments that follow it on its
 * line. `CONFLICT` if a comment is between the formal and its comma, on another line.
 */
function removeFormal(doc: Source, formal: SyntaxNode): Edits {
  const { text } = doc
  const formals = formal.parent as SyntaxNode
  const entries = formals.children.filter(it => it.type === 'formal' || it.type === 'ellipses')
  const at = entries.indexOf(formal)
  const [previous, next] = [entries[at - 1], entries[at + 1]]
  const comma = commaAfter(doc, formal)
  const end = endOfComments(formals, formal, comma ?? formal.end)
  const endInLine = endOfComments(formals, formal, formal.end)
  if (leadsWithComma(text, formal) && endInLine === lineEnd(text, endInLine)) {
    return ok([lineRemoval(text, formal.start, endInLine)])
  }
  const ownLine = startsLine(text, formal.start) && end === lineEnd(text, end)
  if (ownLine && (comma !== undefined || !previous)) {
    return ok([lineRemoval(text, formal.start, end)])
  }
  if (next) {
    const kept = commentOfNext(formals, formal, next)
    if (kept && kept.start < (comma ?? 0)) return refuse(kept, commentInFormals)
    return ok([removal(formal.start, kept?.start ?? next.start)])
  }
  const spaces = /^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0
  if (!previous) {
    const isSpaced = /[ \t]/.test(text[formal.start - 1] ?? '') && spaces > 0
    return ok([removal(formal.start - (isSpaced ? 1 : 0), end)])
  }
  const separator = commaAfter(doc, previous) ?? previous.end
  const isBare = text.slice(separator + 1, formal.start).trim() === ''
  if (isBare) return ok([removal(separator, comma === undefined ? end : formal.end)])
  // A comment between the comma and the formal stays, with the line ending after it.
  const rest = ownLine ? lineRemoval(text, formal.start, end) : removal(formal.start, end + spaces)
  return ok([removal(separator, separator + 1), rest])
}

function removal(from: number, until: number): Edit {
  return { offset: from, length: until - from, content: '' }
}

/** The edit that removes the lines of a range. */
function lineRemoval(text: string, from: number, until: number): Edit {
  const newline = text.indexOf('\n', until)
  return removal(lineStart(text, from), newline === -1 ? until : newline + 1)
}

/** The first comment between a formal and the next one that is not about the formal: see `removeFormal`. */
function commentOfNext(
  formals: SyntaxNode,
  { end }: SyntaxNode,
  next: SyntaxNode
): SyntaxNode | undefined {
  const text = formals.documentText
  return formals.children.find(
    it =>
      isComment(it) &&
      it.start >= end &&
      it.end <= next.start &&
      (it.start > lineEnd(text, end) || !text.slice(it.end, next.start).includes('\n')) &&
      // Before the comma, a comment on the line is about the formal in any case.
      (it.start > lineEnd(text, end) || text.slice(end, it.start).includes(','))
  )
}
