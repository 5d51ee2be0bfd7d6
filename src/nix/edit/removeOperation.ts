import type { NixDocument } from '../document.ts'
import { lineNodesOf, removeLine, stringIn } from '../module/lineStrings.ts'
import { allListsOf, isConcat } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import { ok } from '../result.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { commentsOf, elementsOf } from '../syntax/shape.ts'
import type { Edit } from '../text/edits.ts'
import { bare, type NixValue } from '../values.ts'
import { blockedByPipe, type Edits, inherited, notFound, usedInRec } from './refusals.ts'
import { removeNode } from './remove.ts'
import { endWithComments } from './style.ts'
import { lookUpTarget, type Target } from './target.ts'

/** `removeIn`: see Transaction. */
export function planRemove(
  doc: NixDocument,
  module: Module,
  target: Target,
  items: readonly NixValue[] | undefined
): Edits {
  const { text } = doc
  const { exact, below } = lookUpTarget(doc, module, target)
  if (target.kind === 'definition' && exact.length === 0) return notFound(target.path)
  if (items === undefined) {
    const all = [...exact, ...below]
    const taken = all.find(it => it.inherited)
    if (taken) return inherited(text, taken)
    const used = usedInRec(text, all)
    if (used) return used
    const nodes = all.map(it => it.binding)
    return blockedIn(doc, nodes) ?? ok(combine(nodes.map(it => removeNode(text, it))))
  }
  const written = exact.filter(it => !it.inherited)
  const keys = new Set(items.map(canonicalOfValue))
  const lists = written.flatMap(it => allListsOf(text, it.value))
  const isUnwanted = (it: SyntaxNode) => keys.has(canonicalOfNode(text, it))
  const elements = lists.flatMap(elementsOf).filter(isUnwanted)
  const lines = new Set(items.map(bare).filter(it => typeof it === 'string'))
  const strings = written.map(it => stringIn(text, it.value)).filter(it => it !== undefined)
  const edits = [
    ...lists.flatMap(it => removeFrom(text, it, elementsOf(it).filter(isUnwanted))),
    ...strings.flatMap(string =>
      lineNodesOf(text, string)
        .filter(it => lines.has(it.value))
        .map(it => removeLine(text, string, it))
    )
  ]
  return blockedIn(doc, [...elements, ...strings]) ?? ok(combine(edits))
}

/** Takes elements out of a list; one behind `++` that nothing is left of goes whole. */
function removeFrom(text: string, list: SyntaxNode, unwanted: readonly SyntaxNode[]): Edit[] {
  const { parent } = list
  const isEmptied = unwanted.length > 0 && unwanted.length === elementsOf(list).length
  const left = parent && isConcat(parent) ? parent.field('left') : undefined
  if (isEmptied && left && left.end < list.start && commentsOf(list).length === 0) {
    return [{ offset: left.end, length: list.end - left.end, content: '' }]
  }
  const first = unwanted[0]
  if (isEmptied && first && !text.slice(list.start, list.end).includes('\n')) {
    return [{ offset: first.start, length: list.end - 1 - first.start, content: '' }]
  }
  const tail = tailOf(text, list, unwanted)
  const [head] = tail
  const others = unwanted.slice(0, unwanted.length - tail.length).map(it => removeNode(text, it))
  return head ? [...others, removeNode(text, head, tail.at(-1))] : others
}

/** Those at the end of the list that go as one, since the bracket stands behind the last of them. */
function tailOf(text: string, list: SyntaxNode, unwanted: readonly SyntaxNode[]): SyntaxNode[] {
  const tail: SyntaxNode[] = []
  let next = list.children.findLast(it => it.type === ']')
  for (const it of [...unwanted].reverse()) {
    const between = next && text.slice(endWithComments(text, it), next.start)
    const joins = tail.length === 0 ? /^[^\S\n]*$/ : /^\s*$/
    if (between === undefined || !joins.test(between)) break
    tail.unshift(it)
    next = it
  }
  return tail
}

function blockedIn(doc: NixDocument, nodes: readonly SyntaxNode[]): Edits | undefined {
  return nodes.map(it => blockedByPipe(doc, it)).find(it => it !== undefined)
}

/** Joins removals that touch: neighbours share the blanks between them. */
function combine(edits: readonly Edit[]): Edit[] {
  const joined: Edit[] = []
  for (const edit of [...edits].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1)
    if (last && edit.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, edit.offset + edit.length)
      last.length = end - last.offset
    } else joined.push({ ...edit })
  }
  return joined
}
