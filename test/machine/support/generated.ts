// Generated machines, and the devices that the host needs.

import fc from 'fast-check'
import type { Machine } from '../../../src/machine/machine.ts'
import { readMachine } from '../../../src/machine/read/machine.ts'
import { sourceFrom } from './tree.ts'

export interface Generated {
  machine: Machine
  /** The source of the machine. */
  tree: Record<string, string>
  /** The addresses of all devices except bridges. */
  endpoints: string[]
  /** The device ID of each address. */
  ids: Map<string, string>
  /** The addresses that lead to the system disk. */
  disks: Set<string>
  /** The network cards that the host uses. */
  networks: Set<string>
  /** The addresses with keyboards; there are no others. */
  keyboards: Set<string>
  /** The display devices that are not bound for guests. */
  displays: Set<string>
}

type Kind = 'gpu' | 'nvme' | 'sata' | 'nic' | 'usb'

interface Slot {
  kind: Kind
  maker: number
  functions: number
  group: number
  isBound: boolean
  bootVga: boolean
  monitor: boolean
}

interface Plan {
  hasIommu: boolean
  slots: Slot[]
  /** The number of disks of the root file system, and the layers on them. */
  members: number
  layer: 'none' | 'dm' | 'md' | 'both'
  keyboardAt: number
}

const slot: fc.Arbitrary<Slot> = fc.record({
  kind: fc.constantFrom<Kind>('gpu', 'gpu', 'nvme', 'sata', 'nic', 'usb'),
  maker: fc.nat(2),
  functions: fc.integer({ min: 1, max: 3 }),
  group: fc.nat(20),
  isBound: fc.boolean(),
  bootVga: fc.boolean(),
  monitor: fc.boolean()
})

export const generated: fc.Arbitrary<Generated> = fc
  .record({
    hasIommu: fc.constantFrom(true, true, true, false),
    slots: fc.array(slot, { minLength: 2, maxLength: 7 }),
    members: fc.integer({ min: 1, max: 2 }),
    layer: fc.constantFrom<Plan['layer']>('none', 'dm', 'md', 'both'),
    keyboardAt: fc.nat(3)
  })
  .map(make)

const CLASSES: Record<Kind, string> = {
  gpu: '0x030000',
  nvme: '0x010802',
  sata: '0x010601',
  nic: '0x020000',
  usb: '0x0c0330'
}
const DRIVERS: Record<Kind, string> = {
  gpu: 'amdgpu',
  nvme: 'nvme',
  sata: 'ahci',
  nic: 'igb',
  usb: 'xhci_hcd'
}
const VENDORS = ['10de', '1002', '8086']

