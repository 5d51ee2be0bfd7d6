// Compares the host devices that a guest uses with the machine and the configuration.

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

/** The host of a guest, as far as it is known. */
export interface GuestHost {
  /** Undefined if the configuration is for another machine. */
  machine: Machine | undefined
  configuration: NixDocument
  /** The path of the specialisation that the options are written to; empty for every boot entry. */
  prefix: readonly string[]
  /** The texts of all files of the configuration. */
  texts: readonly string[]
}

/** A note for the user about a guest's devices. */
export type DevicesNote =
  /** The configuration is for another machine, so the devices can't be inspected. */
  | { code: 'DEVICES_UNSEEN'; addresses: readonly string[] }
  /** There is no device at the address. */
  | { code: 'DEVICE_MISSING'; address: string; others: readonly PciDevice[] }
  /** The device is a bridge, which can't be passed through. */
  | { code: 'DEVICE_IS_BRIDGE'; device: PciDevice }
  /** There is no virtual function at the address, but the driver of `physical` can create one there. */
  | { code: 'VIRTUAL_FUNCTION_MISSING'; address: string; physical: PciDevice }
  /** No file of the configuration creates virtual functions of these devices. */
  | { code: 'VIRTUAL_FUNCTIONS_UNMADE'; physical: readonly string[] }
  /** The device is in an <interface type='hostdev'>, where libvirt accepts only virtual functions. */
  | { code: 'INTERFACE_NOT_VIRTUAL'; device: PciDevice }
  /** The domain names one function of a card, but not these other ones. */
  | { code: 'FUNCTIONS_LEFT'; device: PciDevice; others: readonly PciDevice[] }
  /** The domain does not let libvirt detach the device from the host's driver when the guest starts. */
  | { code: 'NOT_MANAGED'; addresses: readonly string[] }
  /** The device is in an argument of QEMU, so libvirt does not know of it. */
  | { code: 'DEVICE_ARGUMENT'; addresses: readonly string[] }
  /** The virtual function is in an argument of QEMU, so nothing binds it to vfio-pci. */
  | { code: 'VIRTUAL_FUNCTION_ARGUMENT'; addresses: readonly string[] }

/**
 * The addresses of the guest's devices that the machine has and the configuration does not pass through yet. All
 * virtual functions are included, because no configuration passes them through. `requested` are the settings of the
 * run. `addNote` receives notes about the devices.
 */
export function devicesFor(
  needs: Needs,
  requested: Settings,
  host: GuestHost,
  addNote: (note: DevicesNote) => void
): string[] {
  const { devices } = needs
  const { machine } = host
  if (devices.length === 0) return []
  const bindsAtBoot =
    requested.bindAtBoot ?? !sourcesAt(host, [...VFIO, 'bindAtBoot']).includes('false')
  const isVirtualOne = ({ address }: PassedDevice) =>
    machine !== undefined && isVirtualAt(machine, address)
  // Virtual functions without the attribute get managed='yes'.
  const managed = machine ? managedVirtualFunctions(needs, machine) : new Set<string>()
  const unmanaged = devices.filter(it =>
    isVirtualOne(it)
      ? it.isUnmanaged && managed.has(it.address)
      : !bindsAtBoot && !it.isManaged && it.as !== 'argument'
  )
  if (unmanaged.length > 0) {
    addNote({ code: 'NOT_MANAGED', addresses: unmanaged.map(it => it.address) })
  }
  const inArguments = devices.filter(it => it.as === 'argument')
  const virtual = inArguments.filter(isVirtualOne).map(it => it.address)
  const others = inArguments.filter(it => !isVirtualOne(it)).map(it => it.address)
  if (others.length > 0) addNote({ code: 'DEVICE_ARGUMENT', addresses: others })
  if (virtual.length > 0) addNote({ code: 'VIRTUAL_FUNCTION_ARGUMENT', addresses: virtual })
  if (machine === undefined) {
    // The device of an interface is always a virtual function, which needs no options.
    const addresses = devices.filter(it => it.as !== 'interface').map(it => it.address)
    if (addresses.length > 0) addNote({ code: 'DEVICES_UNSEEN', addresses })
    return []
  }
  const found = devices.flatMap(it => deviceAt(it.address, machine, addNote) ?? [])
  const interfaces = devices.filter(it => it.as === 'interface').map(it => it.address)
  for (const device of found) {
    const isPhysical = interfaces.includes(device.address) && !isVirtual(device)
    if (isPhysical) addNote({ code: 'INTERFACE_NOT_VIRTUAL', device })
  }
  functionsLeft(found, machine).forEach(addNote)
  notCreated(found, host.texts).forEach(addNote)
  const given = passthroughTestFor(host)
  return found.filter(it => isVirtual(it) || !given(it)).map(it => it.address)
}

