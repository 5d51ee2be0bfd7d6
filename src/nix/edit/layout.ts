import { bisect } from '../bisect.ts'
import { bindingsOf, commentsOf, elementsOf, isComment, isList } from '../syntax/nodes.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import { eolOf, indentAt, lineEnd, lineStart, startsLine } from '../text/lines.ts'
import type { Layout } from './print.ts'

/** The layout that new text takes over from its surroundings: its lines are indented by `indent`. */
export function layoutAt(root: SyntaxNode, indent: string): Layout {
  return { ...styleOf(root), indent }
}

/**
 * Lays new text in a document out as in another one: what a transaction has written itself says
 * nothing of the habits of the file.
 */
export function keepStyle(root: SyntaxNode, later: SyntaxNode): void {
  styleByRoot.set(later, styleOf(root))
}

function styleOf(root: SyntaxNode): Layout {
  const known = styleByRoot.get(root)
  if (known) return known
  const text = root.documentText
  const unit = indentUnit(root)
  const habits = { indent: '', unit, eol: eolOf(text), tightLists: hasTightLists(text) }
  styleByRoot.set(root, habits)
  return habits
}

// The whole text is read for it, and each edit of a transaction asks.
const styleByRoot = new WeakMap<SyntaxNode, Layout>()

/** One step of indentation: how much deeper than its set the first binding on a line of its own is. */
function indentUnit(root: SyntaxNode): string {
  const text = root.documentText
  const stack: SyntaxNode[] = [root]
  for (let node = stack.pop(), looked = 0; node && looked < 400; node = stack.pop(), looked++) {
    if (/attrset_expression$|^list_expression$/.test(node.type)) {
      const inner = [...bindingsOf(node), ...elementsOf(node)][0]
      if (inner && startsLine(text, inner.start) && !sharesLine(node)) {
        const outer = indentAt(text, node.start)
        const own = indentAt(text, inner.start)
        if (own.length > outer.length && own.startsWith(outer)) return own.slice(outer.length)
      }
    }
    pushAll(
      stack,
      node.children.filter(it => it.isNamed)
    )
  }
  return /^\t/m.test(text) ? '\t' : '  '
}

/** Whether the set or list around a node opens on its line, so that what is inside is two steps in. */
function sharesLine(node: SyntaxNode): boolean {
  const text = node.documentText
  let around = node.parent
  while (around && !/attrset_expression$|^list_expression$/.test(around.type))
    around = around.parent
  return around !== undefined && lineStart(text, around.start) === lineStart(text, node.start)
}

function hasTightLists(text: string): boolean {
  const tight = text.match(/=\s*\[[^\s\]]/g)?.length ?? 0
  const spaced = text.match(/=\s*\[\s+[^\s\]]/g)?.length ?? 0
  return tight > spaced
}

/** The indentation for something new in a `{ … }` or `[ … ]` that stands over several lines. */
export function innerIndent(container: SyntaxNode, unit: string): string {
  const text = container.documentText
  const isOnItsLine = (it: SyntaxNode) => startsLine(text, it.start)
  const own =
    (isList(container)
      ? elementsOf(container).findLast(isOnItsLine)
      : bindingsOf(container).find(isOnItsLine)) ?? commentsOf(container).findLast(isOnItsLine)
  return own ? indentAt(text, own.start) : indentAt(text, container.start) + unit
}

/**
 * Where a binding or an element ends together with the comments that stand behind it on its line:
 * they belong to it.
 */
export function endWithComments(node: SyntaxNode): number {
  const text = node.documentText
  let end = node.end
  let next = nextSibling(node)
  while (next && isComment(next) && !text.slice(end, next.start).includes('\n')) {
    end = next.end
    next = nextSibling(next)
  }
  return end
}

/**
 * Where something new on a line of its own goes in behind a node: its comments stay with it, and so do
 * blanks at the end of its line.
 */
export function endOfLineAfter(node: SyntaxNode): number {
  const text = node.documentText
  const end = endWithComments(node)
  const blanks = /^[ \t]+(?=\r?\n)/.exec(text.slice(end, lineEnd(text, end) + 2))
  return end + (blanks?.[0].length ?? 0)
}

/** Where a binding begins together with the comment lines right above it: they belong to it. */
export function startWithComments(node: SyntaxNode): number {
  const text = node.documentText
  let start = node.start
  let before = previousSibling(node)
  while (
    before &&
    isComment(before) &&
    startsLine(text, before.start) &&
    /^\r?\n[ \t]*$/.test(text.slice(before.end, start))
  ) {
    start = before.start
    before = previousSibling(before)
  }
  return start
}

/** The next node in the text at the same level; comments before a bracket lie beside the binding set. */
export function nextSibling(node: SyntaxNode): SyntaxNode | undefined {
  return neighbor(node, 1)
}

export function previousSibling(node: SyntaxNode): SyntaxNode | undefined {
  return neighbor(node, -1)
}

function neighbor(node: SyntaxNode, step: 1 | -1): SyntaxNode | undefined {
  const { parent } = node
  if (!parent) return undefined
  const siblings = parent.children
  const at = bisect(siblings.length, i => (siblings[i] as SyntaxNode).end >= node.end)
  const next = siblings[at + step]
  if (next || parent.type !== 'binding_set') return next
  return neighbor(parent, step)
}

/** Whether bindings of a set are parted by blank lines. */
export function hasBlankLines(set: SyntaxNode): boolean {
  const text = set.documentText
  const bindings = bindingsOf(set)
  if (bindings.length < 2) return true
  return bindings.some((it, i) => {
    const before = bindings[i - 1]
    return before !== undefined && /\n[ \t\r]*\n/.test(text.slice(before.end, it.start))
  })
}

/** Whether the line above the one of the offset ends with the bracket that opens a set or a list. */
export function isOpenedAbove(text: string, offset: number): boolean {
  const start = lineStart(text, offset)
  return start > 0 && /[{[][ \t]*\r?\n$/.test(text.slice(lineStart(text, start - 1), start))
}

/** Whether the line above the one of the offset is blank. */
export function isBlankBefore(text: string, offset: number): boolean {
  const start = lineStart(text, offset)
  return start > 0 && /^[ \t\r]*\n$/.test(text.slice(lineStart(text, start - 1), start))
}
