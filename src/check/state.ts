// Which parts of a configuration are active on its machine.

import { defined } from '../collections.ts'
import { passesDevices } from '../lints/bindings.ts'
import { intelIommuState } from '../lints/kernelParams.ts'
import type { BootEntryView } from '../lints/view.ts'
import { isForGuests } from '../machine/cards.ts'
import { isPlaceholder } from '../machine/dump/names.ts'
import type { Machine, PciDevice, System, Systems } from '../machine/machine.ts'
import {
  BECAUSE,
  boundBy,
  boundUntilGuest,
  deviceNotThere,
  groupCount,
  LATEST_BUILD,
  otherEntryRuns,
  pagesName,
  pagesReserved,
  tooFewPagesReserved
} from './messages/state.ts'
import { type DeviceReference, hasParam, isBoundByID, type Requirements } from './requirements.ts'

/**
 * `after-reboot` is built and takes effect at the next boot, `not-built` is only in the files, `not-active` should
 * be active but is not.
 */
type Verdict = 'active' | 'after-reboot' | 'not-built' | 'not-active' | 'unknown'

/** A verdict from the running system and the latest build. */
type BuildVerdict = 'active' | 'after-reboot' | 'not-built'

/** A thing that the configuration requests, and whether it is active. */
export interface SettingStatus {
  kind: 'system' | 'iommu' | 'kernel-parameter' | 'device' | 'module' | 'hugepages' | 'acs'
  /** The parameter, address, module, or number and size of pages. */
  name: string
  verdict: Verdict
  /** The reason for the verdict, as a clause. */
  because?: string
  device?: PciDevice
}

/** A boot entry, its machine, and what the boot entry requires of the machine. */
export interface MachineState {
  entry: ComparedEntry
  machine: Machine
  references: readonly DeviceReference[]
  required: Requirements
}

/** All things that a boot entry requests; each comes after the things that it needs. */
export function settingStatuses(state: MachineState): SettingStatus[] {
  return [
    ...system(state),
    ...iommu(state),
    ...state.required.params.map(({ param }): SettingStatus => {
      return { kind: 'kernel-parameter', name: param, verdict: ofParam(param, state) }
    }),
    ...splitGroups(state),
    ...state.required.modules.flatMap(it => loaded(it.name, state)),
    ...state.references.flatMap(it => devices(it, state)),
    ...hugepages(state)
  ]
}

function ofParam(param: string, { entry, machine }: MachineState): BuildVerdict {
  if (entry.isRunning && hasParam(machine.kernelParams, param)) return 'active'
  return entry.built && hasParam(entry.built.kernelParams, param) ? 'after-reboot' : 'not-built'
}

/** The verdict for things that leave no trace in a built system: the worst of all parameters. */
function ofWhole(state: MachineState): BuildVerdict {
  const verdicts = state.required.params.map(it => ofParam(it.param, state))
  if (verdicts.includes('not-built')) return 'not-built'
  const isOutdated = !state.entry.isRunning || isPending(state)
  return isOutdated || verdicts.includes('after-reboot') ? 'after-reboot' : 'active'
}

/** Whether the next boot differs from the last one. */
function isPending({ entry, machine: { systems } }: MachineState): boolean {
  const [booted, built] = [systems?.booted, entry.built]
  if (!booted || !built || booted.path === built.path) return false
  const of = (it: typeof built) => [it.kernel, it.initrd, it.modules, ...it.kernelParams].join('\n')
  return of(booted) !== of(built)
}

function system(state: MachineState): SettingStatus[] {
  const { booted, next } = state.machine.systems ?? {}
  if (!booted || !next) return []
  const thing = { kind: 'system', name: LATEST_BUILD } as const
  if (state.entry.isRunning) {
    return [{ ...thing, verdict: isPending(state) ? 'after-reboot' : 'active' }]
  }
  const because = otherEntryRuns(state.entry.view.name)
  return [{ ...thing, verdict: 'after-reboot', because }]
}

