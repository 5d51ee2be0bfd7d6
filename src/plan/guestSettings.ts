// Turns a guest's needs into settings, as far as the configuration and the machine allow.

import { defined } from '../collections.ts'
import { type Needs, printCpuSet, readCpuSet } from '../guests/needs/needs.ts'
import { isPlaceholder } from '../machine/dump/names.ts'
import type { PciDevice } from '../machine/machine.ts'
import { formatPath } from '../nix/index.ts'
import { isDefined } from '../settings/edit.ts'
import { HUGEPAGES, KVMFR, LIBVIRTD, VFIO } from '../settings/options.ts'
import { parseDeviceNode } from '../settings/parse.ts'
import type { Settings } from '../settings/settings.ts'
import type { Hugepages } from '../settings/values.ts'
import { pathsFor } from './bootEntry.ts'
import {
  type DevicesNote,
  devicesFor,
  type GuestHost,
  itemsAt,
  passthroughTestFor,
  sourcesAt
} from './guestDevices.ts'

export type { GuestHost } from './guestDevices.ts'

/** A note for the user about a guest's needs: a decision, or something that does not fit the host. */
export type GuestNote =
  | DevicesNote
  | ProcessorsNote
  | PagesNote
  /** Sizes in KiB. */
  | { code: 'MEMORY_OVER'; needed: number; total: number }
  | { code: 'NETWORK'; names: readonly string[] }
  /** `isMasked`: the machine is a dump, in which placeholders replace the names of bridges. */
  | { code: 'BRIDGE_MISSING'; name: string; isMasked: boolean }
  | { code: 'INTERFACE'; name: string; isMissing: boolean }
  | { code: 'KVMFR_UNUSABLE' }
  /** The configuration already has kvmfr devices, with other sizes or with sizes that can't be read. */
  | { code: 'KVMFR_SAID'; sizes: readonly number[] }
  | { code: 'NODE_UNUSABLE'; node: string }
  /** QEMU does not run as root, so it can't open the guest's input devices, which belong to the group input. */
  | { code: 'INPUT_GROUP' }

export interface GuestSettings {
  settings: Settings
  /** The addresses of the devices that the configuration does not pass through yet. */
  devices: readonly string[]
  /** Whether the configuration already passes a device through. */
  isPassedThrough: (device: PciDevice) => boolean
  notes: readonly GuestNote[]
}

/**
 * The settings that a guest needs. Values in the configuration and `requested` settings take precedence. A need that
 * does not fit the machine becomes a note instead.
 */
export function settingsForGuest(
  name: string,
  needs: Needs,
  requested: Settings,
  host: GuestHost
): GuestSettings {
  const notes: GuestNote[] = []
  const addNote = (note: GuestNote) => void notes.push(note)
  const devices = devicesFor(needs, requested, host, addNote)
  const { memory } = needs
  const total = host.machine?.memory.total
  if (memory !== undefined && total !== undefined && memory >= total) {
    addNote({ code: 'MEMORY_OVER', needed: memory, total })
  }
  checkNetworks(needs, host, addNote)
  const hostCPUs = processorsFor(name, needs, host, addNote)
  const hugepages = requested.hugepages ?? hugepagesFor(needs, host, addNote)
  const kvmfr = kvmfrFor(needs, host, addNote)
  const nodes = [...nodesFor(needs, host, addNote), ...(requested.deviceACL ?? [])]
  const files = requested.sharedMemoryFiles ?? []
  const more = needs.sharedFiles.filter(it => files.every(file => file.name !== it))
  const settings: Settings = {
    ...requested,
    guests: [{ name, ...defined({ hostCPUs }) }],
    ...defined({ hugepages, kvmfr }),
    ...(needs.hasTpm ? { swtpm: true } : {}),
    ...(nodes.length === 0 ? {} : { deviceACL: [...new Set(nodes)] }),
    ...(more.length === 0
      ? {}
      : { sharedMemoryFiles: [...files, ...more.map(it => ({ name: it }))] })
  }
  return { settings, devices, isPassedThrough: passthroughTestFor(host), notes }
}

