// SR-IOV. A physical function is the device itself. Its driver creates virtual functions on request after boot
// (`sriov_numvfs`), and each can be passed through alone. They disappear when the driver is unbound from the physical
// function. (Linux, Documentation/PCI/pci-iov-howto.rst)

import { idOf, type Machine, type PciDevice } from './machine.ts'

export function isVirtual(device: PciDevice): boolean {
  return device.physicalFunction !== undefined
}

/**
 * True for an NVIDIA vGPU. QEMU opens it while NVIDIA's driver has it (Linux 6.8 and later), so libvirt must not bind
 * it to vfio-pci.
 */
export function isVgpu(device: PciDevice): boolean {
  return isVirtual(device) && device.driver === 'nvidia'
}

/** The virtual functions of the device at this address, in the order of their addresses. */
export function virtualFunctionsOf({ devices }: Machine, address: string): PciDevice[] {
  return devices.filter(it => it.physicalFunction === address)
}

/** The physical function of a virtual function; undefined for other devices, or if the machine lacks it. */
export function physicalFunctionOf({ devices }: Machine, device: PciDevice): PciDevice | undefined {
  return devices.find(it => it.address === device.physicalFunction)
}

/**
 * The device whose driver could create a virtual function at this address; undefined if there is already a device at
 * the address, or if no driver could.
 */
export function physicalFunctionFor({ devices }: Machine, address: string): PciDevice | undefined {
  const place = routingIdOf(address)
  if (place === undefined || devices.some(it => it.address === address)) return undefined
  return devices.find(it => {
    const { total = 0, offset, stride = 0 } = it.sriov ?? {}
    const base = routingIdOf(it.address)
    if (base === undefined || base.domain !== place.domain || offset === undefined) return false
    const distance = place.number - base.number - offset
    if (distance === 0) return total > 0
    return distance > 0 && stride > 0 && distance % stride === 0 && distance / stride < total
  })
}

/** These addresses, and the addresses of the devices' virtual functions. */
export function withVirtualFunctions(
  { devices }: Machine,
  addresses: ReadonlySet<string>
): Set<string> {
  const along = devices.filter(it => addresses.has(it.physicalFunction ?? ''))
  return new Set([...addresses, ...along.map(it => it.address)])
}

/** These addresses, without the addresses of virtual functions. */
export function withoutVirtualFunctions(
  { devices }: Machine,
  addresses: ReadonlySet<string>
): Set<string> {
  const virtual = new Set(devices.filter(isVirtual).map(it => it.address))
  return new Set([...addresses].filter(it => !virtual.has(it)))
}

/** The devices with an ID that virtual functions have, or would have if a driver created them. */
export interface VirtualID {
  /** The virtual functions with the ID. */
  virtual: readonly PciDevice[]
  /** Their physical functions; if there are no virtual functions, the devices that could have some with the ID. */
  physical: readonly PciDevice[]
  /** The other devices with the ID, which may be physical functions. */
  others: readonly PciDevice[]
}

/**
 * Looks up the ID (`vvvv:dddd`). Undefined if another device has it but no virtual function, or if no virtual function
 * could have it.
 */
export function virtualID(machine: Machine, id: string): VirtualID | undefined {
  const all = machine.devices.filter(it => idOf(it) === id)
  const virtual = all.filter(isVirtual)
  const others = all.filter(it => !isVirtual(it))
  const addresses = new Set(virtual.map(it => it.physicalFunction))
  const physical = machine.devices.filter(it => addresses.has(it.address))
  if (virtual.length > 0) return { virtual, physical, others }
  // If a device has the ID, the ID refers to that device, not to virtual functions that could be created.
  const canCreate = (it: PciDevice) => `${it.vendor}:${it.sriov?.device}` === id
  const possible = all.length > 0 ? [] : machine.devices.filter(canCreate)
  return possible.length > 0 ? { virtual, physical: possible, others } : undefined
}

/** The PCI domain, and bus, slot and function as one number. */
function routingIdOf(address: string): { domain: string; number: number } | undefined {
  const [, domain, bus = '', slot = '', part = ''] =
    /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(address) ?? []
  const number = (Number.parseInt(bus, 16) << 8) | (Number.parseInt(slot, 16) << 3) | Number(part)
  return domain === undefined ? undefined : { domain, number }
}
