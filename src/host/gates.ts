// What must not be given away, because the person would be locked out of their machine.

import { displaysLeft, isSilent, monitorsAt } from './cards.ts'
import { isForGuests } from './groups.ts'
import type { Held, Keyboard, Machine, PciDevice, StorageUse } from './machine.ts'
import { canShow, isDisplay } from './pciClass.ts'
import { withVirtualFunctions } from './virtualFunctions.ts'

/** Why a device stays with the host, and what is lost otherwise. */
export type Gate =
  /** The host has its files, its swap or a member of LUKS or ZFS behind it. */
  | { code: 'CARRIES_DISK'; device: PciDevice; uses: readonly StorageUse[] }
  /** No network card would be left; `others` take some of them away as well. */
  | {
      code: 'ONLY_NETWORK'
      device: PciDevice
      others: readonly PciDevice[]
      names: readonly string[]
    }
  /** The keyboard is plugged in there, and there is none but at `others`, which would go as well. */
  | {
      code: 'ONLY_KEYBOARD'
      device: PciDevice
      others: readonly PciDevice[]
      names: readonly string[]
    }
  /** No graphics card would be left for the host; `others` would go as well. */
  | { code: 'ONLY_DISPLAY'; device: PciDevice; others: readonly PciDevice[] }
  /**
   * Its monitors are those that the person looks at, or may be. The only gate that a person can open by a
   * word.
   */
  | {
      code: 'SHOWS_SCREEN'
      device: PciDevice
      monitors: readonly string[]
      /** The cards that a monitor could be plugged into instead. */
      others: readonly PciDevice[]
    }

/** Whether a picture is all that is lost, so that a boot entry which keeps it opens the gate. */
export function isAboutPicture({ code }: Gate): boolean {
  return code === 'ONLY_DISPLAY' || code === 'SHOWS_SCREEN'
}

/** The devices that it is closed to; several where none of them closes it alone. */
export function closedTo(gate: Gate): PciDevice[] {
  const goesToo = 'others' in gate && gate.code !== 'SHOWS_SCREEN' ? gate.others : []
  return [gate.device, ...goesToo]
}

export interface Circumstances {
  /** The addresses of display cards that the person confirmed. */
  confirmed: readonly string[]
  /** Whether the devices belong to guests from the start; otherwise the host shows on them until then. */
  bindsAtBoot: boolean
}

/**
 * The gates that are closed to giving these devices to a guest, all together; none is left out when
 * another is closed. Addresses that the machine doesn't have close none. What is reached through a virtual
 * function is lost with its physical function as well.
 */
export function closedGates(
  machine: Machine,
  passed: ReadonlySet<string>,
  { confirmed, bindsAtBoot }: Circumstances
): Gate[] {
  const devices = machine.devices.filter(it => passed.has(it.address))
  const displays = bindsAtBoot ? displayGates(machine, passed, devices, confirmed) : []
  return [
    ...devices.flatMap(device => diskGate(machine, device)),
    ...networkGate(machine, passed, devices),
    ...keyboardGate(machine, passed, devices),
    ...displays
  ]
}

function diskGate(machine: Machine, device: PciDevice): Gate[] {
  const gone = withVirtualFunctions(machine, new Set([device.address]))
  const uses = machine.storage.filter(it => isCut(it, gone))
  return uses.length > 0 ? [{ code: 'CARRIES_DISK', device, uses }] : []
}

function networkGate(
  machine: Machine,
  passed: ReadonlySet<string>,
  devices: readonly PciDevice[]
): Gate[] {
  const { networks } = machine
  const gone = withVirtualFunctions(machine, passed)
  const lost = networks.filter(it => isCut(it, gone))
  const [device, ...others] = devicesOnTheWay(lost, devices, machine)
  if (device === undefined || lost.length < networks.length) return []
  return [{ code: 'ONLY_NETWORK', device, others, names: lost.map(it => it.name) }]
}

function keyboardGate(
  machine: Machine,
  passed: ReadonlySet<string>,
  devices: readonly PciDevice[]
): Gate[] {
  const keyboards = realKeyboards(machine)
  const gone = withVirtualFunctions(machine, passed)
  const lost = keyboards.filter(it => isCut(it, gone))
  const [device, ...others] = devicesOnTheWay(lost, devices, machine)
  // Of a wireless one without a known adapter nobody knows whether it stays.
  const isLeft = keyboards.some(it => !lost.includes(it) && (it.isBuiltIn || it.through.length > 0))
  if (device === undefined || isLeft) return []
  return [{ code: 'ONLY_KEYBOARD', device, others, names: lost.map(it => it.name) }]
}

/** Those of the devices that one of these is reached through. */
function devicesOnTheWay(
  held: readonly Held[],
  devices: readonly PciDevice[],
  machine: Machine
): PciDevice[] {
  return devices.filter(it => {
    const gone = withVirtualFunctions(machine, new Set([it.address]))
    return held.some(at => isCut(at, gone))
  })
}

/** Many a mouse has keys like a keyboard; it counts as one only where there is no other. */
function realKeyboards({ keyboards }: Machine): readonly Keyboard[] {
  const plain = keyboards.filter(it => !it.hasMouse)
  return plain.length > 0 ? plain : keyboards
}

function displayGates(
  machine: Machine,
  passed: ReadonlySet<string>,
  devices: readonly PciDevice[],
  confirmed: readonly string[]
): Gate[] {
  const displays = devices.filter(it => isDisplay(it))
  const shown = displays.filter(canShow)
  const left = displaysLeft(machine, passed)
  const [first, ...others] = shown
  if (left.length === 0) {
    return first === undefined ? [] : [{ code: 'ONLY_DISPLAY', device: first, others }]
  }
  if (left.some(it => monitorsAt(it).length > 0)) return []
  // What the firmware drew on still shows it, where its driver does not say otherwise.
  const isLeft = left.some(it => it.bootVga === true && it.connectors.length === 0)
  return displays
    .filter(it => showsScreen(machine, it) || (!isLeft && isSilent(it)))
    .filter(it => !confirmed.includes(it.address))
    .map(device => ({
      code: 'SHOWS_SCREEN',
      device,
      monitors: monitorsAt(device),
      others: left
    }))
}

/** Whether a person looks at it now, as far as one can tell. */
export function showsScreen({ firmware }: Machine, device: PciDevice): boolean {
  if (isForGuests(device)) return false
  // The switch of a laptop gives the panel to the card that isn't on the bus of the processor.
  const hasPanel = firmware.mux === 'discrete' && device.behind.length > 0
  return device.bootVga === true || monitorsAt(device).length > 0 || hasPanel
}

function isCut({ through }: Held, passed: ReadonlySet<string>): boolean {
  return through.some(it => passed.has(it))
}
