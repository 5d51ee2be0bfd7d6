// Which devices a run passes through, and which devices of the machine the host needs.

import { basename } from 'node:path'
import { deviceReferencesIn } from '../../check/requirements.ts'
import { innerModule } from '../../configuration/bootEntries.ts'
import type { SourceFile } from '../../configuration/files.ts'
import { viewsOf } from '../../lints/view.ts'
import { cardWith } from '../../machine/cards.ts'
import { idOf, type Machine } from '../../machine/machine.ts'
import { placeOf } from '../../nix/text/lines.ts'
import {
  type ChoiceProblem,
  chooseDevices,
  type Decision,
  type DeviceRequest,
  movedDevice
} from '../../plan/devices.ts'
import { virtualIDProblems } from '../../plan/guestDevices.ts'
import { placeEarlierIDs } from '../../plan/legacy/movedIDs.ts'
import { obsoleteSettingsIn } from '../../plan/legacy/replaced.ts'
import type { Settings } from '../../settings/settings.ts'
import type { ExpectedDevice } from '../../settings/values.ts'
import type { ApplyRequest } from '../args/request.ts'
import { parseAddresses } from '../args/settings.ts'
import { CommandError, type Message, orThrow } from '../message.ts'
import { list } from '../messages/devices.ts'
import {
  choiceNotes,
  namedAlready,
  namedElsewhere,
  otherDevice,
  problemMessage,
  virtualNamedAlready
} from '../messages/gates.ts'
import { alreadyBoundNote, OTHER_MACHINE, thisMachineNote } from '../messages/plan.ts'
import type { ApplyInputs } from './inputs.ts'
import { absentDeviceNotes } from './machine.ts'

