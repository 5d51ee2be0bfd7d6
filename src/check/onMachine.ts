// A configuration compared with its machine, and findings about that machine as a whole.

import { type Finding, type FindingText, findingAt } from '../lints/finding.ts'
import { type LintFile, type SystemFacts, viewsOf } from '../lints/view.ts'
import type { Machine } from '../machine/machine.ts'
import { findDeviceFaults } from './deviceFaults.ts'
import { findIommuFaults } from './iommuFaults.ts'
import {
  groupsNotSplit,
  needsReboot,
  noPagesOf1G,
  pagesExceedMemory,
  pagesNotReserved
} from './messages/host.ts'
import { deviceReferencesIn, type Requirements, requirementsOf } from './requirements.ts'
import {
  bootEntryOf,
  type MachineState,
  reservedPages,
  type SettingStatus,
  settingStatuses
} from './state.ts'

/** The result of comparing a configuration with its machine. */
export interface MachineComparison {
  findings: Finding[]
  /** The specialisation that was compared; empty for the system itself. */
  entry: string
  things: SettingStatus[]
  /** Whether the machine's built systems are known. Only then is `not-built` certain. */
  isNixOS: boolean
}

/**
 * Compares a configuration with its machine: which settings are active, and which do not fit the machine. Undefined
 * if the configuration passes no device through.
 */
export function compareWithMachine(
  files: readonly LintFile[],
  facts: SystemFacts,
  machine: Machine
): MachineComparison | undefined {
  const entry = bootEntryOf(viewsOf(files, facts), machine)
  if (!entry) return undefined
  const params = [...machine.kernelParams, ...(entry.built?.kernelParams ?? [])]
  const references = deviceReferencesIn(entry.view, machine, params)
  const state: MachineState = {
    entry,
    machine,
    references,
    required: requirementsOf(entry.view, references, machine)
  }
  const things = settingStatuses(state)
  const findings = [...findDeviceFaults(state), ...hostFaults(state, things)]
  return { findings, entry: entry.view.name, things, isNixOS: entry.isNixOS }
}

/** Findings about the IOMMU, huge pages, the ACS override patch, and a reboot that is due. */
function hostFaults(state: MachineState, things: readonly SettingStatus[]): Finding[] {
  return [
    ...findIommuFaults(state, things),
    ...tooManyPages(state, things),
    ...unpatched(state, things),
    ...reboot(state, things)
  ]
}

const GIB = 1024 * 1024
/** The least memory for a desktop, in KiB. */
const FOR_HOST = 4 * GIB

/** Huge pages that the processor does not support, or that the memory is too small for. */
function tooManyPages(state: MachineState, things: readonly SettingStatus[]): Finding[] {
  const pages = things.filter(it => it.kind === 'hugepages')
  return state.required.hugepages.flatMap((it, i) => {
    const text = pageFault(it, pages[i], state)
    return text ? findingAt(it, text) : []
  })
}

function pageFault(
  { sizeKiB, count }: Requirements['hugepages'][number],
  thing: SettingStatus | undefined,
  { machine }: MachineState
): FindingText | undefined {
  if (sizeKiB === GIB && machine.cpu.hasHugePages1G === false) return noPagesOf1G(count)
  if (thing?.verdict === 'not-active') {
    return pagesNotReserved(count, reservedPages(machine, sizeKiB))
  }
  const { total } = machine.memory
  const maximum = Math.max(0, Math.floor(((total ?? 0) - FOR_HOST) / sizeKiB))
  if (total === undefined || count <= maximum) return undefined
  return pagesExceedMemory((count * sizeKiB) / GIB, total / GIB, maximum)
}

/** A running kernel that ignored the request to split groups. */
function unpatched({ required }: MachineState, things: readonly SettingStatus[]): Finding[] {
  const isMissing = things.some(it => it.kind === 'acs' && it.verdict === 'not-active')
  return isMissing && required.acsOverride
    ? [findingAt(required.acsOverride, groupsNotSplit())]
    : []
}

/** Settings that are built and take effect at the next boot; a switch does not change them. */
function reboot({ required, entry }: MachineState, things: readonly SettingStatus[]): Finding[] {
  const waiting = things.filter(it => it.kind !== 'system' && it.verdict === 'after-reboot')
  if (waiting.length === 0 || !required.mainPlace || !entry.built) return []
  return [findingAt(required.mainPlace, needsReboot(entry.isRunning ? '' : entry.view.name))]
}