function iommu(state: MachineState): SettingStatus[] {
  const { groups, isOffered } = state.machine.iommu
  const thing = { kind: 'iommu', name: 'IOMMU' } as const
  if (groups > 0) {
    return [{ ...thing, verdict: 'active', because: groupCount(groups) }]
  }
  if (isOffered === false) {
    return [{ ...thing, verdict: 'not-active', because: BECAUSE.notOffered }]
  }
  const switches = state.required.intelIommu === 'on'
  const verdict = switches ? ofSwitch(state) : 'active'
  if (verdict !== 'active') return [{ ...thing, verdict }]
  const isMissing = state.machine.cpu.vendor === 'intel' && !switches
  const because = isMissing ? BECAUSE.notTurnedOn : BECAUSE.noGroups
  return [{ ...thing, verdict: 'not-active', because }]
}

/** Whether the systems turn on Intel's IOMMU, possibly with other values next to `on`. */
function ofSwitch({ entry, machine }: MachineState): BuildVerdict {
  if (entry.isRunning && intelIommuState(machine.kernelParams) === 'on') return 'active'
  return intelIommuState(entry.built?.kernelParams ?? []) === 'on' ? 'after-reboot' : 'not-built'
}

/** Only the kernel log shows whether the kernel has the patch that the parameter needs. */
function splitGroups(state: MachineState): SettingStatus[] {
  const { acsOverride } = state.required
  if (!acsOverride || ofParam(acsOverride.param, state) !== 'active') return []
  const thing = { kind: 'acs', name: 'ACS override' } as const
  const { log } = state.machine
  if (log?.hasAcsOverride) return [{ ...thing, verdict: 'active' }]
  if (log?.isComplete) {
    return [{ ...thing, verdict: 'not-active', because: BECAUSE.kernelNotPatched }]
  }
  const because = log ? BECAUSE.logIncomplete : BECAUSE.logUnreadable
  return [{ ...thing, verdict: 'unknown', because }]
}

function loaded(name: string, state: MachineState): SettingStatus[] {
  const { modules, devices: all } = state.machine
  const thing = { kind: 'module', name } as const
  const isInUse = name === 'vfio_pci' && all.some(it => it.driver === 'vfio-pci')
  if (isInUse || modules?.includes(name)) return [{ ...thing, verdict: 'active' }]
  if (modules === undefined) return []
  const verdict = ofWhole(state)
  return verdict === 'active'
    ? [{ ...thing, verdict: 'not-active', because: BECAUSE.moduleNotLoaded }]
    : [{ ...thing, verdict }]
}

function devices(
  { by, devices: found, virtual }: DeviceReference,
  state: MachineState
): SettingStatus[] {
  if (found.length === 0 && virtual.length > 0) {
    const because = BECAUSE.virtualAtBoot
    return virtual.map(device => {
      return { kind: 'device', name: device.address, device, verdict: 'not-active', because }
    })
  }
  if (found.length === 0) {
    const name = by.kind === 'id' ? by.id : by.address
    return [{ kind: 'device', name, verdict: 'not-active', because: deviceNotThere(by.kind) }]
  }
  return found.map(device => {
    return { kind: 'device', name: device.address, device, ...ofDevice(device, by, state) }
  })
}

function ofDevice(
  device: PciDevice,
  by: DeviceReference['by'],
  state: MachineState
): { verdict: Verdict; because?: string } {
  const { driver } = device
  if (!state.required.bindsAtBoot) return { verdict: 'active', because: boundUntilGuest(driver) }
  const because = boundBy(driver)
  if (isForGuests(device)) return { verdict: 'active', because }
  if (wasReserved(device, by, state)) return { verdict: 'not-active', because }
  const verdict = ofWhole(state)
  // A device that is reserved by address has a driver_override. This device has none, so its address is not built.
  return { verdict: verdict === 'active' ? 'not-built' : verdict, because }
}

