// The boot entry that a run is about, in words: that of a specialisation, or the usual one.

import { basename } from 'node:path'
import type { TakeOver } from '../../apply/old/takeOver.ts'
import type { ApplyPlan } from '../../apply/planApply.ts'
import type { Context } from '../context.ts'

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
