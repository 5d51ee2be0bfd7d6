// What a person should know of a choice, though it stands in nobody's way.

import { displaysLeft, monitorsAt } from './cards.ts'
import type { Machine, PciDevice } from './machine.ts'
import { canShow, isDisplay } from './pciClass.ts'

export type Caution =
  /**
   * The firmware drew its first screen on the card, and the kernel may hold on to that; `isOnly` if there is
   * no other card that it could draw on.
   */
  | { code: 'BOOT_SCREEN'; device: PciDevice; isOnly: boolean }
  /** In its boot entry the card that shows the picture is the guest's; these could show one instead. */
  | { code: 'NO_PICTURE'; device: PciDevice; others: readonly PciDevice[] }
  /** A monitor at the card goes dark for the host; another one stays. */
  | { code: 'MONITOR_GOES'; device: PciDevice; monitors: readonly string[] }
  /** The card can't be reset, or is of a family that is known not to come back. */
  | { code: 'NO_RESET'; device: PciDevice }
  | { code: 'AMD_RESET'; device: PciDevice }
  /** Others that the host uses are in the IOMMU group of the device, so that no guest can start with it. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: readonly PciDevice[] }
  /** The card that stays has no driver, so it may show nothing. */
  | { code: 'HOST_WITHOUT_DRIVER'; device: PciDevice }
  /** All drivers of the card that stays would be kept from loading. */
  | { code: 'HOST_BLACKLISTED'; device: PciDevice }
  /** The interfaces that are in use go; only others stay. */
  | { code: 'NETWORK_IN_USE'; names: readonly string[] }
  /** The device has these virtual functions, which are gone in the boot entry that gives it away. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: readonly PciDevice[] }
  /** The processor says nothing of virtualisation. */
  | { code: 'NO_VIRTUALISATION' }

/**
 * What is to be said about giving these devices to a guest, perhaps with no driver for NVIDIA; nothing
 * where the machine has none of them.
 */
export function cautionsFor(
  machine: Machine,
  passed: ReadonlySet<string>,
  blacklistsNvidia = false
): Caution[] {
  const devices = machine.devices.filter(it => passed.has(it.address))
  if (devices.length === 0) return []
  const displays = devices.filter(isDisplay)
  const left = displaysLeft(machine, passed)
  const cautions: Caution[] = []
  for (const device of displays) {
    const monitors = monitorsAt(device)
    const isHeld = device.holdsFramebuffer === true
    if (device.bootVga === true || isHeld) {
      cautions.push({ code: 'BOOT_SCREEN', device, isOnly: left.length === 0 })
    }
    if (monitors.length > 0 && left.some(it => monitorsAt(it).length > 0)) {
      cautions.push({ code: 'MONITOR_GOES', device, monitors })
    }
    if (device.resetMethods?.length === 0) cautions.push({ code: 'NO_RESET', device })
    else if (hasResetTrouble(device)) cautions.push({ code: 'AMD_RESET', device })
  }
  if (displays.some(canShow) && left.length > 0 && left.every(it => it.driver === undefined)) {
    for (const device of left) cautions.push({ code: 'HOST_WITHOUT_DRIVER', device })
  }
  const blacklisted = left.filter(it => blacklistsNvidia && it.vendor === '10de')
  for (const device of blacklisted) cautions.push({ code: 'HOST_BLACKLISTED', device })
  const goes = machine.networks.filter(it => it.through.some(at => passed.has(at)))
  const stays = machine.networks.filter(it => !goes.includes(it))
  if (goes.some(it => it.isUp) && stays.length > 0 && !stays.some(it => it.isUp)) {
    cautions.push({ code: 'NETWORK_IN_USE', names: goes.filter(it => it.isUp).map(it => it.name) })
  }
  if (machine.cpu.hasVirtualisation === false) cautions.push({ code: 'NO_VIRTUALISATION' })
  return cautions
}

// Polaris, Vega and the first Navi, by the ranges of their IDs.
const FAMILIES: readonly [from: number, to: number][] = [
  [0x6600, 0x66af],
  [0x67c0, 0x67ff],
  [0x6860, 0x687f],
  [0x6980, 0x699f],
  [0x69a0, 0x69af],
  [0x6fdf, 0x6fdf],
  [0x7300, 0x736f]
]

/** AMD's cards of these families stay as the guest left them, unless a module knows a way. */
function hasResetTrouble(device: PciDevice): boolean {
  const number = Number.parseInt(device.device, 16)
  return (
    device.vendor === '1002' &&
    device.resetMethods?.includes('device_specific') !== true &&
    FAMILIES.some(([from, to]) => number >= from && number <= to)
  )
}
