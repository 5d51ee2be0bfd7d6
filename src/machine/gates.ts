// Finds devices that must not be passed through, because the user would lose access to the machine.

import {
  type Card,
  cardsOf,
  hasUnknownMonitors,
  isForGuests,
  monitorsAt,
  otherGroupMembers,
  remainingDisplays
} from './cards.ts'
import type { Keyboard, Machine, PciDevice, ReachedThrough, StorageUse } from './machine.ts'
import { canHaveMonitor, isDisplay } from './read/pci.ts'
import { isVirtual, virtualFunctionsOf, withVirtualFunctions } from './virtualFunctions.ts'

type Devices = readonly PciDevice[]

/** Why the host has to keep a device. */
export type Gate =
  /** It leads to a disk with the host's files or swap, or with a member of LUKS or ZFS. */
  | { code: 'CARRIES_DISK'; device: PciDevice; uses: readonly StorageUse[] }
  /** The host would have no network card left; `others` are passed through too, and lead to some of the lost cards. */
  | { code: 'ONLY_NETWORK'; device: PciDevice; others: Devices; names: readonly string[] }
  /** The host would have no keyboard left; `others` are passed through too, and have the other keyboards. */
  | { code: 'ONLY_KEYBOARD'; device: PciDevice; others: Devices; names: readonly string[] }
  /** The host would have no graphics card left; `others` are passed through too. */
  | { code: 'ONLY_DISPLAY'; device: PciDevice; others: Devices }
  /**
   * It shows the user's screen, or may show it; the user could connect the monitors to `others`. This is the only gate
   * that the user can open, with --confirm.
   */
  | { code: 'SHOWS_SCREEN'; device: PciDevice; monitors: readonly string[]; others: Devices }

/** True if only the screen would be lost, so that a separate boot entry opens the gate. */
export function isDisplayGate({ code }: Gate): boolean {
  return code === 'ONLY_DISPLAY' || code === 'SHOWS_SCREEN'
}

/** The devices for which the gate is closed; several if it is closed only for all of them together. */
export function gateDevices(gate: Gate): PciDevice[] {
  const others = 'others' in gate && gate.code !== 'SHOWS_SCREEN' ? gate.others : []
  return [gate.device, ...others]
}

interface GateOptions {
  /** The addresses of display devices that the user confirmed. */
  confirmed: readonly string[]
  /** False if the host uses the devices until a guest starts. */
  bindsAtBoot: boolean
}

/**
 * All gates that are closed for passing these devices through together. Ignores addresses that the machine doesn't
 * have. The virtual functions of a device are lost with it, and so is everything that they lead to.
 */
export function closedGates(
  machine: Machine,
  passed: ReadonlySet<string>,
  { confirmed, bindsAtBoot }: GateOptions
): Gate[] {
  const devices = machine.devices.filter(it => passed.has(it.address))
  const displays = bindsAtBoot ? displayGates(machine, passed, devices, confirmed) : []
  return [
    ...devices.flatMap(device => diskGate(machine, device)),
    ...networkGate(machine, passed),
    ...keyboardGate(machine, passed),
    ...displays
  ]
}

function diskGate(machine: Machine, device: PciDevice): Gate[] {
  const lost = withVirtualFunctions(machine, new Set([device.address]))
  const uses = machine.storage.filter(it => isLost(it, lost))
  return uses.length > 0 ? [{ code: 'CARRIES_DISK', device, uses }] : []
}

function networkGate(machine: Machine, passed: ReadonlySet<string>): Gate[] {
  const { networks } = machine
  const { lost, through } = lossOf(networks, machine, passed)
  const [device, ...others] = through
  if (device === undefined || lost.length < networks.length) return []
  return [{ code: 'ONLY_NETWORK', device, others, names: lost.map(it => it.name) }]
}

function keyboardGate(machine: Machine, passed: ReadonlySet<string>): Gate[] {
  const keyboards = realKeyboards(machine)
  const { lost, through } = lossOf(keyboards, machine, passed)
  const [device, ...others] = through
  // A wireless keyboard without a known adapter may be lost as well.
  const isLeft = keyboards.some(it => !lost.includes(it) && (it.isBuiltIn || it.through.length > 0))
  if (device === undefined || isLeft) return []
  return [{ code: 'ONLY_KEYBOARD', device, others, names: lost.map(it => it.name) }]
}

/** The resources that are lost with these devices, and the devices that lead to a lost resource. */
function lossOf<T extends ReachedThrough>(
  resources: readonly T[],
  machine: Machine,
  passed: ReadonlySet<string>
): { lost: T[]; through: PciDevice[] } {
  const lostAddresses = withVirtualFunctions(machine, passed)
  const lost = resources.filter(it => isLost(it, lostAddresses))
  const through = machine.devices.filter(({ address }) => {
    if (!passed.has(address)) return false
    const alone = withVirtualFunctions(machine, new Set([address]))
    return lost.some(it => isLost(it, alone))
  })
  return { lost, through }
}

