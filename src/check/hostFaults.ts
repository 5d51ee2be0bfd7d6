// What is wrong with the machine as a whole, for what a configuration asks of it.

import type { Finding } from '../lints/index.ts'
import type { Place } from './asked.ts'
import { iommuFaults } from './iommuFaults.ts'
import type { Held, Thing } from './state.ts'

/** Findings about the IOMMU, the memory, the patch for groups, and a start that is due. */
export function hostFaults(held: Held, state: readonly Thing[]): Finding[] {
  return [
    ...iommuFaults(held, state),
    ...tooManyPages(held, state),
    ...unpatched(held, state),
    ...reboot(held, state)
  ]
}

const GIB = 1024 * 1024
/** What a desktop needs at the least, in KiB. */
const FOR_HOST = 4 * GIB

/** Pages that the machine has not, or not enough memory for. */
function tooManyPages(
  { machine: { memory, cpu }, asked }: Held,
  state: readonly Thing[]
): Finding[] {
  const { total } = memory
  const things = state.filter(it => it.kind === 'hugepages')
  return asked.hugepages.flatMap((it, i): Finding[] => {
    const said = { code: 'HUGEPAGES_TOO_MANY', level: 'problem' } as const
    if (it.sizeKiB === GIB && cpu.hasHugePages1G === false) {
      return [
        findingAt(it, {
          ...said,
          message: 'this processor has no huge pages of 1G',
          why: 'it lacks the flag pdpe1gb, so none are reserved, and a guest that wants them does not start.',
          remedy: `write 2M, and ${it.count * 512} for the number of pages`
        })
      ]
    }
    const most = Math.max(0, Math.floor(((total ?? 0) - FOR_HOST) / it.sizeKiB))
    if (things[i]?.verdict === 'not-active') {
      return [
        findingAt(it, {
          ...said,
          message: `the kernel could not reserve all of these ${it.count} pages: ${things[i]?.because}`,
          why: 'each has to be one piece of memory, which is there early in the start only, if at all.',
          remedy: 'ask for fewer, or reserve them by kernel parameters (virtualisation.hugepages)'
        })
      ]
    }
    if (total === undefined || it.count <= most) return []
    const [wanted, there] = [it.count * it.sizeKiB, total].map(kib => (kib / GIB).toFixed(1))
    return [
      findingAt(it, {
        ...said,
        message: `huge pages of ${wanted} GiB in all leave the host too little of its ${there} GiB`,
        why: 'what is reserved is gone for the host, which then runs out of memory or does not start.',
        remedy: `leave the host 4 GiB: at most ${most} of these pages`
      })
    ]
  })
}

/** A kernel that passed over the wish to split up groups. */
function unpatched({ asked }: Held, state: readonly Thing[]): Finding[] {
  const isMissing = state.some(it => it.kind === 'acs' && it.verdict === 'not-active')
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
function reboot({ asked, entry }: Held, state: readonly Thing[]): Finding[] {
  const waiting = state.filter(it => it.kind !== 'system' && it.verdict === 'after-reboot')
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

function findingAt({ path, range }: Place, said: Omit<Finding, 'path' | 'range'>): Finding {
  return { ...said, path, range }
}
