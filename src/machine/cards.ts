import { groupBy, uniqueBy } from '../collections.ts'
import { idOf, type Machine, type PciDevice, slotOf } from './machine.ts'
import { canShow, isBridge, isDisplay } from './read/pci.ts'
import { isVirtual, withoutVirtualFunctions, withVirtualFunctions } from './virtualFunctions.ts'

/** A graphics card: the functions that go to a guest together. */
export interface Card {
  /** The device that draws. */
  display: PciDevice
  /** All its functions, that one among them, in the order of their addresses. */
  functions: readonly PciDevice[]
  /** Whether it is part of the processor. */
  isIntegrated: boolean
}

/** The graphics cards of a machine, in the order of their addresses. */
export function cardsOf(machine: Machine): readonly Card[] {
  return indexOf(machine).cards
}

/** The card that a device is a function of. */
export function cardWith(machine: Machine, address: string): Card | undefined {
  return indexOf(machine).byFunction.get(address)
}

interface CardIndex {
  cards: readonly Card[]
  byFunction: ReadonlyMap<string, Card>
}

// Callers ask for each device of a machine, of which one with SR-IOV has hundreds.
const indexes = new WeakMap<Machine, CardIndex>()

function indexOf(machine: Machine): CardIndex {
  const known = indexes.get(machine)
  if (known) return known
  const cards = findCards(machine.devices)
  const byFunction = new Map<string, Card>()
  for (const card of cards) {
    for (const { address } of card.functions) {
      if (!byFunction.has(address)) byFunction.set(address, card)
    }
  }
  const index = { cards, byFunction }
  indexes.set(machine, index)
  return index
}

function findCards(devices: readonly PciDevice[]): Card[] {
  const byAddress = new Map(devices.map(it => [it.address, it]))
  // The first display function of a slot represents the card.
  const displays = uniqueBy(devices.filter(isDisplay), it => slotOf(it.address))
  return displays.map(display => {
    const port = byAddress.get(display.upstreamBridges.at(-2) ?? '')
    const functions = devices.filter(it => isSameCard(display, it, port))
    return { display, functions, isIntegrated: isIntegrated(display, functions) }
  })
}

/** Whether a device is a function of the card; `port` is the bridge above the slot of the card. */
function isSameCard(display: PciDevice, other: PciDevice, port: PciDevice | undefined): boolean {
  // A virtual function goes to a guest alone, also where it lies in the slot of its card.
  if (isBridge(other) || isVirtual(other)) return false
  if (slotOf(other.address) === slotOf(display.address)) return true
  // Some cards have a switch of their own, with their sound in another slot below it.
  return (
    port !== undefined &&
    port.vendor === display.vendor &&
    display.upstreamBridges.length > 2 &&
    other.upstreamBridges.at(-2) === port.address &&
    other.vendor === display.vendor &&
    !isDisplay(other)
  )
}

/**
 * Graphics on the bus of the chipset are part of the processor; so are those of AMD that share their
 * slot with its other parts, such as the one for encryption.
 */
function isIntegrated(display: PciDevice, functions: readonly PciDevice[]): boolean {
  if (/^[0-9a-f]+:00:/.test(display.address) && display.upstreamBridges.length === 0) return true
  return functions.some(it => ['10', '11', '048'].some(code => it.class.startsWith(code)))
}

/** The display devices that the host would still have, were these given away. */
export function remainingDisplays(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  return machine.devices.filter(it => canShow(it) && !passed.has(it.address) && !isForGuests(it))
}

/**
 * Whether nobody tells if a monitor is at it, though one may be: some drivers know no places, and where
 * the firmware's first screen was is not known everywhere.
 */
export function hasUnknownMonitors(device: PciDevice): boolean {
  const { connectors, driver, bootVga } = device
  const mayShow = canShow(device) && (driver !== undefined || bootVga === undefined)
  return mayShow && connectors.length === 0 && bootVga !== true && !isForGuests(device)
}

/** The monitors at a device, by their places. */
export function monitorsAt({ connectors }: PciDevice): string[] {
  return connectors.filter(it => it.isConnected).map(it => it.name)
}

