// Cards and their functions, IOMMU groups, and devices with the same ID.

import { describe, expect, test } from 'vitest'
import {
  cardsOf,
  cardWith,
  competingDrivers,
  iommuGroups,
  otherGroupMembers,
  sameIdDevices
} from '../../src/machine/cards.ts'
import type { Machine, PciDevice } from '../../src/machine/machine.ts'
import { machineCalled } from './support/machines.ts'

function device(
  address: string,
  id: string,
  code: string,
  more: Partial<PciDevice> = {}
): PciDevice {
  const [vendor = '', number = ''] = id.split(':')
  const base = {
    address,
    vendor,
    device: number,
    class: code,
    connectors: [],
    window: 0,
    upstreamBridges: []
  }
  return { ...base, ...more }
}

function machineOf(...devices: PciDevice[]): Machine {
  return { ...machineCalled('x570-two-makers'), devices }
}

function addresses(devices: readonly PciDevice[]): string[] {
  return devices.map(it => it.address)
}

describe('a card', () => {
  test('has all functions of its slot, and is found by any of them', () => {
    const machine = machineCalled('split-groups')
    const card = cardWith(machine, '0000:01:00.2')
    expect(card?.display.address).toBe('0000:01:00.0')
    expect(addresses(card?.functions ?? [])).toEqual([
      '0000:01:00.0',
      '0000:01:00.1',
      '0000:01:00.2',
      '0000:01:00.3'
    ])
    expect(cardWith(machine, '0000:03:00.0')).toBeUndefined()
  })

  test('has its audio function in another slot if it has a PCIe switch', () => {
    const below = (port: string) => ({ upstreamBridges: ['0000:00:01.0', '0000:01:00.0', port] })
    const machine = machineOf(
      device('0000:00:01.0', '8086:460d', '060400'),
      device('0000:01:00.0', '8086:4fa1', '060400'),
      device('0000:02:01.0', '8086:4fa4', '060400'),
      device('0000:02:04.0', '8086:4fa4', '060400'),
      device('0000:03:00.0', '8086:56a0', '030000', below('0000:02:01.0')),
      device('0000:04:00.0', '8086:4f90', '040300', below('0000:02:04.0')),
      device('0000:05:00.0', '8086:15f3', '020000', { upstreamBridges: ['0000:00:01.0'] })
    )
    expect(cardsOf(machine).map(it => addresses(it.functions))).toEqual([
      ['0000:03:00.0', '0000:04:00.0']
    ])
  })

  test.each([
    ['iommu-off', '0000:00:02.0', true],
    ['iommu-off', '0000:01:00.0', false],
    ['laptop-mux', '0000:04:00.0', true],
    ['laptop-mux', '0000:01:00.0', false]
  ])('of %s at %s is integrated: %s', (name, address, isIntegrated) => {
    expect(cardWith(machineCalled(name), address)?.isIntegrated).toBe(isIntegrated)
  })
})

describe('an IOMMU group', () => {
  test('has other members: its devices with a host driver, except bridges', () => {
    const dirty = machineCalled('dirty-group')
    const others = otherGroupMembers(dirty, new Set(['0000:08:00.0', '0000:08:00.1']))
    expect(addresses(others)).toEqual(['0000:02:00.0', '0000:02:00.1', '0000:04:00.0'])
    const own = machineOf(
      device('0000:01:00.0', '10de:1b80', '030000', { group: '1', driver: 'nvidia' }),
      device('0000:02:00.0', '1022:0001', '010601', { group: '1' }),
      device('0000:03:00.0', '1022:0002', '010601', { group: '1', driver: 'vfio-pci' }),
      device('0000:04:00.0', '1022:0003', '010601', { group: '2', driver: 'ahci' }),
      device('0000:05:00.0', '1022:0004', '010601', { driver: 'ahci' })
    )
    expect(otherGroupMembers(own, new Set(['0000:01:00.0']))).toEqual([])
    expect(otherGroupMembers(own, new Set(['0000:05:00.0']))).toEqual([])
  })

  test('is shared if it has several slots; groups are in the order of their numbers, devices without a group last', () => {
    const at = (address: string, group?: string) =>
      device(address, '1022:0001', '040300', group === undefined ? {} : { group })
    const groups = iommuGroups(
      machineOf(
        at('0000:01:00.0', '10'),
        at('0000:01:00.1', '10'),
        at('0000:02:00.0', '9'),
        at('0000:03:00.0', '9'),
        at('0000:04:00.0')
      )
    )
    expect(groups.map(it => [it.id, it.isShared, it.devices.length])).toEqual([
      ['9', true, 2],
      ['10', false, 2],
      [undefined, false, 1]
    ])
  })
})

test('finds host devices with the same ID as a device that is passed through', () => {
  const machine = machineCalled('shared-audio-id')
  const whole = ['0000:03:00.0', '0000:03:00.1', '0000:03:00.2', '0000:03:00.3']
  expect(addresses(sameIdDevices(machine, new Set(whole)))).toEqual(['0000:0c:00.1'])
  expect(sameIdDevices(machine, new Set([...whole, '0000:0c:00.1']))).toEqual([])
})

test.each<[string, PciDevice, string[]]>([
  [
    'NVIDIA',
    device('0000:01:00.0', '10de:1b80', '030000', { driver: 'nvidia', module: 'nvidia' }),
    ['nouveau', 'nova_core', 'nvidia', 'nvidiafb']
  ],
  [
    'bound to vfio-pci',
    device('0000:01:00.0', '1002:67df', '030000', { driver: 'vfio-pci', module: 'vfio_pci' }),
    ['amdgpu', 'radeon']
  ],
  ['USB on a card', device('0000:01:00.2', '10de:1ad8', '0c0330'), ['xhci_pci']],
  ['USB-C on a card', device('0000:01:00.3', '10de:1ad9', '0c8000'), ['i2c_nvidia_gpu']],
  [
    'a driver outside the tables',
    device('0000:05:00.0', '10ec:8168', '020000', { driver: 'r8169', module: 'r8169' }),
    ['r8169']
  ],
  ['built into the kernel', device('0000:05:00.0', '10ec:8168', '020000', { driver: 'r8169' }), []]
])('finds the competing drivers: %s', (_, it, drivers) => {
  expect(competingDrivers(it)).toEqual(drivers)
})

test('finds the cards of 640 functions in linear time', () => {
  const upstreamBridges = ['0000:00:01.0', '0000:00:02.0', '0000:00:03.0']
  const digits = (number: number) => number.toString(16).padStart(2, '0')
  const devices = Array.from({ length: 640 }, (_, i) =>
    device(`0000:${digits(i >> 8)}:${digits((i >> 3) & 31)}.${i & 7}`, '10de:1b80', '030000', {
      upstreamBridges
    })
  )
  const machine: Machine = { ...machineCalled('single-gpu'), devices }
  const start = performance.now()
  const cards = new Set(devices.map(it => cardWith(machine, it.address)))
  expect(cards.size).toBe(80)
  // A search through all cards for each function takes 10 s and more.
  expect(performance.now() - start).toBeLessThan(500)
})
