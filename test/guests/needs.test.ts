// What a domain requires of its host.

import { expect, test } from 'vitest'
import { modernize } from '../../src/guests/modernize/modernize.ts'
import {
  deriveNeeds,
  type Needs,
  printCpuSet,
  readCpuSet,
  readSize
} from '../../src/guests/needs/needs.ts'
import { guestXml } from './support/guests.ts'
import { documentOf } from './support/text.ts'

/** The needs of a domain after `modernize`, without empty ones. */
function needsOf(xml: string) {
  const { root } = modernize(documentOf(xml).root, { uuid: () => '', mac: () => '' })
  const needs = deriveNeeds(root)
  const isNeeded = ([, value]: [string, unknown]) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false
  const { pins, ...rest } = Object.fromEntries(
    Object.entries(needs).filter(isNeeded)
  ) as Partial<Needs>
  const named = pins && Object.values(pins).some(it => it.length > 0)
  return named ? { ...rest, pins } : rest
}

const domain = (inner: string) =>
  `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name>${inner}</domain>`
const devices = (inner: string) => needsOf(domain(`<devices>${inner}</devices>`)).devices ?? []
const args = (...words: string[]) =>
  domain(
    `<qemu:commandline>${words.map(it => `<qemu:arg value='${it}'/>`).join('')}</qemu:commandline>`
  )

test('derives memory, processors, CPU pins, devices, shared files and networks', () => {
  expect(needsOf(guestXml('seed-win10'))).toEqual({
    memory: 16777216,
    processors: 12,
    pins: {
      guest: [2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15],
      helpers: [0, 1, 8, 9],
      allowed: []
    },
    devices: [
      { address: '0000:01:00.0', as: 'hostdev', isManaged: true },
      { address: '0000:01:00.1', as: 'hostdev', isManaged: true }
    ],
    sharedFiles: ['looking-glass', 'scream'],
    networks: ['default']
  })
})

test('derives huge pages of two sizes, and CPU pins', () => {
  expect(needsOf(guestXml('hugepages'))).toEqual({
    memory: 33554432,
    processors: 8,
    pins: { guest: [4, 5], helpers: [2, 3], allowed: [0, 1, 2, 3, 4, 5, 6, 7] },
    pageSizes: [1048576, 2048]
  })
})

test('derives kvmfr devices with their size', () => {
  expect(needsOf(guestXml('kvmfr'))).toEqual({
    memory: 20971520,
    processors: 14,
    devices: [{ address: '0000:03:00.0', as: 'hostdev', isManaged: false, isUnmanaged: true }],
    kvmfr: [{ number: 0, size: 128 }]
  })
})

test('derives the PCI devices of hostdevs, NVMe disks and network interfaces, but no USB or mediated devices', () => {
  expect(needsOf(guestXml('nvme'))).toEqual({
    memory: 8388608,
    processors: 6,
    devices: [
      { address: '0000:42:00.0', as: 'hostdev', isManaged: true },
      { address: '0000:41:00.0', as: 'disk', isManaged: true },
      { address: '0000:0a:10.0', as: 'interface', isManaged: true }
    ]
  })
})

test('derives bridges and interfaces of the host', () => {
  expect(needsOf(guestXml('two-gpus'))).toEqual({
    memory: 50331648,
    processors: 24,
    devices: [
      { address: '0000:21:00.0', as: 'hostdev', isManaged: true },
      { address: '0000:4b:00.0', as: 'hostdev', isManaged: true }
    ],
    bridges: ['br0'],
    interfaces: ['enp5s0']
  })
})

test('derives nothing for evdev inputs, which libvirt allows', () => {
  expect(needsOf(guestXml('evdev-arguments'))).toEqual({ memory: 12582912, processors: 8 })
  expect(needsOf(guestXml('evdev-input'))).toEqual({ memory: 25165824, processors: 16 })
})

test('recognizes an emulated TPM', () => {
  expect(needsOf(guestXml('secure-boot')).hasTpm).toBe(true)
  const passed = "<devices><tpm><backend type='passthrough'/></tpm></devices>"
  expect(needsOf(domain(passed)).hasTpm).toBeUndefined()
})

test('parses PCI addresses in decimal, octal and hexadecimal', () => {
  const at = (address: string) =>
    devices(`<hostdev type='pci'><source><address ${address}/></source></hostdev>`)[0]?.address
  expect(at("domain='0x0000' bus='0x0a' slot='0x1f' function='0x7'")).toBe('0000:0a:1f.7')
  expect(at("domain='0' bus='10' slot='16' function='0'")).toBe('0000:0a:10.0')
  expect(at("bus='010'")).toBe('0000:08:00.0')
  expect(at("domain='0x10000' bus='1' slot='0' function='0'")).toBe('10000:01:00.0')
  for (const wrong of ["bus='0x1zz'", "bus='256'", "bus='1' slot='32'", "bus='1' function='8'"]) {
    expect(at(wrong)).toBeUndefined()
  }
})

test('lists a device once if several elements name it', () => {
  const once = "<source><address bus='1' slot='0' function='0'/></source>"
  const named = `<hostdev type='pci'>${once}</hostdev><disk type='nvme'>${once}</disk>`
  expect(devices(named)).toEqual([{ address: '0000:01:00.0', as: 'hostdev', isManaged: false }])
})

