// Findings about the machine's devices that a configuration passes through.

import type { FindingText } from '../../lints/finding.ts'
import type { Gate } from '../../machine/gates.ts'
import { idOf, type PciDevice } from '../../machine/machine.ts'
import { briefDevice, describeUses, list, showsWord } from '../../machine/messages.ts'

type Devices = readonly PciDevice[]

// ---- names of devices

/** The configuration names a device by this ID or address, and the machine does not have it. */
export function deviceMissing(name: { id: string } | { address: string }): FindingText {
  const words = 'id' in name ? `ID ${name.id}` : `address ${name.address}`
  return {
    code: 'NO_SUCH_DEVICE',
    level: 'note',
    message: `this machine has no device with the ${words}`,
    why: 'the device may not be installed, or the configuration is for another machine.',
    remedy: '"vfio-patch scan" lists the devices'
  }
}

/** `id` was at `address`, where `current` is now; `candidates` are the addresses of devices that have the ID now. */
export function deviceMoved(
  id: string,
  address: string,
  current: PciDevice | undefined,
  candidates: readonly string[]
): FindingText {
  return {
    code: 'MOVED_DEVICE',
    level: 'problem',
    message: `${id} is no longer at ${address}: ${current ? `${idOf(current)} is there` : 'nothing is there'}`,
    why: 'addresses change when a card is added or moved, or the firmware is updated. vfio-pci does not bind the device at its new address, so no guest gets it.',
    remedy:
      candidates.length === 0
        ? 'find its address with "vfio-patch scan"'
        : `write its current address, ${list(candidates, 'or')}`
  }
}

/**
 * `missing` are functions of a card that are not passed through with it. `isGrouped` is true if they share an
 * IOMMU group with the card. `names` are the IDs and addresses by which to add them.
 */
export function functionsMissing(
  missing: Devices,
  isGrouped: boolean,
  names: readonly string[]
): FindingText {
  const verb = missing.length === 1 ? 'is' : 'are'
  return {
    code: 'MISSING_FUNCTION',
    level: isGrouped ? 'problem' : 'note',
    message: `${list(missing.map(briefDevice))} of the same card ${verb} not passed through`,
    why: isGrouped
      ? 'a guest gets all functions of a card or none, because the IOMMU cannot isolate them from each other.'
      : 'a card is often reset as a whole, and that reset fails while the host uses part of the card.',
    remedy: `also name ${list(names)}`
  }
}

/** `host` devices have the same ID as `guest` devices. `cards` are the addresses of the guest's cards. */
export function idShared(host: Devices, guest: Devices, cards: readonly string[]): FindingText {
  const [has, areThey] = host.length === 1 ? ['has', 'it is'] : ['have', 'they are']
  const addresses = guest.map(it => it.address)
  const flags = cards.map(it => `--gpu ${it}`)
  return {
    code: 'SHARED_ID',
    level: 'problem',
    message: `${list(host.map(briefDevice))} of the host ${has} the same ID, so ${areThey} passed through as well`,
    why: "an ID selects all devices that have it, not only the guest's.",
    remedy: `name the device by its address (${list(addresses)}) in virtualisation.vfio.addresses: vfio-patch apply ${list(flags, 'or')}`
  }
}

// ---- groups, drivers and resets

/** `others` are the host's devices in the IOMMU group of the device at `address`. */
export function groupShared(address: string, group: string, others: Devices): FindingText {
  return {
    code: 'SHARED_GROUP',
    level: 'problem',
    message: `${address} shares IOMMU group ${group} with ${list(others.map(briefDevice))}, which the host uses`,
    why: 'the IOMMU cannot isolate the devices of a group from each other, so a guest gets all of them or none.',
    remedy:
      'put the card into another slot, or look for an ACS setting in the firmware setup; "vfio-patch scan" shows the groups'
  }
}

const LOAD_VFIO = 'make sure that vfio_pci is in boot.initrd.kernelModules'
const BY_ADDRESS = 'name the device in virtualisation.vfio.addresses'

