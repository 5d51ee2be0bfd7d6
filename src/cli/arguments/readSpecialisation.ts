import { err, ok, type Result } from '../../nix/result.ts'
import { parseSpecialisation } from '../../vfio/parseSettings.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parseArguments.ts'

/** The name that `--specialisation` gives; undefined without it. */
export function readSpecialisation(given: Arguments): Result<string | undefined, Message> {
  const name = given.text('specialisation')
  if (name === undefined) return ok(undefined)
  const parsed = parseSpecialisation(name)
  if (parsed.ok) return parsed
  const { message, hint } = parsed.error
  return err(usage(`--specialisation: ${message}.`, { remedy: hint }))
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
