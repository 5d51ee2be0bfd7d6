import type { Module } from '../module/module.ts'
import type { Source } from '../source.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, Shifts } from '../text/edits.ts'

/** A difference between two trees. A node that is only at another offset is not a difference. */
export type Difference =
  | { kind: 'added'; node: SyntaxNode }
  | { kind: 'removed'; node: SyntaxNode }
  | { kind: 'replaced'; before: SyntaxNode; after: SyntaxNode }

/** The node of a difference in the tree before; undefined if it was added. */
export function nodeBefore(difference: Difference): SyntaxNode | undefined {
  if (difference.kind === 'replaced') return difference.before
  return difference.kind === 'removed' ? difference.node : undefined
}

/** The node of a difference in the tree after; undefined if it was removed. */
export function nodeAfter(difference: Difference): SyntaxNode | undefined {
  if (difference.kind === 'replaced') return difference.after
  return difference.kind === 'added' ? difference.node : undefined
}

/**
 * The differences between the tree of a text and the tree of the text after `edits`, each as deep in the
 * tree as possible. Text outside the edits is the same by construction. So nodes of the same type and size
 * over such text are equal and not compared further: the cost depends on the edits, not on the text.
 */
export function diffTrees(
  before: SyntaxNode,
  after: SyntaxNode,
  edits: readonly Edit[]
): Difference[] {
  const progress: Progress = { differences: [], pairs: [[before, after]] }
  const { differences, pairs } = progress
  const fateOf = fatesAfter(edits)
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [one, other] = pair
    const [childrenBefore, childrenAfter] = [flatChildren(one), flatChildren(other)]
    if (childrenBefore.length === 0 && childrenAfter.length === 0) {
      differences.push({ kind: 'replaced', before: one, after: other })
    }
    compareChildren(childrenBefore, childrenAfter, fateOf, progress)
  }
  return differences
}

interface Progress {
  differences: Difference[]
  /** Pairs of nodes that differ somewhere below, to be compared. */
  pairs: [SyntaxNode, SyntaxNode][]
}

function compareChildren(
  before: readonly SyntaxNode[],
  after: readonly SyntaxNode[],
  fateOf: (node: SyntaxNode) => Fate,
  { differences, pairs }: Progress
): void {
  let i = 0
  let j = 0
  while (i < before.length || j < after.length) {
    const a = before[i]
    const b = after[j]
    if (!a) {
      if (b) differences.push({ kind: 'added', node: b })
      j++
      continue
    }
    const fate = fateOf(a)
    // A node of unchanged text may be missing: the parser skips the comma after the last formal.
    const isMissing = b !== undefined && b.start >= fate.end
    if (!b || (isMissing && (fate.kind === 'deleted' || fate.end > fate.start))) {
      differences.push({ kind: 'removed', node: a })
      i++
    } else if (b.end <= fate.start && b.end > b.start) {
      differences.push({ kind: 'added', node: b })
      j++
    } else {
      if (fate.kind === 'moved' && isUnchanged(a, b, fate)) {
        // Equal: the same text, parsed in the same way.
      } else if (isGrown(a, b, fate)) pairs.push([a, b])
      else differences.push({ kind: 'replaced', before: a, after: b })
      i++
      j++
    }
  }
}

/** Whether `b` is `a` with something changed inside or added at its end. */
function isGrown(a: SyntaxNode, b: SyntaxNode, fate: Fate): boolean {
  return a.type === b.type && fate.kind !== 'deleted' && b.start === fate.start
}

/** Whether `b` is `a`, possibly at another offset. */
function isUnchanged(a: SyntaxNode, b: SyntaxNode, fate: Fate): boolean {
  return a.type === b.type && b.start === fate.start && b.end === fate.end && a.size === b.size
}

/** The children, with each `binding_set` replaced with its children: comments move in and out of it. */
function flatChildren(node: SyntaxNode): readonly SyntaxNode[] {
  const { children } = node
  if (!children.some(it => it.type === 'binding_set')) return children
  return children.flatMap(it => (it.type === 'binding_set' ? it.children : [it]))
}

/** Whether the edits moved a node as a whole, touched it or deleted it, and its new range. */
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
    for (let i = shifts.countBefore(node.start); i < edits.length; i++) {
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

/** A document and its module. */
interface Version {
  source: Source
  module: Module
}

/** A document before some edits, and after them. */
export interface Versions {
  before: Version
  after: Version
}
