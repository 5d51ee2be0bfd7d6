// Findings on the machines of test/machine/machines.

import { describe, expect, it } from 'vitest'
import { MACHINE_CODES, planFixes } from '../../src/lints/index.ts'
import { filesOf, inShort } from '../lints/support.ts'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import { stateOf, vfioModules, withNixos } from '../oracle/machines.ts'
import { CASES } from './cases.ts'
import { comparisonOf, machineWith } from './support.ts'

describe.each(CASES)('$code: $title', ({ code, machine: name, tree, bad, found, fixed, good }) => {
  const machine = machineWith(name, tree)

  it(`reports ${code} at its place`, () => {
    expect(inShort(bad, comparisonOf(bad, machine).findings)).toEqual(found)
  })

  it(`does not report ${code} in a correct configuration`, () => {
    const codes = good.includes('vfio')
      ? comparisonOf(good, machine).findings.map(it => it.code)
      : []
    expect(codes).not.toContain(code)
  })

  it(fixed === undefined ? `offers no fix for ${code}` : `fixes ${code}`, () => {
    const fixes = comparisonOf(bad, machine).findings.flatMap(it => (it.fix ? [it.fix] : []))
    if (fixed === undefined) return expect(fixes).toEqual([])
    const [file] = filesOf(bad)
    if (!file) throw new Error('no file')
    const planned = planFixes(file.doc, fixes)
    if (!planned.ok) throw new Error(planned.error.message)
    expect(planned.value.plan.text).toBe(fixed)
    expect(planned.value.refused).toEqual([])
    expect(inShort(fixed, comparisonOf(fixed, machine).findings)).toEqual([])
  })
})

it('has a case for every code that needs a machine', () => {
  expect(new Set(CASES.map(it => it.code))).toEqual(new Set(MACHINE_CODES))
})

describeWithOracle('a configuration after its fixes', oracle => {
  const fixed = CASES.flatMap(({ code, title, fixed: text, gives }) =>
    text === undefined ? [] : [{ code, title, text, gives }]
  )

  it.each(fixed)(
    'evaluates to the expected values after the fixes of $code, $title',
    ({ text, gives }) => {
      const modules = [withNixos('stage1 = "only";'), vfioModules, text]
      const result = evalNix(configExpression(oracle, stateOf, { modules }))
      expect(gives).toBeDefined()
      expect(result).toMatchObject({ ok: true, value: { failures: [], ...gives } })
    }
  )
})