test('finds vfio-pci devices in QEMU arguments, which may be property lists or JSON', () => {
  const found = (value: string) => needsOf(args('-device', value)).devices
  const device = [{ address: '0000:01:00.0', as: 'argument', isManaged: false }]
  expect(found('vfio-pci,host=01:00.0,multifunction=on')).toEqual(device)
  expect(found('{"driver":"vfio-pci","host":"0000:01:00.0"}')).toEqual(device)
  expect(found('vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:01:00.0')).toEqual(device)
  expect(found('vfio-pci,sysfsdev=/sys/bus/mdev/devices/aa618089')).toBeUndefined()
})

test('finds device nodes in QEMU arguments', () => {
  const nodes = (...words: string[]) => needsOf(args(...words)).deviceNodes
  expect(
    nodes('-object', 'input-linux,id=k,evdev=/dev/input/by-path/pci-0000:0c:00.3-usb-event-kbd,x=1')
  ).toEqual(['/dev/input/by-path/pci-0000:0c:00.3-usb-event-kbd'])
  expect(nodes('-drive', 'file=/dev/sdb,if=none', '-serial', '/dev/ttyUSB0')).toEqual([
    '/dev/sdb',
    '/dev/ttyUSB0'
  ])
  expect(nodes('-object', '{"qom-type":"rng-random","filename":"/dev/hwrng"}')).toEqual([
    '/dev/hwrng'
  ])
  for (const known of ['/dev/kvm', '/dev/urandom', '/dev/vfio/14', '/dev/shm/a', '/mnt/dev/sda']) {
    expect(nodes('-foo', `file=${known}`)).toBeUndefined()
  }
})

test('finds shared memory files in QEMU arguments that <shmem> cannot express', () => {
  const backend = 'memory-backend-file,id=m,mem-path=/dev/shm/lg,size=32M,share=on,prealloc=on'
  const { sharedFiles } = needsOf(args('-object', backend, '-device', 'ivshmem-plain,memdev=m'))
  expect(sharedFiles).toEqual(['lg'])
})

test('finds no shared memory file if a server provides the memory', () => {
  const shmem = (inner: string) => `<devices><shmem name='a'>${inner}</shmem></devices>`
  expect(needsOf(domain(shmem("<model type='ivshmem-doorbell'/>"))).sharedFiles).toBeUndefined()
  expect(needsOf(domain(shmem('<server path="/tmp/s"/>'))).sharedFiles).toBeUndefined()
  expect(needsOf(domain(shmem(''))).sharedFiles).toEqual(['a'])
})

test('returns an undefined size for kvmfr memory that is not a multiple of 1 MiB', () => {
  const { kvmfr } = needsOf(
    args('-object', 'memory-backend-file,id=m,mem-path=/dev/kvmfr1,size=5K')
  )
  expect(kvmfr).toEqual([{ number: 1, size: undefined }])
})

test('ignores pins of vCPUs that the guest does not have', () => {
  const pin = (vcpu: number, cpuset: string) => `<vcpupin vcpu='${vcpu}' cpuset='${cpuset}'/>`
  const tune = `<cputune>${pin(0, '4-5,')}${pin(1, '6-7,^7')}${pin(2, '8')}</cputune>`
  const needs = (vcpu: string) => deriveNeeds(documentOf(domain(`${vcpu}${tune}`)).root).pins.guest
  expect(needs("<vcpu current='1'>2</vcpu>")).toEqual([4, 5, 6])
  expect(needs('')).toEqual([4, 5, 6, 8])
})

test('returns an undefined page size for huge pages without a size', () => {
  const backing = '<memory>8</memory><memoryBacking><hugepages/></memoryBacking>'
  expect(needsOf(domain(backing)).pageSizes).toEqual([undefined])
})

test.each([
  ['16777216', undefined, 16777216],
  ['16', 'GiB', 16777216],
  ['16', 'g', 16777216],
  ['1000', 'MB', 976563],
  ['2048', 'bytes', 2],
  ['1', 'b', 1],
  ['16', 'parsec', undefined],
  ['0x10', 'GiB', undefined],
  ['99999999999999999999', 'E', undefined]
])('reads %s %s as %s KiB', (text, unit, size) => {
  expect(readSize(text, unit)).toBe(size)
})

test.each([
  ['0-3,8', [0, 1, 2, 3, 8]],
  ['0-7,^3', [0, 1, 2, 4, 5, 6, 7]],
  ['^3,0-7', [0, 1, 2, 3, 4, 5, 6, 7]],
  [' 2 , 1 ', [1, 2]],
  ['0 - 3, ', [0, 1, 2, 3]],
  ['0 1', undefined],
  ['0-3,^1-2', undefined],
  ['0,,3', undefined],
  ['3-1', undefined],
  ['a', undefined],
  ['', undefined]
])('reads the CPU set %j', (text, numbers) => {
  expect(readCpuSet(text)).toEqual(numbers)
})

test('formats CPU numbers as ranges', () => {
  expect(printCpuSet([9, 0, 1, 8, 3])).toBe('0-1,3,8-9')
  expect(printCpuSet([])).toBe('')
})
