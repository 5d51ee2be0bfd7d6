import type { FindingText } from '../../lints/finding.ts'

type Vendor = 'intel' | 'amd' | 'other'

/** The name of the IOMMU switch in the firmware setup. */
const SWITCHES: Readonly<Record<Vendor, string>> = {
  intel: 'VT-d',
  amd: 'IOMMU or AMD-Vi (next to SVM)',
  other: 'VT-d, IOMMU or AMD-Vi'
}

const NO_DEVICES = 'without the IOMMU, no device can be passed through.'
const TURN_ON = 'add "intel_iommu=on" to boot.kernelParams, or run vfio-patch apply --iommu intel'

/** Where the configuration turns on Intel's IOMMU: by a parameter, or by `IOMMUType`, which has another value. */
export type IntelSwitch = 'parameter-in-list' | 'parameter' | 'option'

const REMEDIES: Readonly<Record<IntelSwitch, string>> = {
  'parameter-in-list': 'add "intel_iommu=on" to boot.kernelParams',
  parameter: TURN_ON,
  option: 'write virtualisation.vfio.IOMMUType = "intel";'
}

/** `board` is the name of the mainboard. */
export function firmwareOffersNone(vendor: Vendor, board: string | undefined): FindingText {
  const name = SWITCHES[vendor]
  return problem(
    'the firmware offers no IOMMU, so no device can be passed through',
    `the IOMMU switch in the firmware setup is called ${name}, and is often off${board === undefined ? '' : ` (${board})`}.`,
    `turn on ${name} in the firmware setup, then run vfio-patch check again`
  )
}

/** `isOffered` is true if the firmware is known to offer an IOMMU. */
export function noGroups(vendor: Vendor, isOffered: boolean): FindingText {
  return problem(
    `the kernel creates no IOMMU groups${isOffered ? ', although the firmware offers an IOMMU' : ''}`,
    'without groups, no device can be passed through.',
    `make sure that ${SWITCHES[vendor]} is on in the firmware setup, and that no kernel parameter contains iommu=off`
  )
}

export function perhapsTurnedOn(): FindingText {
  return problem(
    'the IOMMU is off, and might stay off after the next boot',
    `this configuration may turn the IOMMU on in a way that vfio-patch does not understand; ${NO_DEVICES}`,
    `build this configuration and reboot; if the IOMMU is still off, ${TURN_ON}`
  )
}

export function notTurnedOn(by: IntelSwitch): FindingText {
  return problem(
    'the IOMMU is off because the configuration does not turn it on',
    `NixOS leaves Intel's IOMMU off by default; ${NO_DEVICES}`,
    REMEDIES[by]
  )
}

/** `param` turns the IOMMU off. `isOn` is true if the IOMMU is on in the running system. */
export function turnedOff(param: string, isOn: boolean): FindingText {
  return problem(
    `${param} turns the IOMMU off`,
    `${isOn ? 'the IOMMU is on now, but will be off after the next boot; ' : ''}${NO_DEVICES}`,
    param.includes(',') ? 'remove the value off from this parameter' : 'remove it'
  )
}

const BOOTED_WITH =
  "the running system was booted with intel_iommu=on. NixOS kernels leave Intel's IOMMU off without this parameter, and then no device can be passed through."

export function lostAtNextBoot(by: IntelSwitch): FindingText {
  return problem(
    'the IOMMU will be off after the next boot because this configuration does not turn it on',
    BOOTED_WITH,
    REMEDIES[by]
  )
}

/** A module that was not read may turn it on. */
export function maybeLostAtNextBoot(): FindingText {
  return {
    ...problem(
      'the IOMMU will be off after the next boot, unless a module that was not read turns it on',
      BOOTED_WITH,
      TURN_ON
    ),
    level: 'note'
  }
}

function problem(message: string, why: string, remedy: string): FindingText {
  return { code: 'IOMMU_OFF', level: 'problem', message, why, remedy }
}
