// What the machine says to a guest: the devices that it is to have, and what does not fit.

import { join } from 'node:path'
import type { ImportedModule } from '../../configuration/imports.ts'
import { readFolder } from '../../configuration/read.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { idOf } from '../../machine/machine.ts'
import { isVirtual, withoutVirtualFunctions } from '../../machine/virtualFunctions.ts'
import { type NixDocument, parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { chooseDevices } from '../../plan/devices.ts'
import { judgeDisks } from '../../plan/disks/guestDisks.ts'
import { type GuestPlan, planGuest } from '../../plan/guest.ts'
import { managedFor } from '../../plan/guestDevices.ts'
import { type GuestNote, settingsForGuest } from '../../plan/guestSettings.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Arguments } from '../args/parse.ts'
import { readAddresses } from '../args/request.ts'
import { type Context, VERSION } from '../context.ts'
import type { Message } from '../message.ts'
import { applyMessage } from '../text/apply.ts'
import { diskMessage, type NameOf, presentNote } from '../text/disks.ts'
import { readMessage } from '../text/files.ts'
import { choiceNotes, problemMessage } from '../text/gates.ts'
import { guestMessage, isAboutGuest, needNotes } from '../text/guests.ts'
import { hostMatch } from './configuration.ts'
import { givenElsewhere, type HostChoice, noteOnMachine } from './devices.ts'
import { identities } from './guest.ts'
import { checkDisks, diskHost, guestsOf, hostFor } from './guestDisks.ts'
import { readHost } from './machine.ts'

/** What is known of the configuration that a guest goes into. */
export interface GuestPlace {
  path: string
  text: string
  /** All its files. */
  modules: readonly ImportedModule[]
  /** How a file of it is called. */
  nameOf: NameOf
  /** The boot entry of its own that the options go into, and the path of these. */
  specialisation: string | undefined
  prefix: readonly string[]
  /** IDs that it gives to vfio-pci in other words than by our options. */
  earlierIDs: readonly string[]
  /** The files that it imports, which may give away more. */
  imported: readonly ImportedModule[]
}

/** The settings with what a guest needs, on top of those that were chosen without it. */
export interface GuestChoice {
  settings: Settings
  notes: readonly string[]
  /** The options whose values come from the guest. */
  byGuest: readonly string[]
  /** The addresses of virtual functions that libvirt is to manage; undefined where the machine is not looked at. */
  virtual: ReadonlySet<string> | undefined
}

/**
 * Adds what a guest needs to the settings. Its devices go through the same gates as those that a person
 * names, but for what the configuration gives away already; a machine that the configuration is not of
 * is not looked at.
 */
export function chooseForGuest(
  guest: Guest,
  chosen: HostChoice,
  place: GuestPlace,
  given: Arguments,
  context: Context
): Result<GuestChoice, Message> {
  const { path, text, modules, prefix, specialisation, nameOf } = place
  const texts = modules.map(it => it.text)
  const isHere = hostMatch(text, given, context) !== 'other'
  const host = isHere ? readHost(given) : undefined
  if (host && !host.ok) return host
  const { machine, names = new Map<string, string>() } = host?.value ?? {}
  const configuration: NixDocument = parseDocument(text)
  const disks = diskHost(host?.value, path, modules, specialisation, context)
  const checked = checkDisks(guest.disks, guest, disks, nameOf)
  if (!checked.ok) return checked
  const where = { machine, configuration, prefix, texts }
  const needed = settingsForGuest(guest.name, guest.needs, chosen.settings, where)
  const earlier = new Set([...place.earlierIDs, ...(chosen.settings.devices ?? [])])
  const named = (chosen.settings.addresses ?? []).map(it =>
    typeof it === 'string' ? it : it.address
  )
  const isNew = (address: string) => {
    const device = machine?.devices.find(it => it.address === address)
    if (device === undefined) return false
    // Nothing that the configuration says gives a virtual function away.
    return isVirtual(device) || (!earlier.has(idOf(device)) && !named.includes(address))
  }
  const virtual = machine && managedFor(guest.needs, machine)
  const devices = needed.devices.filter(isNew)
  const told = (notes: readonly GuestNote[]) => [
    ...needNotes(notes, guest, names),
    ...checked.value
  ]
  if (machine === undefined || devices.length === 0) {
    const byGuest = optionsBy(chosen.settings, needed.settings)
    return ok({ settings: needed.settings, notes: told(needed.notes), byGuest, virtual })
  }
  const confirmed = readAddresses('confirm', given)
  if (!confirmed.ok) return confirmed
  const others = givenElsewhere(place.imported, machine, specialisation, devices)
  const ours = machine.devices.filter(needed.givenNow).map(it => it.address)
  const choice = chooseDevices(machine, needed.settings, {
    gpus: [],
    devices,
    given: withoutVirtualFunctions(machine, new Set([...ours, ...others.devices])),
    confirmed: confirmed.value,
    specialisation,
    assumesIsolated: given.on('assume-isolated') === true
  })
  if (!choice.ok) {
    const message = problemMessage(choice.error, context.line, names)
    return err({
      ...message,
      why: `${message.why ?? ''}\n${guest.file} gives it to ${guest.name}.`,
      remedy: `${message.remedy ?? ''};\nor change the addresses in ${guest.file}, if it is from another machine`
    })
  }
  // What the flags name takes the place of what is there; what a guest needs comes to it.
  const isNamed = chosen.settings.devices !== undefined || chosen.settings.addresses !== undefined
  const settings = isNamed ? choice.value.settings : { ...choice.value.settings, addsDevices: true }
  const elsewhere = noteOnMachine('devices', given, context)
  // Nobody prepares a virtual function that is an argument of QEMU, which is told by a note.
  const isArgument = (address: string) =>
    guest.needs.devices.some(it => it.address === address && it.as === 'argument')
  const isUnmanaged = (address: string) =>
    guest.needs.devices.some(it => it.address === address && it.isUnmanaged === true)
  const decisions = choice.value.decisions
    .filter(it => it.code !== 'VIRTUAL_FUNCTION' || !isArgument(it.device.address))
    .map(it =>
      it.code === 'VIRTUAL_FUNCTION' ? { ...it, isUnmanaged: isUnmanaged(it.device.address) } : it
    )
  return ok({
    settings,
    notes: [
      ...choiceNotes({ ...choice.value, decisions }, names),
      ...told(needed.notes),
      ...elsewhere
    ],
    byGuest: optionsBy(chosen.settings, settings),
    virtual
  })
}

/** The options that a guest changed the settings for. */
function optionsBy(before: Settings, after: Settings): string[] {
  const vfio = ['devices', 'addresses', 'IOMMUType', 'competingDrivers'] as const
  const files = (after.sharedMemoryFiles ?? []).filter(
    it => !before.sharedMemoryFiles?.some(at => at.name === it.name)
  )
  const nodes = (after.deviceACL ?? []).length > (before.deviceACL ?? []).length
  return [
    ...vfio.filter(it => before[it] !== after[it]).map(it => `virtualisation.vfio.${it}`),
    ...files.map(it => `virtualisation.sharedMemoryFiles.${it.name}`),
    ...(before.hugepages !== after.hugepages ? ['virtualisation.hugepages'] : []),
    ...(nodes ? ['virtualisation.libvirtd.deviceACL'] : [])
  ]
}

/**
 * What becomes of the file of a guest, which lies with our modules in `folder`. `modules` are the
 * configuration and what it imports, `virtual` the addresses of the virtual functions of the machine that
 * libvirt is to manage; undefined where that is not looked at.
 */
export function guestFile(
  { name, document, file }: Guest,
  folder: string,
  modules: readonly ImportedModule[],
  virtual: ReadonlySet<string> | undefined,
  given: Arguments,
  context: Context
): Result<GuestPlan, Message> {
  const guests = readFolder(join(folder, 'guests'))
  if (!guests.ok) return err(readMessage(guests.error, context))
  const { path, listing } = guests.value
  const replaces = given.on('replace-modules') === true
  const input = { name, document, folder: path, listing, identities, modules, replaces }
  const plan = planGuest({ ...input, virtual, version: VERSION })
  if (plan.ok) return ok(plan.value)
  const { error } = plan
  return err(
    isAboutGuest(error) ? guestMessage(error, context, file) : applyMessage(error, context)
  )
}

// The guests that are in a configuration before a run, which may have disks of the host as well.

/**
 * A note for each guest in the files that has a disk of the host; `folder` is that of our modules. Refused only
 * where it is the guest that the run is about (`planned`), whose file stays as a person edited it.
 */
export function presentGuests(
  planned: GuestPlan | undefined,
  { path, text, modules, specialisation, nameOf }: GuestPlace,
  folder: string,
  given: Arguments,
  context: Context
): Result<string[], Message> {
  const read = readFolder(join(folder, 'guests'))
  if (!read.ok) return err(readMessage(read.error, context))
  // What a run makes new was looked at by its XML.
  const guests = guestsOf(modules, read.value.path, read.value.listing).filter(
    it => it.disks.length > 0 && (it.path !== planned?.path || planned.isEdited)
  )
  if (guests.length === 0) return ok([])
  const host = hostFor(text, given, context)
  if (!host.ok) return host
  const disks = diskHost(host.value, path, modules, specialisation, context)
  const notes: string[] = []
  for (const it of guests) {
    const { used } = judgeDisks(it.disks, disks)
    if (used.length === 0) continue
    const file = nameOf(it.path)
    if (it.path === planned?.path) return err(diskMessage(used, { ...it, file, xml: '' }, nameOf))
    notes.push(presentNote(used, { ...it, file }, nameOf))
  }
  return ok(notes)
}
