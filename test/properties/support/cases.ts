// Modules and what is asked of them.

import fc from 'fast-check'
import { type NixDocument, type Plan, parseDocument } from '../../../src/nix/index.ts'
import { built, every, runs } from './choices.ts'
import { type Asked, askedOf, planOf } from './edits.ts'
import { type GeneratedModule, moduleOf } from './modules.ts'

export interface Case {
  module: GeneratedModule
  asked: readonly Asked[]
}

export interface PlannedCase extends Case {
  doc: NixDocument
  plan: Plan
}

/** How many edits of each module are looked at; `PROPERTY_OPERATIONS` in the environment changes it. */
const operations = Number(process.env.PROPERTY_OPERATIONS ?? 1)

/** A module and what is asked of it, each time one to three things; a failure shows all of it. */
const casesOfModule: fc.Arbitrary<readonly Case[]> = built<Case[]>(
  c => {
    const module = moduleOf(c)
    return Array.from({ length: operations }, () => ({ module, asked: askedOf(c, module) }))
  },
  400 + 10 * operations
).map(all => Object.assign(all, { [fc.toStringMethod]: () => all.map(show).join('') }))

/** Checks something of every module. */
export async function everyModule(
  numRuns: number,
  check: (module: GeneratedModule) => void
): Promise<void> {
  await every(
    casesOfModule.map(all => all[0]?.module as GeneratedModule),
    numRuns,
    check
  )
}

/** Checks something of every module and what is asked of it. */
export async function everyCase(numRuns: number, check: (it: Case) => void): Promise<void> {
  await every(casesOfModule, numRuns, all => {
    for (const it of all) {
      try {
        check(it)
      } catch (cause) {
        throw new Error(`${show(it)}--- ${cause}`, { cause })
      }
    }
  })
}

/** Checks something of every module and edit that can be planned. */
export async function everyPlan(numRuns: number, check: (it: PlannedCase) => void): Promise<void> {
  await everyCase(numRuns, it => {
    const doc = parseDocument(it.module.text)
    const plan = planOf(doc, it.asked)
    if (plan.ok) check({ ...it, doc, plan: plan.value })
  })
}

/** A sample of cases that were planned and change something. The seed is that of all properties. */
export function samplePlanned(count: number): PlannedCase[] {
  const { seed } = runs(count)
  return fc
    .sample(casesOfModule, { seed: seed ?? 0, numRuns: count * 2 })
    .flat()
    .flatMap(it => {
      const doc = parseDocument(it.module.text)
      const plan = planOf(doc, it.asked)
      return plan.ok && plan.value.changed ? [{ ...it, doc, plan: plan.value }] : []
    })
    .slice(0, count)
}

export function show({ module, asked }: Case): string {
  const wishes = asked.map(it => JSON.stringify(it)).join('\n')
  return `\n${module.text}\n--- asked:\n${wishes}\n`
}
