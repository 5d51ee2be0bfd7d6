import { join } from 'node:path'
import { type GuestPlan, planGuest } from '../../apply/planGuest.ts'
import type { ImportedModule } from '../../apply/read/importClosure.ts'
import { readFolder } from '../../apply/read/readInputs.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { guestMessage, isAboutGuest } from '../messages/guestMessages.ts'
import { applyMessage } from '../messages/messages.ts'
import { VERSION } from '../version.ts'
import { type Guest, identities } from './readGuest.ts'

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
