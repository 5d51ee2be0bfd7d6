// What the machine says to a run: which devices its cards come to, and what must stay with the host.

import { hostname } from 'node:os'
import {
  type Asked,
  type ChoiceProblem,
  chooseDevices,
  type Decision
} from '../../apply/chooseDevices.ts'
import { innerModule } from '../../apply/innerModule.ts'
import { placeEarlierIDs } from '../../apply/old/earlierIDs.ts'
import type { ImportedModule } from '../../apply/read/importClosure.ts'
import { prefixOf, profilesOf } from '../../apply/specialisation.ts'
import { idOf, type Machine } from '../../host/machine.ts'
import { parseDocument } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { parseAddress } from '../../vfio/parseSettings.ts'
import type { ExpectedDevice, Settings } from '../../vfio/settings.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import { type Message, usage } from '../message.ts'
import { choiceNotes } from '../messages/choiceNotes.ts'
import { list } from '../messages/deviceWords.ts'
import { otherDevice, problemMessage } from '../messages/gateMessages.ts'
import { type GivenElsewhere, givenElsewhere } from './givenElsewhere.ts'
import { readHost } from './readHost.ts'

/** The settings with the cards in them, and what a person has to know of how that came. */
export interface HostChoice {
  settings: Settings
  notes: readonly string[]
  /** The options whose values come from the cards. */
  byCard: readonly string[]
  /** The earlier IDs that the host needs as well, and the devices that are meant by them. */
  byAddress: ReadonlyMap<string, readonly ExpectedDevice[]>
}

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
  const belongs = whoseIs(text, given, context)
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
  const elsewhere =
    isAsked && context.root !== '/' && given.text('sysfs') === undefined
      ? ['Note: the cards are those of the machine that this runs on.']
      : []
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

/** The options that a card changed the settings for. */
function optionsBy(before: Settings, after: Settings): string[] {
  const names = ['devices', 'addresses', 'IOMMUType', 'competingDrivers'] as const
  return names.filter(it => before[it] !== after[it]).map(it => `virtualisation.vfio.${it}`)
}

/** What the IDs come to that stand elsewhere; settings stay as they are. */
function chooseEarlier(
  machine: Machine,
  settings: Settings,
  earlier: EarlierDevices,
  {
    asked,
    others,
    isHere,
    context,
    names
  }: {
    asked: Asked
    others: GivenElsewhere
    isHere: boolean
    context: Context
    names: ReadonlyMap<string, string>
  }
): Result<Pick<HostChoice, 'notes' | 'byAddress'>, Message> {
  const { ids, places } = earlier
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

/** The addresses that a flag was given with, each once. */
export function readAddresses(flag: string, given: Arguments): Result<string[], Message> {
  const found: string[] = []
  for (const value of given.texts(flag) ?? []) {
    const address = parseAddress(value)
    if (!address.ok) {
      const { message } = address.error
      return err(
        usage(`--${flag}: ${message}.`, { remedy: '"vfio-patch scan" shows the addresses' })
      )
    }
    found.push(address.value)
  }
  return ok([...new Set(found)])
}

/** Whose machine the file configures, by the name that it gives its host. */
export function whoseIs(
  text: string,
  given: Arguments,
  { root }: Context
): 'this' | 'other' | 'unknown' {
  if (given.text('sysfs') !== undefined) return 'this'
  const names = parseDocument(text)
    .getIn('networking.hostName')
    .map(it => /^"([\w-]+)"$/.exec(it.source)?.[1])
  const [name] = names
  // What is installed from another system has that one's name for now.
  if (root !== '/' || name === undefined || names.length !== 1) return 'unknown'
  return name === hostname() ? 'this' : 'other'
}

/** Named hardware that isn't there may come yet, so that is told and no more. */
function absentDevices(settings: Settings, { devices }: Machine): string[] {
  const here = new Set(devices.flatMap(it => [it.address, idOf(it)]))
  const addresses = (settings.addresses ?? []).map(it => (typeof it === 'string' ? it : it.address))
  const ids = (settings.devices ?? []).filter(it => !here.has(it.split(':').slice(0, 2).join(':')))
  return [...ids, ...addresses.filter(it => !here.has(it))].map(
    it => `Note: this machine has no ${it} at the moment.`
  )
}

export interface MovedDevice {
  address: string
  /** What the configuration expects there, and what is there. */
  expected: string
  found: string | undefined
}

/** The first address in the configuration behind which there is something else than it says. */
function movedDevice(text: string, { devices }: Machine): MovedDevice | undefined {
  const doc = parseDocument(text)
  const prefixes = [undefined, ...profilesOf(doc).specialisations].map(prefixOf)
  const addresses = prefixes.flatMap(it =>
    (innerModule(doc, it)?.doc ?? doc).itemsIn([...it, 'virtualisation', 'vfio', 'addresses'])
  )
  for (const item of addresses) {
    if (typeof item !== 'object' || item === null || !('address' in item) || !('id' in item))
      continue
    const { address, id } = item
    if (typeof address !== 'string' || typeof id !== 'string') continue
    const device = devices.find(it => it.address === address)
    if (device !== undefined && idOf(device) === id.toLowerCase()) continue
    return { address, expected: id, found: device && idOf(device) }
  }
  return undefined
}
