// Of the definitions of one option, the module system drops all but the strongest.

import type { SyntaxNode } from '../syntax/parser.ts'
import { callOf, elementsOf, isList } from '../syntax/shape.ts'
import { type Definition, PRIORITY } from './definitions.ts'
import { unwrapped } from './module.ts'

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
    const label = /(\w+)(?:\s+(\d+))?$/.exec(it.priorities[0] ?? '')
    const strength = label ? strengthOf(label[1] ?? '', label[2]) : PLAIN
    return partsOf(text, it.value, strength, it.conditions.length === 0)
  })
}

/** Those that are as strong as any: the others are dropped, or may be where a stronger one has a condition. */
export function winnersOf(candidates: readonly Candidate[]): Candidate[] {
  const strongest = Math.min(...candidates.map(it => it.strength))
  return candidates.filter(it => it.strength === strongest)
}

function partsOf(
  text: string,
  value: SyntaxNode,
  strength: number,
  isCertain: boolean
): Candidate[] {
  const inner = unwrapped(value)
  const call = callOf(text, inner)
  const last = call?.args.at(-1)
  if (call && last) {
    if (call.name === 'mkMerge' && isList(unwrapped(last))) {
      return elementsOf(unwrapped(last)).flatMap(it => partsOf(text, it, strength, isCertain))
    }
    if (call.name === 'mkIf') return partsOf(text, last, strength, false)
    const first = call.args[0]
    if (PRIORITY.has(call.name) && first && strength === PLAIN) {
      const number = text.slice(first.start, first.end)
      return partsOf(text, last, strengthOf(call.name, number), isCertain)
    }
  }
  return [{ value, strength, isCertain }]
}

function strengthOf(name: string, number: string | undefined): number {
  if (name === 'mkOverride') return Number(number)
  return STRENGTHS.get(name) ?? PLAIN
}