/** The keyboards that are not part of a mouse or receiver; if there are none, all keyboards. */
function realKeyboards({ keyboards }: Machine): readonly Keyboard[] {
  const plain = keyboards.filter(it => !it.hasMouse)
  return plain.length > 0 ? plain : keyboards
}

function displayGates(
  machine: Machine,
  passed: ReadonlySet<string>,
  devices: Devices,
  confirmed: readonly string[]
): Gate[] {
  const displays = devices.filter(it => isDisplay(it))
  const shown = displays.filter(canHaveMonitor)
  const remaining = remainingDisplays(machine, passed)
  const [first, ...others] = shown
  if (remaining.length === 0) {
    return first === undefined ? [] : [{ code: 'ONLY_DISPLAY', device: first, others }]
  }
  if (remaining.some(it => monitorsAt(it).length > 0)) return []
  // The boot display still has the screen, unless its driver reports connectors.
  const isLeft = remaining.some(it => it.bootVga === true && it.connectors.length === 0)
  return displays
    .filter(it => showsScreen(machine, it) || (!isLeft && hasUnknownMonitors(it)))
    .filter(it => !confirmed.includes(it.address))
    .map(it => ({ code: 'SHOWS_SCREEN', device: it, monitors: monitorsAt(it), others: remaining }))
}

/** True if the device probably shows the user's screen now. */
export function showsScreen({ firmware }: Machine, device: PciDevice): boolean {
  if (isForGuests(device)) return false
  // In this position, a laptop's mux connects the panel to the card that isn't on the root bus.
  const hasPanel = firmware.mux === 'discrete' && device.upstreamBridges.length > 0
  return device.bootVga === true || monitorsAt(device).length > 0 || hasPanel
}

function isLost({ through }: ReachedThrough, passed: ReadonlySet<string>): boolean {
  return through.some(it => passed.has(it))
}

// Facts that the user should know about the chosen devices, although they prevent nothing.

export type Caution =
  /**
   * The card is the boot display, so the kernel may keep the firmware's framebuffer on it; `isOnly` if the host has no
   * other card.
   */
  | { code: 'BOOT_SCREEN'; device: PciDevice; isOnly: boolean }
  /** In the separate boot entry, the card with the screen is passed through; `others` could show the screen instead. */
  | { code: 'NO_PICTURE'; device: PciDevice; others: Devices }
  /** The host loses the monitors of this card, but keeps a monitor on another card. */
  | { code: 'MONITOR_GOES'; device: PciDevice; monitors: readonly string[] }
  /** The card can't be reset. */
  | { code: 'NO_RESET'; device: PciDevice }
  /** The card belongs to a family that is known for failing resets. */
  | { code: 'AMD_RESET'; device: PciDevice }
  /** The host uses other devices in its IOMMU group, so no guest can start with it. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: Devices }
  /** The host's remaining card has no driver, so the screen may be dark. */
  | { code: 'HOST_WITHOUT_DRIVER'; device: PciDevice }
  /** All drivers of the host's remaining card would be blacklisted. */
  | { code: 'HOST_BLACKLISTED'; device: PciDevice }
  /** The host would lose all network interfaces that are up, and keep only interfaces that are down. */
  | { code: 'NETWORK_IN_USE'; names: readonly string[] }
  /** The device has these virtual functions, which are missing in the boot entry that passes it through. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: Devices }
  /** The processor reports no virtualisation. */
  | { code: 'NO_VIRTUALISATION' }

/**
 * The cautions about passing these devices through; `blacklistsNvidia` if NVIDIA drivers would be
 * blacklisted. Empty if the machine has none of the devices.
 */
export function cautionsFor(
  machine: Machine,
  passed: ReadonlySet<string>,
  blacklistsNvidia = false
): Caution[] {
  const devices = machine.devices.filter(it => passed.has(it.address))
  if (devices.length === 0) return []
  const displays = devices.filter(isDisplay)
  const remaining = remainingDisplays(machine, passed)
  const cautions: Caution[] = []
  for (const device of displays) {
    const monitors = monitorsAt(device)
    if (device.bootVga === true || device.holdsFramebuffer === true) {
      cautions.push({ code: 'BOOT_SCREEN', device, isOnly: remaining.length === 0 })
    }
    if (monitors.length > 0 && remaining.some(it => monitorsAt(it).length > 0)) {
      cautions.push({ code: 'MONITOR_GOES', device, monitors })
    }
    if (device.resetMethods?.length === 0) cautions.push({ code: 'NO_RESET', device })
    else if (hasResetTrouble(device)) cautions.push({ code: 'AMD_RESET', device })
  }
  if (
    displays.some(canHaveMonitor) &&
    remaining.length > 0 &&
    remaining.every(it => it.driver === undefined)
  ) {
    for (const device of remaining) cautions.push({ code: 'HOST_WITHOUT_DRIVER', device })
  }
  const blacklisted = remaining.filter(it => blacklistsNvidia && it.vendor === '10de')
  for (const device of blacklisted) cautions.push({ code: 'HOST_BLACKLISTED', device })
  const lost = machine.networks.filter(it => it.through.some(at => passed.has(at)))
  const kept = machine.networks.filter(it => !lost.includes(it))
  if (lost.some(it => it.isUp) && kept.length > 0 && !kept.some(it => it.isUp)) {
    cautions.push({ code: 'NETWORK_IN_USE', names: lost.filter(it => it.isUp).map(it => it.name) })
  }
  if (machine.cpu.hasVirtualisation === false) cautions.push({ code: 'NO_VIRTUALISATION' })
  return cautions
}

