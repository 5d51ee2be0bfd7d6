// Findings about passphrase prompts in the initrd that nobody can see.

import type { Finding, FindingText } from '../finding.ts'
import type { Prompt } from '../prompts.ts'

export interface InvisiblePrompts {
  level: Finding['level']
  /** At least one. */
  prompts: readonly Prompt[]
  /** The boot entry that has them; empty for the system itself. */
  entry: string
  /** Whether they are invisible for certain. */
  isCertain: boolean
}

export function promptsInvisible({
  level,
  prompts,
  entry,
  isCertain
}: InvisiblePrompts): Pick<Finding, 'code' | 'level' | 'message'> {
  const names = prompts.map(nameOf)
  const last = names.at(-1) ?? ''
  const all = names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
  const verb = isCertain ? 'is' : 'may be'
  const where = entry === '' ? '' : ` in the boot entry "${entry}"`
  const message = `the passphrase prompt for ${all} ${verb} invisible${where}`
  return { code: 'DARK_PASSPHRASE', level, message }
}

const CONDITIONS = {
  encrypted: 'if it is encrypted',
  passphrase: 'if it has a passphrase',
  pin: 'if it asks for a PIN'
} as const

/** `rpool (ZFS, if it is encrypted)` */
function nameOf({ kind, name, condition }: Prompt): string {
  const words = condition === undefined ? kind : `${kind}, ${CONDITIONS[condition]}`
  return `${name ?? 'the root pool'} (${words})`
}

/**
 * `setting` turns the firmware's framebuffer off; `guestDrivers` are the drivers in the initrd, all for the
 * guest's card; `hostDriver` is the driver of the host's card, if it is known.
 */
export function noHostDriverInInitrd(
  prompts: InvisiblePrompts,
  setting: string,
  guestDrivers: readonly string[],
  hostDriver: string | undefined
): FindingText {
  const loaded =
    guestDrivers.length > 0
      ? `only the driver of the guest's card (${guestDrivers.join(', ')})`
      : 'none'
  return {
    ...promptsInvisible(prompts),
    why: `with ${setting}, ${NOTHING_DRAWN}, and the initrd loads ${loaded}.`,
    remedy:
      hostDriver === undefined
        ? 'make the initrd load the driver of the card with your monitor, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915", "xe")'
        : `add ${loadInInitrd(hostDriver)}`
  }
}

/** The effect of turning the firmware's framebuffer off, as a clause. */
export const NOTHING_DRAWN = 'nothing is drawn before a graphics driver loads'

/** The line that loads a driver in the initrd. */
export function loadInInitrd(driver: string): string {
  return `boot.initrd.kernelModules = [ "${driver}" ];`
}
