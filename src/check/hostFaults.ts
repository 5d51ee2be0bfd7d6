// What is wrong with the machine as a whole, for what a configuration asks of it.

import { type Finding, type FindingInit, findingAt } from '../lints/finding.ts'
import { briefDevice, callUses, isForGuests, list, showsOrMay } from '../machine/cards.ts'
import { closedGates, type Gate, isAboutPicture } from '../machine/gates.ts'
import { iommuFaults } from './iommuFaults.ts'
import { namedFor, type Requirements } from './requirements.ts'
import type { MachineState, Thing } from './state.ts'

/** Findings about the IOMMU, the memory, the patch for groups, and a start that is due. */
export function hostFaults(state: MachineState, things: readonly Thing[]): Finding[] {
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
    return words ? [findingAt(it, { code: 'HUGEPAGES_TOO_MANY', level: 'problem', ...words })] : []
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

/** What the host loses, as far as it has it still. */
export function lockedOut(
  { machine, named, asked, entry }: MachineState,
  passed: ReadonlySet<string>
): Finding[] {
  const free = machine.devices.filter(it => passed.has(it.address) && !isForGuests(it))
  const addresses = new Set(free.map(it => it.address))
  // A guest that takes a device later is started by a person, who sees what it does.
  const gates = closedGates(machine, addresses, { confirmed: [], bindsAtBoot: asked.bindsAtBoot })
  return gates
    .filter(it => entry.view.name === '' || !isAboutPicture(it))
    .flatMap(gate => {
      const place = namedFor(named, gate.device, passed)
      return place ? [findingAt(place, { code: 'LOCKS_OUT', ...gateFinding(gate) })] : []
    })
}

function gateFinding(gate: Gate): Omit<FindingInit, 'code'> {
  const device = briefDevice(gate.device)
  const other = 'take it out; "vfio-patch scan" shows what a guest can have'
  switch (gate.code) {
    case 'CARRIES_DISK':
      return {
        level: 'problem',
        message: `your files are behind ${device}: ${callUses(gate.uses)}`,
        why: 'the host can not reach its own disk once a guest owns the device.',
        remedy: other
      }
    case 'ONLY_NETWORK':
      return {
        level: 'problem',
        message: `${device} is the only network card of the host (${list(gate.names)})`,
        why: 'the host has no network once a guest owns it.',
        remedy: other
      }
    case 'ONLY_KEYBOARD':
      return {
        level: 'problem',
        message: `the only keyboard is plugged into ${device}`,
        why: 'nobody can type anything on the host once a guest owns it.',
        remedy: 'plug the keyboard into another USB port, or take this out'
      }
    case 'ONLY_DISPLAY':
      return {
        level: 'problem',
        message: `no card is left that the host could show a picture on`,
        why: 'the screen of the host stays dark, also if something goes wrong.',
        remedy:
          'put it into a boot entry of its own (vfio-patch apply --specialisation NAME), or let a guest have the card only while it runs (--bind hooks)'
      }
    case 'SHOWS_SCREEN':
      return {
        level: 'note',
        message: `${device} ${showsOrMay(gate.device)} your screen, and goes to a guest`,
        why: 'no monitor is plugged into another card, so the screen of the host goes dark.',
        remedy: `plug the monitor into ${list(
          gate.others.map(it => it.address),
          'or'
        )} before the next start`
      }
  }
}
