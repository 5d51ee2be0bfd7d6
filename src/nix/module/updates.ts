// Chains of `//`: an attribute has the value of the last operand that has it.

import {
  attrsOf,
  bindingsNamed,
  bindingsOf,
  callOf,
  inheritedOf,
  isSet,
  mayBeNamed,
  nameOf,
  namesOf
} from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { unwrapped } from '../syntax/wrappers.ts'

/** Whether a node is `a // b`. */
export function isUpdate(node: SyntaxNode): boolean {
  return node.type === 'binary_expression' && node.field('operator')?.type === '//'
}

/** The operands of a chain of `//` in source order; for any other value, the value itself. */
export function operandsOfUpdate(value: SyntaxNode): SyntaxNode[] {
  const operands: SyntaxNode[] = []
  const stack = [value]
  for (let at = stack.pop(); at; at = stack.pop()) {
    const inner = unwrapped(at)
    const [left, right] = [inner.field('left'), inner.field('right')]
    if (isUpdate(inner) && left && right) stack.push(right, left)
    else operands.push(at)
  }
  return operands
}

/** Whether a value has an attribute: always, never, or it depends on what the source does not show. */
export type Presence = 'always' | 'never' | 'maybe'

/** Whether a value has an attribute of this name. Bindings in `except` do not count. */
export function presenceOf(
  value: SyntaxNode,
  name: string | undefined,
  except: ReadonlySet<SyntaxNode> = new Set()
): Presence {
  const inner = unwrapped(value)
  if (isSet(inner)) {
    const all = bindingsNamed(inner, name).flatMap(it => (except.has(it) ? [] : namesIn(it)))
    const named = all.filter(it => !except.has(it.node) && mayBe(it, name))
    if (named.length === 0) return 'never'
    return name !== undefined && named.some(it => it.name === name) ? 'always' : 'maybe'
  }
  if (isUpdate(inner)) {
    return strongest(operandsOfUpdate(inner).map(it => presenceOf(it, name, except)))
  }
  const parts = partsOf(inner)
  if (!parts) return 'maybe'
  const presences = parts.values.map(it => presenceOf(it, name, except))
  if (presences.every(it => it === 'never')) return 'never'
  return parts.isComplete && presences.every(it => it === 'always') ? 'always' : 'maybe'
}

function mayBe({ node, name: found }: FirstName, name: string | undefined): boolean {
  if (found !== undefined || name === undefined) return name === undefined || found === name
  const attr = attrsOf(node)[0]
  return attr === undefined || mayBeNamed(attr, name)
}

interface FirstName {
  /** The binding, or the name in an `inherit`. */
  node: SyntaxNode
  name: string | undefined
}

/** The first names that a binding or an inherit defines in its set. */
function namesIn(binding: SyntaxNode): FirstName[] {
  return binding.type === 'binding'
    ? [{ node: binding, name: namesOf(binding)[0] }]
    : inheritedOf(binding).map(node => ({ node, name: nameOf(node) }))
}

function strongest(presences: readonly Presence[]): Presence {
  if (presences.includes('always')) return 'always'
  return presences.includes('maybe') ? 'maybe' : 'never'
}

/** The values that a conditional set may be; `isComplete` if it is always one of them. */
function partsOf(inner: SyntaxNode): { values: SyntaxNode[]; isComplete: boolean } | undefined {
  if (inner.type === 'if_expression') {
    const [one, other] = [inner.field('consequence'), inner.field('alternative')]
    return one && other ? { values: [one, other], isComplete: true } : undefined
  }
  const call = callOf(inner)
  const value = call?.args[1]
  const isOptional = call?.name === 'optionalAttrs' && call.args.length === 2
  return isOptional && value ? { values: [value], isComplete: false } : undefined
}

/** Whether the attributes of an operand can be read, possibly under a condition. */
export function isReadable(operand: SyntaxNode): boolean {
  const inner = unwrapped(operand)
  if (isSet(inner)) return true
  if (isUpdate(inner)) return operandsOfUpdate(inner).every(isReadable)
  return partsOf(inner)?.values.every(isReadable) ?? false
}

/** The set literals in the readable operands of a chain of `//`, in source order. */
export function setsInUpdate(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isSet(inner)) return [inner]
  const parts = isUpdate(inner) ? operandsOfUpdate(inner) : (partsOf(inner)?.values ?? [])
  return parts.flatMap(setsInUpdate)
}

const MODULE_SYSTEM =
  /^mk(?:If|Merge|Force|Default|Override|OptionDefault|VMOverride|Before|After|Order)$/

/**
 * Whether an operand is the result of `mkIf` or a similar function: then `//` works on what that function
 * returns, and not on the attributes of its argument.
 */
export function hasCombinator(operands: readonly SyntaxNode[]): boolean {
  return operands.some(it => MODULE_SYSTEM.test(callOf(unwrapped(it))?.name ?? ''))
}

/** Whether an operand is overridden in an attribute: by a later operand, or perhaps. */
export type Overriding = 'overridden' | 'perhaps' | 'applies'

/** For each operand of a chain, whether its attribute of this name applies. */
export function overridingOf(
  operands: readonly SyntaxNode[],
  name: string | undefined
): Overriding[] {
  if (hasCombinator(operands)) return operands.map(() => 'perhaps')
  let state: Overriding = 'applies'
  const found = [...operands].reverse().map(operand => {
    const here = state
    const presence = presenceOf(operand, name)
    if (presence === 'always') state = 'overridden'
    else if (presence === 'maybe' && state === 'applies') state = 'perhaps'
    return here
  })
  return found.reverse()
}

/** What a new definition in an operand of `//` may do to operands on its left that may have its first name. */
export type NewName = 'replaces' | 'extends'

/**
 * The set literal among the operands of a chain in which a definition of a path takes effect. Undefined if
 * there is none: an operand on its right may override it, or it would override other attributes on its
 * left, which only a whole new value (`replaces`) may do.
 */
export function operandFor(
  operands: readonly SyntaxNode[],
  path: readonly (string | undefined)[],
  newName: NewName
): SyntaxNode | undefined {
  if (hasCombinator(operands)) return undefined
  let candidate: SyntaxNode | undefined
  for (const operand of [...operands].reverse()) {
    const inner = unwrapped(operand)
    const presence = presenceOf(operand, path[0])
    if (presence !== 'never') {
      if (isSet(inner)) return inner
      return path.length === 1 && newName === 'replaces' ? candidate : undefined
    }
    if (isSet(inner)) candidate ??= inner
  }
  return candidate
}

/**
 * The `//` whose left side would take effect without some bindings or inherited names: one of its
 * attributes has their name, and was overridden. Undefined if there is none.
 */
export function exposedBy(removed: readonly SyntaxNode[]): SyntaxNode | undefined {
  const gone = new Set(removed)
  for (const node of removed) {
    const binding = node.type === 'binding' ? node : node.parent?.parent
    const set = binding?.parent?.parent
    if (!binding || !set) continue
    const name = node.type === 'binding' ? namesOf(node)[0] : nameOf(node)
    if (isSet(set) && bindingsOf(set).length > 0 && presenceOf(set, name, gone) === 'always')
      continue
    let at = set
    for (let around = at.parent; around; at = around, around = at.parent) {
      if (around.type === 'binding' || around.type === 'source_code') break
      const left =
        isUpdate(around) && around.field('right') === at ? around.field('left') : undefined
      if (left && presenceOf(left, name, gone) !== 'never')
        return around.field('operator') ?? around
    }
  }
  return undefined
}
