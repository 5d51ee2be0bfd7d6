// SR-IOV: virtual functions, and the resources that are lost with their physical function.

import { describe, expect, test } from 'vitest'
import {
  cardsOf,
  iommuGroups,
  isForGuests,
  otherGroupMembers,
  remainingDisplays,
  sameIdDevices
} from '../../src/machine/cards.ts'
import {
  candidateCards,
  cautionsFor,
  closedGates,
  virtualCandidatesOf
} from '../../src/machine/gates.ts'
import type { Machine, PciDevice } from '../../src/machine/machine.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import {
  physicalFunctionFor,
  virtualFunctionsOf,
  virtualID,
  withVirtualFunctions
} from '../../src/machine/virtualFunctions.ts'
import { machineWith } from '../check/support.ts'
import { machineCalled } from './support/machines.ts'
import { sourceFrom } from './support/tree.ts'

const MACHINE = machineCalled('virtual-functions')
const [GPU, GPU1, GPU2] = ['0000:00:02.0', '0000:00:02.1', '0000:00:02.2']
const [NIC, NIC1, NIC2] = ['0000:01:00.0', '0000:01:10.0', '0000:01:10.2']

const device = (name: string) => `/sys/bus/pci/devices/${name}`
const addresses = (devices: readonly PciDevice[]) => devices.map(it => it.address)
const at = (machine: Machine, address: string) => {
  const found = machine.devices.find(it => it.address === address)
  if (!found) throw new Error(address)
  return found
}

function gates(machine: Machine, passed: string[]): string[] {
  const found = closedGates(machine, new Set(passed), { confirmed: [], bindsAtBoot: true })
  return found.map(it => `${it.code} ${it.device.address}`)
}

describe('readPci', () => {
  const one = (more: Record<string, string>) => {
    const tree = {
      [`${device(NIC)}/vendor`]: '0x8086\n',
      [`${device(NIC)}/device`]: '0x10c9\n',
      [`${device(NIC)}/class`]: '0x020000\n'
    }
    const files = Object.entries(more).map(([name, it]) => [`${device(NIC)}/${name}`, it])
    return readMachine(sourceFrom({ ...tree, ...Object.fromEntries(files) })).devices[0]
  }

  test('finds the physical function of a virtual function', () => {
    expect(one({ physfn: '-> ../0000:03:00.1' })?.physicalFunction).toBe('0000:03:00.1')
    expect(one({ physfn: '-> ../../pci0000:02/0000:03:00.1' })?.physicalFunction).toBe(
      '0000:03:00.1'
    )
    expect(one({})).not.toHaveProperty('physicalFunction')
  })

  test.each([
    ['10ca\n', '10ca'],
    ['0x10ca\n', '10ca'],
    ['ca\n', '00ca'],
    ['nonsense\n', undefined]
  ])('reads the ID of possible virtual functions from %j', (text, id) => {
    const found = one({ sriov_totalvfs: '7\n', sriov_vf_device: text })?.sriov
    expect(found?.device).toBe(id)
  })

  test('omits SR-IOV facts that are 0 or missing', () => {
    expect(one({ sriov_totalvfs: '7\n', sriov_offset: '0\n', sriov_stride: '0\n' })?.sriov).toEqual(
      {
        total: 7
      }
    )
    expect(one({ sriov_totalvfs: '0\n', sriov_offset: '1\n' })).not.toHaveProperty('sriov')
    expect(one({ sriov_offset: '1\n' })).not.toHaveProperty('sriov')
  })
})

test('finds virtual functions by their physical function', () => {
  expect(addresses(virtualFunctionsOf(MACHINE, GPU))).toEqual([GPU1, GPU2])
  expect(virtualFunctionsOf(MACHINE, '0000:01:00.1')).toEqual([])
  expect([...withVirtualFunctions(MACHINE, new Set([NIC, GPU1]))].sort()).toEqual([
    GPU1,
    NIC,
    NIC1,
    NIC2
  ])
})

test.each([
  ['the address after the last virtual function', '0000:00:02.3', GPU],
  ['the last possible address', '0000:00:02.7', GPU],
  ['an address after the last possible one', '0000:00:03.0', undefined],
  ['the first address of a device without virtual functions', '0000:01:10.1', '0000:01:00.1'],
  ['the last address of that device', '0000:01:11.5', '0000:01:00.1'],
  ['an address between two virtual functions', '0000:01:10.4', NIC],
  ['an address in another domain', '0001:01:10.1', undefined],
  ['the address of a virtual function', GPU1, undefined],
  ['the address of the physical function', GPU, undefined],
  ['an invalid address', 'x', undefined]
])('finds the device that could create a virtual function at %s', (_, address, physical) => {
  expect(physicalFunctionFor(MACHINE, address)?.address).toBe(physical)
})

