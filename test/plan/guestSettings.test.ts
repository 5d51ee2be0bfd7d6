// The settings that follow from a guest's needs, as far as the configuration and the machine allow.

import { expect, test } from 'vitest'
import { deriveNeeds } from '../../src/guests/needs/needs.ts'
import type { Machine, PciDevice } from '../../src/machine/machine.ts'
import { parseDocument } from '../../src/nix/index.ts'
import { managedVirtualFunctions } from '../../src/plan/guestDevices.ts'
import { type GuestHost, settingsForGuest } from '../../src/plan/guestSettings.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { documentOf } from '../guests/support/text.ts'
import { machineCalled } from '../machine/support/machines.ts'

const X570 = machineCalled('x570-two-makers')

/** The settings for a guest with only these needs, and the codes of the notes. */
function resultFor(
  inner: string,
  more: {
    requested?: Settings
    configuration?: string
    machine?: Machine | undefined
    prefix?: string[]
  } = {}
) {
  const { requested = {}, configuration = '{ }', prefix = [] } = more
  const host: GuestHost = {
    machine: 'machine' in more ? more.machine : X570,
    configuration: parseDocument(configuration),
    prefix,
    texts: [configuration]
  }
  const xml = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name>${inner}</domain>`
  const { settings, devices, notes } = settingsForGuest(
    'a',
    deriveNeeds(documentOf(xml).root),
    requested,
    host
  )
  const { guests, ...rest } = settings
  return {
    settings: rest,
    ...(guests?.[0]?.hostCPUs === undefined ? {} : { hostCPUs: guests[0].hostCPUs }),
    ...(devices.length > 0 ? { devices } : {}),
    notes: notes.map(it => it.code)
  }
}

const hostdev = (bus: number, managed = 'yes') =>
  `<devices><hostdev type='pci' managed='${managed}'><source><address bus='${bus}'/></source></hostdev></devices>`
const args = (...words: string[]) =>
  `<qemu:commandline>${words.map(it => `<qemu:arg value='${it}'/>`).join('')}</qemu:commandline>`
const pages = (size: string) =>
  `<memory unit='GiB'>4</memory><memoryBacking><hugepages><page size='${size}'/></hugepages></memoryBacking>`
const evdev = args('-object', 'input-linux,id=k,evdev=/dev/input/event0,foo=bar')

test('requested settings take precedence, and needs are added to requested lists', () => {
  const requested: Settings = {
    users: ['alice'],
    sharedMemoryFiles: [{ name: 'lg', mode: '0600' }],
    deviceACL: ['/dev/a'],
    hugepages: { pageSize: '2M', numPages: 7 }
  }
  const shmem = "<devices><shmem name='lg'/><shmem name='scream'/></devices>"
  expect(resultFor(shmem + pages('1048576') + evdev, { requested })).toEqual({
    settings: {
      ...requested,
      sharedMemoryFiles: [{ name: 'lg', mode: '0600' }, { name: 'scream' }],
      deviceACL: ['/dev/input/event0', '/dev/a']
    },
    notes: []
  })
})

test('omits devices that the configuration already passes through', () => {
  const after = (configuration: string, prefix: string[] = []) =>
    resultFor(hostdev(1), { configuration, prefix }).devices
  expect(after('{ }')).toEqual(['0000:01:00.0'])
  expect(after('{ virtualisation.vfio.devices = [ "10DE:1B80" ]; }')).toBeUndefined()
  expect(after('{ virtualisation.vfio.addresses = [ "0000:01:00.0" ]; }')).toBeUndefined()
  const entry =
    '{ virtualisation.vfio.addresses = [ { address = "0000:01:00.0"; id = "10de:1b80"; } ]; }'
  const special = `{ specialisation.vfio.configuration = ${entry}; }`
  expect(after(special)).toEqual(['0000:01:00.0'])
  expect(after(special, ['specialisation', 'vfio', 'configuration'])).toBeUndefined()
})

test('includes virtual functions even if the configuration passes through devices with the same ID', () => {
  const machine = machineCalled('virtual-functions')
  const address = (bus: number, slot: number, part: number) =>
    `<source><address bus='${bus}' slot='${slot}' function='${part}'/></source>`
  const of = (inner: string, configuration = '{ }') =>
    resultFor(`<devices>${inner}</devices>`, { machine, configuration })
  const first = `<hostdev type='pci'>${address(0, 2, 1)}</hostdev>`
  expect(of(first)).toEqual({
    settings: {},
    devices: ['0000:00:02.1'],
    // The rest of its card is not included.
    notes: ['VIRTUAL_FUNCTIONS_UNMADE']
  })
  const given = '{ virtualisation.vfio = { bindAtBoot = false; devices = [ "8086:4692" ]; }; }'
  expect(of(first, given)).toEqual(of(first))
  const missing = `<hostdev type='pci'>${address(0, 2, 7)}</hostdev>`
  expect(of(missing)).toEqual({ settings: {}, notes: ['VIRTUAL_FUNCTION_MISSING'] })
  expect(of(missing.replace("'7'", "'0'").replace("slot='2'", "slot='3'")).notes).toEqual([
    'DEVICE_MISSING'
  ])
  const card = (inner: string) => `<interface type='hostdev'>${inner}</interface>`
  expect(of(card(address(1, 0, 1)))).toEqual({
    settings: {},
    devices: ['0000:01:00.1'],
    notes: ['INTERFACE_NOT_VIRTUAL']
  })
})

test('notes an unmanaged virtual function unless vfio-pci has it, or it is reserved for vfio-pci', () => {
  const machine = machineCalled('virtual-functions')
  const of = (managed: string, more: Partial<PciDevice> = {}) => {
    const inner = `<hostdev type='pci'${managed}><source><address slot='2' function='1'/></source></hostdev>`
    const devices = machine.devices.map(it =>
      it.address === '0000:00:02.1' ? { ...it, ...more } : it
    )
    const { root } = documentOf(
      `<domain type='kvm'><name>a</name><devices>${inner}</devices></domain>`
    )
    const needs = deriveNeeds(root)
    const { notes } = resultFor(`<devices>${inner}</devices>`, {
      machine: { ...machine, devices },
      configuration: '{ /* */ x = "sriov_numvfs"; }'
    })
    return [notes, [...managedVirtualFunctions(needs, { ...machine, devices })]]
  }
  const no = " managed='no'"
  const [own, vfio] = [['0000:00:02.1'], { driver: 'vfio-pci' }]
  expect(of('')).toEqual([[], own])
  expect(of('', vfio)).toEqual([[], own])
  expect(of(no)).toEqual([['NOT_MANAGED'], own])
  expect(of(no, { driver: 'i915' })).toEqual([['NOT_MANAGED'], own])
  expect(of(no, vfio)).toEqual([[], []])
  expect(of(no, { reservedFor: 'vfio-pci' })).toEqual([[], []])
  // An NVIDIA vGPU has to keep the driver that makes it a vGPU.
  expect(of(no, { driver: 'nvidia' })).toEqual([[], []])
  expect(of('', { driver: 'nvidia' })).toEqual([[], []])
})

test('has no note about the device of an interface if the machine is unknown', () => {
  const inner = (name: string) =>
    `<devices><${name} type='${name === 'hostdev' ? 'pci' : 'hostdev'}'><source><address bus='1'/></source></${name}></devices>`
  expect(resultFor(inner('interface'), { machine: undefined }).notes).toEqual([])
  expect(resultFor(inner('hostdev'), { machine: undefined }).notes).toEqual(['DEVICES_UNSEEN'])
})

test.each([
  ['systemd.tmpfiles.rules = [ "w /sys/x/sriov_numvfs - - - - 7" ];', true],
  ['systemd.network.links.x.linkConfig.SR-IOVVirtualFunctions = 4;', true],
  ['boot.extraModprobeConfig = "options igb max_vfs=2";', true],
  ['boot.kernelParams = [ "igb.max_vfs=2" ];', true],
  ['boot.kernelParams = [ "i915.max_vfs=7" "xe.max_vfs=7" ];', false],
  ['# echo 7 > sriov_numvfs', false]
])('whether %s counts as creating virtual functions: %s', (text, expected) => {
  const inner =
    "<devices><hostdev type='pci'><source><address slot='2' function='1'/></source></hostdev></devices>"
  const { notes } = resultFor(inner, {
    machine: machineCalled('virtual-functions'),
    configuration: `{\n${text}\n}`
  })
  expect(notes).toEqual(expected ? [] : ['VIRTUAL_FUNCTIONS_UNMADE'])
})

test('notes unmanaged devices if bindAtBoot is false', () => {
  const requested: Settings = { bindAtBoot: false }
  const configuration = '{ virtualisation.vfio.bindAtBoot = false; }'
  expect(resultFor(hostdev(1, 'no'), { requested }).notes).toContain('NOT_MANAGED')
  expect(resultFor(hostdev(1, 'no'), { configuration }).notes).toContain('NOT_MANAGED')
  expect(resultFor(hostdev(1), { requested }).notes).not.toContain('NOT_MANAGED')
  expect(resultFor(hostdev(1, 'no')).notes).not.toContain('NOT_MANAGED')
})

test('adds the VFIO group of a device in a QEMU argument to deviceACL', () => {
  expect(resultFor(args('-device', 'vfio-pci,host=01:00.0'))).toEqual({
    settings: { deviceACL: ['/dev/vfio/vfio', '/dev/vfio/14'] },
    devices: ['0000:01:00.0'],
    notes: ['DEVICE_ARGUMENT', 'FUNCTIONS_LEFT']
  })
})

test('notes a guest with input devices if QEMU does not run as root', () => {
  const configuration = '{ virtualisation.libvirtd.qemu.runAsRoot = false; }'
  expect(resultFor(evdev, { configuration }).notes).toEqual(['INPUT_GROUP'])
  expect(resultFor(evdev).notes).toEqual([])
})

test('notes a path that deviceACL does not accept', () => {
  const node = args('-drive', 'file=/dev/../etc/shadow')
  expect(resultFor(node)).toEqual({ settings: {}, notes: ['NODE_UNUSABLE'] })
})

test('notes huge pages of 1 GiB if the processor does not support them', () => {
  const cpu = { ...X570.cpu, hasHugePages1G: false }
  expect(resultFor(pages('1048576'), { machine: { ...X570, cpu } })).toEqual({
    settings: {},
    notes: ['PAGES_1G_MISSING']
  })
  expect(resultFor(pages('1048576')).settings).toEqual({
    hugepages: { pageSize: '1G', numPages: 4 }
  })
})

test('uses the configured page size if the guest sets no page size', () => {
  const backing = "<memory unit='GiB'>4</memory><memoryBacking><hugepages/></memoryBacking>"
  const configuration =
    '{ virtualisation.hugepages = { enable = true; pageSize = "1G"; numPages = 2; }; }'
  expect(resultFor(backing, { configuration }).settings).toEqual({
    hugepages: { pageSize: '1G', numPages: 4 }
  })
})

test('uses only the needs of the guest if the machine is unknown', () => {
  const pins = "<cputune><vcpupin vcpu='0' cpuset='2-3'/></cputune>"
  const guest = `<memory unit='GiB'>999</memory>${pins}${hostdev(1)}`
  expect(resultFor(guest, { machine: undefined })).toEqual({
    settings: {},
    notes: ['DEVICES_UNSEEN', 'HOST_CPUS_UNKNOWN']
  })
})

test('the host keeps all processors except those to which only virtual CPUs are pinned', () => {
  const tune = (inner: string) => `<cputune><vcpupin vcpu='0' cpuset='2-9'/>${inner}</cputune>`
  expect(resultFor(tune(''))).toMatchObject({ hostCPUs: '0-1,10-15', notes: ['HOST_CPUS'] })
  expect(resultFor(tune("<emulatorpin cpuset='0,2'/>"))).toMatchObject({ hostCPUs: '0-2,10-15' })
  expect(resultFor(tune("<iothreadpin iothread='1' cpuset='9'/>"))).toMatchObject({
    hostCPUs: '0-1,9-15'
  })
  const setting = (value: string) => `{ virtualisation.vfio.guests.a.hostCPUs = "${value}"; }`
  expect(resultFor(tune(''), { configuration: setting('0,1,10-15') }).notes).toEqual([])
  expect(resultFor(tune(''), { configuration: setting('0') }).notes).toEqual(['HOST_CPUS_OTHER'])
})

test('notes kvmfr devices of other sizes in the configuration', () => {
  const guest = args('-object', 'memory-backend-file,id=a,mem-path=/dev/kvmfr0,size=64M')
  const devices = (inner: string) => `{ virtualisation.kvmfr.devices = [ ${inner} ]; }`
  expect(resultFor(guest).notes).toEqual([])
  expect(resultFor(guest, { configuration: devices('{ size = 64; }') }).notes).toEqual([])
  expect(resultFor(guest, { configuration: devices('{ size = 32; }') }).notes).toEqual([
    'KVMFR_SAID'
  ])
})

test('notes host interfaces that the guest uses', () => {
  const card = (dev: string) =>
    resultFor(`<devices><interface type='direct'><source dev='${dev}'/></interface></devices>`)
      .notes
  expect(card('enp6s0')).toEqual(['INTERFACE'])
})

test("has no note about libvirt's default network", () => {
  const network =
    "<devices><interface type='network'><source network='default'/></interface></devices>"
  expect(resultFor(network)).toEqual({ settings: {}, notes: [] })
})

test('accepts a bridge that the machine has or that the configuration names outside comments', () => {
  const bridge = "<devices><interface type='bridge'><source bridge='br0'/></interface></devices>"
  const notes = (configuration: string, bridges: string[] = []) =>
    resultFor(bridge, { configuration, machine: { ...X570, bridges } }).notes
  expect(notes('{ }')).toEqual(['BRIDGE_MISSING'])
  expect(notes('{\n  # br0\n}')).toEqual(['BRIDGE_MISSING'])
  expect(notes('{ x = "br01"; }')).toEqual(['BRIDGE_MISSING'])
  expect(notes('{ }', ['br0'])).toEqual([])
  expect(notes('{ }', ['bridge1'])).toEqual(['BRIDGE_MISSING'])
  expect(notes('{ systemd.network.netdevs.a.netdevConfig.Name = "br0"; }')).toEqual([])
})
