import { inheritedOf, isSet, nameOf, namesOf } from '../syntax/nodes.ts'
import { isSame } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { asOption, inlineModulesOf, inModule } from './definitions.ts'
import type { Module } from './module.ts'

/**
 * The path of the bindings around a node, relative to the module's set, including the node itself if it
 * is a binding, or the name if it is an inherited one. For a node in a module that is written in `imports`, the path that has the same effect
 * in the module itself. Undefined if the node is not inside the module's set, or is in a `let`.
 */
export function optionPathOf(
  module: Module,
  node: SyntaxNode
): readonly (string | undefined)[] | undefined {
  let names: readonly (string | undefined)[] = inheritedNames(node)
  let child = node
  for (let at: SyntaxNode | undefined = node; at; child = at, at = at.parent) {
    // The body of a let is not part of its bindings.
    const mayEnd = isSet(at) || child.type === 'binding_set'
    if (mayEnd && isOneOf(module.sets, at)) return names
    // The set itself is an item of `imports`.
    const inline = isSet(at) && names.length > 0 ? inlineModuleWith(module, at) : undefined
    if (inline) return inModule(module, asOption(inline, names))
    if (at.type === 'binding') {
      const set = at.parent?.parent
      if (!set || !(isSet(set) || isOneOf(module.sets, set))) return undefined
      const bindingNames = namesOf(at)
      names = names.length === 0 ? bindingNames : [...bindingNames, ...names]
    }
  }
  return undefined
}

/** The name of an inherited attribute, or of an `inherit` that has one name. */
function inheritedNames(node: SyntaxNode): readonly (string | undefined)[] {
  if (node.parent?.type === 'inherited_attrs') return [nameOf(node)]
  const names = inheritedOf(node)
  return names.length === 1 ? names.map(nameOf) : []
}

/** The module in `imports` that is written as this set. */
function inlineModuleWith(module: Module, set: SyntaxNode): Module | undefined {
  return inlineModulesOf(module).find(it => isOneOf(it.module.sets, set))?.module
}

function isOneOf(nodes: readonly SyntaxNode[], node: SyntaxNode): boolean {
  return nodes.some(it => isSame(it, node))
}
