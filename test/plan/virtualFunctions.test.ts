// Virtual functions (SR-IOV) among the requested devices: libvirt passes them through when the guest starts.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { problemMessage } from '../../src/cli/messages/gates.ts'
import { cardWith } from '../../src/machine/cards.ts'
import { candidateCards, closedGates, virtualCandidatesOf } from '../../src/machine/gates.ts'
import { virtualFunctionsOf } from '../../src/machine/virtualFunctions.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { type GeneratedVirtual, generatedVirtual } from '../machine/support/generatedVirtual.ts'
import { machineCalled } from '../machine/support/machines.ts'
import { seed } from '../support/seed.ts'

const MACHINE = machineCalled('virtual-functions')

describe('chooseDevices', () => {
  const chosen = (devices: string[], more: Parameters<typeof chooseDevices>[2] | object = {}) =>
    chooseDevices(MACHINE, {}, { gpus: [], confirmed: [], devices, ...more })

  test('writes no option for a virtual function', () => {
    const choice = chosen(['0000:00:02.1', '0000:01:10.2'])
    expect(choice.ok && choice.value.settings).toEqual({ IOMMUType: 'intel' })
    expect(choice.ok && choice.value.cautions).toEqual([])
    expect(
      choice.ok && choice.value.decisions.map(it => ('device' in it ? it.device.address : it.code))
    ).toEqual(['0000:00:02.1', '0000:01:10.2', 'PROCESSOR'])
  })

  test('selects a device by address if a host device has the same ID', () => {
    const choice = chosen(['0000:01:00.1', '0000:01:10.2'])
    expect(choice.ok && choice.value.settings).toEqual({
      IOMMUType: 'intel',
      devices: [],
      addresses: [{ address: '0000:01:00.1', id: '8086:10c9' }],
      competingDrivers: ['igb']
    })
  })

  test('refuses a virtual function whose physical function is passed through', () => {
    const choice = chosen(['0000:01:10.2'], { alreadyPassed: new Set(['0000:01:00.0']) })
    expect(!choice.ok && choice.error.map(it => it.code)).toEqual(['PHYSICAL_FUNCTION_GIVEN'])
  })
})

// ---- generated machines

/** All devices that the settings take from the host: an ID takes every device that has it. */
function takenBy({ ids }: GeneratedVirtual, { devices = [], addresses = [] }: Settings) {
  const places = addresses.map(it => (typeof it === 'string' ? it : it.address))
  const byID = [...ids].filter(([, id]) => devices.includes(id)).map(([address]) => address)
  return new Set([...places, ...byID])
}

/** The kinds of resources that the host would lose. */
function losses(it: GeneratedVirtual, passed: ReadonlySet<string>): string[] {
  const isLost = (through: readonly string[]) => through.some(at => passed.has(at))
  const ways = it.networks
  return [
    ...(isLost([...it.disks].filter(at => passed.has(at))) ? ['disk'] : []),
    ...(ways.length > 0 && ways.some(isLost) && ways.every(isLost) ? ['network'] : [])
  ]
}

/** The addresses of the devices that a message suggests passing through. */
function namedBy(remedy: string): string[] {
  return [...remedy.matchAll(/--(?:gpu|address|confirm) (\S+\.\d)/g)].map(it => it[1] ?? '')
}

const requestNumbers = fc.record({
  specialisation: fc.constantFrom(undefined, undefined, 'vfio'),
  gpus: fc.array(fc.nat(), { maxLength: 1 }),
  addresses: fc.array(fc.nat(), { maxLength: 1 }),
  ids: fc.array(fc.nat(), { maxLength: 1 }),
  devices: fc.array(fc.nat(), { maxLength: 2 }),
  alreadyPassed: fc.array(fc.nat(), { maxLength: 1 })
})

function requestFrom(
  it: GeneratedVirtual,
  numbers: ReturnType<typeof requestNumbers.generate>['value']
) {
  const pick = (them: readonly number[], from: readonly string[]) => [
    ...new Set(them.flatMap(n => (from.length === 0 ? [] : [from[n % from.length] ?? ''])))
  ]
  const cards = candidateCards(it.machine).map(at => at.card.display.address)
  const settings: Settings = {
    addresses: pick(numbers.addresses, it.endpoints),
    devices: pick(numbers.ids, it.endpoints).map(at => it.ids.get(at) ?? '')
  }
  const gpus = pick(numbers.gpus, cards)
  const devices = pick(numbers.devices, it.endpoints)
  // A configuration never passes a virtual function through.
  const alreadyPassed = new Set(pick(numbers.alreadyPassed, [...it.base.ids.keys()]))
  return { settings, gpus, devices, alreadyPassed, specialisation: numbers.specialisation }
}

