// Virtual functions (SR-IOV) among what a run asks for. A guest gets one from libvirt when it starts. None is
// bound at boot: it does not exist yet then, and its ID is often that of other devices too.

import { cardWith } from '../host/cards.ts'
import { closedGates, closedTo, type Gate } from '../host/gates.ts'
import type { Machine, PciDevice } from '../host/machine.ts'
import {
  isVirtual,
  physicalFunctionFor,
  physicalFunctionOf,
  type VirtualID,
  virtualFunctionsOf,
  virtualID
} from '../host/virtualFunctions.ts'
import type { Settings } from '../vfio/settings.ts'

/** Why virtual functions keep a choice from being made. */
export type VirtualProblem =
  /** A virtual function was named to be bound at boot. `isThere` is false where its driver could make it. */
  | {
      code: 'VIRTUAL_FUNCTION'
      address: string
      isThere: boolean
      /** The address of the device that it is a function of. */
      physical: string
    }
  /** An ID was named that virtual functions have, or would have. */
  | ({
      code: 'ID_OF_VIRTUAL_FUNCTIONS'
      id: string
      /** The devices among `others` that a guest could have, named by address. */
      free: readonly PciDevice[]
    } & VirtualID)
  /** A device was named whose virtual functions would be gone. */
  | {
      code: 'HAS_VIRTUAL_FUNCTIONS'
      device: PciDevice
      virtual: readonly PciDevice[]
      /** Whether the host needs the device itself, so that it stays in any case. */
      isNeeded: boolean
    }
  /** A guest is to have a virtual function of a device that goes to guests itself. */
  | { code: 'PHYSICAL_FUNCTION_GIVEN'; device: PciDevice; physical: PciDevice }

/** A virtual function that a guest gets when it starts. */
export interface VirtualDecision {
  code: 'VIRTUAL_FUNCTION'
  device: PciDevice
  /** The device that it is a function of, which stays with its driver; undefined where the machine hides it. */
  physical: PciDevice | undefined
  /** Whether the domain says that libvirt does not take it. */
  isUnmanaged?: boolean
}

/** The virtual functions that are named to be bound at boot, by address or by ID. */
export function namedVirtually(
  machine: Machine,
  settings: Settings,
  gpus: readonly string[]
): VirtualProblem[] {
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const named = [...new Set([...gpus, ...addresses])].flatMap((address): VirtualProblem[] => {
    const physical =
      machine.devices.find(it => it.address === address)?.physicalFunction ??
      physicalFunctionFor(machine, address)?.address
    if (physical === undefined) return []
    const isThere = machine.devices.some(it => it.address === address)
    return [{ code: 'VIRTUAL_FUNCTION', address, isThere, physical }]
  })
  return [...named, ...virtualIDs(machine, settings.devices ?? [])]
}

/** The IDs among these that virtual functions have, or would have. */
export function virtualIDs(machine: Machine, ids: readonly string[]): VirtualProblem[] {
  return ids.flatMap((item): VirtualProblem[] => {
    const id = item.toLowerCase().split(':').slice(0, 2).join(':')
    const found = virtualID(machine, id)
    if (found === undefined) return []
    const free = found.others.filter(it => isFree(machine, it))
    return [{ code: 'ID_OF_VIRTUAL_FUNCTIONS', id, free, ...found }]
  })
}

/** Whether a guest can have the device, with its card if it is part of one. */
function isFree(machine: Machine, device: PciDevice): boolean {
  const whole = cardWith(machine, device.address)?.functions ?? [device]
  if (whole.some(it => virtualFunctionsOf(machine, it.address).length > 0)) return false
  const passed = new Set(whole.map(it => it.address))
  return closedGates(machine, passed, { confirmed: [], bindsAtBoot: true }).length === 0
}

/** The devices among these whose virtual functions would be gone; `gates` are those that are closed to them. */
export function withVirtualOnes(
  machine: Machine,
  devices: readonly PciDevice[],
  gates: readonly Gate[]
): Extract<VirtualProblem, { code: 'HAS_VIRTUAL_FUNCTIONS' }>[] {
  return devices.flatMap(device => {
    const virtual = virtualFunctionsOf(machine, device.address)
    const isNeeded = gates.some(it => closedTo(it).includes(device))
    return virtual.length > 0
      ? [{ code: 'HAS_VIRTUAL_FUNCTIONS', device, virtual, isNeeded } as const]
      : []
  })
}

/** The virtual functions among these devices that are gone when a guest starts, as their device is given away. */
export function madeOfGiven(
  machine: Machine,
  devices: readonly PciDevice[],
  passed: ReadonlySet<string>
): VirtualProblem[] {
  return devices.filter(isVirtual).flatMap((device): VirtualProblem[] => {
    const physical = physicalFunctionOf(machine, device)
    return physical && passed.has(physical.address)
      ? [{ code: 'PHYSICAL_FUNCTION_GIVEN', device, physical }]
      : []
  })
}
