// IDs that a configuration gives to vfio-pci already, on machines where that holds, or not.

import { expect, it } from 'vitest'
import type { Machine } from '../../src/machine/machine.ts'
import { chooseDevices } from '../../src/plan/devices.ts'
import { placeEarlierIDs } from '../../src/plan/legacy/movedIDs.ts'
import { machineCalled } from '../machine/support/machines.ts'

/** A machine whose devices at these addresses belong to vfio-pci. */
function machine(name: string, ...bound: string[]): Machine {
  const read = machineCalled(name)
  const devices = read.devices.map(it =>
    bound.includes(it.address) ? { ...it, driver: 'vfio-pci', module: 'vfio_pci' } : it
  )
  return { ...read, devices }
}

/** What keeps the IDs from being moved. */
function refused(given: Machine, ids: readonly string[], named: readonly string[] = []): string[] {
  const { settings, inForce } = placeEarlierIDs(given, ids, named)
  const choice = chooseDevices(given, settings, { gpus: [], confirmed: [], inForce })
  return choice.ok ? [] : choice.error.map(it => it.code)
}

const ONLY = ['10de:1b80', '10de:10f0']

it('the only card is lost to the host, unless it lives without it already', () => {
  expect(refused(machine('single-gpu'), ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.1'), ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.0', '0000:0a:00.1'), ONLY)).toEqual([])
})

it('the same where our options name it, which were those of somebody else', () => {
  expect(refused(machine('single-gpu'), [], ONLY)).toEqual(['ONLY_DISPLAY'])
  expect(refused(machine('single-gpu', '0000:0a:00.0'), [], ONLY)).toEqual([])
})

it('of two equal cards the host keeps the one that its driver has', () => {
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
  // Nobody knows which of them is meant while the driver has both.
  const both = machine('two-identical')
  expect(placeEarlierIDs(both, ids, []).settings).toEqual({ devices: ids, addresses: [] })
  expect(refused(both, ids)).toEqual(['ONLY_DISPLAY'])
})

it('the sound of a card that stays is not given away with that of another', () => {
  const ids = ['1002:73bf', '1002:ab28']
  expect(placeEarlierIDs(machine('shared-audio-id'), ids, []).settings).toEqual({
    devices: ['1002:73bf'],
    addresses: [{ address: '0000:03:00.1', id: '1002:ab28' }]
  })
  // What our option says already is the person's own word.
  expect(placeEarlierIDs(machine('shared-audio-id'), [], ids).settings).toEqual({
    devices: ids,
    addresses: []
  })
})
