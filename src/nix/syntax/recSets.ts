// In a `rec` set, what one attribute says may read another by its name.

import { inheritedOf, nameOf, namesOf } from './nodes.ts'
import { usesIn } from './scope.ts'
import type { SyntaxNode } from './tree.ts'

type Names = readonly (string | undefined)[]

/**
 * The `rec` sets around a node, from the inside out, and the path that what is `below` the node has in
 * each of them.
 */
export function recSetsAround(
  node: SyntaxNode,
  below: Names = []
): { set: SyntaxNode; path: Names }[] {
  const found: { set: SyntaxNode; path: Names }[] = []
  let path = below
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    if (at.type === 'rec_attrset_expression' && path.length > 0) found.push({ set: at, path })
    if (at.type === 'binding') path = [...namesOf(at), ...path]
    // Where the names of a let come out is not spelt.
    if (at.type === 'let_expression') path = []
  }
  return found
}

/**
 * The uses of a set's own names inside it that read what is at this path, what is below it, or
 * something that holds it: for `a.b` those are `a.b`, `a.b.c`, `a` and `inherit (a) b`, but not
 * `a.c`.
 */
export function usesOf(set: SyntaxNode, path: Names): SyntaxNode[] {
  const [name] = path
  if (name === undefined) return []
  return usesIn(set, name).filter(use => pathsReadBy(use, name).some(it => areRelated(it, path)))
}

/** Whether one path may be the other, or lie below it; a computed name may be any. */
function areRelated(a: Names, b: Names): boolean {
  const shorter = a.length < b.length ? a : b
  return shorter.every((_, i) => a[i] === undefined || b[i] === undefined || a[i] === b[i])
}

/** The paths that are read through a variable, as far as they are spelt. */
function pathsReadBy(use: SyntaxNode, name: string): Names[] {
  const { parent } = use
  if (parent?.type === 'select_expression' && parent.field('expression') === use) {
    return [[name, ...namesOf(parent)]]
  }
  if (parent?.type === 'inherit_from') {
    return inheritedOf(parent).map(it => [name, nameOf(it)])
  }
  return [[name]]
}
