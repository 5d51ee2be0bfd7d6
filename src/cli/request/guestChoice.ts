// What a guest needs of the machine: its devices, and needs that can't be met.

import { join } from 'node:path'
import type { Guest } from '../../guests/needs/needs.ts'
import { idOf } from '../../machine/machine.ts'
import { isVirtual, withoutVirtualFunctions } from '../../machine/virtualFunctions.ts'
import { type Choice, chooseDevices } from '../../plan/devices.ts'
import { judgeDisks } from '../../plan/disks/guestDisks.ts'
import { type GuestPlan, planGuest } from '../../plan/guest.ts'
import { managedVirtualFunctions } from '../../plan/guestDevices.ts'
import { type GuestSettings, settingsForGuest } from '../../plan/guestSettings.ts'
import type { Settings } from '../../settings/settings.ts'
import { parseAddresses } from '../args/settings.ts'
import { VERSION } from '../context.ts'
import { CommandError, orThrow } from '../message.ts'
import { applyMessage } from '../messages/apply.ts'
import { diskMessage, diskNotes, type NameOf, presentGuestNote } from '../messages/disks.ts'
import { readMessage } from '../messages/files.ts'
import { choiceNotes, neededByGuest, problemMessage } from '../messages/gates.ts'
import { needNotes } from '../messages/guests.ts'
import { shortName } from '../output/diff.ts'
import {
  changedOptions,
  type EarlierDevices,
  type HostChoice,
  noteOnMachine,
  passedElsewhere
} from './devices.ts'
import { diskHost, guestsOf } from './faults.ts'
import { identities } from './guest.ts'
import type { ApplyInputs } from './inputs.ts'
import type { Host } from './machine.ts'

/** The settings of a `HostChoice`, with the needs of a guest added. */
export interface GuestChoice {
  settings: Settings
  notes: readonly string[]
  /** The options whose values come from the guest. */
  byGuest: readonly string[]
  /** The addresses of the virtual functions that libvirt should manage; undefined if the machine was not read. */
  virtual: ReadonlySet<string> | undefined
}

/**
 * Adds the needs of a guest to the settings. The guest's devices are checked like devices that flags name, except for
 * those that the configuration already passes through. If the configuration is for another machine, the machine is not
 * read.
 */
export function chooseForGuest(
  guest: Guest,
  chosen: HostChoice,
  inputs: ApplyInputs,
  earlier: EarlierDevices
): GuestChoice {
  const { configuration, prefix } = inputs
  const host = hostFor(inputs)
  const { machine, names = new Map<string, string>() } = host ?? {}
  const nameOf = shortNames(inputs)
  const disks = judgeDisks(guest.disks, diskHost(host, configuration, inputs.entry))
  if (disks.used.length > 0) throw new CommandError(diskMessage(disks.used, guest, nameOf))
  const texts = configuration.files.map(it => it.text)
  const where = { machine, configuration: configuration.target.doc, prefix, texts }
  const needed = settingsForGuest(guest.name, guest.needs, chosen.settings, where)
  const notes = [...needNotes(needed.notes, guest, names), ...diskNotes(disks.notes, guest, nameOf)]
  const { settings } = chosen
  const earlierIDs = new Set([...earlier.ids, ...earlier.named, ...(settings.devices ?? [])])
  const named = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const isNew = (address: string) => {
    const device = machine?.devices.find(it => it.address === address)
    if (device === undefined) return false
    // No option passes a virtual function through, so it is always checked.
    return isVirtual(device) || (!earlierIDs.has(idOf(device)) && !named.includes(address))
  }
  const virtual = machine && managedVirtualFunctions(guest.needs, machine)
  const devices = needed.devices.filter(isNew)
  if (host === undefined || devices.length === 0) {
    const byGuest = optionsByGuest(settings, needed.settings)
    return { settings: needed.settings, notes, byGuest, virtual }
  }
  const choice = chooseGuestDevices(guest, devices, needed, inputs)
  // Devices that flags name replace those in the file, but a guest's devices are added.
  const isNamed = settings.devices !== undefined || settings.addresses !== undefined
  const all = isNamed ? choice.settings : { ...choice.settings, addsDevices: true }
  return {
    settings: all,
    notes: [...choiceNotes(choice, names), ...notes, ...noteOnMachine('devices', inputs.request)],
    byGuest: optionsByGuest(settings, all),
    virtual
  }
}

