// From the cards that a person names to the settings that give them to a guest.

import { type Card, cardWith } from '../host/cards.ts'
import { type Caution, cautionsFor } from '../host/cautions.ts'
import { competingDrivers } from '../host/drivers.ts'
import { closedGates, type Gate } from '../host/gates.ts'
import { strangersOf } from '../host/groups.ts'
import { idOf, type Machine, type PciDevice } from '../host/machine.ts'
import { isDisplay } from '../host/pciClass.ts'
import { twinsOf } from '../host/twins.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Settings } from '../vfio/settings.ts'

/** What a person said besides the settings. */
export interface Asked {
  /** Addresses of graphics cards, each to be taken whole. */
  gpus: readonly string[]
  /** Addresses of cards whose screen the person is ready to lose. */
  confirmed: readonly string[]
}

/** Why a choice is refused. */
export type ChoiceProblem =
  | Gate
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
  /** Named by ID, since nothing else has one of these. */
  | { code: 'BY_ID' }
  /** Named by address, since these have the same ID and stay. */
  | { code: 'BY_ADDRESS'; twins: readonly PciDevice[] }
  | { code: 'PROCESSOR'; vendor: 'intel' | 'amd' }
  /** Drivers besides the usual ones that would take part of the card first. */
  | { code: 'DRIVERS'; drivers: readonly string[] }
  /** The IOMMU is off, so that the groups can't be seen: the base settings come first. */
  | { code: 'FIRST_PHASE'; card: Card }

export interface Choice {
  settings: Settings
  decisions: readonly Decision[]
  cautions: readonly Caution[]
}

/**
 * Works out what the settings become with the cards that were asked for. Refuses what would lock the
 * person out, also among the devices that the settings name, as far as the machine has them. Without
 * cards the settings stay as they are.
 */
export function chooseDevices(
  machine: Machine,
  settings: Settings,
  asked: Asked
): Result<Choice, ChoiceProblem[]> {
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
  const named = namedDevices(machine, settings)
  const whole = cards.flatMap(it => it.functions)
  const passed = new Set([...named, ...whole].map(it => it.address))
  const bindsAtBoot = settings.bindAtBoot !== false
  const isOff = cards.length > 0 && machine.iommu.groups === 0
  const gates = closedGates(machine, passed, { confirmed: asked.confirmed, bindsAtBoot })
  const problems: ChoiceProblem[] = [
    ...gates.filter(it => !isOff || it.code !== 'SHOWS_SCREEN'),
    ...(settings.applyACSpatch === true ? [] : sharedGroups(machine, cards, passed))
  ]
  if (isOff && machine.iommu.isOffered !== true) problems.push({ code: 'IOMMU_OFF', machine })
  if (problems.length > 0) return err(problems)

  const cautions = cautionsFor(machine, passed, settings.blacklistNvidia === true)
  if (cards.length === 0) return ok({ settings, decisions: [], cautions })
  const base = withProcessor(machine, settings)
  const [first] = cards
  if (isOff && first) {
    const decisions: Decision[] = [...base.decisions, { code: 'FIRST_PHASE', card: first }]
    return ok({ settings: base.settings, decisions, cautions })
  }
  const binding = bind(machine, base.settings, whole, passed)
  const decisions: Decision[] = [
    ...cards.map((card): Decision => ({ code: 'WHOLE_CARD', card })),
    ...base.decisions,
    ...binding.decisions
  ]
  return ok({ settings: binding.settings, decisions, cautions })
}

function noSuchDevice(machine: Machine, address: string): ChoiceProblem {
  const all = machine.devices.filter(isDisplay).map(it => cardWith(machine, it.address))
  const cards = all.filter(it => it !== undefined)
  return { code: 'NO_SUCH_DEVICE', address, cards: [...new Set(cards)] }
}

/** The devices of this machine that the settings give to guests. */
function namedDevices({ devices }: Machine, settings: Settings): PciDevice[] {
  const ids = (settings.devices ?? []).map(it => it.split(':').slice(0, 2).join(':'))
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  return devices.filter(it => ids.includes(idOf(it)) || addresses.includes(it.address))
}

function sharedGroups(
  machine: Machine,
  cards: readonly Card[],
  passed: ReadonlySet<string>
): ChoiceProblem[] {
  return cards.flatMap(({ display, functions }) => {
    const groups = new Set(functions.map(it => it.group))
    const others = strangersOf(machine, passed).filter(it => groups.has(it.group))
    if (others.length === 0) return []
    const all = new Set([...passed, ...others.map(it => it.address)])
    const gates = closedGates(machine, all, { confirmed: [...all], bindsAtBoot: true })
    return [
      { code: 'SHARED_GROUP', device: display, others, canGoToo: gates.length === 0 } as const
    ]
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
  const twins = twinsOf(machine, passed)
  const decisions: Decision[] = [
    twins.length === 0 ? { code: 'BY_ID' } : { code: 'BY_ADDRESS', twins }
  ]
  const { devices = [], addresses = [] } = settings
  const chosen: Settings =
    twins.length === 0
      ? { devices: [...new Set([...devices, ...whole.map(idOf)])], addresses }
      : { devices, addresses: [...addresses, ...whole.map(it => expected(it))] }
  const drivers = [...new Set(whole.flatMap(it => competingDrivers(it)))].sort()
  if (settings.bindAtBoot === false || drivers.every(it => USUAL.includes(it))) {
    return { settings: { ...settings, ...chosen }, decisions }
  }
  const more = drivers.filter(it => !USUAL.includes(it))
  return {
    settings: { ...settings, ...chosen, competingDrivers: drivers },
    decisions: [...decisions, { code: 'DRIVERS', drivers: more }]
  }
}

function expected(device: PciDevice): { address: string; id: string } {
  return { address: device.address, id: idOf(device) }
}
