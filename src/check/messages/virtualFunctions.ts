// Findings about virtual functions (SR-IOV).

import type { FindingText } from '../../lints/finding.ts'
import type { PciDevice } from '../../machine/machine.ts'
import { briefDevice, list } from '../../machine/messages.ts'

type Devices = readonly PciDevice[]

const HOSTDEV = "<hostdev managed='yes'>"

/** `physical` is the address of its physical function. */
export function virtualFunctionByAddress(address: string, physical: string): FindingText {
  return {
    code: 'VIRTUAL_FUNCTION',
    level: 'problem',
    message: `${address} is a virtual function of ${physical}, so this item has no effect`,
    why: `when vfio-pci binds devices at boot, the driver of ${physical} has not created its virtual functions yet.`,
    remedy: `remove it, and add it to the guest's domain as ${HOSTDEV}`
  }
}

/** `virtual` are the virtual functions that exist now, perhaps none. */
export function virtualFunctionsByID(id: string, virtual: Devices, physical: Devices): FindingText {
  return {
    code: 'VIRTUAL_FUNCTION',
    level: 'note',
    message: `${id} is the ID of ${nameVirtual(virtual)} of ${list(physical.map(briefDevice))}`,
    why: 'they do not exist yet when vfio-pci binds devices at boot. When the driver of their device creates them, vfio-pci binds all of them, so the host can use none.',
    remedy: `remove it, and add each guest's virtual functions to its domain as ${HOSTDEV}; the host can then use the others`
  }
}

/** `others` have the same ID as virtual functions. `losesDriver` is true if one of them is the physical function. */
export function idOfVirtualFunctions(
  others: Devices,
  virtual: Devices,
  losesDriver: boolean
): FindingText {
  const [has, is] = others.length === 1 ? ['has', 'is'] : ['have', 'are']
  return {
    code: 'VIRTUAL_FUNCTION',
    level: 'problem',
    message: `${list(others.map(briefDevice))} ${has} the same ID as ${nameVirtual(virtual)}, and ${is} bound to vfio-pci at boot`,
    why: losesDriver
      ? 'without its own driver, a device has no virtual functions.'
      : 'an ID selects all devices that have it.',
    remedy: `if guests need virtual functions, remove this ID, and add the virtual functions to their domains as ${HOSTDEV}`
  }
}

/** Passing `device` through removes its virtual functions. */
export function virtualFunctionsLost(device: PciDevice, virtual: Devices): FindingText {
  return {
    code: 'VIRTUAL_FUNCTION',
    level: 'note',
    message: `${briefDevice(device)} is passed through, which removes ${nameVirtual(virtual)} of this device`,
    why: "the device's own driver creates its virtual functions, and vfio-pci replaces that driver.",
    remedy: `if guests need the virtual functions, remove it, and add them to their domains as ${HOSTDEV}`
  }
}

function nameVirtual(virtual: Devices): string {
  const addresses = virtual.map(it => it.address)
  if (addresses.length === 0) return 'virtual functions'
  if (addresses.length > 3) {
    return `${addresses.length} virtual functions (${addresses[0]} to ${addresses.at(-1)})`
  }
  return `the virtual ${addresses.length === 1 ? 'function' : 'functions'} ${list(addresses)}`
}
