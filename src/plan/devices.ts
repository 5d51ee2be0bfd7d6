// From the cards that a person names to the settings that give them to a guest.

import { innerModule } from '../configuration/bootEntries.ts'
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
  madeOfGiven,
  namedAddresses,
  namedVirtually,
  type VirtualDecision,
  type VirtualProblem,
  withVirtualOnes
} from './guestDevices.ts'

/** What a person said besides the settings. */
export interface Asked {
  /** Addresses of graphics cards, each to be taken whole. */
  gpus: readonly string[]
  /**
   * Addresses of devices that the machine has, to be taken like that; of a graphics card its whole card. A
   * virtual function is taken when a guest starts, so it comes into no option.
   */
  devices?: readonly string[]
  /** Addresses of devices that the configuration gives to guests already, so that nobody is asked again. */
  given?: ReadonlySet<string>
  /** Addresses of cards whose screen the person is ready to lose. */
  confirmed: readonly string[]
  /** The boot entry of its own that the devices are given away in, so that the usual one has a picture. */
  specialisation?: string | undefined
  /** Whether nothing shares a group with the cards where the groups can't be seen. */
  assumesIsolated?: boolean
  /** Addresses of devices that vfio-pci has now by what the configuration says already. */
  inForce?: ReadonlySet<string>
}

/** Why a choice is refused. */
export type ChoiceProblem =
  | Gate
  | VirtualProblem
  /** Others that the host uses are in the IOMMU group of the card. */
  | {
      code: 'SHARED_GROUP'
      device: PciDevice
      others: readonly PciDevice[]
      /** Whether these could be given away as well. */
      canGoToo: boolean
    }
  /** The machine has nothing at that address. */
  | { code: 'NO_SUCH_DEVICE'; address: string; cards: readonly Card[] }
  /** What is there is no graphics card; it may be part of one. */
  | { code: 'NOT_A_CARD'; device: PciDevice; card?: Card }
  /** The firmware offers no IOMMU, so nothing can be given away. */
  | { code: 'IOMMU_OFF'; machine: Machine }

/** A decision that was taken for the person, with what it rests on. */
export type Decision =
  /** All functions of the card go along. */
  | { code: 'WHOLE_CARD'; card: Card }
  /** A single device that a guest is to have. */
  | { code: 'DEVICE'; device: PciDevice }
  | VirtualDecision
  /** Named by ID, since nothing else has one of these. */
  | { code: 'BY_ID' }
  /** Named by address, since these have the same ID and stay. */
  | { code: 'BY_ADDRESS'; twins: readonly PciDevice[] }
  | { code: 'PROCESSOR'; vendor: 'intel' | 'amd' }
  /** Drivers besides the usual ones that would take part of the card first. */
  | { code: 'DRIVERS'; drivers: readonly string[] }
  /** The IOMMU is off, so that the groups can't be seen: the base settings come first. */
  | { code: 'FIRST_PHASE'; card: Card; specialisation: string | undefined }
  /** The IOMMU is off, and the person knows that nothing shares a group with the card. */
  | { code: 'ASSUMED_ISOLATED'; card: Card }

export interface Choice {
  settings: Settings
  decisions: readonly Decision[]
  cautions: readonly Caution[]
}

/**
 * Works out what the settings become with the cards that were asked for. Refuses what would lock the
 * person out, also among the devices that the settings name, as far as the machine has them. Without
 * cards the settings stay as they are. Neither the ID nor the address of a virtual function comes into
 * them; settings that name one are refused.
 */
export function chooseDevices(
  machine: Machine,
  settings: Settings,
  asked: Asked
): Result<Choice, ChoiceProblem[]> {
  const virtual = namedVirtually(machine, settings, asked.gpus)
  if (virtual.length > 0) return err(virtual)
  const found = askedUnits(machine, asked)
  if (!found.ok) return found
  const { units } = found.value
  const { given = new Set<string>(), specialisation } = asked
  const named = namedDevices(machine, settings)
  const whole = units.flatMap(it => it.functions).filter(it => !given.has(it.address))
  const passed = new Set([...named.map(it => it.address), ...whole.map(it => it.address), ...given])
  const bindsAtBoot = settings.bindAtBoot !== false
  const isOff = units.length > 0 && machine.iommu.groups === 0
  const isFirst = isOff && !(asked.assumesIsolated === true && specialisation !== undefined)
  const gates = closedGates(machine, passed, { confirmed: asked.confirmed, bindsAtBoot }).filter(
    it => !isInForce(it, asked.inForce) && !isInForce(it, given)
  )
  // The usual boot entry is there to go back to; of what else is lost, a person finds out too late.
  const dark = specialisation === undefined ? [] : gates.filter(isDisplayGate)
  // Another boot entry still has the virtual functions.
  const lost = withVirtualOnes(
    machine,
    [...named, ...whole].filter(it => !given.has(it.address) && !asked.inForce?.has(it.address)),
    gates
  )
  const problems: ChoiceProblem[] = [
    ...madeOfGiven(machine, whole, passed),
    ...(specialisation === undefined ? lost : []),
    ...gates.filter(it => !dark.includes(it) && (!isFirst || it.code !== 'SHOWS_SCREEN')),
    ...(settings.applyACSpatch === true
      ? []
      : sharedGroups(machine, units, passed, asked.confirmed))
  ]
  if (isOff && machine.iommu.isOffered !== true) problems.push({ code: 'IOMMU_OFF', machine })
  if (problems.length > 0) return err(problems)

  const cautions: Caution[] = [
    ...(isFirst ? [] : dark.map(noPicture)),
    ...lost,
    ...(settings.applyACSpatch === true ? [] : sharedByNamed(machine, named, passed)),
    ...cautionsFor(machine, passed, settings.blacklistNvidia === true).filter(
      it => !('device' in it && given.has(it.device.address))
    )
  ]
  const setOut = { ...found.value, whole, passed, isOff, isFirst }
  return ok({ ...decide(machine, settings, setOut, specialisation), cautions })
}