/** Chooses the devices that the guest needs and the host still has. */
function chooseGuestDevices(
  { name, file, needs }: Guest,
  devices: readonly string[],
  needed: GuestSettings,
  { request, reader, configuration, entry, context }: ApplyInputs
): Choice {
  const { machine, names } = reader.read()
  const others = passedElsewhere(configuration.imported, machine, entry, devices)
  const alreadyPassed = machine.devices.filter(needed.isPassedThrough).map(it => it.address)
  const found = chooseDevices(machine, needed.settings, {
    gpus: [],
    devices,
    alreadyPassed: withoutVirtualFunctions(machine, new Set([...alreadyPassed, ...others.devices])),
    confirmed: parseAddresses('confirm', request.confirmed),
    specialisation: entry,
    assumesIsolated: request.assumesIsolated
  })
  const choice = orThrow(found, it =>
    neededByGuest(problemMessage(it, context.line, names), file, name)
  )
  const decisions = choice.decisions.flatMap(decision => {
    if (decision.code !== 'VIRTUAL_FUNCTION') return decision
    const uses = needs.devices.filter(it => it.address === decision.device.address)
    // Another note says that nothing prepares a virtual function that is an argument of QEMU.
    if (uses.some(it => it.as === 'argument')) return []
    return { ...decision, isUnmanaged: uses.some(it => it.isUnmanaged === true) }
  })
  return { ...choice, decisions }
}

/** The machine, unless the configuration is for another one. */
function hostFor({ match, reader }: ApplyInputs): Host | undefined {
  return match === 'other' ? undefined : reader.read()
}

/** The names of files of the configuration in messages. */
function shortNames({ target }: ApplyInputs): NameOf {
  return path => shortName(target, path)
}

/** The options whose settings come from a guest. */
function optionsByGuest(before: Settings, after: Settings): string[] {
  const files = (after.sharedMemoryFiles ?? []).filter(
    it => !before.sharedMemoryFiles?.some(at => at.name === it.name)
  )
  const addsNodes = (after.deviceACL ?? []).length > (before.deviceACL ?? []).length
  return [
    ...changedOptions(before, after),
    ...files.map(it => `virtualisation.sharedMemoryFiles.${it.name}`),
    ...(before.hugepages !== after.hugepages ? ['virtualisation.hugepages'] : []),
    ...(addsNodes ? ['virtualisation.libvirtd.deviceACL'] : [])
  ]
}

/**
 * Plans the file of a guest; `folder` is the folder of the modules. `virtual` are the addresses of the virtual
 * functions that libvirt should manage; undefined if the machine was not read.
 */
export function planGuestFile(
  { name, document, file }: Guest,
  folder: string,
  virtual: ReadonlySet<string> | undefined,
  { request, configuration, sources, context }: ApplyInputs
): GuestPlan {
  const guests = orThrow(sources.folder(join(folder, 'guests')), it => readMessage(it, context))
  const plan = planGuest({
    ...{ name, document, folder: guests.path, listing: guests.listing, identities, virtual },
    files: configuration.files,
    mayReplace: request.replacesModules,
    version: VERSION
  })
  return orThrow(plan, it => applyMessage(it, context, file))
}

// The guests that a configuration has before a run. They may have disks of the host too.

/**
 * A note on each guest in the files that has a disk of the host; `folder` is the folder of the modules. If the guest
 * of the run (`planned`) has such a disk, and its file is kept because of local edits, it is refused instead.
 */
export function presentGuestNotes(
  planned: GuestPlan | undefined,
  folder: string,
  inputs: ApplyInputs
): string[] {
  const { configuration, sources, context } = inputs
  const read = orThrow(sources.folder(join(folder, 'guests')), it => readMessage(it, context))
  // A guest that the run writes was checked by its XML.
  const guests = guestsOf(configuration.files, read.listing).filter(
    it => it.disks.length > 0 && (it.file.path !== planned?.path || planned.isEdited)
  )
  if (guests.length === 0) return []
  const nameOf = shortNames(inputs)
  const disks = diskHost(hostFor(inputs), configuration, inputs.entry)
  const notes: string[] = []
  for (const it of guests) {
    const { used } = judgeDisks(it.disks, disks)
    if (used.length === 0) continue
    const file = nameOf(it.file.path)
    if (it.file.path === planned?.path) {
      throw new CommandError(diskMessage(used, { ...it, file, xml: '' }, nameOf))
    }
    notes.push(presentGuestNote(used, { ...it, file }, nameOf))
  }
  return notes
}
