import type { SyntaxNode } from '../syntax/parser.ts'
import { bindingsOf, inheritedOf, isSet, nameOf, namesOf } from '../syntax/shape.ts'
import { combinatorOf } from './combinator.ts'
import { inModule } from './definitions.ts'
import { type Module, unwrapped } from './module.ts'

type Names = readonly (string | undefined)[]

/** A definition that no other lies in: what it gives is no set that is written out. */
export interface Leaf {
  /** The names of the option; undefined stands for a computed one. */
  path: Names
  value: SyntaxNode
}

/**
 * All that a module defines, in source order, whether it counts always or under a condition: sets
 * are opened, also those inside `mkIf`, `mkMerge` and their like. An empty set is a leaf.
 */
export function leavesOf(module: Module): Leaf[] {
  const { text, sets } = module
  const leaves = sets.flatMap(set => leavesOfSet(text, set, []))
  return leaves.map(it => ({ ...it, path: asOption(module, it.path) }))
}

/** The path without the `config` that options stand in. */
function asOption(module: Module, path: Names): Names {
  const rest = path.slice(1)
  const isInside = module.hasConfig && path[0] === 'config' && rest.length > 0
  // What `config` holds by the name of a module's attribute has no other path.
  return isInside && inModule(module, rest).length === path.length ? rest : path
}

function leavesOfSet(text: string, set: SyntaxNode, prefix: Names): Leaf[] {
  return bindingsOf(set).flatMap(binding => {
    const value = binding.field('expression')
    return binding.type === 'binding' && value
      ? leavesOfValue(text, value, [...prefix, ...namesOf(text, binding)])
      : inheritedOf(binding).map(it => ({ path: [...prefix, nameOf(text, it)], value: it }))
  })
}

function leavesOfValue(text: string, value: SyntaxNode, path: Names): Leaf[] {
  const inner = unwrapped(value)
  if (isSet(inner)) {
    const leaves = leavesOfSet(text, inner, path)
    return leaves.length > 0 ? leaves : [{ path, value }]
  }
  const parts = partsOf(text, inner)
  const leaves = parts.flatMap(it => leavesOfValue(text, it, path))
  return leaves.some(it => it.path.length > path.length) ? leaves : [{ path, value }]
}

/** The values that one is put together from, or is one of. */
function partsOf(text: string, value: SyntaxNode): readonly SyntaxNode[] {
  const fields = (...names: string[]) =>
    names.map(it => value.field(it)).filter(it => it !== undefined)
  if (value.type === 'if_expression') return fields('consequence', 'alternative')
  if (value.type === 'binary_expression' && value.field('operator')?.type === '//') {
    return fields('left', 'right')
  }
  const combinator = combinatorOf(text, value)
  if (!combinator) return []
  return combinator.kind === 'merge' ? combinator.values : [combinator.value]
}
