// Virtual functions (SR-IOV) that a configuration gives to vfio-pci at boot, when there are none yet.

import { type Finding, findingAt } from '../lints/finding.ts'
import { isForGuests } from '../machine/cards.ts'
import type { Machine, PciDevice } from '../machine/machine.ts'
import { briefDevice, list } from '../machine/messages.ts'
import { physicalFunctionFor, virtualFunctionsOf, virtualID } from '../machine/virtualFunctions.ts'
import { removeItem } from './deviceFixes.ts'
import type { Named } from './requirements.ts'
import type { MachineState } from './state.ts'

/**
 * Places that name virtual functions, be it together with other devices that have the same ID, and devices
 * whose virtual functions would be gone.
 */
export function virtualFaults({ machine, named, entry }: MachineState): Finding[] {
  return named.flatMap(place => {
    const { by } = place
    const found = by.kind === 'id' ? ofID(machine, place, by.id) : ofAddress(machine, place, by)
    if (found) return found
    // The usual boot entry still has them.
    return entry.view.name === '' ? lostFunctions(machine, place) : []
  })
}

/** Whether it names virtual functions and nothing else, be it such that are not there now. */
export function isVirtualPlace(machine: Machine, { by, devices, virtual }: Named): boolean {
  if (devices.some(it => !virtual.includes(it))) return false
  if (virtual.length > 0) return true
  return by.kind === 'id'
    ? virtualID(machine, by.id) !== undefined
    : physicalFunctionFor(machine, by.address) !== undefined
}

function ofAddress(
  machine: Machine,
  place: Named,
  { address, item }: Extract<Named['by'], { kind: 'address' }>
): Finding | undefined {
  const [first] = place.virtual
  const physical = first?.physicalFunction ?? physicalFunctionFor(machine, address)?.address
  if (physical === undefined) return undefined
  return findingAt(place, {
    code: 'VIRTUAL_FUNCTION',
    level: 'problem',
    message: `${address} is a virtual function of ${physical}, so this does nothing`,
    why: `there is nothing at the address when vfio-pci binds devices at boot: the driver of ${physical} makes its virtual functions later.`,
    remedy: "take it out, and give it to the guest by a <hostdev> with managed='yes' in its domain",
    fix: removeItem(item)
  })
}

function ofID(machine: Machine, place: Named, id: string): Finding | undefined {
  const found = virtualID(machine, id.slice(0, 9))
  // What narrows an ID down may leave the virtual functions out.
  if (found === undefined || (id.length > 9 && place.virtual.length === 0)) return undefined
  const { virtual, physical, others } = found
  const theirs = virtual.length > 0 ? listFunctions(virtual) : 'virtual functions'
  if (others.length === 0) {
    return findingAt(place, {
      code: 'VIRTUAL_FUNCTION',
      level: 'note',
      message: `${id} is the ID of ${theirs} of ${list(physical.map(briefDevice))}`,
      why: 'there are none at boot; as soon as the driver of their device makes them, vfio-pci takes each, and the host can use none.',
      remedy:
        "take it out, and give them to guests by <hostdev> with managed='yes' in their domains, which leaves the others to the host"
    })
  }
  const isLost = others.some(it => physical.includes(it))
  return findingAt(place, {
    code: 'VIRTUAL_FUNCTION',
    level: 'problem',
    message: `${list(others.map(briefDevice))} ${others.length === 1 ? 'has' : 'have'} the same ID as ${theirs}, and ${others.length === 1 ? 'goes' : 'go'} to vfio-pci at boot`,
    why: isLost
      ? 'without its own driver a device has no virtual functions.'
      : 'an ID stands for all devices that have it.',
    remedy:
      "if guests are to have virtual functions, take it out, and give them by <hostdev> with managed='yes' in their domains"
  })
}

function lostFunctions(machine: Machine, place: Named): Finding[] {
  return place.devices.flatMap(device => {
    const virtual = virtualFunctionsOf(machine, device.address)
    if (virtual.length === 0 || isForGuests(device)) return []
    return findingAt(place, {
      code: 'VIRTUAL_FUNCTION',
      level: 'note',
      message: `${briefDevice(device)} goes to a guest, and ${listFunctions(virtual)} of it will be gone`,
      why: 'its own driver makes them, and vfio-pci takes the place of that driver.',
      remedy: "if guests are to have these, take it out, and say managed='yes' in their domains"
    })
  })
}

function listFunctions(virtual: readonly PciDevice[]): string {
  const addresses = virtual.map(it => it.address)
  if (addresses.length > 3) {
    return `${addresses.length} virtual functions (${addresses[0]} to ${addresses.at(-1)})`
  }
  return `the virtual ${addresses.length === 1 ? 'function' : 'functions'} ${list(addresses)}`
}
