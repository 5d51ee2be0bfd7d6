// What the machine says to IDs that a configuration gives to vfio-pci in other words than by our options.

import { type Asked, chooseDevices, type Decision } from '../../apply/chooseDevices.ts'
import { placeEarlierIDs } from '../../apply/old/earlierIDs.ts'
import type { ImportedModule } from '../../apply/read/importClosure.ts'
import { virtualIDs } from '../../apply/virtualFunctions.ts'
import { idOf, type Machine } from '../../host/machine.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Settings } from '../../vfio/settings.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { choiceNotes } from '../messages/choiceNotes.ts'
import { list, type Names } from '../messages/deviceWords.ts'
import { problemMessage } from '../messages/gateMessages.ts'
import { absentDevices } from './absentDevices.ts'
import type { HostChoice } from './chooseHost.ts'
import { type GivenElsewhere, withPlaces } from './givenElsewhere.ts'

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
