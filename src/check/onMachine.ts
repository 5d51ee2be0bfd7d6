// A configuration compared with its machine, and what is wrong with that machine as a whole.

import { type Finding, type FindingInit, findingAt } from '../lints/finding.ts'
import { type Facts, type LintFile, viewsOf } from '../lints/view.ts'
import type { Machine } from '../machine/machine.ts'
import { deviceFaults } from './deviceFaults.ts'
import { iommuFaults } from './iommuFaults.ts'
import { namedIn, type Requirements, requirementsOf } from './requirements.ts'
import { bootEntryOf, type MachineState, type Thing, thingsOf } from './state.ts'

/** What came of comparing a configuration with its machine. */
export interface OnMachine {
  findings: Finding[]
  /** The specialisation that was looked at; blank for the system itself. */
  entry: string
  things: Thing[]
  /** Whether the systems that were built could be seen, so that one that is not built is known. */
  isNixOS: boolean
}

/**
 * Compares a configuration with the machine that it is for: what of it is at work there, and what does not
 * fit. Undefined where it gives nothing to guests.
 */
export function compareWithMachine(
  files: readonly LintFile[],
  facts: Facts,
  machine: Machine
): OnMachine | undefined {
  const entry = bootEntryOf(viewsOf(files, facts), machine)
  if (!entry) return undefined
  const params = [...machine.kernelParams, ...(entry.built?.kernelParams ?? [])]
  const named = namedIn(entry.view, machine, params)
  const state: MachineState = {
    entry,
    machine,
    named,
    asked: requirementsOf(entry.view, named, machine)
  }
  const things = thingsOf(state)
  const findings = [...deviceFaults(state), ...hostFaults(state, things)]
  return { findings, entry: entry.view.name, things, isNixOS: entry.isNixOS }
}

/** Findings about the IOMMU, the memory, the patch for groups, and a start that is due. */
function hostFaults(state: MachineState, things: readonly Thing[]): Finding[] {
  return [
    ...iommuFaults(state, things),
    ...tooManyPages(state, things),
    ...unpatched(state, things),
    ...reboot(state, things)
  ]
}

const GIB = 1024 * 1024
/** What a desktop needs at the least, in KiB. */
const FOR_HOST = 4 * GIB

/** Pages that the machine has not, or not enough memory for. */
function tooManyPages(state: MachineState, things: readonly Thing[]): Finding[] {
  const pages = things.filter(it => it.kind === 'hugepages')
  return state.asked.hugepages.flatMap((it, i) => {
    const words = pageFault(it, pages[i], state)
    return words ? findingAt(it, { code: 'HUGEPAGES_TOO_MANY', level: 'problem', ...words }) : []
  })
}

function pageFault(
  { sizeKiB, count }: Requirements['hugepages'][number],
  thing: Thing | undefined,
  { machine: { memory, cpu } }: MachineState
): Pick<FindingInit, 'message' | 'why' | 'remedy'> | undefined {
  if (sizeKiB === GIB && cpu.hasHugePages1G === false) {
    return {
      message: 'this processor has no huge pages of 1G',
      why: 'it lacks the flag pdpe1gb, so none are reserved, and a guest that wants them does not start.',
      remedy: `write 2M, and ${count * 512} for the number of pages`
    }
  }
  if (thing?.verdict === 'not-active') {
    return {
      message: `the kernel could not reserve all of these ${count} pages: ${thing.because}`,
      why: 'each has to be one piece of memory, which is there early in the start only, if at all.',
      remedy: 'ask for fewer, or reserve them by kernel parameters (virtualisation.hugepages)'
    }
  }
  const { total } = memory
  const most = Math.max(0, Math.floor(((total ?? 0) - FOR_HOST) / sizeKiB))
  if (total === undefined || count <= most) return undefined
  const [wanted, there] = [count * sizeKiB, total].map(kib => (kib / GIB).toFixed(1))
  return {
    message: `huge pages of ${wanted} GiB in all leave the host too little of its ${there} GiB`,
    why: 'what is reserved is gone for the host, which then runs out of memory or does not start.',
    remedy: `leave the host 4 GiB: at most ${most} of these pages`
  }
}

/** A kernel that passed over the wish to split up groups. */
function unpatched({ asked }: MachineState, things: readonly Thing[]): Finding[] {
  const isMissing = things.some(it => it.kind === 'acs' && it.verdict === 'not-active')
  if (!isMissing || !asked.splits) return []
  return [
    findingAt(asked.splits, {
      code: 'ACS_NOT_ACTIVE',
      level: 'problem',
      message: 'the running kernel did not split up the IOMMU groups',
      why: 'its log does not say "PCIe ACS overrides enabled", so it has no patch for that; kernels that had it lose it now and then.',
      remedy:
        'choose a kernel with the patch, for example boot.kernelPackages = pkgs.linuxPackages_zen, or take this out'
    })
  ]
}

/** What is built and waits for the next start, which a switch does not replace. */
function reboot({ asked, entry }: MachineState, things: readonly Thing[]): Finding[] {
  const waiting = things.filter(it => it.kind !== 'system' && it.verdict === 'after-reboot')
  if (waiting.length === 0 || !asked.first || !entry.built) return []
  const { name } = entry.view
  return [
    findingAt(asked.first, {
      code: 'NEEDS_REBOOT',
      level: 'note',
      message: 'this is built, and counts after the next start of the machine',
      why: 'kernel parameters, and which driver gets a device, are settled at the start; "nixos-rebuild switch" does not change them.',
      remedy:
        entry.isRunning || name === ''
          ? 'reboot'
          : `reboot, and choose the boot entry "${name}" in the boot menu`
    })
  ]
}
