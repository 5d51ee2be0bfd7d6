// The boot entry that a run is about, in words: that of a specialisation, or the usual one.

import { basename } from 'node:path'
import type { TakeOver } from '../../apply/old/takeOver.ts'
import type { ApplyPlan } from '../../apply/planApply.ts'
import { ok, type Result } from '../../nix/result.ts'
import { parseSpecialisation } from '../../vfio/parseSettings.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import { type Message, usage } from '../message.ts'

/** The name that `--specialisation` gives; undefined without it. */
export function readSpecialisation(given: Arguments): Result<string | undefined, Message> {
  const name = given.text('specialisation')
  if (name === undefined) return ok(undefined)
  const parsed = parseSpecialisation(name)
  if (parsed.ok) return parsed
  const { message, hint } = parsed.error
  return { ok: false, error: usage(`--specialisation: ${message}.`, { remedy: hint }) }
}

/** Why `--assume-isolated` can't be meant here. */
export function misplacedAssumption(
  given: Arguments,
  specialisation: string | undefined
): Message | undefined {
  if (given.on('assume-isolated') !== true || specialisation !== undefined) return undefined
  return usage('--assume-isolated goes only with --specialisation.', {
    why: 'nobody can see yet what goes along with the card, so the usual boot entry has to stay as it is.',
    remedy: 'add --specialisation vfio'
  })
}

/** What a person has to know of where the options go; nothing where it is the usual boot entry. */
export function entryNotes(
  { specialisation = null, configuration, left = [] }: ApplyPlan,
  takeOver: TakeOver | undefined,
  { file }: Context
): string[] {
  if (specialisation === null || !configuration.changed) return []
  // Modules that others had are for every boot entry.
  const usual = takeOver ? '' : '; the usual boot entry stays as it is'
  return [
    `Boot entry: the options are in specialisation.${specialisation}${usual}.`,
    ...left.map(
      it =>
        `Leaves ${basename(file)}:${it.line}, as it is not in specialisation.${specialisation}: ${it.code}, ${it.message}.`
    )
  ]
}

/** How to get into the boot entry, or back where there is no picture. */
export function bootHint(specialisation: string | null | undefined): string {
  return specialisation === undefined || specialisation === null
    ? 'If there is no picture, pick the previous generation in the boot menu.'
    : `In the boot menu, pick the entry with "${specialisation}" in its name; the usual one is as before.`
}