/** The devices that the IOMMU can't keep apart, so that they are given away together or not at all. */
export interface Group {
  /** Undefined for the devices in no group. */
  id: string | undefined
  devices: readonly PciDevice[]
  /** Whether several slots are in it, bridges not counted; a virtual function counts as a slot of its own. */
  isShared: boolean
}

/** The groups in the order of their numbers; what is in none comes last. */
export function iommuGroups(machine: Machine): Group[] {
  const order = ({ id }: Group) => (id === undefined ? Number.POSITIVE_INFINITY : +id)
  return [...groupBy(machine.devices, it => it.group)]
    .map(([id, devices]): Group => {
      return { id, devices, isShared: id !== undefined && assignableUnits(devices).length > 1 }
    })
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/** What can be given away for itself of these devices, by address: slots, and virtual functions. */
export function assignableUnits(devices: readonly PciDevice[]): string[] {
  const units = devices
    .filter(it => !isBridge(it))
    .map(it => (isVirtual(it) ? it.address : slotOf(it.address)))
  return [...new Set(units)]
}

/**
 * What keeps the groups of these devices from being given to a guest: devices in them that some
 * other driver has. Bridges, devices without a driver, and virtual functions of these devices, which go
 * with them, are not in the way.
 */
export function otherGroupMembers(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const groups = new Set(
    machine.devices.filter(it => passed.has(it.address)).map(it => it.group ?? '')
  )
  const gone = withVirtualFunctions(machine, passed)
  return machine.devices.filter(
    it =>
      it.group !== undefined &&
      groups.has(it.group) &&
      !gone.has(it.address) &&
      !isBridge(it) &&
      it.driver !== undefined &&
      !isForGuests(it)
  )
}

/**
 * Whether it is set aside for guests at the moment: also by a driver that is vfio-pci for one kind of
 * device, mostly for its virtual functions, such as mlx5_vfio_pci.
 */
export function isForGuests({ driver = '' }: PciDevice): boolean {
  return /(?:^|[-_])vfio[-_]pci$/.test(driver) || driver === 'pci-stub'
}

/**
 * The devices that stay with the host and have an ID of one that goes, so that the ID can't tell
 * them apart. A virtual function is never bound by ID, so one that goes counts among those that stay.
 */
export function sameIdDevices(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const bound = withoutVirtualFunctions(machine, passed)
  const gone = withVirtualFunctions(machine, bound)
  const ids = new Set(machine.devices.filter(it => bound.has(it.address)).map(idOf))
  return machine.devices.filter(it => !gone.has(it.address) && ids.has(idOf(it)))
}

const DISPLAY: Record<string, readonly string[]> = {
  '10de': ['nouveau', 'nova_core', 'nvidia', 'nvidiafb'],
  '1002': ['amdgpu', 'radeon'],
  '8086': ['i915', 'xe']
}

const OTHERS: readonly [code: string, module: string][] = [
  ['0403', 'snd_hda_intel'],
  ['0c0330', 'xhci_pci'],
  ['0c0320', 'ehci_pci'],
  ['0108', 'nvme'],
  ['010601', 'ahci']
]

/** Modules that take any device on request, and none by themselves. */
const FOR_GUESTS = ['vfio_pci', 'pci_stub', 'xen_pciback']

/**
 * The kernel modules whose drivers could take the device before vfio-pci does: those for its kind,
 * those that say they are for it, and the one that has it now. What a device is bound to now says
 * nothing where that is vfio-pci.
 */
export function competingDrivers(device: PciDevice): string[] {
  const { vendor, class: code, module } = device
  const kinds = OTHERS.filter(([it]) => code.startsWith(it)).map(([, it]) => it)
  const usual = code.startsWith('03')
    ? (DISPLAY[vendor] ?? [])
    : code.startsWith('0c80') && vendor === '10de'
      ? ['i2c_nvidia_gpu']
      : kinds
  // Without a module the driver is part of the kernel, and nothing can be loaded before it.
  const now = module === undefined ? [] : [module]
  const all = [...usual, ...(device.suitable ?? []), ...now]
  return [...new Set(all)].filter(it => !FOR_GUESTS.includes(it)).sort()
}