// Polaris, Vega and first-generation Navi, as ranges of device IDs.
const FAMILIES: readonly [from: number, to: number][] = [
  [0x6600, 0x66af],
  [0x67c0, 0x67ff],
  [0x6860, 0x687f],
  [0x6980, 0x699f],
  [0x69a0, 0x69af],
  [0x6fdf, 0x6fdf],
  [0x7300, 0x736f]
]

/** True for AMD cards of these families, which can't be reset without a device-specific method. */
function hasResetTrouble(device: PciDevice): boolean {
  const number = Number.parseInt(device.device, 16)
  return (
    device.vendor === '1002' &&
    device.resetMethods?.includes('device_specific') !== true &&
    FAMILIES.some(([from, to]) => number >= from && number <= to)
  )
}

/** A card, and whether it can be passed through. */
export interface Candidate {
  card: Card
  /**
   * `free`: without restriction; `confirm`: if the user confirms it, or in a separate boot entry; `separate`: only in a
   * separate boot entry; `kept`: not at all.
   */
  verdict: 'free' | 'confirm' | 'separate' | 'kept'
  /** Why it isn't `free`. */
  reasons: readonly Reason[]
}

export type Reason =
  | Gate
  /** The host uses other devices in its IOMMU group. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: Devices }
  /** It is part of the processor, so the host usually needs it for the screen. */
  | { code: 'INTEGRATED'; device: PciDevice }
  /** It has these virtual functions, which would be lost. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: Devices }

/** All graphics cards, the best candidates first. */
export function candidateCards(machine: Machine): Candidate[] {
  const rank = { free: 0, confirm: 1, separate: 2, kept: 3 }
  return cardsOf(machine)
    .map(card => assess(machine, card))
    .sort(
      (a, b) =>
        rank[a.verdict] - rank[b.verdict] ||
        score(machine, b.card.display) - score(machine, a.card.display) ||
        (a.card.display.address < b.card.display.address ? -1 : 1)
    )
}

/** A virtual function, and whether it can be passed to a running guest. */
export interface VirtualCandidate {
  device: PciDevice
  verdict: 'free' | 'kept'
  /** Why it is kept. */
  reasons: readonly Reason[]
}

/** All virtual functions, in the order of their addresses. */
export function virtualCandidatesOf(machine: Machine): VirtualCandidate[] {
  return machine.devices.filter(isVirtual).map(device => {
    const reasons = reasonsFor(machine, device, { functions: [device], bindsAtBoot: false })
    return { device, verdict: reasons.length === 0 ? 'free' : 'kept', reasons }
  })
}

/** The closed gates and the shared IOMMU group that prevent passing a device through with these functions. */
function reasonsFor(
  machine: Machine,
  device: PciDevice,
  { functions, bindsAtBoot }: { functions: Devices; bindsAtBoot: boolean }
): Reason[] {
  const passed = new Set(functions.map(it => it.address))
  const others = otherGroupMembers(machine, passed)
  return [
    ...closedGates(machine, passed, { confirmed: [], bindsAtBoot }),
    ...(others.length > 0 ? [{ code: 'SHARED_GROUP', device, others } as const] : [])
  ]
}

function assess(machine: Machine, card: Card): Candidate {
  const { display: device, functions } = card
  const reasons: Reason[] = [
    ...(card.isIntegrated ? [{ code: 'INTEGRATED', device } as const] : []),
    ...reasonsFor(machine, device, { functions, bindsAtBoot: true }),
    ...functions.flatMap((it): Reason[] => {
      const virtual = virtualFunctionsOf(machine, it.address)
      return virtual.length > 0 ? [{ code: 'HAS_VIRTUAL_FUNCTIONS', device: it, virtual }] : []
    })
  ]
  return { card, verdict: verdictFor(reasons), reasons }
}

function verdictFor(reasons: readonly Reason[]): Candidate['verdict'] {
  const codes = new Set(reasons.map(it => it.code))
  if (codes.size === 0) return 'free'
  codes.delete('SHOWS_SCREEN')
  if (codes.size === 0) return 'confirm'
  codes.delete('ONLY_DISPLAY')
  return codes.size === 0 ? 'separate' : 'kept'
}

/** Prefers cards that don't show the screen, then cards without monitors, then cards with more memory. */
function score(machine: Machine, device: PciDevice): number {
  const unseen = showsScreen(machine, device) ? 0 : 2 ** 50
  const dark = monitorsAt(device).length > 0 ? 0 : 2 ** 49
  return unseen + dark + device.window
}

/** The only free candidate; undefined if there is none or more than one. */
export function proposedCard(candidates: readonly Candidate[]): Candidate | undefined {
  const free = candidates.filter(it => it.verdict === 'free')
  return free.length === 1 ? free[0] : undefined
}
