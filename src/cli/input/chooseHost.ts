// What the machine says to a run: which devices its cards come to, and what must stay with the host.

import { chooseDevices } from '../../apply/chooseDevices.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { ExpectedDevice, Settings } from '../../vfio/settings.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { readAddresses } from '../arguments/readAddresses.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { choiceNotes } from '../messages/choiceNotes.ts'
import { otherDevice, problemMessage } from '../messages/gateMessages.ts'
import { absentDevices } from './absentDevices.ts'
import { chooseEarlier, type EarlierDevices } from './chooseEarlier.ts'
import { givenElsewhere, withPlaces } from './givenElsewhere.ts'
import { movedDevice } from './movedDevice.ts'
import { readHost } from './readHost.ts'
import { whoseIs } from './whoseIs.ts'

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
