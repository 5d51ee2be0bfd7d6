// The devices of the host that a guest is to have, held against the machine and the configuration.

import { isForGuests } from '../host/groups.ts'
import { type Machine, type PciDevice, slotOf } from '../host/machine.ts'
import { isBridge, isDisplay } from '../host/pciClass.ts'
import { isVgpu, isVirtual, physicalFunctionFor } from '../host/virtualFunctions.ts'
import type { PassedDevice } from '../libvirt/learn/devices.ts'
import type { Needs } from '../libvirt/learn/learn.ts'
import type { NixDocument } from '../nix/index.ts'
import type { Settings } from '../vfio/settings.ts'
import { type GuestHost, placesOf, sourcesAt } from './guestHost.ts'

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
  { machine, configuration, prefix, texts }: GuestHost,
  tell: (note: DevicesNote) => void
): string[] {
  const { devices } = needs
  if (devices.length === 0) return []
  const isLater = bindsLater(said, configuration, prefix)
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
  unmade(found, texts).forEach(tell)
  const given = givenBy(configuration, prefix)
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
export function givenBy(
  configuration: NixDocument,
  prefix: readonly string[]
): (device: PciDevice) => boolean {
  const items = (name: string) =>
    placesOf(prefix).flatMap(it => configuration.itemsIn([...it, 'virtualisation', 'vfio', name]))
  const ids = items('devices').flatMap(it => (typeof it === 'string' ? [it.toLowerCase()] : []))
  const addresses = items('addresses').flatMap(it => {
    const address = typeof it === 'object' && it !== null && 'address' in it ? it.address : it
    return typeof address === 'string' ? [address.toLowerCase()] : []
  })
  return ({ vendor, device, address }) =>
    addresses.includes(address) || ids.some(it => it.startsWith(`${vendor}:${device}`))
}

function bindsLater(
  said: Settings,
  configuration: NixDocument,
  prefix: readonly string[]
): boolean {
  if (said.bindAtBoot !== undefined) return !said.bindAtBoot
  return sourcesAt(configuration, prefix, ['virtualisation', 'vfio', 'bindAtBoot']).includes(
    'false'
  )
}
