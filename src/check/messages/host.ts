// Findings about the machine as a whole: huge pages, the ACS patch, and a reboot that is due.

import type { FindingText } from '../../lints/finding.ts'

// ---- huge pages

/** The configuration reserves `count` pages of 1G. */
export function noPagesOf1G(count: number): FindingText {
  return tooManyPages(
    'this processor has no huge pages of 1G',
    'the processor lacks the feature pdpe1gb, so no pages are reserved, and a guest that needs them does not start.',
    `use ${count * 512} pages of 2M instead`
  )
}

export function pagesNotReserved(count: number, reserved: number): FindingText {
  return tooManyPages(
    `the kernel reserved only ${reserved} of these ${count} pages`,
    'each page needs contiguous memory, and the kernel finds enough of it only early during boot, if at all.',
    'ask for fewer pages, or reserve them with kernel parameters (virtualisation.hugepages)'
  )
}

/** Sizes are in GiB; `maximum` is the number of pages that leave the host enough memory. */
export function pagesExceedMemory(wanted: number, total: number, maximum: number): FindingText {
  return tooManyPages(
    `${wanted.toFixed(1)} GiB of huge pages leave the host too little of its ${total.toFixed(1)} GiB`,
    'the host cannot use reserved memory, so it runs out of memory or does not boot.',
    `leave the host 4 GiB: at most ${maximum} of these pages`
  )
}

function tooManyPages(message: string, why: string, remedy: string): FindingText {
  return { code: 'HUGEPAGES_TOO_MANY', level: 'problem', message, why, remedy }
}

// ---- the ACS patch, and a reboot

export function groupsNotSplit(): FindingText {
  return {
    code: 'ACS_NOT_ACTIVE',
    level: 'problem',
    message: 'the running kernel did not split the IOMMU groups',
    why: 'its log does not contain "PCIe ACS overrides enabled", so it lacks the ACS override patch. It may be a newer version of a kernel that used to have the patch.',
    remedy:
      'choose a kernel with the patch, for example boot.kernelPackages = pkgs.linuxPackages_zen, or remove this setting'
  }
}

/** `entry` is the boot entry to choose; empty if it is booted without a choice. */
export function needsReboot(entry: string): FindingText {
  return {
    code: 'NEEDS_REBOOT',
    level: 'note',
    message: 'this is built, and takes effect after a reboot',
    why: 'kernel parameters and the drivers of devices are set at boot; "nixos-rebuild switch" does not change them.',
    remedy: entry === '' ? 'reboot' : `reboot, and choose the boot entry "${entry}"`
  }
}
