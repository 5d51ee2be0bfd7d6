// The devices of the host that a guest is to have, held against the machine and the configuration.

import type { Needs, PassedDevice } from '../guests/needs/needs.ts'
import { cardWith, isForGuests } from '../machine/cards.ts'
import { closedGates, type Gate, gateDevices } from '../machine/gates.ts'
import { type Machine, type PciDevice, slotOf } from '../machine/machine.ts'
import { isBridge, isDisplay } from '../machine/read/pci.ts'
import {
  isVgpu,
  isVirtual,
  physicalFunctionFor,
  physicalFunctionOf,
  type VirtualID,
  virtualFunctionsOf,
  virtualID
} from '../machine/virtualFunctions.ts'
import type { AttrPath, NixDocument, NixValue } from '../nix/index.ts'
import { VFIO } from '../settings/options.ts'
import type { Settings } from '../settings/settings.ts'
import { pathsFor } from './bootEntry.ts'

/** Where a guest is to run, as far as it is known. */
export interface GuestHost {
  /** Undefined where the configuration is of another machine. */
  machine: Machine | undefined
  configuration: NixDocument
  /** The path of the specialisation that the options go into; empty for every boot entry. */
  prefix: readonly string[]
  /** The texts of all files of the configuration. */
  texts: readonly string[]
}

/** What a person has to know of the devices of a guest. */
export type DevicesNote =
  /** The configuration is another machine's, so nobody can look at the devices. */
  | { code: 'DEVICES_UNSEEN'; addresses: readonly string[] }
  /** There is nothing at the address, or something that no guest can have. */
  | { code: 'DEVICE_MISSING'; address: string; others: readonly PciDevice[] }
  | { code: 'DEVICE_IS_BRIDGE'; device: PciDevice }
  /** There is no virtual function at the address now, but the driver of `physical` can make one there. */
  | { code: 'VIRTUAL_FUNCTION_MISSING'; address: string; physical: PciDevice }
  /** None of the files of the configuration has a word on making virtual functions of these devices. */
  | { code: 'VIRTUAL_FUNCTIONS_UNMADE'; physical: readonly string[] }
  /** It is an <interface> of the type hostdev, and libvirt takes only virtual functions for these. */
  | { code: 'INTERFACE_NOT_VIRTUAL'; device: PciDevice }
  /** Other functions of a card that the guest gets, which the domain does not name. */
  | { code: 'FUNCTIONS_LEFT'; device: PciDevice; others: readonly PciDevice[] }
  /** The host's driver keeps it, as devices are to be given away when the guest starts. */
  | { code: 'NOT_MANAGED'; addresses: readonly string[] }
  /** It is an argument of QEMU, of which libvirt knows nothing. */
  | { code: 'DEVICE_ARGUMENT'; addresses: readonly string[] }
  /** The same of a virtual function, which nobody else prepares either. */
  | { code: 'VIRTUAL_FUNCTION_ARGUMENT'; addresses: readonly string[] }

/**
 * The addresses of the devices that are to be given to guests and are not yet: those of the guest that the
 * machine has. Of virtual functions it is all, as a configuration gives none of them away. What else there is
 * to know of them is told.
 */
export function devicesFor(
  needs: Needs,
  said: Settings,
  host: GuestHost,
  tell: (note: DevicesNote) => void
): string[] {
  const { devices } = needs
  const { machine } = host
  if (devices.length === 0) return []
  const isLater =
    said.bindAtBoot === undefined
      ? sourcesAt(host, [...VFIO, 'bindAtBoot']).includes('false')
      : !said.bindAtBoot
  const isVirtualOne = ({ address }: PassedDevice) =>
    machine !== undefined && isVirtualAt(machine, address)
  // A virtual function that does not say is mended.
  const managed = machine ? managedFor(needs, machine) : new Set<string>()
  const unmanaged = devices.filter(it =>
    isVirtualOne(it)
      ? it.isUnmanaged && managed.has(it.address)
      : isLater && !it.isManaged && it.as !== 'argument'
  )
  if (unmanaged.length > 0) {
    tell({ code: 'NOT_MANAGED', addresses: unmanaged.map(it => it.address) })
  }
  const unknown = devices.filter(it => it.as === 'argument')
  const later = unknown.filter(isVirtualOne).map(it => it.address)
  const others = unknown.filter(it => !isVirtualOne(it)).map(it => it.address)
  if (others.length > 0) tell({ code: 'DEVICE_ARGUMENT', addresses: others })
  if (later.length > 0) tell({ code: 'VIRTUAL_FUNCTION_ARGUMENT', addresses: later })
  if (machine === undefined) {
    // Nothing has to be set up for a virtual function, which an interface always is.
    const addresses = devices.filter(it => it.as !== 'interface').map(it => it.address)
    if (addresses.length > 0) tell({ code: 'DEVICES_UNSEEN', addresses })
    return []
  }
  const found = devices.flatMap(it => deviceAt(it.address, machine, tell) ?? [])
  const interfaces = devices.filter(it => it.as === 'interface').map(it => it.address)
  for (const device of found) {
    const isPhysical = interfaces.includes(device.address) && !isVirtual(device)
    if (isPhysical) tell({ code: 'INTERFACE_NOT_VIRTUAL', device })
  }
  functionsLeft(found, machine).forEach(tell)
  unmade(found, host.texts).forEach(tell)
  const given = givenBy(host)
  return found.filter(it => isVirtual(it) || !given(it)).map(it => it.address)
}

/**
 * The addresses of the virtual functions that a guest is to have and libvirt has to take from the host, those
 * that their drivers have yet to make included.
 */
