// In a `rec` set and in a `let`, attributes can use each other as variables.

import { inheritedOf, nameOf, namesOf } from './nodes.ts'
import { usesIn } from './scope.ts'
import type { SyntaxNode } from './tree.ts'

/** The keyword of a set that is returned by `recSetsAround`. */
export function scopeOf({ type }: SyntaxNode): 'rec' | 'let' {
  return type === 'let_expression' ? 'let' : 'rec'
}

type Names = readonly (string | undefined)[]

/**
 * The `rec` sets around a node, and the `let` if the node is in its bindings, innermost first, each with
 * the node's path in it, plus `below`. The node may be an inherited name.
 */
export function recSetsAround(
  node: SyntaxNode,
  below: Names = []
): { set: SyntaxNode; path: Names }[] {
  const found: { set: SyntaxNode; path: Names }[] = []
  let path = node.parent?.type === 'inherited_attrs' ? [nameOf(node), ...below] : below
  let child: SyntaxNode | undefined
  for (let at: SyntaxNode | undefined = node; at; child = at, at = at.parent) {
    const isLet = at.type === 'let_expression' && (!child || child.type === 'binding_set')
    const bindsNames = isLet || at.type === 'rec_attrset_expression'
    if (bindsNames && path.length > 0) found.push({ set: at, path })
    if (at.type === 'binding') path = [...namesOf(at), ...path]
    // The source does not show to which attributes the names inside a `let` belong.
    if (at.type === 'let_expression') path = []
  }
  return found
}

/**
 * The variables inside a set that read the value at this path, a part of it, or a value that contains
 * it: for `a.b` those are `a.b`, `a.b.c`, `a` and `inherit (a) b`, but not `a.c`.
 */
export function usesOf(set: SyntaxNode, path: Names): SyntaxNode[] {
  const [name] = path
  if (name === undefined) return []
  return usesIn(set, name).filter(use => pathsReadBy(use, name).some(it => areRelated(it, path)))
}

/** Whether one path may be equal to the other or a prefix of it; a computed name may be any name. */
function areRelated(a: Names, b: Names): boolean {
  const shorter = a.length < b.length ? a : b
  return shorter.every((_, i) => a[i] === undefined || b[i] === undefined || a[i] === b[i])
}

/**
 * The variables inside a function that read one of its arguments: the argument itself, or the attribute
 * of the `@` name, as in `args.name`, `args ? name` and `inherit (args) name`.
 */
export function usesOfArgument(lambda: SyntaxNode, name: string): SyntaxNode[] {
  const all = lambda.field('universal')?.text
  const throughAll = all === undefined ? [] : usesIn(lambda, all)
  const reads = throughAll.filter(use =>
    pathsReadBy(use, String(all)).some(
      it => it.length > 1 && (it[1] === undefined || it[1] === name)
    )
  )
  return [...usesIn(lambda, name), ...reads].sort((a, b) => a.start - b.start)
}

/** The paths that are read through a variable, as far as the source shows them. */
function pathsReadBy(use: SyntaxNode, name: string): Names[] {
  const { parent } = use
  const isPrefix = /^(?:select|has_attr)_expression$/.test(parent?.type ?? '')
  if (parent && isPrefix && parent.field('expression') === use) {
    return [[name, ...namesOf(parent)]]
  }
  if (parent?.type === 'inherit_from') {
    return inheritedOf(parent).map(it => [name, nameOf(it)])
  }
  return [[name]]
}
