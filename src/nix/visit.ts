import type { NixDocument } from './document.ts'
import type { SyntaxNode } from './syntax/tree.ts'

/** What a visitor returns to go on without looking below the node, or to end the visit. */
export const SKIP: unique symbol = Symbol('skip')
export const BREAK: unique symbol = Symbol('break')

export type Visitor = (
  node: SyntaxNode,
  ancestors: readonly SyntaxNode[]
) => undefined | typeof SKIP | typeof BREAK

/**
 * Calls the visitor for every node of a document, or from a node down, in the order of the text:
 * a node before its children, comments and tokens included. `ancestors` are the nodes around it,
 * the outermost first; the array is reused from call to call. A visitor that returns `SKIP` is not
 * called for what is below the node; `BREAK` ends the visit. Nothing can be changed on the way:
 * edit with `document.edit()`.
 */
export function visit(from: NixDocument | SyntaxNode, visitor: Visitor): void {
  const root = 'root' in from ? from.root : from
  const ancestors: SyntaxNode[] = []
  // A stack of our own, as documents can be nested deeper than calls.
  const waiting: { node: SyntaxNode; depth: number }[] = [{ node: root, depth: 0 }]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { node, depth } = next
    ancestors.length = depth
    const wish = visitor(node, ancestors)
    if (wish === BREAK) return
    if (wish === SKIP) continue
    ancestors.push(node)
    for (let i = node.children.length - 1; i >= 0; i--) {
      waiting.push({ node: node.children[i] as SyntaxNode, depth: depth + 1 })
    }
  }
}
