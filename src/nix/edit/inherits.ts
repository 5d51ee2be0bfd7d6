// Attributes that a set inherits: `inherit a b;` and `inherit (x) a b;`.

import { commentInInherit } from '../messages/definitions.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfValue } from '../syntax/canonical.ts'
import { inheritedOf, inheritedSource, inheritOf, isComment, nameOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { lineEnd, startsLine } from '../text/lines.ts'
import { expr, type NixValue } from '../values.ts'
import { insertBinding, printLikeNeighbors } from './insertion.ts'
import { endWithComments } from './layout.ts'
import { type Edits, type Refused, refuse } from './refusals.ts'

/** Whether an inherited name has a value already. */
export function inheritsValue(name: SyntaxNode, wanted: string): boolean {
  return canonicalOfValue(expr(inheritedSource(name))) === wanted
}

/** The edits that replace an inherited name by a binding: in place of the `inherit`, or after it. */
export function bindInherited(doc: Source, name: SyntaxNode, value: NixValue): Edits {
  const inherit = inheritOf(name)
  const set = inherit.parent?.parent ?? inherit
  const place = {
    set,
    attrpath: [nameOf(name) ?? name.text],
    sibling: inherit,
    isBefore: false,
    isApart: false
  }
  const blocked = blockedByComment([name], true)
  if (blocked) return blocked
  if (inheritedOf(inherit).length > 1) {
    return ok([...removeNames([name]), insertBinding(doc, place, value)])
  }
  const content = printLikeNeighbors(doc, place, value)
  return ok([{ offset: inherit.start, length: inherit.end - inherit.start, content }])
}

/**
 * `CONFLICT` if nothing shows which name a comment in an `inherit` is about: a block comment, one on a line
 * of its own, or one after the last name. One after a name on its line is about this name, and is removed
 * with it, but not if the name becomes a binding (`isKept`).
 */
export function blockedByComment(
  names: readonly SyntaxNode[],
  isKept: boolean
): Refused | undefined {
  const given = new Set(names)
  for (const inherit of new Set(names.map(inheritOf))) {
    const all = inheritedOf(inherit)
    const isClear = (comment: SyntaxNode) => {
      const { documentText: text, start } = comment
      const owner = all.findLast(it => it.end <= start)
      if (!owner || text.startsWith('/*', start) || startsLine(text, start)) return false
      return !given.has(owner) || (!isKept && owner !== all.at(-1))
    }
    const comment = commentsIn(inherit).find(it => !isClear(it))
    if (comment) return refuse(comment, commentInInherit)
  }
  return undefined
}

function commentsIn(inherit: SyntaxNode): SyntaxNode[] {
  const attrs = inherit.field('attrs')?.children ?? []
  return [...inherit.children, ...attrs].filter(isComment)
}

/** The `inherit` statements whose names are all in the list. */
export function wholeInherits(names: readonly SyntaxNode[]): Set<SyntaxNode> {
  const given = new Set(names)
  const all = new Set(names.map(inheritOf))
  return new Set([...all].filter(it => inheritedOf(it).every(name => given.has(name))))
}

/** The edits that remove names from inherits that keep other names. */
export function removeNames(names: readonly SyntaxNode[]): Edit[] {
  const gone = new Set(names)
  return names.map(name => {
    const siblings = inheritedOf(inheritOf(name))
    const at = siblings.indexOf(name)
    const previous = siblings[at - 1]
    const next = siblings[at + 1]
    const isFirst = siblings.slice(0, at).every(it => gone.has(it))
    if (isFirst && next) return { offset: name.start, length: next.start - name.start, content: '' }
    // After a line comment, what follows the name must stay on a line of its own.
    const from = previous ? endWithComments(previous) : name.start
    const between = name.documentText.slice(previous?.end ?? from, name.start)
    const { documentText: text, end } = name
    const isOwnLine = startsLine(text, name.start) && lineEnd(text, end) === end
    const newline = previous ? lineEnd(text, from) : from
    const offset = between.includes('#') ? (isOwnLine ? newline : name.start) : from
    return { offset, length: end - offset, content: '' }
  })
}
