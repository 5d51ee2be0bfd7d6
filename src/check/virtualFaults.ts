// Findings about virtual functions (SR-IOV): at boot, vfio-pci can't bind them because they are created later.

import { type Finding, findingAt } from '../lints/finding.ts'
import { isForGuests } from '../machine/cards.ts'
import type { Machine } from '../machine/machine.ts'
import { physicalFunctionFor, virtualFunctionsOf, virtualID } from '../machine/virtualFunctions.ts'
import { removeItem } from './deviceFixes.ts'
import {
  idOfVirtualFunctions,
  virtualFunctionByAddress,
  virtualFunctionsByID,
  virtualFunctionsLost
} from './messages/virtualFunctions.ts'
import type { DeviceReference } from './requirements.ts'
import type { MachineState } from './state.ts'

/**
 * Places that name virtual functions, possibly along with other devices that have the same ID, and devices whose
 * virtual functions would be removed.
 */
export function findVirtualFunctionFaults({ machine, references, entry }: MachineState): Finding[] {
  return references.flatMap(place => {
    const { by } = place
    const found = by.kind === 'id' ? ofID(machine, place, by.id) : ofAddress(machine, place, by)
    if (found) return found
    // With a specialisation, the default boot entry keeps the virtual functions.
    return entry.view.name === '' ? lostFunctions(machine, place) : []
  })
}

/** Whether a place names only virtual functions, including those that do not exist now. */
export function namesOnlyVirtualFunctions(
  machine: Machine,
  { by, devices, virtual }: DeviceReference
): boolean {
  if (devices.some(it => !virtual.includes(it))) return false
  if (virtual.length > 0) return true
  return by.kind === 'id'
    ? virtualID(machine, by.id) !== undefined
    : physicalFunctionFor(machine, by.address) !== undefined
}

function ofAddress(
  machine: Machine,
  place: DeviceReference,
  { address, item }: Extract<DeviceReference['by'], { kind: 'address' }>
): Finding | undefined {
  const [first] = place.virtual
  const physical = first?.physicalFunction ?? physicalFunctionFor(machine, address)?.address
  if (physical === undefined) return undefined
  return findingAt(place, {
    ...virtualFunctionByAddress(address, physical),
    fix: removeItem(item)
  })
}

function ofID(machine: Machine, place: DeviceReference, id: string): Finding | undefined {
  const found = virtualID(machine, id.slice(0, 9))
  // The rest of a longer ID may exclude the virtual functions.
  if (found === undefined || (id.length > 9 && place.virtual.length === 0)) return undefined
  const { virtual, physical, others } = found
  if (others.length === 0) return findingAt(place, virtualFunctionsByID(id, virtual, physical))
  const losesDriver = others.some(it => physical.includes(it))
  return findingAt(place, idOfVirtualFunctions(others, virtual, losesDriver))
}

function lostFunctions(machine: Machine, place: DeviceReference): Finding[] {
  return place.devices.flatMap(device => {
    const virtual = virtualFunctionsOf(machine, device.address)
    if (virtual.length === 0 || isForGuests(device)) return []
    return findingAt(place, virtualFunctionsLost(device, virtual))
  })
}
