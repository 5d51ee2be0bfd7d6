// For generated machines and requests: the host keeps its disk, its network, a keyboard and a display.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { candidateCards, proposedCard } from '../../src/machine/gates.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { type Generated, generated } from '../machine/support/generated.ts'
import { seed } from '../support/seed.ts'

/** The kinds of resources that the host would lose. */
function losses(it: Generated, passed: ReadonlySet<string>): string[] {
  const isGone = (all: ReadonlySet<string>) =>
    [...all].some(at => passed.has(at)) && [...all].every(at => passed.has(at))
  const touches = [...it.disks].some(at => passed.has(at))
  return [
    ...(touches ? ['disk'] : []),
    ...(isGone(it.networks) ? ['network'] : []),
    ...(isGone(it.keyboards) ? ['keyboard'] : []),
    ...(isGone(it.displays) ? ['display'] : [])
  ]
}

/** All devices that the settings take from the host: an ID takes every device that has it. */
function takenBy({ ids }: Generated, { devices = [], addresses = [] }: Settings): Set<string> {
  const places = addresses.map(it => (typeof it === 'string' ? it : it.address))
  const byID = [...ids].filter(([, id]) => devices.includes(id)).map(([address]) => address)
  return new Set([...places, ...byID])
}

test('proposes no card that the host needs', () => {
  let proposed = 0
  fc.assert(
    fc.property(generated, it => {
      const candidates = candidateCards(it.machine)
      for (const { card, verdict } of candidates) {
        if (verdict === 'kept') continue
        const passed = new Set(card.functions.map(at => at.address))
        const lost = verdict === 'separate' ? ['display'] : []
        expect(losses(it, passed).filter(at => !lost.includes(at))).toEqual([])
      }
      if (proposedCard(candidates)) proposed++
    }),
    { numRuns: 1000, seed }
  )
  // Otherwise nothing was tested.
  expect(proposed).toBeGreaterThan(100)
})

test('accepts only devices that the host can spare and that were requested', () => {
  let accepted = 0
  let separate = 0
  const requests = fc.record({
    specialisation: fc.constantFrom(undefined, 'vfio'),
    assumesIsolated: fc.boolean(),
    gpus: fc.array(fc.nat(), { maxLength: 2 }),
    addresses: fc.array(fc.nat(), { maxLength: 1 }),
    ids: fc.array(fc.nat(), { maxLength: 1 })
  })
  fc.assert(
    fc.property(generated, requests, (it, numbers) => {
      const all = it.endpoints
      const pick = (them: number[], from: readonly string[]) => [
        ...new Set(from.length === 0 ? [] : them.map(n => from[n % from.length] ?? ''))
      ]
      const cards = all.filter(at =>
        candidateCards(it.machine).some(c => c.card.display.address === at)
      )
      const gpus = pick(numbers.gpus, cards)
      const settings: Settings = {
        addresses: pick(numbers.addresses, all),
        devices: pick(numbers.ids, all).map(at => it.ids.get(at) ?? '')
      }
      const { specialisation, assumesIsolated } = numbers
      const entry = { specialisation, assumesIsolated }
      const choice = chooseDevices(it.machine, settings, { gpus, confirmed: all, ...entry })
      if (!choice.ok) return
      const taken = takenBy(it, choice.value.settings)
      const lost = losses(it, taken)
      // The screen still works in the default boot entry.
      if (specialisation !== undefined && lost.includes('display')) separate++
      expect(lost.filter(at => specialisation === undefined || at !== 'display')).toEqual([])
      const isFirstPhase = choice.value.decisions.some(at => at.code === 'FIRST_PHASE')
      if (isFirstPhase || gpus.length === 0) return
      accepted++
      const requested = takenBy(it, settings)
      const whole = candidateCards(it.machine)
        .filter(at => gpus.includes(at.card.display.address))
        .flatMap(at => at.card.functions.map(device => device.address))
      expect([...taken].sort()).toEqual([...new Set([...requested, ...whole])].sort())
    }),
    { numRuns: 2000, seed }
  )
  expect(accepted).toBeGreaterThan(100)
  expect(separate).toBeGreaterThan(20)
})

test('refuses a device if only devices that are already passed through would be left', () => {
  let accepted = 0
  let more = 0
  const requests = fc.record({ given: fc.array(fc.nat(), { maxLength: 3 }), address: fc.nat() })
  fc.assert(
    fc.property(generated, requests, (it, numbers) => {
      const at = (n: number) => it.endpoints[n % it.endpoints.length] ?? ''
      const given = new Set(numbers.given.map(at))
      const settings = { addresses: [at(numbers.address)] }
      const choice = chooseDevices(it.machine, settings, {
        gpus: [],
        alreadyPassed: given,
        confirmed: it.endpoints
      })
      const before = losses(it, given)
      const lost = losses(it, new Set([...given, ...settings.addresses]))
      const isMore = lost.some(at => !before.includes(at))
      if (isMore) more++
      if (!choice.ok) return
      accepted++
      expect(isMore).toBe(false)
    }),
    { numRuns: 2000, seed }
  )
  expect(accepted).toBeGreaterThan(100)
  expect(more).toBeGreaterThan(100)
})

test('accepts devices that the host can spare', () => {
  fc.assert(
    fc.property(generated, fc.nat(), (it, n) => {
      const address = it.endpoints[n % it.endpoints.length] ?? ''
      const settings = { addresses: [address] }
      const choice = chooseDevices(it.machine, settings, { gpus: [], confirmed: [address] })
      const needed = losses(it, new Set([address])).length > 0
      // If the last display is already passed through, it is not refused again.
      const isDisplay = it.machine.devices.some(
        at => at.address === address && at.class.startsWith('03')
      )
      if (!isDisplay) expect(choice.ok).toBe(!needed)
    }),
    { numRuns: 1000, seed }
  )
})
