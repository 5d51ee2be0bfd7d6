// `apply` writes configurations without findings for the machine.

import { expect, test } from 'vitest'
import { candidateCards } from '../../src/machine/gates.ts'
import { planApply } from '../../src/plan/apply.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import { machineCalled, NAMES } from '../machine/support/machines.ts'
import { inputFor } from '../plan/support/input.ts'
import { comparisonOf } from './support.ts'

/** A configuration that passes a card of the machine through; undefined if the card is refused. */
function applied(name: string, gpu: string): string | undefined {
  const choice = chooseDevices(machineCalled(name), {}, { gpus: [gpu], confirmed: [gpu] })
  if (!choice.ok) return undefined
  const text = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
  const plan = planApply(inputFor('/etc/nixos/configuration.nix', text, choice.value.settings))
  if (!plan.ok) throw new Error(plan.error.code)
  return plan.value.configuration.text
}

const CARDS = NAMES.flatMap(name =>
  candidateCards(machineCalled(name)).flatMap(({ card }) => {
    const { address } = card.display
    const text = applied(name, address)
    return text === undefined ? [] : [{ name, address, text }]
  })
)

test.each(CARDS)('finds no problem after apply for $address of $name', ({ name, text }) => {
  const { findings } = comparisonOf(text, machineCalled(name))
  // A confirmed screen and a card with reset problems are notes.
  const codes = findings.map(it => `${it.code} ${it.level}`)
  const expected = ['LOCKS_OUT note', 'NO_RESET note']
  expect(codes.filter(it => !expected.includes(it))).toEqual([])
})

test('covers all machines except at most two', () => {
  expect(new Set(CARDS.map(it => it.name)).size).toBeGreaterThanOrEqual(NAMES.length - 2)
})