test('finds the device that could create a virtual function on the next bus', () => {
  const far = machineWith('virtual-functions', {
    [`${device('0000:01:00.1')}/sriov_offset`]: '384\n',
    [`${device('0000:01:00.1')}/sriov_stride`]: '4\n'
  })
  expect(physicalFunctionFor(far, '0000:02:10.1')?.address).toBe('0000:01:00.1')
  expect(physicalFunctionFor(far, '0000:02:10.5')?.address).toBe('0000:01:00.1')
  expect(physicalFunctionFor(far, '0000:01:10.1')).toBeUndefined()
})

describe('virtualID', () => {
  const found = (machine: Machine, id: string) => {
    const it = virtualID(machine, id)
    return it && [it.virtual, it.physical, it.others].map(addresses)
  }
  const without = machineWith('virtual-functions', {
    [device(GPU1)]: null,
    [device(GPU2)]: null,
    [device(NIC1)]: null,
    [device(NIC2)]: null
  })

  test('returns virtual functions, and a physical function with the same ID', () => {
    expect(found(MACHINE, '8086:4692')).toEqual([[GPU1, GPU2], [GPU], [GPU]])
    // While there are no virtual functions, the ID means the physical function.
    expect(found(without, '8086:4692')).toBeUndefined()
  })
  test('returns virtual functions, or the devices that could create some', () => {
    expect(found(MACHINE, '8086:10ca')).toEqual([[NIC1, NIC2], [NIC], []])
    expect(found(without, '8086:10ca')).toEqual([[], [NIC, '0000:01:00.1'], []])
  })
  test('returns nothing for the ID of other devices', () => {
    expect(found(MACHINE, '8086:10c9')).toBeUndefined()
    expect(found(MACHINE, '10de:1b80')).toBeUndefined()
  })
})

describe('a virtual function of a graphics card', () => {
  test('is neither a card nor a function of a card', () => {
    expect(cardsOf(MACHINE).map(it => addresses(it.functions))).toEqual([[GPU]])
  })
  test('cannot show the screen of the host', () => {
    expect(addresses(remainingDisplays(MACHINE, new Set([GPU])))).toEqual([])
    expect(gates(MACHINE, [GPU])).toEqual([`ONLY_DISPLAY ${GPU}`])
    expect(gates(MACHINE, [GPU1, GPU2])).toEqual([])
    expect(cautionsFor(MACHINE, new Set([GPU1, GPU2]))).toEqual([])
  })
  test("does not show a laptop's panel", () => {
    const firmware = { ...MACHINE.firmware, mux: 'discrete' } as const
    const devices = MACHINE.devices.map(it =>
      it.address === GPU1 ? { ...it, upstreamBridges: ['0000:00:01.0'] } : it
    )
    expect(gates({ ...MACHINE, firmware, devices }, [GPU1])).toEqual([])
  })
  test('prevents the proposal of its card', () => {
    const machine = machineWith('two-identical', {
      [device('0000:0a:00.4')]: '-> ../../../devices/pci0000:00/0000:00:03.2/0000:0a:00.4',
      [`${device('0000:0a:00.4')}/vendor`]: '0x10de\n',
      [`${device('0000:0a:00.4')}/device`]: '0x2484\n',
      [`${device('0000:0a:00.4')}/class`]: '0x030200\n',
      [`${device('0000:0a:00.4')}/physfn`]: '-> ../0000:0a:00.0'
    })
    const card = candidateCards(machine).find(it => it.card.display.address === '0000:0a:00.0')
    expect(card?.verdict).toBe('kept')
    expect(card?.reasons.map(it => it.code)).toEqual(['HAS_VIRTUAL_FUNCTIONS'])
    expect(card?.card.functions).toHaveLength(2)
  })
})

