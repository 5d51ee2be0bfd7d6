// What must not be given away, because the person would be locked out of their machine.

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
import { canShow, isDisplay } from './read/pci.ts'
import { isVirtual, virtualFunctionsOf, withVirtualFunctions } from './virtualFunctions.ts'

type Devices = readonly PciDevice[]

/** Why a device stays with the host, and what is lost otherwise. */
export type Gate =
  /** The host reaches its files, its swap or a member of LUKS or ZFS through it. */
  | { code: 'CARRIES_DISK'; device: PciDevice; uses: readonly StorageUse[] }
  /** No network card would be left; `others` take some of them away as well. */
  | { code: 'ONLY_NETWORK'; device: PciDevice; others: Devices; names: readonly string[] }
  /** The keyboard is plugged in there, and there is none but at `others`, which would go as well. */
  | { code: 'ONLY_KEYBOARD'; device: PciDevice; others: Devices; names: readonly string[] }
  /** No graphics card would be left for the host; `others` would go as well. */
  | { code: 'ONLY_DISPLAY'; device: PciDevice; others: Devices }
  /**
   * Its monitors are those that the person looks at, or may be; they could be plugged into `others`. The
   * only gate that a person can open by a word.
   */
  | { code: 'SHOWS_SCREEN'; device: PciDevice; monitors: readonly string[]; others: Devices }

/** Whether a picture is all that is lost, so that a boot entry which keeps it opens the gate. */
export function isDisplayGate({ code }: Gate): boolean {
  return code === 'ONLY_DISPLAY' || code === 'SHOWS_SCREEN'
}

/** The devices that it is closed to; several where none of them closes it alone. */
export function gateDevices(gate: Gate): PciDevice[] {
  const goesToo = 'others' in gate && gate.code !== 'SHOWS_SCREEN' ? gate.others : []
  return [gate.device, ...goesToo]
}

interface GateOptions {
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
  const gone = withVirtualFunctions(machine, new Set([device.address]))
  const uses = machine.storage.filter(it => isLost(it, gone))
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
  // Of a wireless one without a known adapter nobody knows whether it stays.
  const isLeft = keyboards.some(it => !lost.includes(it) && (it.isBuiltIn || it.through.length > 0))
  if (device === undefined || isLeft) return []
  return [{ code: 'ONLY_KEYBOARD', device, others, names: lost.map(it => it.name) }]
}

/** What is lost with these devices, and those of them that it is reached through. */
function lossOf<T extends ReachedThrough>(
  held: readonly T[],
  machine: Machine,
  passed: ReadonlySet<string>
): { lost: T[]; through: PciDevice[] } {
  const gone = withVirtualFunctions(machine, passed)
  const lost = held.filter(it => isLost(it, gone))
  const through = machine.devices.filter(({ address }) => {
    if (!passed.has(address)) return false
    const own = withVirtualFunctions(machine, new Set([address]))
    return lost.some(it => isLost(it, own))
  })
  return { lost, through }
}

/** Many mice have keys like a keyboard; they count as keyboards only where there is no other. */
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
  const shown = displays.filter(canShow)
  const left = remainingDisplays(machine, passed)
  const [first, ...others] = shown
  if (left.length === 0) {
    return first === undefined ? [] : [{ code: 'ONLY_DISPLAY', device: first, others }]
  }
  if (left.some(it => monitorsAt(it).length > 0)) return []
  // What the firmware drew on still shows it, where its driver does not say otherwise.
  const isLeft = left.some(it => it.bootVga === true && it.connectors.length === 0)
  return displays
    .filter(it => showsScreen(machine, it) || (!isLeft && hasUnknownMonitors(it)))
    .filter(it => !confirmed.includes(it.address))
    .map(it => ({ code: 'SHOWS_SCREEN', device: it, monitors: monitorsAt(it), others: left }))
}

/** Whether a person probably looks at it now. */
export function showsScreen({ firmware }: Machine, device: PciDevice): boolean {
  if (isForGuests(device)) return false
  // The switch of a laptop gives the panel to the card that isn't on the bus of the processor.
  const hasPanel = firmware.mux === 'discrete' && device.upstreamBridges.length > 0
  return device.bootVga === true || monitorsAt(device).length > 0 || hasPanel
}

function isLost({ through }: ReachedThrough, passed: ReadonlySet<string>): boolean {
  return through.some(it => passed.has(it))
}

// What a person should know of a choice, though it prevents nothing.

export type Caution =
  /**
   * The firmware drew its first screen on the card, and the kernel may hold on to that; `isOnly` if there is
   * no other card that it could draw on.
   */
  | { code: 'BOOT_SCREEN'; device: PciDevice; isOnly: boolean }
  /** In its boot entry the card that shows the picture is the guest's; these could show one instead. */
  | { code: 'NO_PICTURE'; device: PciDevice; others: Devices }
  /** A monitor at the card goes dark for the host; another one stays. */
  | { code: 'MONITOR_GOES'; device: PciDevice; monitors: readonly string[] }
  /** The card can't be reset, or is of a family that is known not to come back. */
  | { code: 'NO_RESET'; device: PciDevice }
  | { code: 'AMD_RESET'; device: PciDevice }
  /** Others that the host uses are in the IOMMU group of the device, so that no guest can start with it. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: Devices }
  /** The card that stays has no driver, so it may show nothing. */
  | { code: 'HOST_WITHOUT_DRIVER'; device: PciDevice }
  /** All drivers of the card that stays would be kept from loading. */
  | { code: 'HOST_BLACKLISTED'; device: PciDevice }
  /** The interfaces that are in use go; only others stay. */
  | { code: 'NETWORK_IN_USE'; names: readonly string[] }
  /** The device has these virtual functions, which are gone in the boot entry that gives it away. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: Devices }
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
  const left = remainingDisplays(machine, passed)
  const cautions: Caution[] = []
  for (const device of displays) {
    const monitors = monitorsAt(device)
    if (device.bootVga === true || device.holdsFramebuffer === true) {
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

/** A card, and whether a guest can have it. */
export interface Candidate {
  card: Card
  /**
   * `free` if nothing speaks against it; `confirm` if the person has to say that they mean it, or has it
   * in a boot entry of its own; `separate` if it can be had in such a one only; `kept` if it can't be had.
   */
  verdict: 'free' | 'confirm' | 'separate' | 'kept'
  /** Why it is kept or has to be confirmed. */
  reasons: readonly Reason[]
}

export type Reason =
  | Gate
  /** Others that the host uses are in its IOMMU group. */
  | { code: 'SHARED_GROUP'; device: PciDevice; others: Devices }
  /** It is the processor's own, and what the host shows its screen on as a rule. */
  | { code: 'INTEGRATED'; device: PciDevice }
  /** It has these virtual functions, which would be gone. */
  | { code: 'HAS_VIRTUAL_FUNCTIONS'; device: PciDevice; virtual: Devices }

/** All graphics cards, those first that a guest can have, and the best of these first. */
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

/** A virtual function, and whether a guest can have it while it runs. */
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

/** The closed gates, and a group with others, for a device that is given away with these functions. */
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

/** More for what is not looked at, then for memory. */
function score(machine: Machine, device: PciDevice): number {
  const unseen = showsScreen(machine, device) ? 0 : 2 ** 50
  const dark = monitorsAt(device).length > 0 ? 0 : 2 ** 49
  return unseen + dark + device.window
}

/** The one card that is proposed: undefined if there is none, or several between which to choose. */
export function proposedCard(candidates: readonly Candidate[]): Candidate | undefined {
  const free = candidates.filter(it => it.verdict === 'free')
  return free.length === 1 ? free[0] : undefined
}
