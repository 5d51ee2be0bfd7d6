import { partsOf, valueAfter } from '../module/combinators.ts'
import {
  ALWAYS,
  type Definition,
  describeDefinition,
  effectiveIn,
  type Lookup,
  lookUp
} from '../module/definitions.ts'
import type { FormalsOf } from '../module/formals.ts'
import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import { type AttrPath, samePath } from '../path.ts'
import type { Source } from '../source.ts'
import { inheritedOf, nameOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { NixValue } from '../values.ts'

/** Where `addIn` adds items: at the start or end of the list, or next to the item with a given value. */
export type Position = 'end' | 'start' | { before: NixValue } | { after: NixValue }

/** Which definitions of an option `setIn` and `addIn` edit, if it is not just one that always applies. */
export interface Choice {
  /** Whether a definition, or the place for a new one, may apply only under a condition. */
  conditional?: boolean | undefined
  /** Whether every definition is edited, under whatever condition. */
  all?: boolean | undefined
}

/** The options of `addIn`. */
export interface AddOptions {
  position: Position
  /** Whether every string is treated as lines, not only a string that shows lines. */
  lines: boolean
}

/**
 * The target of an edit: an option by its path, wherever it is defined, or one chosen definition. A
 * chosen definition may have computed names in its path, or apply only under a condition.
 */
export type Target =
  | { kind: 'path'; path: AttrPath }
  | {
      kind: 'definition'
      path: readonly (string | undefined)[]
      offset: number
      /** The way to one of the values that it merges or makes conditional: see `Part`. */
      steps: readonly number[]
    }

/** Sets the value of an option. */
export interface SetOperation extends Choice {
  kind: 'set'
  target: Target
  value: NixValue
}

/** Adds items to a list, or lines to a string. */
export interface AddOperation extends AddOptions, Choice {
  kind: 'add'
  target: Target
  items: readonly NixValue[]
}

/** Removes all definitions of an option, or one. */
export interface RemoveOperation {
  kind: 'remove'
  target: Target
  /** Whether the comments on the lines directly above go too, if they are about the definition alone. */
  takesCommentsAbove?: boolean
}

/** Adds a formal to a function, or does nothing if it is there. */
export interface AddFormal {
  kind: 'addFormal'
  of: FormalsOf
  name: string
  /** Its default. */
  fallback: NixValue | undefined
}

/** Removes a formal from a function. */
export interface RemoveFormal {
  kind: 'removeFormal'
  of: FormalsOf
  name: string
  /** Nothing is done if the module defines this path. */
  unlessDefined: AttrPath | undefined
  /** A name that replaces it, if the function does not have that yet. */
  renamedTo?: string | undefined
}

/** An edit that is not of an option by its path. */
export type OtherOperation = { kind: 'import'; path: string } | AddFormal | RemoveFormal

/** One edit of a transaction. */
export type Operation =
  | SetOperation
  | AddOperation
  | RemoveOperation
  | { kind: 'removeItems'; target: Target; items: readonly NixValue[] }
  | { kind: 'rename'; target: Target; to: AttrPath }
  | OtherOperation

/** Whether an operation edits an option, or a chosen definition. */
export function hasTarget(operation: Operation): operation is Exclude<Operation, OtherOperation> {
  return 'target' in operation
}

/** Whether the caller named the option by its path, also if `conditional` or `all` chose the definition. */
export function isByPath({ target, conditional, all }: SetOperation | AddOperation): boolean {
  return target.kind === 'path' || conditional === true || all === true
}

/** Whether the target is an attribute of the module itself, such as `options`, and not an option. */
export function editsModuleAttribute(operation: Operation): boolean {
  return !hasTarget(operation) || MODULE_ATTRIBUTES.has(operation.target.path[0] ?? '')
}

/** The definitions of a target that take effect: without those that a `//` overrides in any case. */
export function lookUpEffective(doc: Source, module: Module, target: Target): Lookup {
  return effectiveIn(lookUpTarget(doc, module, target))
}

/** The definitions of a target. `offset` is the start of the chosen definition's binding in `doc`. */
export function lookUpTarget(doc: Source, module: Module, target: Target): Lookup {
  if (target.kind === 'path') return lookUp(module, target.path)
  const definition = definitionAt(doc, target)
  return { exact: definition ? [definition] : [], below: [], opaque: [] }
}

/** The definition whose binding begins at the offset, without its conditions: the caller chose it. */
function definitionAt(
  doc: Source,
  { path, offset, steps }: Target & { kind: 'definition' }
): Definition | undefined {
  const describe = (binding: SyntaxNode, whole: SyntaxNode, inherited: boolean) => {
    const value = valueAfter(whole, steps)
    return value && describeDefinition({ path, binding, value, inherited }, ALWAYS)
  }
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

/** The target for a definition that `lookUp`, or `partsOfDefinition`, returned. */
export function targetOf({ path, binding, value }: Definition): Target {
  const whole = binding.field('expression')
  const isWhole = whole === undefined || (whole.start === value.start && whole.end === value.end)
  const part = isWhole ? undefined : partsOf(whole).find(it => it.value.start === value.start)
  return { kind: 'definition', path, offset: binding.start, steps: part?.steps ?? [] }
}

/** Whether `path` ends with `names` of a binding. Ignores a leading `config` if `names` is longer than `path`. */
function endsWith(
  path: readonly (string | undefined)[],
  names: readonly (string | undefined)[]
): boolean {
  const suffix = names.length > path.length && names[0] === 'config' ? names.slice(1) : names
  return suffix.length <= path.length && samePath(path.slice(path.length - suffix.length), suffix)
}