describe('hardware that the host reaches through a virtual function', () => {
  const block = `-> ../../devices/pci0000:00/0000:00:01.0/${NIC1}/nvme/nvme0/nvme0n1`
  const disk = machineWith('virtual-functions', {
    '/sys/class/block/nvme0n1': block,
    '/sys/dev/block/259:0': block,
    '/proc/self/mountinfo': '1 0 259:0 / / rw - ext4 /dev/nvme0n1 rw\n'
  })
  test('a disk is lost with the virtual or the physical function', () => {
    expect(gates(disk, [NIC1])).toContain(`CARRIES_DISK ${NIC1}`)
    expect(gates(disk, [NIC])).toContain(`CARRIES_DISK ${NIC}`)
    expect(gates(disk, [NIC2])).toEqual([])
  })
  test('the only network is lost with the virtual or the physical function', () => {
    const only = machineWith('virtual-functions', {
      '/sys/class/net/enp1s0f0': null,
      '/sys/class/net/enp1s0f1': null
    })
    expect(gates(only, [NIC1])).toEqual([`ONLY_NETWORK ${NIC1}`])
    expect(gates(only, [NIC])).toEqual([`ONLY_NETWORK ${NIC}`])
    expect(gates(only, [NIC2])).toEqual([])
    expect(gates(MACHINE, [NIC1])).toEqual([])
  })
  test('a caution names an interface that is up', () => {
    const up = machineWith('virtual-functions', {
      '/sys/class/net/enp1s0f0/operstate': 'down\n',
      '/sys/class/net/enp1s0f0v0/operstate': 'up\n'
    })
    const cautions = cautionsFor(up, new Set([NIC]))
    expect(cautions).toContainEqual({ code: 'NETWORK_IN_USE', names: ['enp1s0f0v0'] })
  })
})

describe('an IOMMU group', () => {
  const inGroup = (group: number, ...all: string[]) =>
    machineWith(
      'virtual-functions',
      Object.fromEntries(all.map(it => [`${device(it)}/iommu_group`, `-> ../x/${group}`]))
    )
  const shared = (machine: Machine) =>
    iommuGroups(machine).flatMap(it => (it.isShared ? [it.id, ...addresses(it.devices)] : []))

  test('with one virtual function is not shared, even if that is in the slot of its physical function', () => {
    expect(shared(MACHINE)).toEqual([])
    expect(shared(inGroup(2, GPU1))).toEqual(['2', GPU, GPU1])
    expect(shared(inGroup(12, NIC1, NIC2))).toEqual(['12', NIC1, NIC2])
  })
  test('with a physical function that has a host driver prevents passing its virtual function through', () => {
    const machine = inGroup(2, GPU1)
    expect(addresses(otherGroupMembers(machine, new Set([GPU1])))).toEqual([GPU])
    const own = virtualCandidatesOf(machine).map(it => [
      it.device.address,
      it.verdict,
      ...it.reasons.map(at => at.code)
    ])
    expect(own).toEqual([
      [GPU1, 'kept', 'SHARED_GROUP'],
      [GPU2, 'free'],
      [NIC1, 'free'],
      [NIC2, 'free']
    ])
  })
  test('with a second virtual function prevents passing one through only if the second has a host driver', () => {
    const machine = inGroup(12, NIC1, NIC2)
    expect(addresses(otherGroupMembers(machine, new Set([NIC2])))).toEqual([NIC1])
    expect(addresses(otherGroupMembers(machine, new Set([NIC1])))).toEqual([])
  })
  test("has no other members if the other devices are the device's own virtual functions", () => {
    const machine = inGroup(5, NIC1)
    expect(addresses(otherGroupMembers(machine, new Set([NIC])))).toEqual([])
  })
})

test('sameIdDevices includes virtual functions, except those of passed devices', () => {
  const twins = (...passed: string[]) => addresses(sameIdDevices(MACHINE, new Set(passed)))
  // A device's own virtual functions are lost with it.
  expect(twins(GPU)).toEqual([])
  expect(twins(NIC)).toEqual(['0000:01:00.1'])
  expect(twins(GPU1)).toEqual([])
  const other = { ...at(MACHINE, GPU), address: '0000:03:00.0' }
  const two = { ...MACHINE, devices: [...MACHINE.devices, other] }
  expect(addresses(sameIdDevices(two, new Set(['0000:03:00.0', GPU1])))).toEqual([GPU, GPU1, GPU2])
})

test.each([
  ['vfio-pci', true],
  ['pci-stub', true],
  ['mlx5_vfio_pci', true],
  ['xe-vfio-pci', true],
  ['i915', false],
  ['vfio-pci-old', false],
  [undefined, false]
])('isForGuests for the driver %s returns %s', (driver, expected) => {
  const { driver: _, ...rest } = at(MACHINE, GPU1)
  expect(isForGuests(driver === undefined ? rest : { ...rest, driver })).toBe(expected)
})
