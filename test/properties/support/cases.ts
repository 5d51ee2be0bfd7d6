// Modules and what is asked of them, as one arbitrary.

import fc from 'fast-check'
import { type Plan, parseDocument } from '../../../src/nix/index.ts'
import { built, runs } from './choices.ts'
import { type Asked, askedOf, planOf } from './edits.ts'
import { type GeneratedModule, moduleOf } from './modules.ts'

export interface Case {
  module: GeneratedModule
  asked: Asked[]
}

/** A module and one to three wishes; a failure shows the text and the wishes. */
export const cases: fc.Arbitrary<Case> = built<Case>(c => {
  const module = moduleOf(c)
  return { module, asked: askedOf(c, module) }
}).map(it => ({ ...it, [fc.toStringMethod]: () => show(it) }))

export interface PlannedCase extends Case {
  plan: Plan
}

/** A sample of cases that were planned and change something. The seed is that of all properties. */
export function samplePlanned(count: number): PlannedCase[] {
  const { seed, numRuns } = runs(count)
  return fc
    .sample(cases, { seed: seed ?? 0, numRuns: (numRuns ?? count) * 2 })
    .flatMap(it => {
      const plan = planOf(parseDocument(it.module.text), it.asked)
      return plan.ok && plan.value.changed ? [{ ...it, plan: plan.value }] : []
    })
    .slice(0, numRuns)
}

export function show({ module, asked }: Case): string {
  const wishes = asked.map(it => JSON.stringify(it)).join('\n')
  return `\n${module.text}\n--- asked:\n${wishes}\n`
}
