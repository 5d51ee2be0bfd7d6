// What the machine says to a run: which devices its cards come to, and what must stay with the host.

import { basename } from 'node:path'
import { namedIn } from '../../check/asked.ts'
import { innerModule } from '../../configuration/bootEntries.ts'
import type { ImportedModule } from '../../configuration/imports.ts'
import { viewsOf } from '../../lints/view.ts'
import { cardWith } from '../../machine/cards.ts'
import { idOf, type Machine } from '../../machine/machine.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import {
  type Asked,
  type ChoiceProblem,
  chooseDevices,
  type Decision,
  movedDevice
} from '../../plan/devices.ts'
import { virtualIDs } from '../../plan/guestDevices.ts'
import { placeEarlierIDs } from '../../plan/legacy/movedIDs.ts'
import { obsoleteIn } from '../../plan/legacy/replaced.ts'
import type { ExpectedDevice, Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import { readAddresses } from '../args/request.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { list, type Names } from '../text/devices.ts'
import { choiceNotes, otherDevice, problemMessage } from '../text/gates.ts'
import { hostMatch, type System } from './configuration.ts'
import { absentDevices, readHost } from './machine.ts'

/** The settings with the cards in them, and what a person has to know of how that came. */
export interface HostChoice {
  settings: Settings
  notes: readonly string[]
  /** The options whose values come from the cards. */
  byCard: readonly string[]
  /** The earlier IDs that the host needs as well, and the devices that are meant by them. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
}

/**
 * Fills in what `--gpu` stands for, and refuses what would lock the person out. Devices that the flags
 * name are looked at where the machine has them, unless the configuration is another machine's.
 * `specialisation` is the boot entry of its own that they are for, if there is one. The `earlier` IDs are
 * looked at in the same way, but for devices that vfio-pci has now. What other files give away is gone for
 * the host as well.
 */
export function chooseHost(
  settings: Settings,
  text: string,
  given: Arguments,
  context: Context,
  specialisation?: string,
  earlier: EarlierDevices = { ids: [], named: [], places: '', imported: [] }
): Result<HostChoice, Message> {
  const gpus = readAddresses('gpu', given)
  if (!gpus.ok) return gpus
  const confirmed = readAddresses('confirm', given)
  if (!confirmed.ok) return confirmed
  const belongs = hostMatch(text, given, context)
  const isNamed = settings.devices !== undefined || settings.addresses !== undefined
  const isAsked = gpus.value.length > 0
  const isNothing = { settings, notes: [], byCard: [], byAddress: new Map() }
  // Devices that are named take the place of those that stood elsewhere.
  const isEarlier = !isNamed && !isAsked && earlier.ids.length + earlier.named.length > 0
  if (!isAsked && (belongs === 'other' || (belongs === 'unknown' && !isNamed && !isEarlier))) {
    return ok(isNothing)
  }
  const host = readHost(given)
  if (!host.ok) return host
  const { machine, names } = host.value
  const others = givenElsewhere(earlier.imported, machine, specialisation, gpus.value)
  const said = { confirmed: confirmed.value, specialisation, given: others.devices }
  if (isEarlier) {
    const chosen = chooseEarlier(machine, settings, earlier, {
      asked: { ...said, gpus: [] },
      others,
      isHere: belongs === 'this',
      context,
      names
    })
    return chosen.ok ? ok({ ...isNothing, ...chosen.value }) : chosen
  }
  if (!isNamed && !isAsked) {
    const moved = movedDevice(text, machine)
    return moved === undefined ? ok(isNothing) : err(otherDevice(moved, context))
  }
  const assumesIsolated = given.on('assume-isolated') === true
  const choice = chooseDevices(machine, settings, { ...said, gpus: gpus.value, assumesIsolated })
  if (!choice.ok) {
    return err(withPlaces(problemMessage(choice.error, context.line, names), choice.error, others))
  }
  const elsewhere = isAsked ? noteOnMachine('cards', given, context) : []
  const absent = belongs === 'this' ? absentDevices(settings, machine) : []
  const stranger =
    belongs === 'other'
      ? ['Note: this file is of another machine, by its networking.hostName.']
      : []
  return ok({
    ...isNothing,
    settings: choice.value.settings,
    byCard: isAsked ? optionsBy(settings, choice.value.settings) : [],
    notes: [...choiceNotes(choice.value, names), ...stranger, ...elsewhere, ...absent]
  })
}

/** Tells whose devices they are where the configuration is below another root folder. */
export function noteOnMachine(
  what: 'cards' | 'devices',
  given: Arguments,
  { root }: Context
): string[] {
  return root !== '/' && given.text('sysfs') === undefined
    ? [`Note: the ${what} are those of the machine that this runs on.`]
    : []
}

/** The options that a card changed the settings for. */
function optionsBy(before: Settings, after: Settings): string[] {
  const names = ['devices', 'addresses', 'IOMMUType', 'competingDrivers'] as const
  return names.filter(it => before[it] !== after[it]).map(it => `virtualisation.vfio.${it}`)
}

// What the machine says to IDs that a configuration gives to vfio-pci in other words than by our options.

/** What the file gives to vfio-pci already. */
export interface EarlierDevices {
  /** IDs in other words than by our options. */
  ids: readonly string[]
  /** Those by our options, where these were somebody else's until now. */
  named: readonly string[]
  /** Where all of them stand, for a sentence. */
  places: string
  /** The files that it imports, which may give away more. */
  imported: readonly ImportedModule[]
}

interface Circumstances {
  asked: Asked
  others: GivenElsewhere
  /** Whether the configuration is known to be this machine's. */
  isHere: boolean
  context: Context
  names: Names
}

/**
 * What the IDs come to that stand elsewhere; the settings stay as they are. Refuses what would lock the
 * person out, but for devices that vfio-pci has now, and IDs that virtual functions have.
 */
export function chooseEarlier(
  machine: Machine,
  settings: Settings,
  earlier: EarlierDevices,
  { asked, others, isHere, context, names }: Circumstances
): Result<Pick<HostChoice, 'notes' | 'byAddress'>, Message> {
  const { ids, places } = earlier
  const virtual = virtualIDs(machine, [...new Set([...ids, ...earlier.named])])
  if (virtual.length > 0) {
    const told = problemMessage(virtual, context.line, names)
    return err({
      ...told,
      why: `${told.why ?? ''}\n${places} names it for vfio-pci.`,
      remedy: `take it out of ${places};\n${told.remedy ?? ''}`
    })
  }
  const placed = placeEarlierIDs(machine, ids, earlier.named)
  const { settings: named, byAddress, twins, inForce } = placed
  const all = { ...settings, ...named }
  const choice = chooseDevices(machine, all, { ...asked, inForce })
  if (!choice.ok) {
    const told = problemMessage(choice.error, context.line, names)
    const message = withPlaces(told, choice.error, others)
    return err({
      ...message,
      why: `${message.why ?? ''}\n${places} names it for vfio-pci already, but vfio-pci does not have it now; with the modules of vfio-patch it will from the next boot on.`,
      remedy: `${message.remedy ?? ''};\nor take it out of ${places}`
    })
  }
  const decisions: Decision[] = twins.length > 0 ? [{ code: 'BY_ADDRESS', twins }] : []
  const isNew = machine.devices.some(
    it => !inForce.has(it.address) && (named.devices ?? []).includes(idOf(it))
  )
  const cautions = isNew ? choice.value.cautions : []
  const isKept = chooseDevices(machine, all, asked).ok
  const kept = isKept
    ? []
    : [
        `Note: ${list([...inForce])} ${inForce.size === 1 ? 'belongs' : 'belong'} to vfio-pci already, so nothing is lost by this that the host has today.`
      ]
  return ok({
    byAddress,
    notes: [
      ...choiceNotes({ ...choice.value, decisions, cautions }, names),
      ...kept,
      ...(isHere ? absentDevices(named, machine) : [])
    ]
  })
}

// What is given to guests by files beside the one that a run is about.

/** Devices that are given away already, and stay so whatever the run writes. */
export interface GivenElsewhere {
  /** Their addresses. */
  devices: ReadonlySet<string>
  /** Where they are named, for a sentence. */
  places: string
}

// What is given to guests by files beside the one that a run is about.

/**
 * The devices of the machine that these modules give away in every boot entry and in the one of its own, if
 * it is named. What counts only under a condition is left out, and so are the cards with the addresses in
 * `asked`, as these are what the run is about.
 */
export function givenElsewhere(
  modules: readonly ImportedModule[],
  machine: Machine,
  specialisation: string | undefined,
  asked: readonly string[]
): GivenElsewhere {
  const own = asked.flatMap(it => cardWith(machine, it)?.functions ?? [])
  const except = new Set([...asked, ...own.map(it => it.address)])
  const files = modules.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const views = viewsOf(files, { ours: true })
  const view = views.find(it => it.name === specialisation) ?? views[0]
  // The host has them until a guest starts.
  const isLater = view?.says('virtualisation.vfio.bindAtBoot', false).length !== 0
  const named = view && !isLater ? namedIn(view, machine, machine.kernelParams) : []
  const others = named
    .map(({ path, range, devices }) => ({
      path,
      range,
      addresses: devices.map(it => it.address).filter(it => !except.has(it))
    }))
    .filter(it => it.addresses.length > 0)
  const places = others.map(({ path, range }) => {
    const text = files.find(it => it.path === path)?.doc.text ?? ''
    return `${basename(path)}:${placeOf(text, range.start).line}`
  })
  return {
    devices: new Set(others.flatMap(it => it.addresses)),
    places: list([...new Set(places)])
  }
}

// What is given to guests by files beside the one that a run is about.

/** The message with the places that name part of what is lost, where these are in other files. */
export function withPlaces(
  message: Message,
  problems: readonly ChoiceProblem[],
  { devices, places }: GivenElsewhere
): Message {
  const all = problems.flatMap(it => [
    ...('device' in it ? [it.device] : []),
    ...('others' in it ? it.others : [])
  ])
  const there = [...new Set(all.map(it => it.address))].filter(it => devices.has(it))
  if (there.length === 0) return message
  return {
    ...message,
    why: `${message.why ?? ''}\n${list(there)} ${there.length === 1 ? 'goes' : 'go'} already, by ${places}.`,
    remedy: `take it out of ${places} first, or leave the other with the host`
  }
}

/** What the configuration gives to vfio-pci in other words than by our options below `prefix`. */
export function earlierDevices(
  text: string,
  { takeOver, imported }: System,
  prefix: readonly string[],
  release: string | undefined,
  { file }: Context
): EarlierDevices {
  const doc = parseDocument(text)
  const home = innerModule(doc, prefix)?.doc ?? doc
  const found = obsoleteIn(home, release, prefix).filter(
    it => it.devices !== undefined && !it.isOutside
  )
  const option = 'virtualisation.vfio.devices'
  const items = takeOver ? doc.itemsIn(option).filter(it => typeof it === 'string') : []
  const lines = [
    ...(items.length > 0 ? doc.getIn(option).map(it => it.at.line) : []),
    ...found.map(it => it.line)
  ]
  return {
    ids: [...new Set(found.flatMap(it => it.devices ?? []))],
    named: items.map(it => it.toLowerCase()),
    places: list([...new Set(lines)].map(it => `${basename(file)}:${it}`)),
    imported
  }
}
