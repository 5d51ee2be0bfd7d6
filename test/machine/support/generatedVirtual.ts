// The machines of generated.ts, with virtual functions of some devices.

import fc from 'fast-check'
import type { Machine } from '../../../src/machine/machine.ts'
import { readMachine } from '../../../src/machine/read/machine.ts'
import { type Generated, generated } from './generated.ts'
import { sourceFrom } from './tree.ts'

export interface GeneratedVirtual {
  machine: Machine
  /** The machine without its virtual functions. */
  base: Generated
  /** The address of the physical function of each virtual function. */
  virtual: Map<string, string>
  /** The addresses of all devices except bridges. */
  endpoints: string[]
  /** The device ID of each address. */
  ids: Map<string, string>
  /** The addresses that lead to the system disk, including virtual functions. */
  disks: Set<string>
  /** For each network, the devices that lead to it. */
  networks: string[][]
  /** The virtual functions in whose group no other device has a host driver. */
  alone: Set<string>
}

interface Batch {
  of: number
  count: number
  hasOwnID: boolean
  /** True if they are in the slot of their physical function. */
  isInSlot: boolean
  group: 'own' | 'physical' | 'together'
  driver: 'none' | 'host' | 'vfio-pci'
  use: 'none' | 'network' | 'disk'
}

const batch: fc.Arbitrary<Batch> = fc.record({
  of: fc.nat(),
  count: fc.integer({ min: 1, max: 3 }),
  hasOwnID: fc.boolean(),
  isInSlot: fc.boolean(),
  group: fc.constantFrom<Batch['group']>('own', 'own', 'physical', 'together'),
  driver: fc.constantFrom<Batch['driver']>('none', 'host', 'vfio-pci'),
  use: fc.constantFrom<Batch['use']>('none', 'none', 'network', 'disk')
})

export const generatedVirtual: fc.Arbitrary<GeneratedVirtual> = fc
  .tuple(generated, fc.array(batch, { minLength: 1, maxLength: 3 }))
  .map(([base, batches]) => make(base, batches))

function make(base: Generated, batches: readonly Batch[]): GeneratedVirtual {
  const tree = { ...base.tree }
  const virtual = new Map<string, string>()
  const ids = new Map(base.ids)
  const disks = new Set(base.disks)
  const networks = [...base.networks].map(it => [it])
  const mounts = [base.tree['/proc/self/mountinfo'] ?? '']
  // A device bound to vfio-pci has no virtual functions.
  const physical = base.machine.devices
    .filter(it => it.address.endsWith('.0') && base.ids.has(it.address))
    .filter(it => it.driver !== 'vfio-pci')
    .map(it => it.address)
  for (const [i, it] of batches.entries()) {
    const of = physical[it.of % Math.max(1, physical.length)]
    if (of === undefined || [...virtual.values()].includes(of)) continue
    for (let n = 0; n < it.count; n++) {
      const address = it.isInSlot
        ? of.replace(/0$/, String(4 + n))
        : of.replace(/:00\.0$/, `:10.${n}`)
      const inner = `pci0000:00/${of.replace(/^0000:0(\d):00\.0$/, '0000:00:0$1.0')}/${address}`
      const folder = `/sys/bus/pci/devices/${address}`
      const own = `/sys/bus/pci/devices/${of}`
      const [vendor = '', number = ''] = (base.ids.get(of) ?? '').split(':')
      const device = it.hasOwnID ? `3${number.slice(1)}` : number
      tree[folder] = `-> ../../../devices/${inner}`
      tree[`${folder}/physfn`] = `-> ../${of}`
      tree[`${folder}/vendor`] = `0x${vendor}\n`
      tree[`${folder}/device`] = `0x${device}\n`
      tree[`${folder}/class`] = tree[`${own}/class`] ?? ''
      if (tree[`${own}/boot_vga`] !== undefined) tree[`${folder}/boot_vga`] = '0\n'
      const driver = it.driver === 'host' ? tree[`${own}/driver`] : undefined
      if (driver !== undefined) tree[`${folder}/driver`] = driver
      if (it.driver === 'vfio-pci') tree[`${folder}/driver`] = '-> ../../bus/pci/drivers/vfio-pci'
      const ofPhysical = tree[`${own}/iommu_group`]
      if (ofPhysical !== undefined) {
        const number = it.group === 'own' ? 100 + i * 10 + n : 50 + i
        tree[`${folder}/iommu_group`] = it.group === 'physical' ? ofPhysical : `-> ../x/${number}`
      }
      virtual.set(address, of)
      ids.set(address, `${vendor}:${device}`)
      if (it.use === 'network' && it.driver === 'host') {
        tree[`/sys/class/net/v${i}${n}`] = `-> ../../devices/${inner}/net/v${i}${n}`
        networks.push([of, address])
      }
      if (it.use === 'disk' && it.driver === 'host') {
        tree[`/sys/class/block/v${i}${n}`] = `-> ../../devices/${inner}/x/block/v${i}${n}`
        tree[`/sys/dev/block/9:${i}${n}`] = `-> ../../devices/${inner}/x/block/v${i}${n}`
        mounts.push(`9 0 9:${i}${n} / /srv/${i}${n} rw - ext4 /dev/v${i}${n} rw\n`)
        disks.add(address).add(of)
      }
    }
  }
  tree['/proc/self/mountinfo'] = mounts.join('')
  const machine = readMachine(sourceFrom(tree))
  const isHeld = (driver: string | undefined) => driver !== undefined && driver !== 'vfio-pci'
  const alone = machine.devices.filter(it => {
    const group = machine.devices.filter(at => at.group !== undefined && at.group === it.group)
    return virtual.has(it.address) && group.every(at => at === it || !isHeld(at.driver))
  })
  return {
    ...{ machine, base, virtual, ids, disks, networks },
    endpoints: [...ids.keys()],
    alone: new Set(alone.map(it => it.address))
  }
}
