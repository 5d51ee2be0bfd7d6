// SR-IOV. A physical function is the device itself. Its driver makes virtual functions of it, each of which a
// guest can have alone, on request after the start of the machine (`sriov_numvfs`). They are gone as
// soon as that driver lets go of the physical function. (Linux, Documentation/PCI/pci-iov-howto.rst)

import { idOf, type Machine, type PciDevice } from './machine.ts'

/** Whether it is a virtual function. */
export function isVirtual(device: PciDevice): boolean {
  return device.physicalFunction !== undefined
}

/**
 * Whether it is a vGPU of NVIDIA: QEMU opens it while it stays with the driver that makes it one (Linux 6.8 and
 * later), so libvirt must not give it to vfio-pci.
 */
export function isVgpu(device: PciDevice): boolean {
  return isVirtual(device) && device.driver === 'nvidia'
}

/** The virtual functions that the device at this address has now, in the order of their addresses. */
export function virtualFunctionsOf({ devices }: Machine, address: string): PciDevice[] {
  return devices.filter(it => it.physicalFunction === address)
}

/** The device that this one is a virtual function of; undefined if it is none, or the machine does not show it. */
export function physicalFunctionOf({ devices }: Machine, device: PciDevice): PciDevice | undefined {
  return devices.find(it => it.address === device.physicalFunction)
}

/**
 * The device that would have a virtual function at this address, if it had as many as it can; undefined where
 * the machine has something at the address, and where no device says so.
 */
export function physicalFunctionFor({ devices }: Machine, address: string): PciDevice | undefined {
  const place = routingIdOf(address)
  if (place === undefined || devices.some(it => it.address === address)) return undefined
  return devices.find(it => {
    const { total = 0, offset, stride = 0 } = it.sriov ?? {}
    const own = routingIdOf(it.address)
    if (own === undefined || own.domain !== place.domain || offset === undefined) return false
    const distance = place.number - own.number - offset
    if (distance === 0) return total > 0
    return distance > 0 && stride > 0 && distance % stride === 0 && distance / stride < total
  })
}

/** These addresses, and those of the virtual functions that go with them. */
export function withVirtualFunctions(
  { devices }: Machine,
  addresses: ReadonlySet<string>
): Set<string> {
  const along = devices.filter(it => addresses.has(it.physicalFunction ?? ''))
  return new Set([...addresses, ...along.map(it => it.address)])
}

/** Of these addresses, those of devices that are no virtual functions. */
export function withoutVirtualFunctions(
  { devices }: Machine,
  addresses: ReadonlySet<string>
): Set<string> {
  const virtual = new Set(devices.filter(isVirtual).map(it => it.address))
  return new Set([...addresses].filter(it => !virtual.has(it)))
}

/** What an ID means on a machine that has virtual functions with it, or could have. */
export interface VirtualID {
  /** Those that there are now. */
  virtual: readonly PciDevice[]
  /** The physical functions of these; where there are none now, those that could have some. */
  physical: readonly PciDevice[]
  /** The other devices with the ID, which may be physical functions too. */
  others: readonly PciDevice[]
}

/** Undefined if no virtual function has the ID (`vvvv:dddd`), and none that could be made is its only meaning. */
export function virtualID(machine: Machine, id: string): VirtualID | undefined {
  const all = machine.devices.filter(it => idOf(it) === id)
  const virtual = all.filter(isVirtual)
  const others = all.filter(it => !isVirtual(it))
  const makers = new Set(virtual.map(it => it.physicalFunction))
  const physical = machine.devices.filter(it => makers.has(it.address))
  if (virtual.length > 0) return { virtual, physical, others }
  // A device with the ID is what is meant, as long as it has no virtual functions.
  const makes = (it: PciDevice) => `${it.vendor}:${it.sriov?.device}` === id
  const possible = all.length > 0 ? [] : machine.devices.filter(makes)
  return possible.length > 0 ? { virtual, physical: possible, others } : undefined
}

/** Domain, and bus, slot and function as one number. */
function routingIdOf(address: string): { domain: string; number: number } | undefined {
  const [, domain, bus = '', slot = '', part = ''] =
    /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(address) ?? []
  const number = (Number.parseInt(bus, 16) << 8) | (Number.parseInt(slot, 16) << 3) | Number(part)
  return domain === undefined ? undefined : { domain, number }
}
