import type { Blocker } from '../../lints/earlyDrivers.ts'
import type { FindingText } from '../../lints/finding.ts'
import {
  type InvisiblePrompts,
  loadInInitrd,
  NOTHING_DRAWN,
  promptsInvisible
} from '../../lints/messages/passphrase.ts'

/** Why the firmware's framebuffer does not show the prompt. */
export type Cause =
  /** This parameter or option turns it off. */
  | { kind: 'turned-off'; setting: string }
  /** vfio-pci binds the card at this address. `isKnown` is true if the firmware certainly draws on that card. */
  | { kind: 'bound'; address: string; isKnown: boolean }

/** Why no card of the host shows the prompt. */
export type Obstacle =
  | { kind: 'no-card' }
  | { kind: 'unknown-driver'; address: string }
  | { kind: 'blocked-driver'; address: string; driver: string; by: Blocker }
  /** `mayLoadMore` is true if the initrd may load more drivers than the files show. */
  | { kind: 'missing-driver'; address: string; driver: string; mayLoadMore: boolean }

/** `hasOtherConsole` is true if the prompt can be answered over SSH or on a serial line. */
export function promptNotDrawn(
  prompts: InvisiblePrompts,
  cause: Cause,
  obstacle: Obstacle,
  hasOtherConsole: boolean
): FindingText {
  const other = hasOtherConsole
    ? ' The prompt can still be answered over SSH or a serial line.'
    : ''
  const { why, remedy } = wordObstacle(obstacle)
  return { ...promptsInvisible(prompts), why: `${wordCause(cause)}, and ${why}.${other}`, remedy }
}

function wordCause(cause: Cause): string {
  if (cause.kind === 'turned-off') return `with ${cause.setting}, ${NOTHING_DRAWN}`
  const condition = cause.isKnown ? '' : ' if the firmware draws on this card'
  return `vfio-pci binds ${cause.address} in the initrd, which removes the firmware's framebuffer${condition}`
}

function wordObstacle(obstacle: Obstacle): Pick<FindingText, 'why' | 'remedy'> {
  if (obstacle.kind === 'no-card') {
    return {
      why: 'the host has no other card to show the prompt',
      remedy:
        'unlock the disk without a passphrase (TPM2, a key file) or over the network (boot.initrd.network.ssh), or pass the card through only while the guest runs: vfio-patch apply --bind hooks'
    }
  }
  const { address } = obstacle
  const host = `the host's card ${address}`
  if (obstacle.kind === 'unknown-driver') {
    return {
      why: `no driver is known for ${host}`,
      remedy: `load the driver of ${address} with boot.initrd.kernelModules`
    }
  }
  const { driver } = obstacle
  const add = `add ${loadInInitrd(driver)}`
  if (obstacle.kind === 'missing-driver') {
    const missing = obstacle.mayLoadMore
      ? 'the files do not show that the initrd loads'
      : 'the initrd does not load'
    return { why: `${missing} ${driver}, the driver of ${host}`, remedy: add }
  }
  const { by } = obstacle
  const isBlacklist = by.kind === 'blacklist'
  return {
    why: `${isBlacklist ? 'a blacklist' : by.setting} disables ${driver}, the driver of ${host}`,
    remedy: `remove ${isBlacklist ? `${driver} from the blacklist` : by.setting}, and ${add}`
  }
}