/** vfio-pci should have bound the device at boot. `hasSoftdep` is true if its driver already waits for vfio-pci. */
export function driverBoundFirst(
  { address, driver, module }: PciDevice,
  hasSoftdep: boolean
): FindingText {
  const finding = { code: 'DRIVER_WON', level: 'problem' } as const
  if (driver === undefined) {
    return {
      ...finding,
      message: `no driver has ${address}, which was reserved for vfio-pci`,
      why: 'vfio-pci was not loaded, or did not bind the device.',
      remedy: LOAD_VFIO
    }
  }
  return {
    ...finding,
    message: `${driver} has ${address}, which was reserved for vfio-pci`,
    why: 'the driver was loaded first, and a driver keeps the devices that it has bound.',
    remedy:
      module === undefined
        ? `the driver is built into the kernel; ${BY_ADDRESS}, so that no other driver binds it`
        : hasSoftdep
          ? `${LOAD_VFIO}, or ${BY_ADDRESS}`
          : `add this line to boot.extraModprobeConfig: softdep ${module} pre: vfio-pci`
  }
}

export function firmwareFramebufferInUse(address: string): FindingText {
  return {
    code: 'BOOT_FRAMEBUFFER',
    level: 'note',
    message: `the kernel draws on ${address} with the firmware's framebuffer (BOOTFB in /proc/iomem)`,
    why: "while the kernel draws on it, a guest may not get the card's memory, and the guest's screen stays black.",
    remedy:
      "choose the host's card as the primary display in the firmware setup; if there is no such setting, run vfio-patch apply --disable-efifb"
  }
}

export function noResetMethod(address: string): FindingText {
  return mayNotReset(
    address,
    'the kernel cannot reset it, so it may work in a guest only once after each boot of the host.',
    'shut the guest down before the host restarts; in the guest, disable sleep and fast startup'
  )
}

/** An AMD card of a family with reset problems. */
export function needsVendorReset({ address, vendor, device }: PciDevice): FindingText {
  const rule = `ATTR{vendor}=="0x${vendor}", ATTR{device}=="0x${device}", ATTR{reset_method}="device_specific"`
  return mayNotReset(
    address,
    "cards of this family keep the state in which a guest left them, so the next guest's screen may stay black.",
    `if this happens, set boot.extraModulePackages = [ config.boot.kernelPackages.vendor-reset ]; boot.kernelModules = [ "vendor-reset" ]; services.udev.extraRules = ''${rule}'';`
  )
}

function mayNotReset(address: string, why: string, remedy: string): FindingText {
  return {
    code: 'NO_RESET',
    level: 'note',
    message: `${address} may not work again after a guest shuts down`,
    why,
    remedy
  }
}

// ---- what the host loses

export function hostLocksOut(gate: Gate): FindingText {
  const level = gate.code === 'SHOWS_SCREEN' ? 'note' : 'problem'
  return { code: 'LOCKS_OUT', level, ...wordGate(gate) }
}

function wordGate(gate: Gate): Pick<FindingText, 'message' | 'why' | 'remedy'> {
  const device = briefDevice(gate.device)
  const remove = 'remove it; "vfio-patch scan" shows which devices a guest can have'
  switch (gate.code) {
    case 'CARRIES_DISK':
      return {
        message: `disks that the host uses are attached to ${device}: ${describeUses(gate.uses)}`,
        why: 'the host loses access to these disks when a guest takes the device.',
        remedy: remove
      }
    case 'ONLY_NETWORK':
      return {
        message: `${device} is the host's only network card (${list(gate.names)})`,
        why: 'the host has no network when a guest takes the card.',
        remedy: remove
      }
    case 'ONLY_KEYBOARD':
      return {
        message: `the only keyboard is plugged into ${device}`,
        why: 'nobody can type on the host when a guest takes the device.',
        remedy: 'plug the keyboard into another USB port, or remove this'
      }
    case 'ONLY_DISPLAY':
      return {
        message: 'no graphics card is left for the host',
        why: "the host's screen stays dark, even if something goes wrong.",
        remedy:
          'use a separate boot entry (vfio-patch apply --specialisation NAME), or pass the card through only while the guest runs (--bind hooks)'
      }
    case 'SHOWS_SCREEN':
      return {
        message: `${device} ${showsWord(gate.device)} your screen, and is passed through`,
        why: "no monitor is plugged into another card, so the host's screen goes dark.",
        remedy: `plug the monitor into ${list(
          gate.others.map(it => it.address),
          'or'
        )} before the next boot`
      }
  }
}
