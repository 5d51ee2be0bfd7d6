import { printCpuSet, readCpuSet } from '../libvirt/learn/cpuSet.ts'
import type { Needs } from '../libvirt/learn/learn.ts'
import { type GuestHost, sourcesAt } from './guestHost.ts'

/** What a person has to know of the processors of a guest. */
export type ProcessorsNote =
  /** Processors that the machine does not have. */
  | { code: 'CPUS_MISSING'; missing: string; online: string }
  /** What the host keeps while the guest runs. */
  | { code: 'HOST_CPUS'; guest: string; host: string }
  | { code: 'HOST_CPUS_UNKNOWN'; pinned: string }
  | { code: 'HOST_CPUS_NONE' }
  /** The configuration says something else than the pins would give. */
  | { code: 'HOST_CPUS_OTHER'; said: string; host: string }

/**
 * The processors that the host keeps, as `0-1,8-9`: all but those that only the guest's own are tied to.
 * Undefined where that is nothing to be set; why is told.
 */
export function processorsFor(
  name: string,
  { pins }: Needs,
  { machine, configuration, prefix }: GuestHost,
  tell: (note: ProcessorsNote) => void
): string | undefined {
  const named = [...new Set([...pins.guest, ...pins.helpers, ...pins.allowed])]
  const all = machine?.cpu.online === undefined ? undefined : readCpuSet(machine.cpu.online)
  const own = pins.guest.filter(it => !pins.helpers.includes(it))
  if (all === undefined) {
    if (own.length > 0) tell({ code: 'HOST_CPUS_UNKNOWN', pinned: printCpuSet(own) })
    return undefined
  }
  const missing = named.filter(it => !all.includes(it))
  if (missing.length > 0) {
    const online = printCpuSet(all)
    tell({ code: 'CPUS_MISSING', missing: printCpuSet(missing), online })
    return undefined
  }
  if (own.length === 0) return undefined
  const left = all.filter(it => !own.includes(it))
  if (left.length === 0) {
    tell({ code: 'HOST_CPUS_NONE' })
    return undefined
  }
  const host = printCpuSet(left)
  const path = ['virtualisation', 'vfio', 'guests', name, 'hostCPUs']
  const [source] = sourcesAt(configuration, prefix, path)
  if (source === undefined) tell({ code: 'HOST_CPUS', guest: printCpuSet(own), host })
  else if (printCpuSet(readCpuSet(source.replaceAll('"', '')) ?? []) !== host) {
    tell({ code: 'HOST_CPUS_OTHER', said: source, host })
  }
  return host
}
