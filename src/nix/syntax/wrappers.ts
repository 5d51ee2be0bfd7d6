// Expressions around another one that do not change its value: parentheses, `let … in`, `with`, `assert`.

import type { SyntaxNode } from './tree.ts'

const WRAPPERS = new Set([
  'parenthesized_expression',
  'let_expression',
  'with_expression',
  'assert_expression'
])

export function isWrapper(node: SyntaxNode): boolean {
  return WRAPPERS.has(node.type)
}

/** The expression inside a wrapper, or the result of a function. */
export function innerOf(node: SyntaxNode): SyntaxNode | undefined {
  return node.type === 'parenthesized_expression' ? node.field('expression') : node.field('body')
}

/** The expression inside `let … in`, `with`, `assert` and parentheses. It has the value of the node. */
export function unwrapped(node: SyntaxNode): SyntaxNode {
  let body = node
  while (isWrapper(body)) {
    const inner = innerOf(body)
    if (!inner) break
    body = inner
  }
  return body
}
