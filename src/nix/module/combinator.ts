// Functions of nixpkgs' lib that the module system sees through: the value that they are given is
// what counts in the end.

import type { SyntaxNode } from '../syntax/parser.ts'
import { type Call, callOf, elementsOf, isList } from '../syntax/shape.ts'
import { unwrapped } from './module.ts'

/** A call that says when, how strongly, or with what else a value counts. */
export type Combinator =
  | { kind: 'condition'; call: Call; condition: SyntaxNode; value: SyntaxNode }
  | { kind: 'priority'; call: Call; value: SyntaxNode }
  | { kind: 'merge'; call: Call; list: SyntaxNode; values: readonly SyntaxNode[] }

/**
 * The combinator that a value is, seen through `let … in`, `with`, `assert` and parentheses; undefined
 * for any other value, and for a `mkMerge` of what is no list literal.
 */
export function combinatorOf(text: string, value: SyntaxNode): Combinator | undefined {
  const call = callOf(text, unwrapped(value))
  const last = call?.args.at(-1)
  if (!call || !last) return undefined
  const { name, args } = call
  const [first] = args
  if (CONDITIONAL.has(name) && args.length === 2 && first) {
    return { kind: 'condition', call, condition: first, value: last }
  }
  if (PRIORITY.has(name) && args.length === (NUMBERED.has(name) ? 2 : 1)) {
    return { kind: 'priority', call, value: last }
  }
  const list = unwrapped(last)
  if (name === 'mkMerge' && args.length === 1 && isList(list)) {
    return { kind: 'merge', call, list, values: elementsOf(list) }
  }
  return undefined
}

/** Whether a node is the list that a `mkMerge` is given. */
export function isMerged(text: string, node: SyntaxNode): boolean {
  return isList(node) && node.parent !== undefined && callOf(text, node.parent)?.name === 'mkMerge'
}

/** They give their last argument under the condition of their first. */
const CONDITIONAL = new Set(['mkIf', 'optionalAttrs', 'optionals', 'optionalString'])

/** They give their last argument another priority or order. */
const PRIORITY = new Set([
  'mkForce',
  'mkDefault',
  'mkOptionDefault',
  'mkImageMediaOverride',
  'mkVMOverride',
  'mkOverride',
  'mkBefore',
  'mkAfter',
  'mkOrder'
])

/** Those whose first argument is the priority or the order. */
const NUMBERED = new Set(['mkOverride', 'mkOrder'])
