// What of a configuration is at work on its machine.

import { defined } from '../collections.ts'
import { passesDevices } from '../lints/bindings.ts'
import { intelIommu } from '../lints/kernelParams.ts'
import type { View } from '../lints/view.ts'
import { isForGuests } from '../machine/cards.ts'
import { isPlaceholder } from '../machine/dump/names.ts'
import type { Machine, PciDevice, System, Systems } from '../machine/machine.ts'
import { hasParam, isBoundByID, type Named, type Requirements } from './requirements.ts'

/**
 * `after-reboot` is built and waits for the next start, `not-built` stands in the files only,
 * `not-active` should be at work and is not.
 */
type Verdict = 'active' | 'after-reboot' | 'not-built' | 'not-active' | 'unknown'

/** The verdict on what the running system and the one that was built show. */
type BuildVerdict = 'active' | 'after-reboot' | 'not-built'

/** One thing that the configuration asks for, and what came of it. */
export interface Thing {
  kind: 'system' | 'iommu' | 'kernel-parameter' | 'device' | 'module' | 'hugepages' | 'acs'
  /** What a person knows it by: the parameter, the address, the module, the size of the pages. */
  name: string
  verdict: Verdict
  /** More about the verdict, in a clause. */
  because?: string
  device?: PciDevice
}

/** A boot entry, the machine that it is for, and what it asks of that. */
export interface MachineState {
  entry: BootEntry
  machine: Machine
  named: readonly Named[]
  asked: Requirements
}

/** What became of all that a boot entry asks for, in the order in which one thing needs the other. */
export function thingsOf(state: MachineState): Thing[] {
  return [
    ...system(state),
    ...iommu(state),
    ...state.asked.params.map(({ param }): Thing => {
      return { kind: 'kernel-parameter', name: param, verdict: ofParam(param, state) }
    }),
    ...splitGroups(state),
    ...state.asked.modules.flatMap(it => loaded(it.name, state)),
    ...state.named.flatMap(it => devices(it, state)),
    ...hugepages(state)
  ]
}

function ofParam(param: string, { entry, machine }: MachineState): BuildVerdict {
  if (entry.isRunning && hasParam(machine.kernelParams, param)) return 'active'
  return entry.built && hasParam(entry.built.kernelParams, param) ? 'after-reboot' : 'not-built'
}

/** What holds for things that leave no trace in a system that was built: the least of all parameters. */
function ofWhole(state: MachineState): BuildVerdict {
  const verdicts = state.asked.params.map(it => ofParam(it.param, state))
  if (verdicts.includes('not-built')) return 'not-built'
  const isBehind = !state.entry.isRunning || isPending(state)
  return isBehind || verdicts.includes('after-reboot') ? 'after-reboot' : 'active'
}

/** Whether the machine starts with something else than it was started with. */
function isPending({ entry, machine: { systems } }: MachineState): boolean {
  const [booted, built] = [systems?.booted, entry.built]
  if (!booted || !built || booted.path === built.path) return false
  const of = (it: typeof built) => [it.kernel, it.initrd, it.modules, ...it.kernelParams].join('\n')
  return of(booted) !== of(built)
}

function system(state: MachineState): Thing[] {
  const { booted, next } = state.machine.systems ?? {}
  if (!booted || !next) return []
  const thing = { kind: 'system', name: 'the system that was built last' } as const
  if (state.entry.isRunning) {
    return [{ ...thing, verdict: isPending(state) ? 'after-reboot' : 'active' }]
  }
  const { name } = state.entry.view
  const because = name === '' ? 'another boot entry runs' : `the boot entry "${name}" does not run`
  return [{ ...thing, verdict: 'after-reboot', because }]
}

function iommu(state: MachineState): Thing[] {
  const { groups, isOffered } = state.machine.iommu
  const thing = { kind: 'iommu', name: 'IOMMU' } as const
  if (groups > 0) {
    const because = `${groups} ${groups === 1 ? 'group' : 'groups'}`
    return [{ ...thing, verdict: 'active', because }]
  }
  if (isOffered === false) {
    return [{ ...thing, verdict: 'not-active', because: 'the firmware does not offer it' }]
  }
  const switches = state.asked.intelIommu === 'on'
  const verdict = switches ? ofSwitch(state) : 'active'
  if (verdict !== 'active') return [{ ...thing, verdict }]
  const isMissing = state.machine.cpu.vendor === 'intel' && !switches
  const because = isMissing
    ? 'the configuration does not turn it on (intel_iommu=on)'
    : 'the kernel made no groups'
  return [{ ...thing, verdict: 'not-active', because }]
}

/** Whether the systems turn on Intel's IOMMU, also with further words next to `on`. */
function ofSwitch({ entry, machine }: MachineState): BuildVerdict {
  if (entry.isRunning && intelIommu(machine.kernelParams) === 'on') return 'active'
  return intelIommu(entry.built?.kernelParams ?? []) === 'on' ? 'after-reboot' : 'not-built'
}