export function managedFor({ devices }: Needs, machine: Machine): Set<string> {
  const found = devices.filter(({ address, isUnmanaged }) => {
    const device = machine.devices.find(it => it.address === address)
    if (!isVirtualAt(machine, address) || (device && isVgpu(device))) return false
    // What somebody reserved for vfio-pci as it was made needs no libvirt, and may say so.
    const isReserved = device?.reservedFor === 'vfio-pci' || (device && isForGuests(device))
    return !(isReserved && isUnmanaged)
  })
  return new Set(found.map(it => it.address))
}

function isVirtualAt(machine: Machine, address: string): boolean {
  const device = machine.devices.find(it => it.address === address)
  return device ? isVirtual(device) : physicalFunctionFor(machine, address) !== undefined
}

/**
 * What a configuration makes virtual functions with: the file of sysfs, the option of systemd's .link files, or
 * the parameter of a network driver. (For i915 and xe the parameter only allows them.)
 */
const MAKES = /sriov_numvfs|SR-IOVVirtualFunctions|(?<!\b(?:i915|xe)\.)\bmax_vfs\b/

/** The devices whose virtual functions nobody makes after a start, as far as the files say. */
function unmade(found: readonly PciDevice[], texts: readonly string[]): DevicesNote[] {
  const physical = [...new Set(found.flatMap(it => it.physicalFunction ?? []))]
  const isSaid = texts.some(it => MAKES.test(it.replace(/^\s*#.*$/gm, '')))
  return physical.length === 0 || isSaid ? [] : [{ code: 'VIRTUAL_FUNCTIONS_UNMADE', physical }]
}

/** What a guest can have there; else that is told. */
function deviceAt(
  address: string,
  machine: Machine,
  tell: (note: DevicesNote) => void
): PciDevice | undefined {
  const { devices } = machine
  const device = devices.find(it => it.address === address)
  if (device && !isBridge(device)) return device
  const physical = physicalFunctionFor(machine, address)
  if (physical) {
    tell({ code: 'VIRTUAL_FUNCTION_MISSING', address, physical })
    return undefined
  }
  const others = devices.filter(it => slotOf(it.address) === slotOf(address))
  tell(device ? { code: 'DEVICE_IS_BRIDGE', device } : { code: 'DEVICE_MISSING', address, others })
  return undefined
}

function functionsLeft(found: readonly PciDevice[], { devices }: Machine): DevicesNote[] {
  const isOfCard = (device: PciDevice) => (it: PciDevice) =>
    slotOf(it.address) === slotOf(device.address)
  return found.flatMap((device): DevicesNote[] => {
    const others = devices
      .filter(isOfCard(device))
      .filter(it => !found.includes(it) && !isBridge(it) && !isVirtual(it))
    const isFirst = found.find(isOfCard(device)) === device
    const isTold = isFirst && isDisplay(device) && others.length > 0
    return isTold ? [{ code: 'FUNCTIONS_LEFT', device, others }] : []
  })
}

/** Whether the configuration gives a device to guests already. */
export function givenBy(host: GuestHost): (device: PciDevice) => boolean {
  const items = (name: string) => itemsAt(host, [...VFIO, name])
  const ids = items('devices').flatMap(it => (typeof it === 'string' ? [it.toLowerCase()] : []))
  const addresses = items('addresses').flatMap(it => {
    const address = typeof it === 'object' && it !== null && 'address' in it ? it.address : it
    return typeof address === 'string' ? [address.toLowerCase()] : []
  })
  return ({ vendor, device, address }) =>
    addresses.includes(address) || ids.some(it => it.startsWith(`${vendor}:${device}`))
}

/** The literal items of a list, those of the boot entry itself first. */
export function itemsAt({ configuration, prefix }: GuestHost, option: AttrPath): NixValue[] {
  return pathsFor(prefix, option).flatMap(it => configuration.itemsIn(it))
}

/** The values of an option as they are written, those of the boot entry itself first. */
export function sourcesAt({ configuration, prefix }: GuestHost, option: AttrPath): string[] {
  return pathsFor(prefix, option)
    .flatMap(it => configuration.getIn(it))
    .map(it => it.source)
}

// Virtual functions (SR-IOV) among what a run asks for. A guest gets one from libvirt when it starts. None is
// bound at boot: it does not exist yet then, and its ID is often that of other devices too.

/** Why virtual functions keep a choice from being made. */
export type VirtualProblem =
  /** A virtual function was named to be bound at boot. `areAvailable` is false where its driver could make it. */
  | {
      code: 'VIRTUAL_FUNCTION'
      address: string
      areAvailable: boolean
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

/** The addresses that the settings give to guests. */
export function namedAddresses({ addresses = [] }: Settings): string[] {
  return addresses.map(it => (typeof it === 'string' ? it : it.address))
}

/** The virtual functions that are named to be bound at boot, by address or by ID. */
export function namedVirtually(
  machine: Machine,
  settings: Settings,
  gpus: readonly string[]
): VirtualProblem[] {
  const named = [...new Set([...gpus, ...namedAddresses(settings)])].flatMap(
    (address): VirtualProblem[] => {
      const physical =
        machine.devices.find(it => it.address === address)?.physicalFunction ??
        physicalFunctionFor(machine, address)?.address
      if (physical === undefined) return []
      const areAvailable = machine.devices.some(it => it.address === address)
      return [{ code: 'VIRTUAL_FUNCTION', address, areAvailable, physical }]
    }
  )
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
    const isNeeded = gates.some(it => gateDevices(it).includes(device))
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
