import { groupBy, uniqueBy } from '../collections.ts'
import { idOf, type Machine, type PciDevice, slotOf } from './machine.ts'
import { canHaveMonitor, isBridge, isDisplay } from './read/pci.ts'
import { isVirtual, withoutVirtualFunctions, withVirtualFunctions } from './virtualFunctions.ts'

/** A graphics card: the functions that are passed through together. */
export interface Card {
  /** The first display function. */
  display: PciDevice
  /** All its functions, including `display`, in the order of their addresses. */
  functions: readonly PciDevice[]
  /** True if it is part of the processor. */
  isIntegrated: boolean
}

/** The graphics cards of a machine, in the order of their addresses. */
export function cardsOf(machine: Machine): readonly Card[] {
  return indexOf(machine).cards
}

/** The card with the device as one of its functions; undefined if there is none. */
export function cardWith(machine: Machine, address: string): Card | undefined {
  return indexOf(machine).byFunction.get(address)
}

interface CardIndex {
  cards: readonly Card[]
  byFunction: ReadonlyMap<string, Card>
}

// A cache, because callers look up every device of a machine, and with SR-IOV there can be hundreds.
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

/** True if a device is a function of the card; `port` is the bridge above the slot of the card. */
function isSameCard(display: PciDevice, other: PciDevice, port: PciDevice | undefined): boolean {
  // A virtual function is passed through alone, even if it is in the slot of its card.
  if (isBridge(other) || isVirtual(other)) return false
  if (slotOf(other.address) === slotOf(display.address)) return true
  // Some cards have their own PCIe switch, with the audio function in another slot below it.
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
 * True for graphics on the root bus, and for AMD graphics that share their slot with other parts of the processor, such
 * as the encryption controller.
 */
function isIntegrated(display: PciDevice, functions: readonly PciDevice[]): boolean {
  if (/^[0-9a-f]+:00:/.test(display.address) && display.upstreamBridges.length === 0) return true
  return functions.some(it => ['10', '11', '048'].some(code => it.class.startsWith(code)))
}

/** The display devices that the host keeps if these devices are passed through. */
export function remainingDisplays(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  return machine.devices.filter(
    it => canHaveMonitor(it) && !passed.has(it.address) && !isForGuests(it)
  )
}

/**
 * True if a monitor may be connected without being reported: some drivers report no connectors, and not every system
 * reports the boot display.
 */
export function hasUnknownMonitors(device: PciDevice): boolean {
  const { connectors, driver, bootVga } = device
  const mayShow = canHaveMonitor(device) && (driver !== undefined || bootVga === undefined)
  return mayShow && connectors.length === 0 && bootVga !== true && !isForGuests(device)
}

/** The names of the device's connectors to which a monitor is connected. */
export function monitorsAt({ connectors }: PciDevice): string[] {
  return connectors.filter(it => it.isConnected).map(it => it.name)
}

/** An IOMMU group: devices that can be passed through only together. */
export interface Group {
  /** Undefined for devices without a group. */
  id: string | undefined
  devices: readonly PciDevice[]
  /** True if it has several assignable units. */
  isShared: boolean
}

/** The groups in the order of their numbers; devices without a group come last. */
export function iommuGroups(machine: Machine): Group[] {
  const order = ({ id }: Group) => (id === undefined ? Number.POSITIVE_INFINITY : +id)
  return [...groupBy(machine.devices, it => it.group)]
    .map(([id, devices]): Group => {
      return { id, devices, isShared: id !== undefined && assignableUnits(devices).length > 1 }
    })
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/**
 * The addresses of the units that could be passed through separately: the slots of these devices except bridges, and
 * each virtual function.
 */
export function assignableUnits(devices: readonly PciDevice[]): string[] {
  const units = devices
    .filter(it => !isBridge(it))
    .map(it => (isVirtual(it) ? it.address : slotOf(it.address)))
  return [...new Set(units)]
}

/**
 * The other devices in the IOMMU groups of these devices that have a host driver. They prevent passing the group
 * through. Omits bridges, devices without a driver, and virtual functions of these devices.
 */
export function otherGroupMembers(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const groups = new Set(
    machine.devices.filter(it => passed.has(it.address)).map(it => it.group ?? '')
  )
  const lost = withVirtualFunctions(machine, passed)
  return machine.devices.filter(
    it =>
      it.group !== undefined &&
      groups.has(it.group) &&
      !lost.has(it.address) &&
      !isBridge(it) &&
      it.driver !== undefined &&
      !isForGuests(it)
  )
}

/** True if its driver is for passthrough: vfio-pci, pci-stub, or a variant of vfio-pci such as mlx5_vfio_pci. */
export function isForGuests({ driver = '' }: PciDevice): boolean {
  return /(?:^|[-_])vfio[-_]pci$/.test(driver) || driver === 'pci-stub'
}

/**
 * The other devices with the same ID as a device that is passed through. If there are any, that device can't be
 * selected by ID. Includes virtual functions that are passed through, because they are never bound by ID.
 */
export function sameIdDevices(machine: Machine, passed: ReadonlySet<string>): PciDevice[] {
  const bound = withoutVirtualFunctions(machine, passed)
  const lost = withVirtualFunctions(machine, bound)
  const ids = new Set(machine.devices.filter(it => bound.has(it.address)).map(idOf))
  return machine.devices.filter(it => !lost.has(it.address) && ids.has(idOf(it)))
}

/** The drivers of display devices, by vendor ID. */
const DISPLAY_DRIVERS: Record<string, readonly string[]> = {
  '10de': ['nouveau', 'nova_core', 'nvidia', 'nvidiafb'],
  '1002': ['amdgpu', 'radeon'],
  '8086': ['i915', 'xe']
}

/** The drivers of other devices, by the start of the class code. */
const CLASS_DRIVERS: readonly [code: string, module: string][] = [
  ['0403', 'snd_hda_intel'],
  ['0c0330', 'xhci_pci'],
  ['0c0320', 'ehci_pci'],
  ['0108', 'nvme'],
  ['010601', 'ahci']
]

/** Modules that bind a device only on request. */
const FOR_GUESTS = ['vfio_pci', 'pci_stub', 'xen_pciback']

/**
 * The kernel modules whose drivers could bind the device before vfio-pci does: the usual modules for its class, modules
 * with a matching alias, and the module of its current driver. Omits modules for passthrough.
 */
export function competingDrivers(device: PciDevice): string[] {
  const { vendor, class: code, module } = device
  const kinds = CLASS_DRIVERS.filter(([it]) => code.startsWith(it)).map(([, it]) => it)
  const usual = code.startsWith('03')
    ? (DISPLAY_DRIVERS[vendor] ?? [])
    : code.startsWith('0c80') && vendor === '10de'
      ? ['i2c_nvidia_gpu']
      : kinds
  // A driver without a module is built into the kernel, so nothing can be loaded before it.
  const current = module === undefined ? [] : [module]
  const all = [...usual, ...(device.suitable ?? []), ...current]
  return [...new Set(all)].filter(it => !FOR_GUESTS.includes(it)).sort()
}
