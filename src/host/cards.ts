import { isForGuests } from './groups.ts'
import { type Machine, type PciDevice, slotOf } from './machine.ts'
import { canShow, isBridge, isDisplay } from './pciClass.ts'
import { isVirtual } from './virtualFunctions.ts'

/** A graphics card: what goes to a guest as one. */
export interface Card {
  /** The device that draws. */
  display: PciDevice
  /** All its functions, that one among them, in the order of their addresses. */
  functions: readonly PciDevice[]
  /** Whether it is part of the processor. */
  isIntegrated: boolean
}

/** The graphics cards of a machine, in the order of their addresses. */
export function cardsOf(machine: Machine): Card[] {
  const displays = machine.devices.filter(isDisplay)
  // Of several display functions of one card the first stands for it.
  const first = displays.filter(
    (it, i) => displays.findIndex(at => slotOf(at.address) === slotOf(it.address)) === i
  )
  return first.map(display => {
    const functions = machine.devices.filter(it => isSameCard(machine, display, it))
    return { display, functions, isIntegrated: isIntegrated(display, functions) }
  })
}

/** The card that a device is a function of. */
export function cardWith(machine: Machine, address: string): Card | undefined {
  return cardsOf(machine).find(it => it.functions.some(at => at.address === address))
}

function isSameCard(machine: Machine, display: PciDevice, other: PciDevice): boolean {
  // A virtual function goes to a guest alone, also where it lies in the slot of its card.
  if (isBridge(other) || isVirtual(other)) return false
  if (slotOf(other.address) === slotOf(display.address)) return true
  // Some cards have a switch of their own, with their sound in another slot below it.
  const top = display.behind.at(-2)
  const port = machine.devices.find(it => it.address === top)
  return (
    port !== undefined &&
    port.vendor === display.vendor &&
    display.behind.length > 2 &&
    other.behind.at(-2) === top &&
    other.vendor === display.vendor &&
    !isDisplay(other)
  )
}

/**
 * Graphics on the bus of the chipset are part of the processor; so are those of AMD that share their
 * slot with its other parts, such as the one for encryption.
 */
function isIntegrated(display: PciDevice, functions: readonly PciDevice[]): boolean {
  if (/^[0-9a-f]+:00:/.test(display.address) && display.behind.length === 0) return true
  return functions.some(it => ['10', '11', '048'].some(code => it.class.startsWith(code)))
}

/** The display devices that the host would still have, were these given away. */
export function displaysLeft(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  return machine.devices.filter(it => canShow(it) && !passed.has(it.address) && !isForGuests(it))
}

/**
 * Whether nobody tells if a monitor is at it, though one may be: some drivers know no places, and where
 * the firmware's first screen was is not told everywhere.
 */
export function isSilent(device: PciDevice): boolean {
  const { connectors, driver, bootVga } = device
  const mayShow = canShow(device) && (driver !== undefined || bootVga === undefined)
  return mayShow && connectors.length === 0 && bootVga !== true && !isForGuests(device)
}

/** The monitors at a device, by their places. */
export function monitorsAt({ connectors }: PciDevice): string[] {
  return connectors.filter(it => it.isConnected).map(it => it.name)
}