/** Only the kernel's log says whether it has the patch that the parameter is for. */
function splitGroups(state: MachineState): Thing[] {
  const { splits } = state.asked
  if (!splits || ofParam(splits.param, state) !== 'active') return []
  const thing = { kind: 'acs', name: 'ACS override' } as const
  const { log } = state.machine
  if (log?.hasAcsOverride) return [{ ...thing, verdict: 'active' }]
  if (log?.isComplete) {
    return [{ ...thing, verdict: 'not-active', because: 'the running kernel has no patch for it' }]
  }
  const because = log
    ? 'the log of the kernel begins too late to show it'
    : 'only root may read the log of the kernel, which shows it'
  return [{ ...thing, verdict: 'unknown', because }]
}

function loaded(name: string, state: MachineState): Thing[] {
  const { modules, devices: all } = state.machine
  const thing = { kind: 'module', name } as const
  const isInUse = name === 'vfio_pci' && all.some(it => it.driver === 'vfio-pci')
  if (isInUse || modules?.includes(name)) return [{ ...thing, verdict: 'active' }]
  if (modules === undefined) return []
  const verdict = ofWhole(state)
  return verdict === 'active'
    ? [{ ...thing, verdict: 'not-active', because: 'it is not loaded' }]
    : [{ ...thing, verdict }]
}

function devices({ by, devices: found, virtual }: Named, state: MachineState): Thing[] {
  const [name, word] = by.kind === 'id' ? [by.id, 'ID'] : [by.address, 'address']
  if (found.length === 0 && virtual.length > 0) {
    const because = 'a virtual function is not there when devices are bound'
    return virtual.map(device => {
      return { kind: 'device', name: device.address, device, verdict: 'not-active', because }
    })
  }
  if (found.length === 0) {
    const because = `this machine has nothing with that ${word}`
    return [{ kind: 'device', name, verdict: 'not-active', because }]
  }
  return found.map(device => {
    return { kind: 'device', name: device.address, device, ...ofDevice(device, by, state) }
  })
}

function ofDevice(
  device: PciDevice,
  by: Named['by'],
  state: MachineState
): { verdict: Verdict; because?: string } {
  const { driver } = device
  const has = driver === undefined ? 'no driver has it' : `${driver} has it`
  if (!state.asked.bindsAtBoot) {
    return { verdict: 'active', because: `${has} until a guest starts` }
  }
  if (isForGuests(device)) return { verdict: 'active', because: has }
  if (wasReserved(device, by, state)) return { verdict: 'not-active', because: has }
  const verdict = ofWhole(state)
  // What is reserved by address shows on the device; without that it was not built.
  return { verdict: verdict === 'active' ? 'not-built' : verdict, because: has }
}

/** Whether the machine was started so that vfio-pci should have the device. */
export function wasReserved(
  device: PciDevice,
  by: Named['by'],
  { machine }: MachineState
): boolean {
  if (device.reservedFor === 'vfio-pci') return true
  return by.kind === 'id' && isBoundByID(machine.kernelParams, by.id)
}

function hugepages(state: MachineState): Thing[] {
  return state.asked.hugepages.map(({ sizeKiB, count, isSysctl }): Thing => {
    const size = sizeKiB === 2048 ? '2M' : '1G'
    const thing = { kind: 'hugepages', name: `${count} huge pages of ${size}` } as const
    const reserved = state.machine.memory.hugepages.find(it => it.sizeKiB === sizeKiB)?.count ?? 0
    const because = `${reserved} are reserved`
    if (reserved >= count) return { ...thing, verdict: 'active', because }
    const own = isSysctl ? ofWhole(state) : ofParam(`hugepages=${count}`, state)
    if (own === 'active') return { ...thing, verdict: 'not-active', because: `only ${because}` }
    return { ...thing, verdict: own, because }
  })
}

/** The boot entry of a configuration that is compared with the machine. */
interface BootEntry {
  view: View
  /** Whether the machine was started with this entry, be that an older build of it. */
  isRunning: boolean
  /** The entry as it was built last; undefined where it was not, or this is no NixOS. */
  built: System | undefined
  /** Whether there is a system that was built, of this entry or not. */
  isNixOS: boolean
}

/**
 * The entry that gives devices to guests: the one that runs if it does, else that of the system itself,
 * else the first of the specialisations. Undefined where none does.
 */
export function bootEntryOf(views: readonly View[], machine: Machine): BootEntry | undefined {
  const systems = withNames(machine.systems, views)
  const running = systems?.entry ?? ''
  const passing = views.filter(passesDevices)
  const called = (name: string) => passing.find(it => it.name === name)
  const view = called(running) ?? called('') ?? passing[0]
  if (!view) return undefined
  const next = systems?.next ?? systems?.current
  const built =
    view.name === '' ? next : next?.specialisations.find(it => it.name === view.name)?.system
  return { view, isRunning: view.name === running, isNixOS: next !== undefined, built }
}

/**
 * In a dump the entries have placeholders for names. Where the configuration has one entry that was not built
 * by its name, and the machine one with a placeholder, they are the same.
 */
function withNames(systems: Systems | undefined, views: readonly View[]): Systems | undefined {
  const latest = systems?.next ?? systems?.current
  const built = new Set((latest?.specialisations ?? []).map(it => it.name))
  const named = views.map(it => it.name).filter(it => it !== '' && !built.has(it))
  const nameless = [...built].filter(
    it => isPlaceholder('entry', it) && !views.some(view => view.name === it)
  )
  const [name, ...moreNames] = named
  const [placeholder, ...more] = nameless
  if (!systems || name === undefined || placeholder === undefined) return systems
  if (moreNames.length + more.length > 0) return systems
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