function make(plan: Plan): Generated {
  const tree: Record<string, string> = { '/sys/firmware/acpi/tables/IVRS': '' }
  const ids = new Map<string, string>()
  const found = { disks: [] as string[], usb: [] as string[] }
  const networks = new Set<string>()
  const displays = new Set<string>()
  const blocks: { name: string; address: string }[] = []
  for (const [i, it] of plan.slots.entries()) {
    const port = `0000:00:0${i + 1}.0`
    addDevice(tree, port, '', ['1022', '1483', '0x060400'], 'pcieport')
    // The other functions of a card have other classes.
    const count = it.kind === 'gpu' ? it.functions : 1
    for (let n = 0; n < count; n++) {
      const address = `0000:0${i + 1}:00.${n}`
      const code = n === 0 ? CLASSES[it.kind] : n === 1 ? '0x040300' : '0x0c0330'
      const vendor = VENDORS[it.maker] ?? ''
      // A small range of numbers, so that some devices have the same ID.
      const device = `${it.kind === 'gpu' ? '1' : '2'}00${n}`
      const isBound = it.isBound && it.kind === 'gpu' && it.group === 0
      const driver = isBound ? 'vfio-pci' : n === 0 ? DRIVERS[it.kind] : 'snd_hda_intel'
      addDevice(tree, address, `${port}/`, [vendor, device, code], driver)
      ids.set(address, `${vendor}:${device}`)
      if (plan.hasIommu) {
        tree[`/sys/bus/pci/devices/${address}/iommu_group`] = `-> ../x/${it.group}`
        tree[`/sys/kernel/iommu_groups/${it.group}`] = ''
      }
      if (n > 0) continue
      const inner = `pci0000:00/${port}/${address}`
      if (it.kind === 'gpu') {
        tree[`/sys/bus/pci/devices/${address}/boot_vga`] = it.bootVga ? '1\n' : '0\n'
        tree[`/sys/class/drm/card${i}/device`] = `-> ../../../${address}`
        tree[`/sys/class/drm/card${i}-DP-1/status`] = it.monitor ? 'connected\n' : 'disconnected\n'
        if (!isBound) displays.add(address)
      }
      if (it.kind === 'nic') {
        tree[`/sys/class/net/net${i}`] = `-> ../../devices/${inner}/net/net${i}`
        networks.add(address)
      }
      if (it.kind === 'usb') found.usb.push(address)
      if (it.kind === 'nvme' || it.kind === 'sata') {
        const name = `disk${i}`
        tree[`/sys/class/block/${name}`] = `-> ../../devices/${inner}/x/block/${name}`
        tree[`/sys/dev/block/8:${i}`] = `-> ../../devices/${inner}/x/block/${name}`
        blocks.push({ name, address })
      }
    }
  }
  const members = blocks.slice(0, plan.layer === 'md' || plan.layer === 'both' ? plan.members : 1)
  if (members.length > 0)
    addRoot(
      tree,
      plan,
      members.map(it => it.name)
    )
  const plug = found.usb[plan.keyboardAt % Math.max(1, found.usb.length)]
  if (plug !== undefined) addKeyboard(tree, plug)
  return {
    machine: readMachine(sourceFrom(tree)),
    tree,
    endpoints: [...ids.keys()],
    ids,
    disks: new Set(members.map(it => it.address)),
    networks,
    keyboards: new Set(plug === undefined ? [] : [plug]),
    displays
  }
}

function addDevice(
  tree: Record<string, string>,
  address: string,
  bridgePath: string,
  [vendor, device, code]: [string, string, string],
  driver: string
): void {
  const folder = `/sys/bus/pci/devices/${address}`
  tree[folder] = `-> ../../../devices/pci0000:00/${bridgePath}${address}`
  tree[`${folder}/vendor`] = `0x${vendor}\n`
  tree[`${folder}/device`] = `0x${device}\n`
  tree[`${folder}/class`] = `${code}\n`
  tree[`${folder}/driver`] = `-> ../../../../bus/pci/drivers/${driver}`
}

/** The root file system: on a disk, or on mappings and arrays of disks. */
function addRoot(tree: Record<string, string>, { layer }: Plan, members: string[]): void {
  const number = tree[`/sys/class/block/${members[0]}`] ?? ''
  if (layer === 'none') {
    const at = /disk(\d+)$/.exec(number)?.[1]
    tree['/proc/self/mountinfo'] = `1 0 8:${at} / / rw - ext4 /dev/${members[0]} rw\n`
    return
  }
  const array = layer === 'dm' ? 'dm-0' : 'md0'
  const top = layer === 'both' ? 'dm-9' : array
  for (const it of members) tree[`/sys/class/block/${array}/slaves/${it}`] = ''
  tree[`/sys/class/block/${array}`] = `-> ../../devices/virtual/block/${array}`
  if (top !== array) {
    tree[`/sys/class/block/${top}`] = `-> ../../devices/virtual/block/${top}`
    tree[`/sys/class/block/${top}/slaves/${array}`] = ''
  }
  tree['/sys/dev/block/254:0'] = `-> ../../devices/virtual/block/${top}`
  tree['/proc/self/mountinfo'] = `1 0 254:0 / / rw - ext4 /dev/x rw\n`
}

function addKeyboard(tree: Record<string, string>, address: string): void {
  const port = address.replace(/^0000:0(\d):00\.0$/, '0000:00:0$1.0')
  tree['/proc/bus/input/devices'] = [
    'N: Name="Keyboard"',
    `S: Sysfs=/devices/pci0000:00/${port}/${address}/usb1/1-1/1-1:1.0/0003:1/input/input1`,
    'H: Handlers=kbd event1',
    'B: EV=120013',
    'B: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe',
    ''
  ].join('\n')
}