/** The settings with the devices of the cards, and notes on how they were chosen. */
export interface HostChoice {
  settings: Settings
  notes: readonly string[]
  /** The options whose values come from the cards. */
  byCard: readonly string[]
  /** Earlier IDs that devices of the host have too, each with the devices that the ID is meant for. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
}

/**
 * Resolves `--gpu`, and refuses devices without which the user would be locked out. Devices that the flags name are
 * checked if the machine has them, unless the configuration is for another machine. The `earlier` IDs are checked in
 * the same way, except for devices that vfio-pci has now. The checks assume that the host can't use devices that
 * other files pass through.
 */
export function chooseHost(inputs: ApplyInputs, earlier: EarlierDevices): HostChoice {
  const { request, configuration, context, entry: specialisation, match } = inputs
  const { settings, assumesIsolated } = request
  const gpus = parseAddresses('gpu', request.gpus)
  const confirmed = parseAddresses('confirm', request.confirmed)
  const isNamed = settings.devices !== undefined || settings.addresses !== undefined
  const isAsked = gpus.length > 0
  const unchanged = { settings, notes: [], byCard: [], byAddress: new Map() }
  // Devices that the flags name replace the earlier ones.
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
  const others = passedElsewhere(configuration.imported, machine, specialisation, gpus)
  const asked = { gpus, confirmed, specialisation, alreadyPassed: others.devices }
  if (isEarlier) return { ...unchanged, ...chooseEarlier(inputs, earlier, asked, others) }
  const chosen = chooseDevices(machine, settings, { ...asked, assumesIsolated })
  const choice = orThrow(chosen, it =>
    withPlaces(problemMessage(it, context.line, names), it, others)
  )
  const elsewhere = isAsked ? noteOnMachine('cards', request) : []
  const absent = match === 'this' ? absentDeviceNotes(settings, machine) : []
  const foreign = match === 'other' ? [OTHER_MACHINE] : []
  return {
    ...unchanged,
    settings: choice.settings,
    byCard: isAsked ? changedOptions(settings, choice.settings) : [],
    notes: [...choiceNotes(choice, names), ...foreign, ...elsewhere, ...absent]
  }
}

/** A note that the devices are those of this machine, if the configuration is below another root folder. */
export function noteOnMachine(
  what: 'cards' | 'devices',
  { root, sysfs }: Pick<ApplyRequest, 'root' | 'sysfs'>
): string[] {
  return root !== '/' && sysfs === undefined ? [thisMachineNote(what)] : []
}

/** The options about devices whose settings differ. */
export function changedOptions(before: Settings, after: Settings): string[] {
  const names = ['devices', 'addresses', 'IOMMUType', 'competingDrivers'] as const
  return names.filter(it => before[it] !== after[it]).map(it => `virtualisation.vfio.${it}`)
}

// IDs that the configuration assigns to vfio-pci with other options than those of vfio-patch.

/** The IDs that the file already assigns to vfio-pci. */
export interface EarlierDevices {
  /** IDs in other options than those of vfio-patch. */
  ids: readonly string[]
  /** IDs in the options of vfio-patch, if other modules declared these options until now. */
  named: readonly string[]
  /** The lines that have the IDs, for a sentence. */
  places: string
}

/**
 * Finds the devices that the earlier IDs select; the settings do not change. Refuses IDs of virtual functions, and
 * devices without which the user would be locked out, unless vfio-pci has these devices now.
 */
function chooseEarlier(
  { request, reader, context, match }: ApplyInputs,
  { ids, named: namedByOptions, places }: EarlierDevices,
  asked: DeviceRequest,
  others: PassedElsewhere
): Pick<HostChoice, 'notes' | 'byAddress'> {
  const { machine, names } = reader.read()
  const virtual = virtualIDProblems(machine, [...new Set([...ids, ...namedByOptions])])
  if (virtual.length > 0) {
    throw new CommandError(
      virtualNamedAlready(problemMessage(virtual, context.line, names), places)
    )
  }
  const placed = placeEarlierIDs(machine, ids, namedByOptions)
  const { settings: named, byAddress, twins, boundForGuests } = placed
  const all = { ...request.settings, ...named }
  const choice = orThrow(chooseDevices(machine, all, { ...asked, boundForGuests }), it =>
    namedAlready(withPlaces(problemMessage(it, context.line, names), it, others), places)
  )
  const decisions: Decision[] = twins.length > 0 ? [{ code: 'BY_ADDRESS', twins }] : []
  const isNew = machine.devices.some(
    it => !boundForGuests.has(it.address) && (named.devices ?? []).includes(idOf(it))
  )
  const cautions = isNew ? choice.cautions : []
  const isKept = chooseDevices(machine, all, asked).ok
  const kept = isKept ? [] : [alreadyBoundNote([...boundForGuests])]
  return {
    byAddress,
    notes: [
      ...choiceNotes({ ...choice, decisions, cautions }, names),
      ...kept,
      ...(match === 'this' ? absentDeviceNotes(named, machine) : [])
    ]
  }
}

// Devices that other files pass through.

/** Devices that are already passed through, whatever the run writes. */
interface PassedElsewhere {
  /** Their addresses. */
  devices: ReadonlySet<string>
  /** The lines that name them, for a sentence. */
  places: string
}

/**
 * The devices of the machine that these files pass through in every boot entry, and in the boot entry
 * `specialisation` if there is one. Ignores definitions under a condition, and the cards at the addresses in `asked`,
 * which the run itself passes through.
 */
export function passedElsewhere(
  files: readonly SourceFile[],
  machine: Machine,
  specialisation: string | undefined,
  asked: readonly string[]
): PassedElsewhere {
  const own = asked.flatMap(it => cardWith(machine, it)?.functions ?? [])
  const except = new Set([...asked, ...own.map(it => it.address)])
  const views = viewsOf(files, { importsModules: true })
  const view = views.find(it => it.name === specialisation) ?? views[0]
  // The host has devices that are not bound at boot until a guest starts.
  const isLater = view?.definitionsWith('virtualisation.vfio.bindAtBoot', false).length !== 0
  const named = view && !isLater ? deviceReferencesIn(view, machine, machine.kernelParams) : []
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

/** The message, with the places in other files that pass some of these devices through. */
function withPlaces(
  message: Message,
  problems: readonly ChoiceProblem[],
  { devices, places }: PassedElsewhere
): Message {
  const all = problems.flatMap(it => [
    ...('device' in it ? [it.device] : []),
    ...('others' in it ? it.others : [])
  ])
  const addresses = [...new Set(all.map(it => it.address))].filter(it => devices.has(it))
  return addresses.length === 0 ? message : namedElsewhere(message, addresses, places)
}

/**
 * The IDs that the configuration assigns to vfio-pci with other options than those of vfio-patch below the prefix.
 * None if the run only updates the modules.
 */
export function findEarlierDevices({
  source: { doc },
  takeOver,
  prefix,
  request,
  context,
  isEdited
}: ApplyInputs): EarlierDevices {
  // With the shipped modules, these IDs have an effect from now on, even if the run keeps them as they are.
  if (!isEdited && !takeOver) return { ids: [], named: [], places: '' }
  const home = innerModule(doc, prefix)?.doc ?? doc
  const found = obsoleteSettingsIn(home, request.release, prefix).filter(
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
