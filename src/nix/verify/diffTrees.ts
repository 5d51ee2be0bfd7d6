import type { Module } from '../module/module.ts'
import type { Source } from '../source.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, Shifts } from '../text/edits.ts'

/** What two trees differ in. A node that is only moved is no difference. */
export type Difference =
  | { kind: 'added'; node: SyntaxNode }
  | { kind: 'removed'; node: SyntaxNode }
  | { kind: 'replaced'; before: SyntaxNode; after: SyntaxNode }

/** The side of a difference that stands in the text before; undefined for what is new. */
export function nodeBefore(difference: Difference): SyntaxNode | undefined {
  if (difference.kind === 'replaced') return difference.before
  return difference.kind === 'removed' ? difference.node : undefined
}

/** The side of a difference that stands in the text after; undefined for what is gone. */
export function nodeAfter(difference: Difference): SyntaxNode | undefined {
  if (difference.kind === 'replaced') return difference.after
  return difference.kind === 'added' ? difference.node : undefined
}

/**
 * The differences between the tree of a text and that of the text after `edits`, each as far down
 * as it goes. Text that no edit touches is the same by construction, so where a node of the same
 * kind and size spans it on both sides, nothing below is looked at: the cost follows the edits, not
 * the text.
 */
export function diffTrees(
  before: SyntaxNode,
  after: SyntaxNode,
  edits: readonly Edit[]
): Difference[] {
  const found: Found = { differences: [], pairs: [[before, after]] }
  const { differences, pairs } = found
  const fateOf = fatesAfter(edits)
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [one, other] = pair
    const old = flatChildren(one)
    const fresh = flatChildren(other)
    if (old.length === 0 && fresh.length === 0) {
      differences.push({ kind: 'replaced', before: one, after: other })
    }
    compareParts(old, fresh, fateOf, found)
  }
  return differences
}

interface Found {
  differences: Difference[]
  /** Nodes that differ somewhere below. */
  pairs: [SyntaxNode, SyntaxNode][]
}

function compareParts(
  old: readonly SyntaxNode[],
  fresh: readonly SyntaxNode[],
  fateOf: (node: SyntaxNode) => Fate,
  { differences, pairs }: Found
): void {
  let i = 0
  let j = 0
  while (i < old.length || j < fresh.length) {
    const a = old[i]
    const b = fresh[j]
    if (!a) {
      if (b) differences.push({ kind: 'added', node: b })
      j++
      continue
    }
    const fate = fateOf(a)
    if (!b || (fate.kind === 'deleted' && b.start >= fate.end)) {
      differences.push({ kind: 'removed', node: a })
      i++
    } else if (b.end <= fate.start && b.end > b.start) {
      differences.push({ kind: 'added', node: b })
      j++
    } else {
      if (fate.kind === 'moved' && isImage(a, b, fate)) {
        // the same text, read the same way
      } else if (isGrown(a, b, fate)) pairs.push([a, b])
      else differences.push({ kind: 'replaced', before: a, after: b })
      i++
      j++
    }
  }
}

/** Whether `b` is still `a`, with something changed inside or added at its end. */
function isGrown(a: SyntaxNode, b: SyntaxNode, fate: Fate): boolean {
  if (a.type !== b.type || fate.kind === 'deleted') return false
  return fate.kind === 'touched' || b.start === fate.start
}

function isImage(a: SyntaxNode, b: SyntaxNode, fate: Fate): boolean {
  return a.type === b.type && b.start === fate.start && b.end === fate.end && a.size === b.size
}

/** The children, with those of a `binding_set` in its place: comments move in and out of it. */
function flatChildren(node: SyntaxNode): readonly SyntaxNode[] {
  const { children } = node
  if (!children.some(it => it.type === 'binding_set')) return children
  return children.flatMap(it => (it.type === 'binding_set' ? it.children : [it]))
}

/** What became of a node's span: moved whole, touched by an edit, or deleted; and where it is now. */
interface Fate {
  kind: 'moved' | 'touched' | 'deleted'
  start: number
  end: number
}

function fatesAfter(edits: readonly Edit[]): (node: SyntaxNode) => Fate {
  const shifts = new Shifts(edits)
  return node => {
    let kind: Fate['kind'] = 'moved'
    let start = shifts.moved(node.start)
    let end = start + node.end - node.start
    for (let i = shifts.before(node.start); i < edits.length; i++) {
      const { offset, length, content } = edits[i] as Edit
      if (offset >= node.end) break
      end += content.length - length
      const whole = offset <= node.start && offset + length >= node.end
      if (kind !== 'deleted') kind = whole ? 'deleted' : 'touched'
      if (whole) {
        start += offset - node.start
        end = start + content.length
      } else if (offset < node.start) start += offset + content.length - node.start
    }
    return { kind, start, end }
  }
}

/** The document before some edits and after them, each with its module. */
export interface Sides {
  before: Source
  after: Source
  old: Module
  fresh: Module
}
