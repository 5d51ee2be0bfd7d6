// Functions of nixpkgs' lib whose result the module system interprets: `mkIf c v` defines the value v
// under a condition.

import { type Call, callOf, elementsOf, isList, unparenthesized } from '../syntax/nodes.ts'
import { isInScope } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { isExpr, type NixValue, withoutComment } from '../values.ts'
import { unwrapped } from './module.ts'

/** A call that adds a condition, a priority or other values to a value. */
type Combinator =
  | { kind: 'condition'; call: Call; condition: SyntaxNode; value: SyntaxNode }
  | { kind: 'priority'; call: Call; value: SyntaxNode }
  | { kind: 'merge'; call: Call; list: SyntaxNode; values: readonly SyntaxNode[] }

/**
 * The call of a combinator that a value is, also inside `let … in`, `with`, `assert` and parentheses.
 * Undefined for any other value, and for a `mkMerge` without a list literal.
 */
export function combinatorOf(value: SyntaxNode): Combinator | undefined {
  const call = callOf(unwrapped(value))
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

/** The `mkMerge` with the prefix of a `mkIf`; undefined for another function, or if it is not in scope. */
export function mergeFor({ name, callee, node }: Call): string | undefined {
  if (name !== 'mkIf') return undefined
  const merge = callee.replace(/mkIf$/, 'mkMerge')
  return merge.includes('.') || isInScope(node, merge) ? merge : undefined
}

/** Whether a node is the list of a `mkMerge`. */
export function isMergeList(node: SyntaxNode): boolean {
  return isList(node) && node.parent !== undefined && callOf(node.parent)?.name === 'mkMerge'
}

/** Functions that return their last argument if the first one is true. */
const CONDITIONAL = new Set(['mkIf', 'optionalAttrs', 'optionals', 'optionalString'])

/** Functions that give their last argument another priority or order. */
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

/** Functions whose first argument is the priority or the order. */
const NUMBERED = new Set(['mkOverride', 'mkOrder'])

// If definitions of an option have different priorities, the module system applies only the ones with the
// smallest number, which is the highest priority. The numbers are from nixpkgs' lib/modules.nix.
const STRENGTHS = new Map([
  ['mkVMOverride', 10],
  ['mkForce', 50],
  ['mkImageMediaOverride', 60],
  ['mkDefault', 1000],
  ['mkOptionDefault', 1500]
])

/** The default priority, as the number of `mkOverride`. */
export const PLAIN = 100

/** A value that may apply to an option, with its priority. */
export interface Candidate {
  value: SyntaxNode
  /** The number of `mkOverride`; NaN if it is computed. */
  strength: number
  /** Whether it applies regardless of the conditions in the value. */
  isCertain: boolean
}

/** The values of an option's definitions inside `mkMerge`, `mkIf` and priorities. */
export function candidatesOf(
  definitions: readonly {
    value: SyntaxNode
    conditions: readonly string[]
    priorities: readonly string[]
  }[]
): Candidate[] {
  return definitions.flatMap(it => {
    const strengths = it.priorities.map(strengthOfLabel)
    const strength = strengths.find(it => it !== PLAIN) ?? PLAIN
    return candidatesIn(it.value, strength, it.conditions.length === 0)
  })
}

/** The candidates with the highest priority. Others never apply, or only if a condition is false. */
export function winnersOf(candidates: readonly Candidate[]): Candidate[] {
  const strongest = candidates.reduce((least, it) => Math.min(least, it.strength), Infinity)
  return candidates.filter(it => it.strength === strongest)
}

/** The strength of an element of `priorities`, such as `lib.mkForce` or `lib.mkOverride 10`. */
function strengthOfLabel(label: string): number {
  const [callee = '', ...number] = label.split(' ')
  return strengthOf(callee.split('.').at(-1) ?? '', number.join(' '))
}

function candidatesIn(value: SyntaxNode, strength: number, isCertain: boolean): Candidate[] {
  const combinator = combinatorOf(value)
  if (combinator?.kind === 'merge') {
    return combinator.values.flatMap(it => candidatesIn(it, strength, isCertain))
  }
  if (combinator?.kind === 'condition' && combinator.call.name === 'mkIf') {
    return candidatesIn(combinator.value, strength, false)
  }
  if (combinator?.kind === 'priority' && strength === PLAIN) {
    const { name, args } = combinator.call
    const number = args[0] && unparenthesized(args[0])
    return candidatesIn(combinator.value, strengthOf(name, number?.text), isCertain)
  }
  return [{ value, strength, isCertain }]
}

function strengthOf(name: string, number: string | undefined): number {
  if (name === 'mkOverride') return number ? Number(number) : Number.NaN
  return STRENGTHS.get(name) ?? PLAIN
}

/** One of the values that a value merges or makes conditional. */
export interface Part {
  value: SyntaxNode
  /** The way to it from the whole value: the index of an element of a `mkMerge`, 0 for the argument of a call. */
  steps: readonly number[]
  /** Its conditions, as source. */
  conditions: readonly string[]
  /** The `mkForce`, `mkDefault`, … around it, outermost first. */
  priorities: readonly string[]
}

/**
 * The values inside the `mkIf` and `mkMerge` that a value consists of, in source order. If none of them is
 * conditional, the only part is the value itself.
 */
export function partsOf(value: SyntaxNode): Part[] {
  const whole = { value, steps: [], conditions: [], priorities: [] }
  const parts = partsIn(whole)
  return parts.some(it => it.conditions.length > 0) ? parts : [whole]
}

/** The value that some steps lead to; undefined if there is none. */
export function valueAfter(value: SyntaxNode, steps: readonly number[]): SyntaxNode | undefined {
  const [step, ...rest] = steps
  if (step === undefined) return value
  const combinator = combinatorOf(value)
  const inner = combinator?.kind === 'merge' ? combinator.values[step] : combinator?.value
  return inner && valueAfter(inner, rest)
}

function partsIn(part: Part): Part[] {
  const combinator = combinatorOf(part.value)
  if (combinator?.kind === 'merge') {
    return combinator.values.flatMap((value, i) =>
      partsIn({ ...part, value, steps: [...part.steps, i] })
    )
  }
  const steps = [...part.steps, 0]
  if (combinator?.kind === 'condition' && combinator.call.name === 'mkIf') {
    const conditions = [...part.conditions, combinator.condition.text]
    return partsIn({ ...part, value: combinator.value, steps, conditions })
  }
  if (combinator?.kind === 'priority') {
    const priorities = [...part.priorities, labelOf(combinator.call)]
    const inner = partsIn({ ...part, value: combinator.value, steps, priorities })
    // A priority around a single value belongs to the value.
    if (inner.length > 1 || inner[0]?.value !== combinator.value) return inner
  }
  return [part]
}

/** A priority as `Definition.priorities` has it: `lib.mkForce`, `lib.mkOverride 10`. */
export function labelOf({ callee, args }: Call): string {
  const [first, second] = args
  return second && first ? `${callee} ${unparenthesized(first).text}` : callee
}

/** Whether a value is written as a `mkIf` or a `mkMerge`, so that it has conditions of its own. */
export function isMerging(value: NixValue): boolean {
  const plain = withoutComment(value)
  return isExpr(plain) && /^\(*\s*[\w.']*\bmk(?:If|Merge)\s/.test(plain.source)
}

/**
 * The node that `setIn` replaces: the argument of a `mkForce`, so that the priority is kept, or the whole
 * value. If the new value is itself a call such as `mkForce 1`, the whole value is replaced.
 */
export function replaceableValue(written: SyntaxNode, value: NixValue): SyntaxNode {
  const call = callOf(unwrapped(written))
  const last = call?.args.at(-1)
  const plain = withoutComment(value)
  const isCombinator = isExpr(plain) && /^[\w.']*\bmk[A-Z]\w*\s/.test(plain.source)
  return call && last && OVERRIDING.has(call.name) && !isCombinator ? last : written
}

/** Whether a call gives its argument a higher priority than definitions without one. */
export function isForced({ name, args }: Call): boolean {
  if (name !== 'mkOverride') return OVERRIDING.has(name)
  return strengthOf(name, args[0] && unparenthesized(args[0]).text) < PLAIN
}

const OVERRIDING = new Set(['mkForce', 'mkOverride', 'mkVMOverride', 'mkImageMediaOverride'])
