// Which devices a run gives away, according to the machine, and what must stay with the host.

import { basename } from 'node:path'
import { namedIn } from '../../check/requirements.ts'
import { innerModule } from '../../configuration/bootEntries.ts'
import type { SourceFile } from '../../configuration/files.ts'
import { viewsOf } from '../../lints/view.ts'
import { cardWith } from '../../machine/cards.ts'
import { idOf, type Machine } from '../../machine/machine.ts'
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
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'
import type { ApplyRequest } from '../args/request.ts'
import { parseAddresses } from '../args/settings.ts'
import { CommandError, type Message, orThrow } from '../message.ts'
import { list } from '../messages/devices.ts'
import { choiceNotes, otherDevice, problemMessage } from '../messages/gates.ts'
import type { ApplyInputs } from './inputs.ts'
import { absentDevices } from './machine.ts'

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
 * name are looked at where the machine has them, unless the configuration is another machine's. The
 * `earlier` IDs are looked at in the same way, but for devices that vfio-pci has now. What other files give
 * away is gone for the host as well.
 */
export function chooseHost(inputs: ApplyInputs, earlier: EarlierDevices): HostChoice {
  const { request, configuration, context, entry: specialisation, match } = inputs
  const { settings, assumesIsolated } = request
  const gpus = parseAddresses('gpu', request.gpus)
  const confirmed = parseAddresses('confirm', request.confirmed)
  const isNamed = settings.devices !== undefined || settings.addresses !== undefined
  const isAsked = gpus.length > 0
  const unchanged = { settings, notes: [], byCard: [], byAddress: new Map() }
  // Devices that are named replace the earlier ones.
  const isEarlier = !isNamed && !isAsked && earlier.ids.length + earlier.named.length > 0
  if (!isAsked && (match === 'other' || (match === 'unknown' && !isNamed && !isEarlier))) {
    return unchanged
  }
  const { machine, names } = inputs.reader.read()
  if (!isNamed && !isAsked && !isEarlier) {
    const moved = movedDevice(configuration.target.doc, machine)
    if (moved !== undefined) throw new CommandError(otherDevice(moved, context))
    return unchanged
  }
  const others = givenElsewhere(configuration.imported, machine, specialisation, gpus)
  const asked = { gpus, confirmed, specialisation, given: others.devices }
  if (isEarlier) return { ...unchanged, ...chooseEarlier(inputs, earlier, asked, others) }
  const chosen = chooseDevices(machine, settings, { ...asked, assumesIsolated })
  const choice = orThrow(chosen, it =>
    withPlaces(problemMessage(it, context.line, names), it, others)
  )
  const elsewhere = isAsked ? noteOnMachine('cards', request) : []
  const absent = match === 'this' ? absentDevices(settings, machine) : []
  const foreign =
    match === 'other' ? ['Note: this file is of another machine, by its networking.hostName.'] : []
  return {
    ...unchanged,
    settings: choice.settings,
    byCard: isAsked ? changedOptions(settings, choice.settings) : [],
    notes: [...choiceNotes(choice, names), ...foreign, ...elsewhere, ...absent]
  }
}

/** Tells whose devices they are where the configuration is below another root folder. */
export function noteOnMachine(
  what: 'cards' | 'devices',
  { root, sysfs }: Pick<ApplyRequest, 'root' | 'sysfs'>
): string[] {
  return root !== '/' && sysfs === undefined
    ? [`Note: the ${what} are those of the machine that this runs on.`]
    : []
}

/** The options about devices whose settings differ. */
export function changedOptions(before: Settings, after: Settings): string[] {
  const names = ['devices', 'addresses', 'IOMMUType', 'competingDrivers'] as const
  return names.filter(it => before[it] !== after[it]).map(it => `virtualisation.vfio.${it}`)
}

// IDs that a configuration gives to vfio-pci by other options than those of vfio-patch.

/** What the file gives to vfio-pci already. */
export interface EarlierDevices {
  /** IDs in other words than by our options. */
  ids: readonly string[]
  /** Those by our options, where these were somebody else's until now. */
  named: readonly string[]
  /** The lines that have them, for a sentence. */
  places: string
}

