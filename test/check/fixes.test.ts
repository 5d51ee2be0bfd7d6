// check --fix on a machine: one run makes all fixes from the text and the machine.

import { expect, it } from 'vitest'
import { compareWithMachine } from '../../src/check/onMachine.ts'
import type { LintFile } from '../../src/lints/index.ts'
import { lint } from '../../src/lints/index.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { planFaultFixes } from '../../src/plan/fixes.ts'
import { filesOf } from '../lints/support.ts'
import { CASES } from './cases.ts'
import { machineWith } from './support.ts'

function fixed(text: string, machine: Machine) {
  const facts = { importsModules: true }
  const look = (files: readonly LintFile[]) => [
    ...lint(files, facts),
    ...(compareWithMachine(files, facts, machine)?.findings ?? [])
  ]
  const files = filesOf(text)
  const fixes = planFaultFixes({ files, findings: look(files) }, look)
  if (!fixes.ok) throw new Error(fixes.error.message)
  const { plan, fixed: done, remaining } = fixes.value
  return { text: plan.configuration.text, fixed: done, fixable: remaining.filter(it => it.fix) }
}

it.each(CASES)(
  'makes all fixes in one run for $code, $title',
  ({ machine: name, tree, bad, fixed: expected }) => {
    const machine = machineWith(name, tree)
    const first = fixed(bad, machine)
    expect(first.text).toBe(expected ?? bad)
    expect(first.fixable).toEqual([])
    expect(fixed(first.text, machine)).toMatchObject({ text: first.text, fixed: [] })
  }
)

it('fixes a parameter that shares a string with others in the same run', () => {
  const machine = machineWith('x570-two-makers')
  const text = (params: string) =>
    `{\n  networking.hostName = "pc";\n  boot.kernelParams = [ ${params} ];\n}\n`
  const { text: after, fixed: found } = fixed(text('"iommu=pt vfio-pci.ids=10de:1b80"'), machine)
  expect(after).toBe(text('"iommu=pt" "vfio-pci.ids=10de:1b80,10de:10f0"'))
  expect(found.map(it => it.code).sort()).toEqual(['MISSING_FUNCTION', 'PARAMETERS_IN_ONE'])
})
