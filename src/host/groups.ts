import { type Machine, type PciDevice, slotOf } from './machine.ts'
import { isBridge } from './pciClass.ts'

/** The devices that the IOMMU can't keep apart, so that they are given away together or not at all. */
export interface Group {
  /** Undefined for the devices in no group. */
  id: string | undefined
  devices: readonly PciDevice[]
  /** Whether devices of several slots are in it, bridges not counted. */
  isShared: boolean
}

/** The groups in the order of their numbers; what is in none comes last. */
export function groupsOf(machine: Machine): Group[] {
  const ids = [...new Set(machine.devices.map(it => it.group))]
  const order = (id: string | undefined) => (id === undefined ? Number.POSITIVE_INFINITY : +id)
  return ids
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(id => {
      const devices = machine.devices.filter(it => it.group === id)
      const slots = new Set(devices.filter(it => !isBridge(it)).map(it => slotOf(it.address)))
      return { id, devices, isShared: id !== undefined && slots.size > 1 }
    })
}

/**
 * What keeps the groups of these devices from being given to a guest: devices in them that some
 * other driver has. Bridges, and devices without a driver, are not in the way.
 */
export function strangersOf(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const groups = new Set(
    machine.devices.filter(it => passed.has(it.address)).map(it => it.group ?? '')
  )
  return machine.devices.filter(
    it =>
      it.group !== undefined &&
      groups.has(it.group) &&
      !passed.has(it.address) &&
      !isBridge(it) &&
      it.driver !== undefined &&
      !isForGuests(it)
  )
}

/** Whether it is set aside for guests at the moment. */
export function isForGuests({ driver }: PciDevice): boolean {
  return driver === 'vfio-pci' || driver === 'pci-stub'
}