/**
 * The devices that earlier IDs mean; the settings stay as they are. Refuses what would lock the
 * person out, but for devices that vfio-pci has now, and IDs that virtual functions have.
 */
function chooseEarlier(
  { request, reader, context, match }: ApplyInputs,
  { ids, named: namedByOptions, places }: EarlierDevices,
  asked: Asked,
  others: GivenElsewhere
): Pick<HostChoice, 'notes' | 'byAddress'> {
  const { machine, names } = reader.read()
  const virtual = virtualIDs(machine, [...new Set([...ids, ...namedByOptions])])
  if (virtual.length > 0) {
    const message = problemMessage(virtual, context.line, names)
    throw new CommandError({
      ...message,
      why: `${message.why ?? ''}\n${places} names it for vfio-pci.`,
      remedy: `take it out of ${places};\n${message.remedy ?? ''}`
    })
  }
  const placed = placeEarlierIDs(machine, ids, namedByOptions)
  const { settings: named, byAddress, twins, inForce } = placed
  const all = { ...request.settings, ...named }
  const choice = orThrow(chooseDevices(machine, all, { ...asked, inForce }), it => {
    const message = withPlaces(problemMessage(it, context.line, names), it, others)
    return {
      ...message,
      why: `${message.why ?? ''}\n${places} names it for vfio-pci already, but vfio-pci does not have it now; with the modules of vfio-patch it will from the next boot on.`,
      remedy: `${message.remedy ?? ''};\nor take it out of ${places}`
    }
  })
  const decisions: Decision[] = twins.length > 0 ? [{ code: 'BY_ADDRESS', twins }] : []
  const isNew = machine.devices.some(
    it => !inForce.has(it.address) && (named.devices ?? []).includes(idOf(it))
  )
  const cautions = isNew ? choice.cautions : []
  const isKept = chooseDevices(machine, all, asked).ok
  const kept = isKept
    ? []
    : [
        `Note: ${list([...inForce])} ${inForce.size === 1 ? 'belongs' : 'belong'} to vfio-pci already, so nothing is lost by this that the host has today.`
      ]
  return {
    byAddress,
    notes: [
      ...choiceNotes({ ...choice, decisions, cautions }, names),
      ...kept,
      ...(match === 'this' ? absentDevices(named, machine) : [])
    ]
  }
}

// Devices that other files than the one of the run give to guests.

/** Devices that are given away already, and stay so whatever the run writes. */
interface GivenElsewhere {
  /** Their addresses. */
  devices: ReadonlySet<string>
  /** The lines that name them, for a sentence. */
  places: string
}

/**
 * The devices of the machine that these files give away in every boot entry and in the one of its own, if
 * it is named. What counts only under a condition is left out, and so are the cards with the addresses in
 * `asked`, as these are what the run is about.
 */
export function givenElsewhere(
  files: readonly SourceFile[],
  machine: Machine,
  specialisation: string | undefined,
  asked: readonly string[]
): GivenElsewhere {
  const own = asked.flatMap(it => cardWith(machine, it)?.functions ?? [])
  const except = new Set([...asked, ...own.map(it => it.address)])
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
    const text = files.find(it => it.path === path)?.text ?? ''
    return `${basename(path)}:${placeOf(text, range.start).line}`
  })
  return {
    devices: new Set(others.flatMap(it => it.addresses)),
    places: list([...new Set(places)])
  }
}

/** The message with the places that name part of what is lost, where these are in other files. */
function withPlaces(
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

/**
 * What the configuration gives to vfio-pci in other words than by our options below the prefix. Nothing where
 * the run only brings our modules up to date.
 */
export function earlierDevices({
  source: { doc },
  takeOver,
  prefix,
  request,
  context,
  isEdited
}: ApplyInputs): EarlierDevices {
  // They count from now on, also where they stay.
  if (!isEdited && !takeOver) return { ids: [], named: [], places: '' }
  const home = innerModule(doc, prefix)?.doc ?? doc
  const found = obsoleteIn(home, request.release, prefix).filter(
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
    places: list([...new Set(lines)].map(it => `${basename(context.file)}:${it}`))
  }
}
