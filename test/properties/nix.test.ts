import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { describeWithOracle } from '../oracle/evalModules.ts'
import { parsedByNix } from '../support/nix.ts'
import { seed } from '../support/seed.ts'
import { type PlannedCase, samplePlanned, show } from './support/cases.ts'
import { planOf } from './support/edits.ts'
import { wrongMeaning } from './support/expected.ts'
import { hasNix, meaningsOf } from './support/nix.ts'
import { edited, pruned, trees } from './support/trees.ts'

const report = ({ plan, ...it }: PlannedCase, why: string) =>
  `${show(it)}--- gave:\n${plan.text}\n${why}`

describe.runIf(hasNix)('in real Nix', () => {
  it('the result of every edit is valid if the original text is', () => {
    const planned = samplePlanned(1500)
    const before = parsedByNix(planned.map(it => it.module.text))
    const after = parsedByNix(planned.map(it => it.plan.text))
    expect(before.filter(it => it).length).toBeGreaterThan(planned.length * 0.9)
    const wrong = planned.filter((_, i) => before[i] && !after[i])
    expect(wrong.map(it => report(it, 'Nix rejects that')).join('')).toBe('')
  }, 300_000)

  it('the values are the previous ones with the requested change', () => {
    const all = fc.sample(trees, { seed, numRuns: 1500 }).flatMap(it => {
      const requests = it.requests.filter(request => request.kind !== 'import')
      return [it.dotted, it.nested, it.mixed].flatMap(before => {
        const plan = planOf(parseDocument(before), requests)
        return plan.ok ? [{ ...it, requests, before, after: plan.value.text }] : []
      })
    })
    expect(all.length).toBeGreaterThan(3000)
    const values = evaluated([...all.map(it => it.before), ...all.map(it => it.after)])
    for (const [i, { model, requests, before, after }] of all.entries()) {
      const listed = JSON.stringify(requests)
      expect(values[i], before).toEqual(pruned(model))
      expect(values[i + all.length], `${before}${listed}\n${after}`).toEqual(
        pruned(edited(model, requests))
      )
    }
  }, 300_000)
})

describeWithOracle('in the module system', ({ nixpkgsLib }) => {
  it('the requested options change, and all others do not', () => {
    const planned = samplePlanned(200).filter(it => it.module.isCallable)
    const before = meaningsOf(
      nixpkgsLib,
      planned.map(it => it.module.text)
    )
    const after = meaningsOf(
      nixpkgsLib,
      planned.map(it => it.plan.text)
    )
    expect(before.filter(it => it).length).toBeGreaterThan(planned.length * 0.9)
    const wrong = planned.flatMap((it, i) => {
      const [was, is] = [before[i], after[i]]
      if (!was) return []
      const why = is ? wrongMeaning(was, is, it.requests) : ['the module system rejects it']
      return why.length === 0 ? [] : [report(it, why.join('\n'))]
    })
    expect(wrong.at(0) ?? '').toBe('')
  }, 300_000)
})

/** The values of functions without arguments, as JSON without empty sets. */
function evaluated(texts: readonly string[]): unknown[] {
  const input = `map (it: it { }) [\n${texts.map(it => `(${it})`).join('\n')}\n]`
  const run = spawnSync('nix-instantiate', ['--eval', '--strict', '--json', '-'], {
    encoding: 'utf8',
    input,
    maxBuffer: 2 ** 30
  })
  if (run.status !== 0) throw new Error(run.stderr)
  return (JSON.parse(run.stdout) as unknown[]).map(pruned)
}