/** What is given away, once nothing speaks against it. */
interface SetOut {
  cards: readonly Card[]
  units: readonly Card[]
  /** The functions of the units that are not given away yet. */
  whole: readonly PciDevice[]
  /** The addresses of all that is given away then. */
  passed: ReadonlySet<string>
  isOff: boolean
  isFirst: boolean
}

/** The settings with the units in them, and the decisions that this took. */
function decide(
  machine: Machine,
  settings: Settings,
  { cards, units, whole, passed, isOff, isFirst }: SetOut,
  specialisation: string | undefined
): Omit<Choice, 'cautions'> {
  const [first] = units
  if (first === undefined) return { settings, decisions: [] }
  const base = withProcessor(machine, settings)
  if (isFirst) {
    const firstPhase: Decision = { code: 'FIRST_PHASE', card: first, specialisation }
    return { settings: base.settings, decisions: [...base.decisions, firstPhase] }
  }
  const binding = bind(machine, base.settings, whole, passed)
  const decisions: Decision[] = [
    ...cards.map((card): Decision => ({ code: 'WHOLE_CARD', card })),
    ...units
      .filter(it => !cards.includes(it))
      .map(({ display }) => singleDecision(machine, display)),
    ...(isOff ? [{ code: 'ASSUMED_ISOLATED', card: first } as const] : []),
    ...base.decisions,
    ...binding.decisions
  ]
  return { settings: binding.settings, decisions }
}

/** The cards that were asked for, and as `units` these with all else, each device on its own. */
function askedUnits(
  machine: Machine,
  asked: Asked
): Result<{ cards: Card[]; units: Card[] }, ChoiceProblem[]> {
  const cards: Card[] = []
  for (const address of asked.gpus) {
    const card = cardWith(machine, address)
    const device = machine.devices.find(it => it.address === address)
    if (device === undefined) return err([noSuchDevice(machine, address)])
    if (card === undefined || !isDisplay(device)) {
      return err([{ code: 'NOT_A_CARD', device, ...(card === undefined ? {} : { card }) }])
    }
    cards.push(card)
  }
  const singles: Card[] = []
  for (const address of asked.devices ?? []) {
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

/** Whether what it keeps a person from is so already, and nothing new is lost. */
function isInForce(gate: Gate, inForce: ReadonlySet<string> = new Set()): boolean {
  return gateDevices(gate).every(it => inForce.has(it.address))
}

function noPicture(gate: Gate): Caution {
  const others = gate.code === 'SHOWS_SCREEN' ? gate.others : []
  return { code: 'NO_PICTURE', device: gate.device, others }
}

function noSuchDevice(machine: Machine, address: string): ChoiceProblem {
  const all = machine.devices.filter(isDisplay).map(it => cardWith(machine, it.address))
  const cards = all.filter(it => it !== undefined)
  return { code: 'NO_SUCH_DEVICE', address, cards: [...new Set(cards)] }
}

/** The devices of this machine that the settings give to guests. */
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
    // What shows the screen is not to be named by us, only by the person.
    const gates = closedGates(machine, all, {
      confirmed: [...passed, ...confirmed],
      bindsAtBoot: true
    })
    // A virtual function is not given away at boot, nor is what has some.
    const isVirtually =
      [display, ...others].some(isVirtual) || withVirtualOnes(machine, others, []).length > 0
    const canGoToo = gates.length === 0 && !isVirtually
    return [{ code: 'SHARED_GROUP', device: display, others, canGoToo } as const]
  })
}

/** What single devices share a group with: they are as the person named them, so that is only told. */
function sharedByNamed(
  machine: Machine,
  named: readonly PciDevice[],
  passed: ReadonlySet<string>
): Caution[] {
  const strangers = otherGroupMembers(machine, passed)
  return [...new Set(strangers.map(it => it.group))].flatMap((group): Caution[] => {
    const device = named.find(it => it.group === group)
    const others = strangers.filter(it => it.group === group)
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

/** The drivers that our module loads vfio-pci before in any case. */
const USUAL = [
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
  whole: readonly PciDevice[],
  passed: ReadonlySet<string>
): Step {
  const bound = whole.filter(it => !isVirtual(it))
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
  const more = drivers.filter(it => !USUAL.includes(it))
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

/** An address behind which something else stands than the configuration says. */
export interface MovedDevice {
  address: string
  /** What the configuration expects there, and what is there. */
  expected: string
  found: string | undefined
}

/** The first address in the configuration behind which there is something else than it says. */
export function movedDevice(doc: NixDocument, machine: Machine): MovedDevice | undefined {
  const { devices } = machine
  const prefixes = [undefined, ...profilesOf([{ doc }]).specialisations].map(prefixOf)
  const addresses = prefixes.flatMap(it =>
    (innerModule(doc, it)?.doc ?? doc).itemsIn([...it, ...VFIO, 'addresses'])
  )
  for (const item of addresses) {
    if (typeof item !== 'object' || item === null || !('address' in item) || !('id' in item))
      continue
    const { address, id } = item
    if (typeof address !== 'string' || typeof id !== 'string') continue
    const device = devices.find(it => it.address === address)
    if (device !== undefined && idOf(device) === id.toLowerCase()) continue
    // A virtual function that is not there now did not move; "check" tells of it.
    if (physicalFunctionFor(machine, address)) continue
    return { address, expected: id, found: device && idOf(device) }
  }
  return undefined
}
