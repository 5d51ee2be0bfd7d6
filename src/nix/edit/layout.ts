import { bisect } from '../bisect.ts'
import { bindingsOf, commentsOf, elementsOf, isComment, isList } from '../syntax/nodes.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import { eolOf, indentAt, lineEnd, lineStart, startsLine } from '../text/lines.ts'
import type { CommentSources } from '../values.ts'
import type { Layout } from './print.ts'

/** The layout for new text with the indentation `indent`, in the style of the file. */
export function layoutAt(root: SyntaxNode, indent: string): Layout {
  return { ...styleOf(root), indent }
}

/** Copies the style of a document to an edited one, so that new text does not change the style. */
export function copyStyle(root: SyntaxNode, later: SyntaxNode): void {
  styleByRoot.set(later, styleOf(root))
}

function styleOf(root: SyntaxNode): Layout {
  const known = styleByRoot.get(root)
  if (known) return known
  const text = root.documentText
  const unit = indentUnit(root)
  const style = { indent: '', unit, eol: eolOf(text), tightLists: hasTightLists(text) }
  styleByRoot.set(root, style)
  return style
}

// Cached, because each edit of a transaction needs the style, and it is read from the whole text.
const styleByRoot = new WeakMap<SyntaxNode, Layout>()

/** One level of indentation: that of the first binding on a line of its own, relative to its set. */
function indentUnit(root: SyntaxNode): string {
  const text = root.documentText
  const stack: SyntaxNode[] = [root]
  for (let node = stack.pop(), visited = 0; node && visited < 400; node = stack.pop(), visited++) {
    if (/attrset_expression$|^list_expression$/.test(node.type)) {
      const inner = [...bindingsOf(node), ...elementsOf(node)][0]
      if (inner && startsLine(text, inner.start) && !sharesLine(node)) {
        const outer = indentAt(text, node.start)
        const indent = indentAt(text, inner.start)
        const isDeeper = indent.length > outer.length && indent.startsWith(outer)
        if (isDeeper) return indent.slice(outer.length)
      }
    }
    pushAll(
      stack,
      node.children.filter(it => it.isNamed)
    )
  }
  return /^\t/m.test(text) ? '\t' : '  '
}

/** Whether the set or list around a node begins on the same line: its content may be indented twice. */
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

/** The indentation of a new line in a `{ … }` or `[ … ]` of several lines. */
export function innerIndent(container: SyntaxNode, unit: string): string {
  const text = container.documentText
  const isOnItsLine = (it: SyntaxNode) => startsLine(text, it.start)
  const inner =
    (isList(container)
      ? elementsOf(container).findLast(isOnItsLine)
      : bindingsOf(container).find(isOnItsLine)) ?? commentsOf(container).findLast(isOnItsLine)
  return inner ? indentAt(text, inner.start) : indentAt(text, container.start) + unit
}

/** The end of a binding or an element, including the comments after it on the same line. */
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
 * The offset at which to add a new line after a node: after the comments and the trailing whitespace on
 * its line.
 */
export function endOfLineAfter(node: SyntaxNode): number {
  const text = node.documentText
  const end = endWithComments(node)
  const trailing = /^[ \t]+(?=\r?\n)/.exec(text.slice(end, lineEnd(text, end) + 2))
  return end + (trailing?.[0].length ?? 0)
}

/** The start of a binding, including the comment lines directly above it. */
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

/**
 * The start of a binding with the comment lines directly above it, if they are about it alone. If another
 * binding begins on the line after it, they may be about both.
 */
export function startWithOwnComments(node: SyntaxNode): number {
  const text = node.documentText
  const end = endOfLineAfter(node)
  if (end !== lineEnd(text, end)) return node.start
  const newline = text.indexOf('\n', end)
  const next = newline === -1 ? '' : text.slice(newline + 1, lineEnd(text, newline + 1))
  const isAlone = /^\s*(?:$|#|\/\*|[}\])]|in\b)/.test(next)
  return isAlone ? startWithComments(node) : node.start
}

/**
 * The source of the comments that go with a binding to another place: those directly above that are about it
 * alone, those inside it outside of its value, and those after it on its line.
 */
export function ownCommentsOf(binding: SyntaxNode, value: SyntaxNode): CommentSources {
  const start = startWithOwnComments(binding)
  const end = endWithComments(binding)
  const siblings: SyntaxNode[] = []
  for (let at = previousSibling(binding); at && at.start >= start; at = previousSibling(at)) {
    siblings.unshift(at)
  }
  const inside = binding.children.flatMap(it => (it === value ? [] : [it, ...it.children]))
  const after: SyntaxNode[] = []
  for (let at = nextSibling(binding); at && at.end <= end; at = nextSibling(at)) after.push(at)
  const sourcesOf = (nodes: readonly SyntaxNode[]) =>
    nodes.filter(isComment).map(it => it.text.replace(/\r$/, ''))
  return { above: sourcesOf([...siblings, ...inside]), after: sourcesOf(after) }
}

/** The next node at the same level; comments before a closing brace are outside the binding set. */
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

/** Whether blank lines separate bindings of a set. */
export function hasBlankLines(set: SyntaxNode): boolean {
  const text = set.documentText
  const bindings = bindingsOf(set)
  if (bindings.length < 2) return true
  return bindings.some((it, i) => {
    const before = bindings[i - 1]
    return before !== undefined && /\n[ \t\r]*\n/.test(text.slice(before.end, it.start))
  })
}

/** Whether the line above the offset's line ends with the opening bracket of a set or a list. */
export function isOpenedAbove(text: string, offset: number): boolean {
  const start = lineStart(text, offset)
  return start > 0 && /[{[][ \t]*\r?\n$/.test(text.slice(lineStart(text, start - 1), start))
}

/** Whether the line above the offset's line is blank. */
export function isBlankBefore(text: string, offset: number): boolean {
  const start = lineStart(text, offset)
  return start > 0 && /^[ \t\r]*\n$/.test(text.slice(lineStart(text, start - 1), start))
}