function checkNetworks(
  needs: Needs,
  { machine, texts }: GuestHost,
  addNote: (note: GuestNote) => void
): void {
  // libvirt's default network is started with the guests.
  const networks = needs.networks.filter(it => it !== 'default')
  if (networks.length > 0) addNote({ code: 'NETWORK', names: networks })
  const isNamed = (name: string) => texts.some(it => mentions(it, name))
  const bridges = machine?.bridges ?? []
  for (const name of needs.bridges) {
    if (bridges.includes(name) || isNamed(name)) continue
    const isMasked = bridges.some(it => isPlaceholder('bridge', it))
    addNote({ code: 'BRIDGE_MISSING', name, isMasked })
  }
  const known = [...(machine?.networks.map(it => it.name) ?? []), ...bridges]
  const isMasked = known.some(it => isPlaceholder('net', it) || isPlaceholder('bridge', it))
  const isUnseen = machine === undefined || isMasked
  for (const name of needs.interfaces) {
    const isMissing = !isUnseen && !known.includes(name) && !isNamed(name)
    addNote({ code: 'INTERFACE', name, isMissing })
  }
}

/** Whether a text has this word outside comment lines. */
function mentions(text: string, word: string): boolean {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).test(text.replace(/^\s*#.*$/gm, ''))
}

/** The sizes of the kvmfr devices in MiB, in the order of their numbers from 0; undefined if nothing has to be set. */
function kvmfrFor(
  { kvmfr }: Needs,
  host: GuestHost,
  addNote: (note: GuestNote) => void
): number[] | undefined {
  if (kvmfr.length === 0) return undefined
  const sizes = kvmfr.map(it => it.size ?? 0)
  const isUsable =
    kvmfr.every((it, i) => it.number === i) && sizes.every(it => it > 0 && (it & (it - 1)) === 0)
  if (!isUsable) {
    addNote({ code: 'KVMFR_UNUSABLE' })
    return undefined
  }
  const path = [...KVMFR, 'devices']
  const items = itemsAt(host, path)
  const isDefined = sourcesAt(host, path).length > 0
  const hasSize = (size: number, i: number) => {
    const item = items[i]
    return typeof item === 'object' && item !== null && 'size' in item && item.size === size
  }
  if (isDefined && !sizes.every(hasSize)) addNote({ code: 'KVMFR_SAID', sizes })
  return sizes
}

function nodesFor(
  { deviceNodes, devices }: Needs,
  host: GuestHost,
  addNote: (note: GuestNote) => void
): string[] {
  for (const node of deviceNodes) {
    if (!parseDeviceNode(node).ok) addNote({ code: 'NODE_UNUSABLE', node })
  }
  const nodes = deviceNodes.filter(it => parseDeviceNode(it).ok)
  const isRoot = !sourcesAt(host, [...LIBVIRTD, 'qemu', 'runAsRoot']).includes('false')
  if (!isRoot && nodes.some(it => it.startsWith('/dev/input/'))) addNote({ code: 'INPUT_GROUP' })
  const groups = devices
    .filter(it => it.as === 'argument')
    .flatMap(it => host.machine?.devices.find(at => at.address === it.address)?.group ?? [])
  const vfio = groups.length > 0 ? ['/dev/vfio/vfio', ...groups.map(it => `/dev/vfio/${it}`)] : []
  return [...nodes, ...vfio]
}

/** The path of a guest's option, as a configuration writes it. */
export function guestOption(name: string, option: string): string {
  return formatPath([...VFIO, 'guests', name, option])
}

/** A note for the user about a guest's huge pages. */
type PagesNote =
  /** The guest needs several sizes, or a size that x86 does not have; sizes in KiB. */
  | { code: 'PAGES_UNUSABLE'; sizes: readonly (number | undefined)[] }
  /** The processor has no pages of 1 GiB. */
  | { code: 'PAGES_1G_MISSING' }
  /** The pages would leave too little memory for the host; `total` in KiB. */
  | { code: 'PAGES_OVER'; pages: Hugepages; total: number }
  /** The configuration reserves another size or an unreadable number, or does so without vfio-patch's options. */
  | { code: 'PAGES_OTHER'; pages: Hugepages }

// The memory that a host with a desktop needs, in KiB.
const HOST_MEMORY = 4 * 1024 * 1024

const PAGE_SIZES = { 2048: '2M', 1048576: '1G' } as const

/** The huge pages to reserve for a guest; undefined if the configuration has enough, or, with a note, if it can't. */
function hugepagesFor(
  { pageSizes, memory }: Needs,
  host: GuestHost,
  addNote: (note: PagesNote) => void
): Hugepages | undefined {
  if (pageSizes.length === 0 || memory === undefined) return undefined
  const reserved = reservedPages(host)
  const [needed] = pageSizes
  const sizeKiB = needed ?? (reserved?.pageSize === '1G' ? 1048576 : 2048)
  const pageSize = PAGE_SIZES[sizeKiB as keyof typeof PAGE_SIZES]
  if (pageSizes.length > 1 || pageSize === undefined) {
    addNote({ code: 'PAGES_UNUSABLE', sizes: pageSizes })
    return undefined
  }
  const pages: Hugepages = { pageSize, numPages: Math.ceil(memory / sizeKiB) }
  const isOther = reserved && (reserved.pageSize !== pageSize || reserved.numPages === undefined)
  if (reserved && !isOther && (reserved.numPages ?? 0) >= pages.numPages) return undefined
  const total = host.machine?.memory.total
  if (isOther) addNote({ code: 'PAGES_OTHER', pages })
  else if (pageSize === '1G' && host.machine?.cpu.hasHugePages1G === false) {
    addNote({ code: 'PAGES_1G_MISSING' })
  } else if (total !== undefined && pages.numPages * sizeKiB > total - HOST_MEMORY) {
    addNote({ code: 'PAGES_OVER', pages, total })
  } else return pages
  return undefined
}

/** A configuration's huge pages; undefined for values that can't be read. */
interface ReservedPages {
  pageSize: string | undefined
  numPages: number | undefined
}

/** The pages that the configuration reserves, if it does. */
function reservedPages(host: GuestHost): ReservedPages | undefined {
  const source = (...path: string[]) => sourcesAt(host, path)[0]
  const parameters = itemsAt(host, ['boot', 'kernelParams'])
  const hasOther =
    parameters.some(it => typeof it === 'string' && /(?:^|\s)hugepages=/.test(it)) ||
    source('boot', 'kernel', 'sysctl', 'vm.nr_hugepages') !== undefined
  if (hasOther) return { pageSize: undefined, numPages: undefined }
  if (!pathsFor(host.prefix, HUGEPAGES).some(it => isDefined(host.configuration, it))) {
    return undefined
  }
  const size = source(...HUGEPAGES, 'pageSize') ?? source(...HUGEPAGES, 'defaultPageSize') ?? '"2M"'
  const count = source(...HUGEPAGES, 'numPages')
  const pageSize = /^"(\w+)"$/.exec(size)?.[1]
  const numPages = /^\d+$/.exec(count ?? '')?.[0]
  return { pageSize, numPages: numPages === undefined ? undefined : Number(numPages) }
}

/** A note for the user about a guest's processors. */
type ProcessorsNote =
  /** The machine does not have these processors. */
  | { code: 'CPUS_MISSING'; missing: string; online: string }
  /** The processors that the guest is pinned to, and those that the host keeps while the guest runs. */
  | { code: 'HOST_CPUS'; guest: string; host: string }
  | { code: 'HOST_CPUS_UNKNOWN'; pinned: string }
  | { code: 'HOST_CPUS_NONE' }
  /** The configuration sets processors (`configured`) that differ from those that the pinning leaves (`host`). */
  | { code: 'HOST_CPUS_OTHER'; configured: string; host: string }

/**
 * The processors that the host keeps (`0-1,8-9`): all except those to which only the guest's virtual CPUs are pinned.
 * Undefined, mostly with a note, if nothing has to be set.
 */
function processorsFor(
  name: string,
  { pins }: Needs,
  host: GuestHost,
  addNote: (note: ProcessorsNote) => void
): string | undefined {
  const named = [...new Set([...pins.guest, ...pins.helpers, ...pins.allowed])]
  const online = host.machine?.cpu.online
  const all = online === undefined ? undefined : readCpuSet(online)
  const own = pins.guest.filter(it => !pins.helpers.includes(it))
  if (all === undefined) {
    if (own.length > 0) addNote({ code: 'HOST_CPUS_UNKNOWN', pinned: printCpuSet(own) })
    return undefined
  }
  const missing = named.filter(it => !all.includes(it))
  if (missing.length > 0) {
    addNote({ code: 'CPUS_MISSING', missing: printCpuSet(missing), online: printCpuSet(all) })
    return undefined
  }
  if (own.length === 0) return undefined
  const left = all.filter(it => !own.includes(it))
  if (left.length === 0) {
    addNote({ code: 'HOST_CPUS_NONE' })
    return undefined
  }
  const kept = printCpuSet(left)
  const [source] = sourcesAt(host, [...VFIO, 'guests', name, 'hostCPUs'])
  if (source === undefined) addNote({ code: 'HOST_CPUS', guest: printCpuSet(own), host: kept })
  else if (printCpuSet(readCpuSet(source.replaceAll('"', '')) ?? []) !== kept) {
    addNote({ code: 'HOST_CPUS_OTHER', configured: source, host: kept })
  }
  return kept
}
