// The guests that are in a configuration before a run, which may have disks of the host as well.

import { join } from 'node:path'
import { judgeDisks } from '../../apply/disks/guestDisks.ts'
import type { GuestPlan } from '../../apply/planGuest.ts'
import { readFolder } from '../../apply/read/readInputs.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { diskMessage, presentNote } from '../messages/diskMessages.ts'
import { readMessage } from '../messages/fileMessages.ts'
import type { GuestPlace } from './chooseForGuest.ts'
import { diskHost, guestsOf, hostFor } from './guestDisks.ts'

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
