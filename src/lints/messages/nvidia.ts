// Findings about drivers that keep a guest's card busy, and about a blacklist of the host's driver.

import type { FindingText } from '../finding.ts'

export function hostDriverBlacklisted(): FindingText {
  return {
    code: 'BLACKLISTS_HOST',
    level: 'problem',
    message: 'this blacklists the driver that services.xserver.videoDrivers selects',
    why: 'a blacklisted driver is not loaded for any card, so there is no desktop.',
    remedy: "remove it; vfio-pci binds the guest's card without a blacklist"
  }
}

/** PRIME uses the address of a guest's card. */
export function primeUsesGuestCard(): FindingText {
  return primeAtBoot('PRIME uses a card that vfio-pci binds at boot', BOTH_CLAIM, WITHOUT_PRIME)
}

/** PRIME uses a card of the same vendor as the guest's card, and possibly the same card. */
export function primeMayUseGuestCard(): FindingText {
  return primeAtBoot(
    'PRIME uses an NVIDIA card, and vfio-pci binds an NVIDIA card at boot',
    `if both are the same card, ${BOTH_CLAIM}`,
    `${WITHOUT_PRIME}; ignore this if you have two NVIDIA cards and PRIME uses the host's`
  )
}

const BOTH_CLAIM = "the host's driver and vfio-pci both claim it, and one of them fails."
const WITHOUT_PRIME =
  'remove the options of hardware.nvidia.prime, or pass the card through in a specialisation'

function primeAtBoot(message: string, why: string, remedy: string): FindingText {
  return { code: 'PRIME_GUEST', level: 'problem', message, why, remedy }
}

/** `mode` is `sync` or `reverseSync`. */
export function primeKeepsCardBusy(mode: string): FindingText {
  return {
    code: 'PRIME_GUEST',
    level: 'note',
    message: `PRIME ${mode} uses the guest's card as long as the desktop runs`,
    why: 'a guest can take a card only while no program on the host uses it.',
    remedy:
      'set hardware.nvidia.prime.offload.enable = true; instead, or stop the desktop before the guest starts'
  }
}

export function persistencedHoldsCard(): FindingText {
  return cardInUse(
    'nvidia-persistenced keeps the card open all the time.',
    'disable it, or stop nvidia-persistenced.service before the guest starts'
  )
}

const FBDEV_OFF = 'set hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;'

/** An option in `hardware.nvidia.moduleParams` sets `fbdev`. */
export function fbdevOption(): FindingText {
  return consoleOnCard(FBDEV_OFF)
}

/**
 * A kernel parameter or a line for modprobe sets `fbdev`. `hasModuleParams` is true if NixOS has the option
 * `hardware.nvidia.moduleParams`.
 */
export function fbdevParam(hasModuleParams: boolean): FindingText {
  return consoleOnCard(
    hasModuleParams
      ? `remove it, and ${FBDEV_OFF}`
      : 'set boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];'
  )
}

function consoleOnCard(remedy: string): FindingText {
  return cardInUse('with fbdev=1, the driver draws the console on the card.', remedy)
}

function cardInUse(why: string, remedy: string): FindingText {
  return {
    code: 'NVIDIA_HOLDS',
    level: 'problem',
    message: 'this keeps the NVIDIA card in use, so no guest can take it later',
    why,
    remedy
  }
}