/** Whether the machine was booted with the device reserved for vfio-pci. */
export function wasReserved(
  device: PciDevice,
  by: DeviceReference['by'],
  { machine }: MachineState
): boolean {
  if (device.reservedFor === 'vfio-pci') return true
  return by.kind === 'id' && isBoundByID(machine.kernelParams, by.id)
}

function hugepages(state: MachineState): SettingStatus[] {
  return state.required.hugepages.map(({ sizeKiB, count, isSysctl }): SettingStatus => {
    const size = sizeKiB === 2048 ? '2M' : '1G'
    const thing = { kind: 'hugepages', name: pagesName(count, size) } as const
    const reserved = reservedPages(state.machine, sizeKiB)
    const because = pagesReserved(reserved)
    if (reserved >= count) return { ...thing, verdict: 'active', because }
    const verdict = isSysctl ? ofWhole(state) : ofParam(`hugepages=${count}`, state)
    return verdict === 'active'
      ? { ...thing, verdict: 'not-active', because: tooFewPagesReserved(reserved) }
      : { ...thing, verdict, because }
  })
}

/** The number of huge pages of a size that the running kernel has reserved. */
export function reservedPages({ memory }: Machine, sizeKiB: number): number {
  return memory.hugepages.find(it => it.sizeKiB === sizeKiB)?.count ?? 0
}

/** The boot entry that is compared with the machine. */
interface ComparedEntry {
  view: BootEntryView
  /** Whether the machine was booted with this entry, possibly with an older build of it. */
  isRunning: boolean
  /** The latest build of the entry; undefined if there is none, or the system is not NixOS. */
  built: System | undefined
  /** Whether there is a built system, with this entry or without. */
  isNixOS: boolean
}

/**
 * Among the boot entries that pass devices through: the running one, else the system itself, else the first
 * specialisation. Undefined if no boot entry passes devices through.
 */
export function bootEntryOf(
  views: readonly BootEntryView[],
  machine: Machine
): ComparedEntry | undefined {
  const systems = withNames(machine.systems, views)
  const running = systems?.entry ?? ''
  const passing = views.filter(passesDevices)
  const byName = (name: string) => passing.find(it => it.name === name)
  const view = byName(running) ?? byName('') ?? passing[0]
  if (!view) return undefined
  const next = systems?.next ?? systems?.current
  const built =
    view.name === '' ? next : next?.specialisations.find(it => it.name === view.name)?.system
  return { view, isRunning: view.name === running, isNixOS: next !== undefined, built }
}

/**
 * In a dump, entries have placeholders instead of names. If the configuration has exactly one entry that is not
 * built under its name, and the machine has exactly one entry with a placeholder, the two are the same entry.
 */
function withNames(
  systems: Systems | undefined,
  views: readonly BootEntryView[]
): Systems | undefined {
  const latest = systems?.next ?? systems?.current
  const built = new Set((latest?.specialisations ?? []).map(it => it.name))
  const unbuilt = views.map(it => it.name).filter(it => it !== '' && !built.has(it))
  const placeholders = [...built].filter(
    it => isPlaceholder('entry', it) && !views.some(view => view.name === it)
  )
  const [name, ...moreNames] = unbuilt
  const [placeholder, ...morePlaceholders] = placeholders
  if (!systems || name === undefined || placeholder === undefined) return systems
  if (moreNames.length + morePlaceholders.length > 0) return systems
  const rename = (it: string) => (it === placeholder ? name : it)
  const inside = (system: System | undefined) =>
    system && {
      ...system,
      specialisations: system.specialisations.map(it => ({ ...it, name: rename(it.name) }))
    }
  const { current, next, entry } = systems
  const renamed = { current: inside(current), next: inside(next), entry: entry && rename(entry) }
  return { ...systems, ...defined(renamed) }
}
