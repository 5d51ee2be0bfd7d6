// Whatever machine it is and whatever is asked for: the host keeps its disk, its network, its keyboard
// and a display.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { candidateCards, proposedCard } from '../../src/machine/gates.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { type Generated, generated } from '../machine/support/generated.ts'
import { seed } from '../support/seed.ts'

/** What the host would miss. */
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

/** All devices that the settings take from the host: an ID takes each that has it. */
function takenBy({ ids }: Generated, { devices = [], addresses = [] }: Settings): Set<string> {
  const places = addresses.map(it => (typeof it === 'string' ? it : it.address))
  const byID = [...ids].filter(([, id]) => devices.includes(id)).map(([address]) => address)
  return new Set([...places, ...byID])
}

test('a card that is proposed takes nothing that the host needs', () => {
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
  // Else nothing would have been tried.
  expect(proposed).toBeGreaterThan(100)
})

test('what is accepted takes nothing that the host needs, and no more than was said', () => {
  let accepted = 0
  let separate = 0
  const asked = fc.record({
    specialisation: fc.constantFrom(undefined, 'vfio'),
    assumesIsolated: fc.boolean(),
    gpus: fc.array(fc.nat(), { maxLength: 2 }),
    addresses: fc.array(fc.nat(), { maxLength: 1 }),
    ids: fc.array(fc.nat(), { maxLength: 1 })
  })
  fc.assert(
    fc.property(generated, asked, (it, numbers) => {
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
      // The usual boot entry has a picture then.
      if (specialisation !== undefined && lost.includes('display')) separate++
      expect(lost.filter(at => specialisation === undefined || at !== 'display')).toEqual([])
      const isFirstPhase = choice.value.decisions.some(at => at.code === 'FIRST_PHASE')
      if (isFirstPhase || gpus.length === 0) return
      accepted++
      const said = takenBy(it, settings)
      const whole = candidateCards(it.machine)
        .filter(at => gpus.includes(at.card.display.address))
        .flatMap(at => at.card.functions.map(device => device.address))
      expect([...taken].sort()).toEqual([...new Set([...said, ...whole])].sort())
    }),
    { numRuns: 2000, seed }
  )
  expect(accepted).toBeGreaterThan(100)
  expect(separate).toBeGreaterThan(20)
})

test('together with what is given away already it takes nothing that the host still has', () => {
  let accepted = 0
  let more = 0
  const asked = fc.record({ given: fc.array(fc.nat(), { maxLength: 3 }), address: fc.nat() })
  fc.assert(
    fc.property(generated, asked, (it, numbers) => {
      const at = (n: number) => it.endpoints[n % it.endpoints.length] ?? ''
      const given = new Set(numbers.given.map(at))
      const settings = { addresses: [at(numbers.address)] }
      const choice = chooseDevices(it.machine, settings, {
        gpus: [],
        given,
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

test('in order to lock nobody out, it does not refuse what is harmless', () => {
  fc.assert(
    fc.property(generated, fc.nat(), (it, n) => {
      const address = it.endpoints[n % it.endpoints.length] ?? ''
      const settings = { addresses: [address] }
      const choice = chooseDevices(it.machine, settings, { gpus: [], confirmed: [address] })
      const needed = losses(it, new Set([address])).length > 0
      // The last display that a guest may have already is not given for good either.
      const isDisplay = it.machine.devices.some(
        at => at.address === address && at.class.startsWith('03')
      )
      if (!isDisplay) expect(choice.ok).toBe(!needed)
    }),
    { numRuns: 1000, seed }
  )
})
