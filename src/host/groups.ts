import { type Machine, type PciDevice, slotOf } from './machine.ts'
import { isBridge } from './pciClass.ts'
import { isVirtual, withVirtualFunctions } from './virtualFunctions.ts'

/** The devices that the IOMMU can't keep apart, so that they are given away together or not at all. */
export interface Group {
  /** Undefined for the devices in no group. */
  id: string | undefined
  devices: readonly PciDevice[]
  /** Whether several slots are in it, bridges not counted; a virtual function counts as a slot of its own. */
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
      return { id, devices, isShared: id !== undefined && unitsOf(devices).length > 1 }
    })
}

/** What can be given away for itself of these devices, by address: slots, and virtual functions. */
export function unitsOf(devices: readonly PciDevice[]): string[] {
  const units = devices
    .filter(it => !isBridge(it))
    .map(it => (isVirtual(it) ? it.address : slotOf(it.address)))
  return [...new Set(units)]
}

/**
 * What keeps the groups of these devices from being given to a guest: devices in them that some
 * other driver has. Bridges, devices without a driver, and virtual functions of these devices, which go
 * with them, are not in the way.
 */
export function strangersOf(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const groups = new Set(
    machine.devices.filter(it => passed.has(it.address)).map(it => it.group ?? '')
  )
  const gone = withVirtualFunctions(machine, passed)
  return machine.devices.filter(
    it =>
      it.group !== undefined &&
      groups.has(it.group) &&
      !gone.has(it.address) &&
      !isBridge(it) &&
      it.driver !== undefined &&
      !isForGuests(it)
  )
}

/**
 * Whether it is set aside for guests at the moment: also by a driver that is vfio-pci for one kind of
 * device, mostly for its virtual functions, such as mlx5_vfio_pci.
 */
export function isForGuests({ driver = '' }: PciDevice): boolean {
  return /(?:^|[-_])vfio[-_]pci$/.test(driver) || driver === 'pci-stub'
}
