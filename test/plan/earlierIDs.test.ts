// IDs that a configuration already assigns to vfio-pci, on machines where vfio-pci has the devices or does not.

import { expect, it } from 'vitest'
import type { Machine } from '../../src/machine/machine.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import { placeEarlierIDs } from '../../src/plan/legacy/movedIDs.ts'
import { machineCalled } from '../machine/support/machines.ts'

/** A machine where vfio-pci has the devices at these addresses. */
function machine(name: string, ...bound: string[]): Machine {
  const read = machineCalled(name)
  const devices = read.devices.map(it =>
    bound.includes(it.address) ? { ...it, driver: 'vfio-pci', module: 'vfio_pci' } : it
  )
  return { ...read, devices }
}

/** The problems if the IDs are moved into vfio-patch's options. */
function refused(given: Machine, ids: readonly string[], named: readonly string[] = []): string[] {
  const { settings, boundForGuests } = placeEarlierIDs(given, ids, named)
  const choice = chooseDevices(given, settings, { gpus: [], confirmed: [], boundForGuests })
  return choice.ok ? [] : choice.error.map(it => it.code)
}

const ONLY = ['10de:1b80', '10de:10f0']

it('refuses the only card unless vfio-pci already has it', () => {
  expect(refused(machine('single-gpu'), ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.1'), ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.0', '0000:0a:00.1'), ONLY)).toEqual([])
})

it("checks IDs in vfio-patch's options in the same way", () => {
  expect(refused(machine('single-gpu'), [], ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.0'), [], ONLY)).toEqual([])
})

it('passes through only the card that vfio-pci already has if two cards are identical', () => {
  const ids = ['10de:2484', '10de:228b']
  const placed = placeEarlierIDs(machine('two-identical', '0000:0a:00.0', '0000:0a:00.1'), ids, [])
  expect(placed.settings).toEqual({
    devices: [],
    addresses: [
      { address: '0000:0a:00.0', id: '10de:2484' },
      { address: '0000:0a:00.1', id: '10de:228b' }
    ]
  })
  expect(placed.twins.map(it => it.address)).toEqual(['0000:01:00.0', '0000:01:00.1'])
  // While the driver has both cards, nothing shows which one to pass through.
  const both = machine('two-identical')
  expect(placeEarlierIDs(both, ids, []).settings).toEqual({ devices: ids, addresses: [] })
  expect(refused(both, ids)).toEqual(['ONLY_DISPLAY'])
})

it("does not pass through the audio function of the host's card if another card's has the same ID", () => {
  const ids = ['1002:73bf', '1002:ab28']
  expect(placeEarlierIDs(machine('shared-audio-id'), ids, []).settings).toEqual({
    devices: ['1002:73bf'],
    addresses: [{ address: '0000:03:00.1', id: '1002:ab28' }]
  })
  // IDs in virtualisation.vfio.devices are the user's choice.
  expect(placeEarlierIDs(machine('shared-audio-id'), [], ids).settings).toEqual({
    devices: ids,
    addresses: []
  })
})
