// From what a guest needs to the settings that give it that, as far as the configuration and the
// machine allow.

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
  givenBy,
  itemsAt,
  sourcesAt
} from './guestDevices.ts'

export type { GuestHost } from './guestDevices.ts'

/** What a person has to know of what a guest needs; a decision that was taken, or what does not fit. */
export type GuestNote =
  | DevicesNote
  | ProcessorsNote
  | PagesNote
  /** Sizes in KiB. */
  | { code: 'MEMORY_OVER'; needed: number; total: number }
  | { code: 'NETWORK'; names: readonly string[] }
  /** `isMasked`: the machine is a dump, in which a bridge of this name has another one. */
  | { code: 'BRIDGE_MISSING'; name: string; isMasked: boolean }
  | { code: 'INTERFACE'; name: string; isMissing: boolean }
  | { code: 'KVMFR_UNUSABLE' }
  /** The option that has devices of kvmfr already, which may be others. */
  | { code: 'KVMFR_SAID'; sizes: readonly number[] }
  | { code: 'NODE_UNUSABLE'; node: string }
  /** QEMU does not run as root, and is to open what belongs to the group input. */
  | { code: 'INPUT_GROUP' }

export interface GuestSettings {
  settings: Settings
  /** The addresses of the devices that are to be given to guests and are not yet. */
  devices: readonly string[]
  /** Whether the configuration gives a device to guests already. */
  givenNow: (device: PciDevice) => boolean
  notes: readonly GuestNote[]
}

/**
 * The settings that a guest (by its name) asks for. What the configuration says already, and what the
 * person said (`said`), stays; what does not fit the machine is left out and told.
 */
export function settingsForGuest(
  name: string,
  needs: Needs,
  said: Settings,
  host: GuestHost
): GuestSettings {
  const notes: GuestNote[] = []
  const tell = (note: GuestNote) => void notes.push(note)
  const devices = devicesFor(needs, said, host, tell)
  const { memory } = needs
  const total = host.machine?.memory.total
  if (memory !== undefined && total !== undefined && memory >= total) {
    tell({ code: 'MEMORY_OVER', needed: memory, total })
  }
  checkNetworks(needs, host, tell)
  const hostCPUs = processorsFor(name, needs, host, tell)
  const hugepages = said.hugepages ?? hugepagesFor(needs, host, tell)
  const kvmfr = kvmfrFor(needs, host, tell)
  const nodes = [...nodesFor(needs, host, tell), ...(said.deviceACL ?? [])]
  const files = said.sharedMemoryFiles ?? []
  const more = needs.sharedFiles.filter(it => files.every(file => file.name !== it))
  const settings: Settings = {
    ...said,
    guests: [{ name, ...defined({ hostCPUs }) }],
    ...defined({ hugepages, kvmfr }),
    ...(needs.hasTpm ? { swtpm: true } : {}),
    ...(nodes.length === 0 ? {} : { deviceACL: [...new Set(nodes)] }),
    ...(more.length === 0
      ? {}
      : { sharedMemoryFiles: [...files, ...more.map(it => ({ name: it }))] })
  }
  return { settings, devices, givenNow: givenBy(host), notes }
}

function checkNetworks(
  needs: Needs,
  { machine, texts }: GuestHost,
  tell: (note: GuestNote) => void
): void {
  // The default network is started with the guests.
  const networks = needs.networks.filter(it => it !== 'default')
  if (networks.length > 0) tell({ code: 'NETWORK', names: networks })
  const isNamed = (name: string) => texts.some(it => names(it, name))
  const bridges = machine?.bridges ?? []
  for (const name of needs.bridges) {
    if (bridges.includes(name) || isNamed(name)) continue
    const isMasked = bridges.some(it => isPlaceholder('bridge', it))
    tell({ code: 'BRIDGE_MISSING', name, isMasked })
  }
  const known = [...(machine?.networks.map(it => it.name) ?? []), ...bridges]
  const isMasked = known.some(it => isPlaceholder('net', it) || isPlaceholder('bridge', it))
  const isUnseen = machine === undefined || isMasked
  for (const name of needs.interfaces) {
    const isMissing = !isUnseen && !known.includes(name) && !isNamed(name)
    tell({ code: 'INTERFACE', name, isMissing })
  }
}

