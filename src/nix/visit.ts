import type { SyntaxNode } from './syntax/tree.ts'

/** A visitor returns `SKIP` to skip the children of a node, and `BREAK` to end the visit. */
export const SKIP: unique symbol = Symbol('skip')
export const BREAK: unique symbol = Symbol('break')

export type Visitor = (
  node: SyntaxNode,
  ancestors: readonly SyntaxNode[]
) => undefined | typeof SKIP | typeof BREAK

/**
 * Calls the visitor for every node of a document or of a node's subtree, including comments and tokens,
 * in source order. A node comes before its children. `ancestors` are the nodes around it, outermost
 * first; the array is reused for each call. The tree is read-only: edit with
 * `document.edit()`.
 */
export function visit(from: { readonly root: SyntaxNode } | SyntaxNode, visitor: Visitor): void {
  const root = 'root' in from ? from.root : from
  const ancestors: SyntaxNode[] = []
  // Not recursive: documents can be nested deeper than the call stack allows.
  const waiting: { node: SyntaxNode; depth: number }[] = [{ node: root, depth: 0 }]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { node, depth } = next
    ancestors.length = depth
    const answer = visitor(node, ancestors)
    if (answer === BREAK) return
    if (answer === SKIP) continue
    ancestors.push(node)
    for (let i = node.children.length - 1; i >= 0; i--) {
      waiting.push({ node: node.children[i] as SyntaxNode, depth: depth + 1 })
    }
  }
}