/**
 * The addresses of a guest's virtual functions that libvirt has to detach from the host, including functions that
 * their drivers have not created yet.
 */
export function managedVirtualFunctions({ devices }: Needs, machine: Machine): Set<string> {
  const found = devices.filter(({ address, isUnmanaged }) => {
    const device = machine.devices.find(it => it.address === address)
    if (!isVirtualAt(machine, address) || (device && isVgpu(device))) return false
    // If a virtual function was reserved for vfio-pci when it was created, libvirt does not have to manage it.
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
 * Text of a configuration that creates virtual functions: the file in sysfs, the option of systemd's .link files, or
 * the parameter of a network driver. (For i915 and xe, the parameter only sets a limit.)
 */
const CREATES_FUNCTIONS = /sriov_numvfs|SR-IOVVirtualFunctions|(?<!\b(?:i915|xe)\.)\bmax_vfs\b/

/** A note about the physical functions, if no file of the configuration creates virtual functions at boot. */
function notCreated(found: readonly PciDevice[], texts: readonly string[]): DevicesNote[] {
  const physical = [...new Set(found.flatMap(it => it.physicalFunction ?? []))]
  const areCreated = texts.some(it => CREATES_FUNCTIONS.test(it.replace(/^\s*#.*$/gm, '')))
  return physical.length === 0 || areCreated ? [] : [{ code: 'VIRTUAL_FUNCTIONS_UNMADE', physical }]
}

/** The device at an address. If there is none, or it can't be passed through: undefined, with a note. */
function deviceAt(
  address: string,
  machine: Machine,
  addNote: (note: DevicesNote) => void
): PciDevice | undefined {
  const { devices } = machine
  const device = devices.find(it => it.address === address)
  if (device && !isBridge(device)) return device
  const physical = physicalFunctionFor(machine, address)
  if (physical) {
    addNote({ code: 'VIRTUAL_FUNCTION_MISSING', address, physical })
    return undefined
  }
  const others = devices.filter(it => slotOf(it.address) === slotOf(address))
  addNote(
    device ? { code: 'DEVICE_IS_BRIDGE', device } : { code: 'DEVICE_MISSING', address, others }
  )
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
    const isIncomplete = isFirst && isDisplay(device) && others.length > 0
    return isIncomplete ? [{ code: 'FUNCTIONS_LEFT', device, others }] : []
  })
}

/** Returns a test for whether the configuration passes a device through. */
export function passthroughTestFor(host: GuestHost): (device: PciDevice) => boolean {
  const items = (name: string) => itemsAt(host, [...VFIO, name])
  const ids = items('devices').flatMap(it => (typeof it === 'string' ? [it.toLowerCase()] : []))
  const addresses = items('addresses').flatMap(it => {
    const address = typeof it === 'object' && it !== null && 'address' in it ? it.address : it
    return typeof address === 'string' ? [address.toLowerCase()] : []
  })
  return ({ vendor, device, address }) =>
    addresses.includes(address) || ids.some(it => it.startsWith(`${vendor}:${device}`))
}

/** The literal items of a list option, the boot entry's own items first. */
export function itemsAt({ configuration, prefix }: GuestHost, option: AttrPath): NixValue[] {
  return pathsFor(prefix, option).flatMap(it => configuration.itemsIn(it))
}

/** The values of an option as written, the boot entry's own values first. */
export function sourcesAt({ configuration, prefix }: GuestHost, option: AttrPath): string[] {
  return pathsFor(prefix, option)
    .flatMap(it => configuration.getIn(it))
    .map(it => it.source)
}

// Virtual functions (SR-IOV) among the requested devices. libvirt passes one through when the guest starts. None can
// be bound at boot: it is not created yet, and other devices often have the same ID.

/** Why requested devices are refused because of virtual functions. */
export type VirtualProblem =
  /** The device to bind at boot is a virtual function; if `isPresent` is false, its driver has not created it yet. */
  | {
      code: 'VIRTUAL_FUNCTION'
      address: string
      isPresent: boolean
      /** The address of its physical function. */
      physical: string
    }
  /** Virtual functions have this ID, or would have it. */
  | ({
      code: 'ID_OF_VIRTUAL_FUNCTIONS'
      id: string
      /** The devices among `others` that can be passed through by address. */
      free: readonly PciDevice[]
    } & VirtualID)
  /** The device has virtual functions, which would disappear. */
  | {
      code: 'HAS_VIRTUAL_FUNCTIONS'
      device: PciDevice
      virtual: readonly PciDevice[]
      /** Whether the host needs the device itself, so that it can't be passed through in any case. */
      isNeeded: boolean
    }
  /** The physical function of a guest's virtual function is passed through too. */
  | { code: 'PHYSICAL_FUNCTION_GIVEN'; device: PciDevice; physical: PciDevice }

/** A virtual function that a guest gets when it starts. */
export interface VirtualDecision {
  code: 'VIRTUAL_FUNCTION'
  device: PciDevice
  /** Its physical function, which keeps its driver; undefined if the machine does not show it. */
  physical: PciDevice | undefined
  /** Whether the domain tells libvirt not to detach it from the host. */
  isUnmanaged?: boolean
}

/** The addresses in the settings. */
export function namedAddresses({ addresses = [] }: Settings): string[] {
  return addresses.map(it => (typeof it === 'string' ? it : it.address))
}

/** The problems of virtual functions that the settings or `gpus` name by address or ID. */
export function virtualSelectionProblems(
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
      const isPresent = machine.devices.some(it => it.address === address)
      return [{ code: 'VIRTUAL_FUNCTION', address, isPresent, physical }]
    }
  )
  return [...named, ...virtualIDProblems(machine, settings.devices ?? [])]
}

/** The problems of IDs that virtual functions have or would have. */
export function virtualIDProblems(machine: Machine, ids: readonly string[]): VirtualProblem[] {
  return ids.flatMap((item): VirtualProblem[] => {
    const id = item.toLowerCase().split(':').slice(0, 2).join(':')
    const found = virtualID(machine, id)
    if (found === undefined) return []
    const free = found.others.filter(it => isFree(machine, it))
    return [{ code: 'ID_OF_VIRTUAL_FUNCTIONS', id, free, ...found }]
  })
}

/** Whether the device, or the whole card that it is part of, can be passed through. */
function isFree(machine: Machine, device: PciDevice): boolean {
  const whole = cardWith(machine, device.address)?.functions ?? [device]
  if (whole.some(it => virtualFunctionsOf(machine, it.address).length > 0)) return false
  const passed = new Set(whole.map(it => it.address))
  return closedGates(machine, passed, { confirmed: [], bindsAtBoot: true }).length === 0
}

/** A problem for each device with virtual functions, which would disappear; `gates` are the closed gates. */
export function lostFunctionProblems(
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

/** A problem for each virtual function among these devices whose physical function is passed through (`passed`). */
export function passedParentProblems(
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
