// Of the definitions of one option, the module system drops all but the strongest.

import type { SyntaxNode } from '../syntax/parser.ts'
import { unparenthesised } from '../syntax/shape.ts'
import { combinatorOf } from './combinator.ts'
import type { Definition } from './definitions.ts'

// nixpkgs' lib/modules.nix. The smaller number is the stronger one.
const STRENGTHS = new Map([
  ['mkVMOverride', 10],
  ['mkForce', 50],
  ['mkImageMediaOverride', 60],
  ['mkDefault', 1000],
  ['mkOptionDefault', 1500]
])

/** The priority of what has none, as the number of `mkOverride`. */
export const PLAIN = 100

/** A value that may come to bear on an option, with its priority. */
export interface Candidate {
  value: SyntaxNode
  /** As the number of `mkOverride`; NaN where it is computed. */
  strength: number
  /** Whether it counts whatever the conditions in the value are. */
  isCertain: boolean
}

/** What the definitions of an option consist of once `mkMerge`, `mkIf` and priorities are taken off. */
export function candidatesOf(text: string, definitions: readonly Definition[]): Candidate[] {
  return definitions.flatMap(it => {
    const strengths = it.priorities.map(strengthOfLabel)
    const strength = strengths.find(it => it !== PLAIN) ?? PLAIN
    return partsOf(text, it.value, strength, it.conditions.length === 0)
  })
}

/** Those that are as strong as any: the others are dropped, or may be where a stronger one has a condition. */
export function winnersOf(candidates: readonly Candidate[]): Candidate[] {
  const strongest = candidates.reduce((least, it) => Math.min(least, it.strength), Infinity)
  return candidates.filter(it => it.strength === strongest)
}

/** The strength of `lib.mkForce` or `lib.mkOverride 10`, as a definition's `priorities` have it. */
function strengthOfLabel(label: string): number {
  const [callee = '', ...number] = label.split(' ')
  return strengthOf(callee.split('.').at(-1) ?? '', number.join(' '))
}

function partsOf(
  text: string,
  value: SyntaxNode,
  strength: number,
  isCertain: boolean
): Candidate[] {
  const combinator = combinatorOf(text, value)
  if (combinator?.kind === 'merge') {
    return combinator.values.flatMap(it => partsOf(text, it, strength, isCertain))
  }
  if (combinator?.kind === 'condition' && combinator.call.name === 'mkIf') {
    return partsOf(text, combinator.value, strength, false)
  }
  if (combinator?.kind === 'priority' && strength === PLAIN) {
    const { name, args } = combinator.call
    const number = args[0] && unparenthesised(args[0])
    const spelt = number && text.slice(number.start, number.end)
    return partsOf(text, combinator.value, strengthOf(name, spelt), isCertain)
  }
  return [{ value, strength, isCertain }]
}

function strengthOf(name: string, number: string | undefined): number {
  if (name === 'mkOverride') return number ? Number(number) : Number.NaN
  return STRENGTHS.get(name) ?? PLAIN
}