test('never selects virtual functions, or devices that were not requested', () => {
  const count = { accepted: 0, withVirtual: 0, refused: 0 }
  fc.assert(
    fc.property(generatedVirtual, requestNumbers, (it, numbers) => {
      const { settings, ...rest } = requestFrom(it, numbers)
      const choice = chooseDevices(it.machine, settings, { ...rest, confirmed: it.endpoints })
      if (!choice.ok) {
        count.refused++
        return
      }
      count.accepted++
      const taken = takenBy(it, choice.value.settings)
      for (const [address, of] of it.virtual) {
        const places = choice.value.settings.addresses ?? []
        expect(places.map(at => (typeof at === 'string' ? at : at.address))).not.toContain(address)
        // An ID may match virtual functions only if they disappear with their device.
        if (taken.has(address)) expect([...taken]).toContain(of)
      }
      const meant = [...rest.gpus, ...rest.devices].filter(at => !it.virtual.has(at))
      const whole = meant.flatMap(
        at => cardWith(it.machine, at)?.functions.map(device => device.address) ?? [at]
      )
      const requested = new Set([...takenBy(it, settings), ...whole, ...rest.alreadyPassed])
      const physical = [...taken].filter(at => !it.virtual.has(at))
      expect(physical.filter(at => !requested.has(at))).toEqual([])
      const requestedVirtual = rest.devices.filter(at => it.virtual.has(at))
      if (requestedVirtual.length > 0) count.withVirtual++
      const all = new Set([...taken, ...requestedVirtual, ...rest.alreadyPassed])
      const before = losses(it, rest.alreadyPassed)
      expect(losses(it, all).filter(at => !before.includes(at))).toEqual([])
    }),
    { numRuns: 1000, seed }
  )
  // Otherwise nothing was tested.
  expect(count.accepted).toBeGreaterThan(50)
  expect(count.withVirtual).toBeGreaterThan(20)
  expect(count.refused).toBeGreaterThan(50)
})

test('no message suggests devices that the host needs or that were not requested', () => {
  let named = 0
  fc.assert(
    fc.property(generatedVirtual, requestNumbers, fc.boolean(), (it, numbers, confirms) => {
      const { settings, ...rest } = requestFrom(it, { ...numbers, alreadyPassed: [] })
      const confirmed = confirms ? it.endpoints : []
      const choice = chooseDevices(it.machine, settings, { ...rest, confirmed })
      if (choice.ok) return
      const { remedy = '', why = '' } = problemMessage(choice.error, 'CALL', new Map())
      const own = [...rest.gpus, ...rest.devices, ...takenBy(it, settings)]
      const cards = own
        .filter(at => !it.virtual.has(at))
        .flatMap(at => [at, ...(cardWith(it.machine, at)?.functions.map(f => f.address) ?? [])])
      for (const address of namedBy(remedy)) {
        named++
        expect([...it.virtual.keys()]).not.toContain(address)
        if (cards.includes(address) && !isOfVirtualID(it, settings)) continue
        const passed = new Set([address])
        const gates = closedGates(it.machine, passed, { confirmed, bindsAtBoot: true })
        expect(gates, `${remedy}\n${why}`).toEqual([])
        expect(virtualFunctionsOf(it.machine, address)).toEqual([])
      }
    }),
    { numRuns: 500, seed }
  )
  expect(named).toBeGreaterThan(10)
})

/** Whether virtual functions have a requested ID too, so that the ID is ambiguous. */
function isOfVirtualID(it: GeneratedVirtual, { devices = [] }: Settings): boolean {
  return [...it.virtual.keys()].some(at => devices.includes(it.ids.get(at) ?? ''))
}

test('accepts exactly the virtual functions whose IOMMU group has no device that the host uses', () => {
  const count = { accepted: 0, refused: 0 }
  fc.assert(
    fc.property(generatedVirtual, it => {
      for (const [address, of] of it.virtual) {
        const choice = chooseDevices(
          it.machine,
          {},
          { gpus: [], devices: [address], confirmed: [] }
        )
        const hasGroups = it.machine.iommu.groups > 0
        const isFree =
          losses(it, new Set([address])).length === 0 && (it.alone.has(address) || !hasGroups)
        expect(choice.ok).toBe(isFree)
        const own = virtualCandidatesOf(it.machine).find(at => at.device.address === address)
        expect(own?.verdict).toBe(isFree ? 'free' : 'kept')
        if (choice.ok) {
          count.accepted++
          const { devices, addresses } = choice.value.settings
          expect([devices, addresses]).toEqual([undefined, undefined])
        } else {
          count.refused++
          const { remedy = '' } = problemMessage(choice.error, 'CALL', new Map())
          expect(namedBy(remedy)).toEqual([])
          expect(remedy).not.toContain(of)
        }
      }
    }),
    { numRuns: 500, seed }
  )
  expect(count.accepted).toBeGreaterThan(100)
  expect(count.refused).toBeGreaterThan(100)
})

test('no virtual function is part of a card or shows the screen', () => {
  fc.assert(
    fc.property(generatedVirtual, it => {
      const candidates = candidateCards(it.machine)
      const functions = candidates.flatMap(at => at.card.functions.map(device => device.address))
      expect(functions.filter(at => it.virtual.has(at))).toEqual([])
      const before = candidateCards(it.base.machine)
      const about = (all: typeof candidates) =>
        all
          .flatMap(at => at.reasons.map(reason => `${reason.code} ${at.card.display.address}`))
          .filter(at => /^(?:SHOWS_SCREEN|ONLY_DISPLAY) /.test(at))
          .sort()
      expect(about(candidates)).toEqual(about(before))
    }),
    { numRuns: 500, seed }
  )
})
