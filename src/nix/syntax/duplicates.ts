import { type AttrPath, literalNames } from '../path.ts'
import {
  attrsOf,
  bindingsOn,
  inheritedOf,
  isDynamic,
  isSet,
  nameOf,
  namesOf,
  unparenthesized
} from './nodes.ts'
import type { SyntaxNode } from './tree.ts'

/**
 * The first binding at or below a path (relative to the set) that Nix rejects because its attribute is
 * already defined; undefined if there is none. Nix merges two bindings of one attribute only if both
 * are set literals, and the second literal must not repeat a name of the first (Nix 2.8). With an empty
 * path, the whole set is checked.
 */
export function findDuplicate(
  set: SyntaxNode,
  path: readonly (string | undefined)[]
): SyntaxNode | undefined {
  const fixed = literalNames(path)
  const slots: Slots = new Map()
  for (const binding of bindingsOn(set, fixed)) {
    const duplicate = addBinding(slots, binding, fixed)
    if (duplicate) return duplicate
  }
  return undefined
}

/** The first attribute or argument below a node that Nix rejects because its name is already defined. */
export function findDuplicateBelow(node: SyntaxNode): SyntaxNode | undefined {
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    const duplicate = SCOPES.test(at.type)
      ? findDuplicate(at, [])
      : at.type === 'function_expression'
        ? secondFormal(at)
        : undefined
    if (duplicate) return duplicate
    for (const it of at.children) stack.push(it)
  }
  return undefined
}

const SCOPES = /^(?:rec_|let_)?attrset_expression$|^let_expression$/

function secondFormal(lambda: SyntaxNode): SyntaxNode | undefined {
  const names = new Set<string>()
  const formals = lambda.field('formals')?.children.filter(it => it.type === 'formal') ?? []
  for (const name of [lambda.field('universal'), ...formals.map(it => it.field('name'))]) {
    if (!name) continue
    if (names.has(name.text)) return name
    names.add(name.text)
  }
  return undefined
}

/** The attributes below each name; undefined for a name whose value is not a set literal. */
type Slots = Map<string, Slots | undefined>

/** Adds the attributes of a binding; returns the first node that Nix rejects as a duplicate. */
function addBinding(slots: Slots, binding: SyntaxNode, path: AttrPath): SyntaxNode | undefined {
  for (const attr of inheritedOf(binding)) {
    const name = nameOf(attr)
    if (name === undefined || (path.length > 0 && name !== path[0])) continue
    if (slots.has(name)) return attr
    slots.set(name, undefined)
  }
  const names = namesUpToDynamic(binding)
  const value = binding.field('expression')
  const last = names.at(-1)
  if (binding.type !== 'binding' || !value || last === undefined || names.includes(undefined)) {
    return undefined
  }
  const isWhole = names.length === attrsOf(binding).length
  let at = slots
  for (const name of names.slice(0, -1) as string[]) {
    if (at.has(name) && !at.get(name)) return binding
    const next: Slots = at.get(name) ?? new Map()
    at.set(name, next)
    at = next
  }
  const literal = unparenthesized(value)
  const attributes: Slots | undefined = isSet(literal) && isWhole ? new Map() : undefined
  if (attributes) {
    const rest = path.slice(names.length)
    for (const inner of bindingsOn(literal, rest)) {
      const duplicate = addBinding(attributes, inner, rest)
      if (duplicate) return duplicate
    }
  }
  if (!at.has(last)) {
    at.set(last, attributes)
    return undefined
  }
  const existing = at.get(last)
  if (!existing || !attributes) return binding
  if ([...attributes.keys()].some(it => existing.has(it))) return binding
  for (const [name, it] of attributes) existing.set(name, it)
  return undefined
}

/** The names up to and including the first dynamic one. Nix does not merge dynamic attributes. */
function namesUpToDynamic(binding: SyntaxNode): readonly (string | undefined)[] {
  const dynamic = attrsOf(binding).findIndex(isDynamic)
  const names = namesOf(binding)
  return dynamic === -1 ? names : names.slice(0, dynamic + 1)
}
