// Turns the requested cards and devices into settings, or refuses them.

import {
  type Card,
  cardWith,
  competingDrivers,
  otherGroupMembers,
  sameIdDevices
} from '../machine/cards.ts'
import {
  type Caution,
  cautionsFor,
  closedGates,
  type Gate,
  gateDevices,
  isDisplayGate
} from '../machine/gates.ts'
import { idOf, type Machine, type PciDevice } from '../machine/machine.ts'
import { isDisplay } from '../machine/read/pci.ts'
import { isVirtual, physicalFunctionFor, physicalFunctionOf } from '../machine/virtualFunctions.ts'
import type { NixDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { VFIO } from '../settings/options.ts'
import type { Settings } from '../settings/settings.ts'
import { prefixOf, profilesOf } from './bootEntry.ts'
import {
  lostFunctionProblems,
  namedAddresses,
  passedParentProblems,
  type VirtualDecision,
  type VirtualProblem,
  virtualSelectionProblems
} from './guestDevices.ts'

/** The requested devices, apart from those in the settings. */
export interface DeviceRequest {
  /** Addresses of graphics cards; each card is passed through with all its functions. */
  gpus: readonly string[]
  /**
   * Addresses of devices; a graphics card is passed through with all its functions. A virtual function is not written
   * into any option, because libvirt detaches it from the host when the guest starts.
   */
  devices?: readonly string[]
  /** Addresses of devices that the configuration already passes through; they are not checked again. */
  alreadyPassed?: ReadonlySet<string>
  /** Addresses of cards that the user agreed to pass through although they show the user's screen. */
  confirmed: readonly string[]
  /** The separate boot entry for the options. The screen then still works in the default boot entry. */
  specialisation?: string | undefined
  /** Whether to treat the cards as isolated if the IOMMU groups can't be read. */
  assumesIsolated?: boolean
  /** Addresses of devices that vfio-pci already has because of the current configuration. */
  boundForGuests?: ReadonlySet<string>
}

/** Why the requested devices are refused. */
export type ChoiceProblem =
  | Gate
  | VirtualProblem
  /** Devices that the host uses are in the IOMMU group of the card. */
  | {
      code: 'SHARED_GROUP'
      device: PciDevice
      others: readonly PciDevice[]
      /** Whether the others can be passed through as well. */
      canGiveOthers: boolean
    }
  /** There is no device at the address. */
  | { code: 'NO_SUCH_DEVICE'; address: string; cards: readonly Card[] }
  /** The device is not a graphics card; it may be part of one. */
  | { code: 'NOT_A_CARD'; device: PciDevice; card?: Card }
  /** The firmware offers no IOMMU, so no device can be passed through. */
  | { code: 'IOMMU_OFF'; machine: Machine }

/** A decision that was made for the user, with its reason. */
export type Decision =
  /** All functions of the card are passed through. */
  | { code: 'WHOLE_CARD'; card: Card }
  /** A single device is passed through. */
  | { code: 'DEVICE'; device: PciDevice }
  | VirtualDecision
  /** The devices are selected by ID, because no other device has one of their IDs. */
  | { code: 'BY_ID' }
  /** The devices are selected by address, because devices that the host keeps (`twins`) have the same ID. */
  | { code: 'BY_ADDRESS'; twins: readonly PciDevice[] }
  | { code: 'PROCESSOR'; vendor: 'intel' | 'amd' }
  /** Drivers outside `BUILT_IN_DRIVERS` that could bind a function of the card before vfio-pci does. */
  | { code: 'DRIVERS'; drivers: readonly string[] }
  /** The IOMMU is off, so groups can't be read: this run only turns the IOMMU on. */
  | { code: 'FIRST_PHASE'; card: Card; specialisation: string | undefined }
  /** The IOMMU is off, and the user asserts that no other device shares the card's group. */
  | { code: 'ASSUMED_ISOLATED'; card: Card }

export interface Choice {
  settings: Settings
  decisions: readonly Decision[]
  cautions: readonly Caution[]
}

/**
 * Adds the requested devices to the settings. Refuses requested devices, and devices of the machine that the settings
 * name, if passing them through would lock the user out. Without requested devices the settings do not change. Virtual
 * functions are never added, and settings that name one are refused.
 */
export function chooseDevices(
  machine: Machine,
  settings: Settings,
  request: DeviceRequest
): Result<Choice, ChoiceProblem[]> {
  const virtual = virtualSelectionProblems(machine, settings, request.gpus)
  if (virtual.length > 0) return err(virtual)
  const found = requestedUnits(machine, request)
  if (!found.ok) return found
  const { units } = found.value
  const { alreadyPassed = new Set<string>(), specialisation } = request
  const named = namedDevices(machine, settings)
  const newFunctions = units
    .flatMap(it => it.functions)
    .filter(it => !alreadyPassed.has(it.address))
  const passed = new Set([
    ...named.map(it => it.address),
    ...newFunctions.map(it => it.address),
    ...alreadyPassed
  ])
  const bindsAtBoot = settings.bindAtBoot !== false
  const isIommuOff = units.length > 0 && machine.iommu.groups === 0
  const isFirstPhase =
    isIommuOff && !(request.assumesIsolated === true && specialisation !== undefined)
  const gates = closedGates(machine, passed, { confirmed: request.confirmed, bindsAtBoot }).filter(
    it => !isClosedOnlyFor(it, request.boundForGuests) && !isClosedOnlyFor(it, alreadyPassed)
  )
  // A dark screen is acceptable in a separate boot entry, because the user can boot the default one. The user may
  // notice other losses too late.
  const dark = specialisation === undefined ? [] : gates.filter(isDisplayGate)
  // In a separate boot entry, lost virtual functions are only a caution: the default boot entry keeps them.
  const lost = lostFunctionProblems(
    machine,
    [...named, ...newFunctions].filter(
      it => !alreadyPassed.has(it.address) && !request.boundForGuests?.has(it.address)
    ),
    gates
  )
  const problems: ChoiceProblem[] = [
    ...passedParentProblems(machine, newFunctions, passed),
    ...(specialisation === undefined ? lost : []),
    ...gates.filter(it => !dark.includes(it) && (!isFirstPhase || it.code !== 'SHOWS_SCREEN')),
    ...(settings.applyACSpatch === true
      ? []
      : sharedGroups(machine, units, passed, request.confirmed))
  ]
  if (isIommuOff && machine.iommu.isOffered !== true) problems.push({ code: 'IOMMU_OFF', machine })
  if (problems.length > 0) return err(problems)

  const cautions: Caution[] = [
    ...(isFirstPhase ? [] : dark.map(noPictureCaution)),
    ...lost,
    ...(settings.applyACSpatch === true ? [] : sharedByNamed(machine, named, passed)),
    ...cautionsFor(machine, passed, settings.blacklistNvidia === true).filter(
      it => !('device' in it && alreadyPassed.has(it.device.address))
    )
  ]
  const selection = { ...found.value, newFunctions, passed, isIommuOff, isFirstPhase }
  return ok({ ...decide(machine, settings, selection, specialisation), cautions })
}

/** The accepted devices. */
interface Selection {
  cards: readonly Card[]
  units: readonly Card[]
  /** The functions of the units that are not passed through yet. */
  newFunctions: readonly PciDevice[]
  /** The addresses of all devices that are passed through after the run. */
  passed: ReadonlySet<string>
  /** Whether the IOMMU is off. */
  isIommuOff: boolean
  /** Whether this run only turns the IOMMU on. */
  isFirstPhase: boolean
}

/** Adds the units to the settings, and returns the decisions. */
function decide(
  machine: Machine,
  settings: Settings,
  { cards, units, newFunctions, passed, isIommuOff, isFirstPhase }: Selection,
  specialisation: string | undefined
): Omit<Choice, 'cautions'> {
  const [first] = units
  if (first === undefined) return { settings, decisions: [] }
  const base = withProcessor(machine, settings)
  if (isFirstPhase) {
    const firstPhase: Decision = { code: 'FIRST_PHASE', card: first, specialisation }
    return { settings: base.settings, decisions: [...base.decisions, firstPhase] }
  }
  const binding = bind(machine, base.settings, newFunctions, passed)
  const decisions: Decision[] = [
    ...cards.map((card): Decision => ({ code: 'WHOLE_CARD', card })),
    ...units
      .filter(it => !cards.includes(it))
      .map(({ display }) => singleDecision(machine, display)),
    ...(isIommuOff ? [{ code: 'ASSUMED_ISOLATED', card: first } as const] : []),
    ...base.decisions,
    ...binding.decisions
  ]
  return { settings: binding.settings, decisions }
}

/** The requested cards (`cards`), and the cards together with the single devices (`units`). */
function requestedUnits(
  machine: Machine,
  request: DeviceRequest
): Result<{ cards: Card[]; units: Card[] }, ChoiceProblem[]> {
  const cards: Card[] = []
  for (const address of request.gpus) {
    const card = cardWith(machine, address)
    const device = machine.devices.find(it => it.address === address)
    if (device === undefined) return err([noSuchDevice(machine, address)])
    if (card === undefined || !isDisplay(device)) {
      return err([{ code: 'NOT_A_CARD', device, ...(card === undefined ? {} : { card }) }])
    }
    cards.push(card)
  }
  const singles: Card[] = []
  for (const address of request.devices ?? []) {
    const device = machine.devices.find(it => it.address === address)
    if (device === undefined) return err([noSuchDevice(machine, address)])
    const card = isDisplay(device) ? cardWith(machine, address) : undefined
    if (card === undefined)
      singles.push({ display: device, functions: [device], isIntegrated: false })
    else if (!cards.some(it => it.display === card.display)) cards.push(card)
  }
  const inCards = new Set(cards.flatMap(it => it.functions))
  return ok({ cards, units: [...cards, ...singles.filter(it => !inCards.has(it.display))] })
}

function singleDecision(machine: Machine, device: PciDevice): Decision {
  return isVirtual(device)
    ? { code: 'VIRTUAL_FUNCTION', device, physical: physicalFunctionOf(machine, device) }
    : { code: 'DEVICE', device }
}

/** Whether the gate is closed only for devices that are already passed through, so that the host loses nothing new. */
function isClosedOnlyFor(gate: Gate, addresses: ReadonlySet<string> = new Set()): boolean {
  return gateDevices(gate).every(it => addresses.has(it.address))
}

function noPictureCaution(gate: Gate): Caution {
  const others = gate.code === 'SHOWS_SCREEN' ? gate.others : []
  return { code: 'NO_PICTURE', device: gate.device, others }
}

function noSuchDevice(machine: Machine, address: string): ChoiceProblem {
  const all = machine.devices.filter(isDisplay).map(it => cardWith(machine, it.address))
  const cards = all.filter(it => it !== undefined)
  return { code: 'NO_SUCH_DEVICE', address, cards: [...new Set(cards)] }
}

/** The devices of the machine that the settings pass through. */
function namedDevices({ devices }: Machine, settings: Settings): PciDevice[] {
  const ids = (settings.devices ?? []).map(it => it.split(':').slice(0, 2).join(':'))
  const addresses = namedAddresses(settings)
  return devices.filter(it => ids.includes(idOf(it)) || addresses.includes(it.address))
}

function sharedGroups(
  machine: Machine,
  cards: readonly Card[],
  passed: ReadonlySet<string>,
  confirmed: readonly string[]
): ChoiceProblem[] {
  return cards.flatMap(({ display, functions }) => {
    const groups = new Set(functions.map(it => it.group))
    const others = otherGroupMembers(machine, passed).filter(it => groups.has(it.group))
    if (others.length === 0) return []
    const all = new Set([...passed, ...others.map(it => it.address)])
    // The user has to name a card that shows the screen, so the other devices are not `confirmed`.
    const gates = closedGates(machine, all, {
      confirmed: [...passed, ...confirmed],
      bindsAtBoot: true
    })
    // Virtual functions, and devices that have some, can't be bound at boot.
    const hasVirtual =
      [display, ...others].some(isVirtual) || lostFunctionProblems(machine, others, []).length > 0
    const canGiveOthers = gates.length === 0 && !hasVirtual
    return [{ code: 'SHARED_GROUP', device: display, others, canGiveOthers } as const]
  })
}

/** Cautions about shared groups of devices that the settings name: the user chose them, so they are not refused. */
function sharedByNamed(
  machine: Machine,
  named: readonly PciDevice[],
  passed: ReadonlySet<string>
): Caution[] {
  const members = otherGroupMembers(machine, passed)
  return [...new Set(members.map(it => it.group))].flatMap((group): Caution[] => {
    const device = named.find(it => it.group === group)
    const others = members.filter(it => it.group === group)
    return device === undefined ? [] : [{ code: 'SHARED_GROUP', device, others }]
  })
}

type Step = { settings: Settings; decisions: Decision[] }

function withProcessor({ cpu: { vendor } }: Machine, settings: Settings): Step {
  if (settings.IOMMUType !== undefined || vendor === undefined) return { settings, decisions: [] }
  return {
    settings: { ...settings, IOMMUType: vendor },
    decisions: [{ code: 'PROCESSOR', vendor }]
  }
}

/** The shipped modules always load vfio-pci before these drivers. */
const BUILT_IN_DRIVERS = [
  'amdgpu',
  'radeon',
  'nouveau',
  'nova_core',
  'nvidia',
  'nvidiafb',
  'i915',
  'xe',
  'snd_hda_intel',
  'i2c_nvidia_gpu'
]

function bind(
  machine: Machine,
  settings: Settings,
  newFunctions: readonly PciDevice[],
  passed: ReadonlySet<string>
): Step {
  const bound = newFunctions.filter(it => !isVirtual(it))
  if (bound.length === 0) return { settings, decisions: [] }
  const twins = sameIdDevices(machine, passed)
  const decisions: Decision[] = [
    twins.length === 0 ? { code: 'BY_ID' } : { code: 'BY_ADDRESS', twins }
  ]
  const { devices = [], addresses = [] } = settings
  const chosen: Settings =
    twins.length === 0
      ? { devices: [...new Set([...devices, ...bound.map(idOf)])], addresses }
      : { devices, addresses: [...addresses, ...bound.map(expected)] }
  const drivers = [...new Set(bound.flatMap(it => competingDrivers(it)))].sort()
  const more = drivers.filter(it => !BUILT_IN_DRIVERS.includes(it))
  if (settings.bindAtBoot === false || more.length === 0) {
    return { settings: { ...settings, ...chosen }, decisions }
  }
  return {
    settings: { ...settings, ...chosen, competingDrivers: drivers },
    decisions: [...decisions, { code: 'DRIVERS', drivers: more }]
  }
}

function expected(device: PciDevice): { address: string; id: string } {
  return { address: device.address, id: idOf(device) }
}

/** An address where the machine has another device than the configuration expects, or none. */
export interface MovedDevice {
  address: string
  /** The expected device ID. */
  expected: string
  /** The ID of the device at the address; undefined if there is none. */
  found: string | undefined
}

/** The first address where the machine has another device than the configuration expects, or none. */
export function movedDevice(doc: NixDocument, machine: Machine): MovedDevice | undefined {
  const { devices } = machine
  const prefixes = [undefined, ...profilesOf([{ doc }]).specialisations].map(prefixOf)
  const addresses = prefixes.flatMap(it => doc.itemsIn([...it, ...VFIO, 'addresses']))
  for (const item of addresses) {
    if (typeof item !== 'object' || item === null || !('address' in item) || !('id' in item))
      continue
    const { address, id } = item
    if (typeof address !== 'string' || typeof id !== 'string') continue
    const device = devices.find(it => it.address === address)
    if (device !== undefined && idOf(device) === id.toLowerCase()) continue
    // A missing virtual function did not move; `check` reports it.
    if (physicalFunctionFor(machine, address)) continue
    return { address, expected: id, found: device && idOf(device) }
  }
  return undefined
}
