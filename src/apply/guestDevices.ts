// The devices of the host that a guest is to have, held against the machine and the configuration.

import { type Machine, type PciDevice, slotOf } from '../host/machine.ts'
import { isBridge } from '../host/pciClass.ts'
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
  /** Other functions of a card that the guest gets, which the domain does not name. */
  | { code: 'FUNCTIONS_LEFT'; device: PciDevice; others: readonly PciDevice[] }
  /** The host's driver keeps it, as devices are to be given away when the guest starts. */
  | { code: 'NOT_MANAGED'; addresses: readonly string[] }
  /** It is an argument of QEMU, of which libvirt knows nothing. */
  | { code: 'DEVICE_ARGUMENT'; addresses: readonly string[] }

/**
 * The addresses of the devices that are to be given to guests and are not yet: those of the guest that the
 * machine has. What else there is to know of them is told.
 */
export function devicesFor(
  { devices }: Needs,
  said: Settings,
  { machine, configuration, prefix }: GuestHost,
  tell: (note: DevicesNote) => void
): string[] {
  if (devices.length === 0) return []
  const unmanaged = devices.filter(it => !it.isManaged && it.as !== 'argument')
  if (bindsLater(said, configuration, prefix) && unmanaged.length > 0) {
    tell({ code: 'NOT_MANAGED', addresses: unmanaged.map(it => it.address) })
  }
  const unknown = devices.filter(it => it.as === 'argument').map(it => it.address)
  if (unknown.length > 0) tell({ code: 'DEVICE_ARGUMENT', addresses: unknown })
  const addresses = devices.map(it => it.address)
  if (machine === undefined) {
    tell({ code: 'DEVICES_UNSEEN', addresses })
    return []
  }
  const found = addresses.flatMap(it => deviceAt(it, machine, tell) ?? [])
  functionsLeft(found, machine).forEach(tell)
  const given = givenBy(configuration, prefix)
  return found.filter(it => !given(it)).map(it => it.address)
}

/** What a guest can have there; else that is told. */
function deviceAt(
  address: string,
  { devices }: Machine,
  tell: (note: DevicesNote) => void
): PciDevice | undefined {
  const device = devices.find(it => it.address === address)
  if (device && !isBridge(device)) return device
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
      .filter(it => !found.includes(it) && !isBridge(it))
    const isFirst = found.find(isOfCard(device)) === device
    const isTold = isFirst && device.class.startsWith('03') && others.length > 0
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
