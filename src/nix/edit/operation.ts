import {
  ALWAYS,
  type Definition,
  describeDefinition,
  type Lookup,
  lookUp
} from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import { type AttrPath, samePath } from '../path.ts'
import type { Source } from '../source.ts'
import { inheritedOf, nameOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { NixValue } from '../values.ts'

/** Where `addIn` puts items: at an end of the list, or beside the item with that value. */
export type Position = 'end' | 'start' | { before: NixValue } | { after: NixValue }

/** How `addIn` adds. */
export interface AddOptions {
  position: Position
  /** Whether any string counts as lines, and not only one that shows lines. */
  lines: boolean
}

/**
 * What an edit is about: an option by its path, wherever it is defined, or one chosen definition,
 * also one whose path has computed names or that counts only under a condition.
 */
export type Target =
  | { kind: 'path'; path: AttrPath }
  | { kind: 'definition'; path: readonly (string | undefined)[]; offset: number }

/** Items for a list, or lines for a text. */
export interface AddOperation extends AddOptions {
  kind: 'add'
  target: Target
  items: readonly NixValue[]
}

/** One thing that a transaction was asked to do. */
export type Operation =
  | { kind: 'set'; target: Target; value: NixValue }
  | AddOperation
  | { kind: 'remove'; target: Target }
  | { kind: 'removeItems'; target: Target; items: readonly NixValue[] }
  | { kind: 'rename'; target: Target; to: AttrPath }
  | { kind: 'import'; path: string }

/** Whether it is about an attribute of the module itself, such as `options`, and not about an option. */
export function isOfModule(operation: Operation): boolean {
  return operation.kind === 'import' || MODULE_ATTRIBUTES.has(operation.target.path[0] ?? '')
}

/**
 * What the document says of the target. `offset` is where the chosen definition's binding begins in
 * this document.
 */
export function lookUpTarget(doc: Source, module: Module, target: Target): Lookup {
  if (target.kind === 'path') return lookUp(module, target.path)
  const definition = definitionAt(doc, target)
  return { exact: definition ? [definition] : [], below: [], opaque: [] }
}

/** The definition whose binding begins at the offset. It was chosen, so what it depends on is no matter. */
function definitionAt(
  doc: Source,
  { path, offset }: { path: readonly (string | undefined)[]; offset: number }
): Definition | undefined {
  const describe = (binding: SyntaxNode, value: SyntaxNode, inherited: boolean) =>
    describeDefinition({ path, binding, value, inherited }, ALWAYS)
  let node: SyntaxNode | undefined = doc.root
  while (node) {
    const isBinding: boolean = node.type === 'binding' && node.start === offset
    const value: SyntaxNode | undefined = isBinding ? node.field('expression') : undefined
    if (value) {
      const isSame = endsWith(path, namesOf(node))
      return isSame ? describe(node, value, false) : undefined
    }
    const name: SyntaxNode | undefined = inheritedOf(node).find(it => it.start === offset)
    if (name) {
      const isSame = endsWith(path, [nameOf(name)])
      return isSame ? describe(name, name, true) : undefined
    }
    node = node.children.find(it => it.start <= offset && it.end > offset)
  }
  return undefined
}

/** Whether the names that a binding spells are the last of a path, which `config` is no part of. */
function endsWith(
  path: readonly (string | undefined)[],
  spelt: readonly (string | undefined)[]
): boolean {
  const names = spelt.length > path.length && spelt[0] === 'config' ? spelt.slice(1) : spelt
  return names.length <= path.length && samePath(path.slice(path.length - names.length), names)
}