/** Whether a text has this word, outside of comments that are lines. */
function names(text: string, word: string): boolean {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).test(text.replace(/^\s*#.*$/gm, ''))
}

/** The sizes of the devices of kvmfr, by their numbers from 0 on; undefined where nothing is to be set. */
function kvmfrFor(
  { kvmfr }: Needs,
  host: GuestHost,
  tell: (note: GuestNote) => void
): number[] | undefined {
  if (kvmfr.length === 0) return undefined
  const sizes = kvmfr.map(it => it.size ?? 0)
  const isUsable =
    kvmfr.every((it, i) => it.number === i) && sizes.every(it => it > 0 && (it & (it - 1)) === 0)
  if (!isUsable) {
    tell({ code: 'KVMFR_UNUSABLE' })
    return undefined
  }
  const path = [...KVMFR, 'devices']
  const said = itemsAt(host, path)
  const isSaid = sourcesAt(host, path).length > 0
  const has = (size: number, i: number) => {
    const item = said[i]
    return typeof item === 'object' && item !== null && 'size' in item && item.size === size
  }
  if (isSaid && !sizes.every(has)) tell({ code: 'KVMFR_SAID', sizes })
  return sizes
}

function nodesFor(
  { deviceNodes, devices }: Needs,
  host: GuestHost,
  tell: (note: GuestNote) => void
): string[] {
  for (const node of deviceNodes) {
    if (!parseDeviceNode(node).ok) tell({ code: 'NODE_UNUSABLE', node })
  }
  const nodes = deviceNodes.filter(it => parseDeviceNode(it).ok)
  const isRoot = !sourcesAt(host, [...LIBVIRTD, 'qemu', 'runAsRoot']).includes('false')
  if (!isRoot && nodes.some(it => it.startsWith('/dev/input/'))) tell({ code: 'INPUT_GROUP' })
  const groups = devices
    .filter(it => it.as === 'argument')
    .flatMap(it => host.machine?.devices.find(at => at.address === it.address)?.group ?? [])
  const vfio = groups.length > 0 ? ['/dev/vfio/vfio', ...groups.map(it => `/dev/vfio/${it}`)] : []
  return [...nodes, ...vfio]
}

/** The option of a guest, as a person would write it. */
export function guestOption(name: string, option: string): string {
  return formatPath([...VFIO, 'guests', name, option])
}

/** What a person has to know of the huge pages of a guest. */
type PagesNote =
  /** Several sizes, or one that x86 does not have, in KiB. */
  | { code: 'PAGES_UNUSABLE'; sizes: readonly (number | undefined)[] }
  /** The processor has no pages of 1 GiB. */
  | { code: 'PAGES_1G_MISSING' }
  /** Together they would leave the host too little; sizes in KiB. */
  | { code: 'PAGES_OVER'; pages: Hugepages; total: number }
  /** The configuration sets others aside, or does it without our options. */
  | { code: 'PAGES_OTHER'; pages: Hugepages }

// What a host with a desktop needs for itself, in KiB.
const FOR_HOST = 4 * 1024 * 1024

const SIZES = { 2048: '2M', 1048576: '1G' } as const

/** The huge pages that have to be set aside for a guest; none where the configuration has enough, or can't. */
function hugepagesFor(
  { pageSizes, memory }: Needs,
  host: GuestHost,
  tell: (note: PagesNote) => void
): Hugepages | undefined {
  if (pageSizes.length === 0 || memory === undefined) return undefined
  const present = presentPages(host)
  const [wanted] = pageSizes
  const sizeKiB = wanted ?? (present?.pageSize === '1G' ? 1048576 : 2048)
  const pageSize = SIZES[sizeKiB as keyof typeof SIZES]
  if (pageSizes.length > 1 || pageSize === undefined) {
    tell({ code: 'PAGES_UNUSABLE', sizes: pageSizes })
    return undefined
  }
  const pages: Hugepages = { pageSize, numPages: Math.ceil(memory / sizeKiB) }
  const isOther = present && (present.pageSize !== pageSize || present.numPages === undefined)
  if (present && !isOther && (present.numPages ?? 0) >= pages.numPages) return undefined
  const total = host.machine?.memory.total
  if (isOther) tell({ code: 'PAGES_OTHER', pages })
  else if (pageSize === '1G' && host.machine?.cpu.hasHugePages1G === false) {
    tell({ code: 'PAGES_1G_MISSING' })
  } else if (total !== undefined && pages.numPages * sizeKiB > total - FOR_HOST) {
    tell({ code: 'PAGES_OVER', pages, total })
  } else return pages
  return undefined
}

interface Present {
  pageSize: string | undefined
  numPages: number | undefined
}

/** The pages that the configuration sets aside; what can't be read of them is undefined. */
function presentPages(host: GuestHost): Present | undefined {
  const source = (...path: string[]) => sourcesAt(host, path)[0]
  const parameters = itemsAt(host, ['boot', 'kernelParams'])
  const isOwn =
    parameters.some(it => typeof it === 'string' && /(?:^|\s)hugepages=/.test(it)) ||
    source('boot', 'kernel', 'sysctl', 'vm.nr_hugepages') !== undefined
  if (isOwn) return { pageSize: undefined, numPages: undefined }
  const isSaid = pathsFor(host.prefix, HUGEPAGES).some(it => isDefined(host.configuration, it))
  if (!isSaid) return undefined
  const size = source(...HUGEPAGES, 'pageSize') ?? source(...HUGEPAGES, 'defaultPageSize') ?? '"2M"'
  const count = source(...HUGEPAGES, 'numPages')
  const pageSize = /^"(\w+)"$/.exec(size)?.[1]
  const numPages = /^\d+$/.exec(count ?? '')?.[0]
  return { pageSize, numPages: numPages === undefined ? undefined : Number(numPages) }
}

/** What a person has to know of the processors of a guest. */
type ProcessorsNote =
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
function processorsFor(
  name: string,
  { pins }: Needs,
  host: GuestHost,
  tell: (note: ProcessorsNote) => void
): string | undefined {
  const named = [...new Set([...pins.guest, ...pins.helpers, ...pins.allowed])]
  const online = host.machine?.cpu.online
  const all = online === undefined ? undefined : readCpuSet(online)
  const own = pins.guest.filter(it => !pins.helpers.includes(it))
  if (all === undefined) {
    if (own.length > 0) tell({ code: 'HOST_CPUS_UNKNOWN', pinned: printCpuSet(own) })
    return undefined
  }
  const missing = named.filter(it => !all.includes(it))
  if (missing.length > 0) {
    tell({ code: 'CPUS_MISSING', missing: printCpuSet(missing), online: printCpuSet(all) })
    return undefined
  }
  if (own.length === 0) return undefined
  const left = all.filter(it => !own.includes(it))
  if (left.length === 0) {
    tell({ code: 'HOST_CPUS_NONE' })
    return undefined
  }
  const kept = printCpuSet(left)
  const [source] = sourcesAt(host, [...VFIO, 'guests', name, 'hostCPUs'])
  if (source === undefined) tell({ code: 'HOST_CPUS', guest: printCpuSet(own), host: kept })
  else if (printCpuSet(readCpuSet(source.replaceAll('"', '')) ?? []) !== kept) {
    tell({ code: 'HOST_CPUS_OTHER', said: source, host: kept })
  }
  return kept
}
