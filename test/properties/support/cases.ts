// Modules with edit requests.

import fc from 'fast-check'
import { type NixDocument, type Plan, parseDocument } from '../../../src/nix/index.ts'
import { built, every, runs } from './choices.ts'
import { type EditRequest, planOf, requestsOf } from './edits.ts'
import { type GeneratedModule, moduleOf } from './modules.ts'

export interface Case {
  module: GeneratedModule
  requests: readonly EditRequest[]
}

export interface PlannedCase extends Case {
  doc: NixDocument
  plan: Plan
}

/** The number of edits per module; `PROPERTY_OPERATIONS` in the environment overrides it. */
const operations = Number(process.env.PROPERTY_OPERATIONS ?? 1)

/** A module, and edits of one to three requests each; a failure shows all of them. */
const casesOfModule: fc.Arbitrary<readonly Case[]> = built<Case[]>(
  c => {
    const module = moduleOf(c)
    return Array.from({ length: operations }, () => ({ module, requests: requestsOf(c, module) }))
  },
  400 + 10 * operations
).map(all => Object.assign(all, { [fc.toStringMethod]: () => all.map(show).join('') }))

/** Checks a property of every module. */
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

/** Checks a property of every module and its requests. */
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

/** Checks a property of every module and plan. */
export async function everyPlan(numRuns: number, check: (it: PlannedCase) => void): Promise<void> {
  await everyCase(numRuns, it => {
    const doc = parseDocument(it.module.text)
    const plan = planOf(doc, it.requests)
    if (plan.ok) check({ ...it, doc, plan: plan.value })
  })
}

/** A sample of planned cases that change something, with the seed of all properties. */
export function samplePlanned(count: number): PlannedCase[] {
  const { seed } = runs(count)
  return fc
    .sample(casesOfModule, { seed: seed ?? 0, numRuns: count * 2 })
    .flat()
    .flatMap(it => {
      const doc = parseDocument(it.module.text)
      const plan = planOf(doc, it.requests)
      return plan.ok && plan.value.changed ? [{ ...it, doc, plan: plan.value }] : []
    })
    .slice(0, count)
}

export function show({ module, requests }: Case): string {
  const listed = requests.map(it => JSON.stringify(it)).join('\n')
  return `\n${module.text}\n--- requests:\n${listed}\n`
}
