// From what a guest needs to the settings that give it that, as far as the configuration and the
// machine allow.

import type { PciDevice } from '../host/machine.ts'
import { isPlaceholder } from '../host/mask/placeholders.ts'
import type { Needs } from '../libvirt/learn/learn.ts'
import { formatPath } from '../nix/index.ts'
import { parseDeviceNode } from '../vfio/parseSettings.ts'
import type { Settings } from '../vfio/settings.ts'
import { type DevicesNote, devicesFor, givenBy } from './guestDevices.ts'
import { type GuestHost, placesOf, sourcesAt } from './guestHost.ts'
import { hugepagesFor, type PagesNote } from './guestPages.ts'
import { type ProcessorsNote, processorsFor } from './guestProcessors.ts'

export type { GuestHost } from './guestHost.ts'

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
  checkMemory(needs, host, tell)
  checkNetworks(needs, host, tell)
  const hostCPUs = processorsFor(name, needs, host, tell)
  const hugepages = said.hugepages ? {} : hugepagesFor(needs, host)
  if (hugepages.note) tell(hugepages.note)
  const kvmfr = kvmfrFor(needs, host, tell)
  const nodes = [...nodesFor(needs, host, tell), ...(said.deviceACL ?? [])]
  const files = said.sharedMemoryFiles ?? []
  const more = needs.sharedFiles.filter(it => files.every(file => file.name !== it))
  const settings: Settings = {
    ...said,
    guests: [{ name, ...(hostCPUs === undefined ? {} : { hostCPUs }) }],
    ...(hugepages.pages === undefined ? {} : { hugepages: hugepages.pages }),
    ...(kvmfr === undefined ? {} : { kvmfr }),
    ...(needs.hasTpm ? { swtpm: true } : {}),
    ...(nodes.length === 0 ? {} : { deviceACL: [...new Set(nodes)] }),
    ...(more.length === 0
      ? {}
      : { sharedMemoryFiles: [...files, ...more.map(it => ({ name: it }))] })
  }
  return { settings, devices, givenNow: givenBy(host.configuration, host.prefix), notes }
}

// ---- memory

function checkMemory(
  { memory }: Needs,
  { machine }: GuestHost,
  tell: (note: GuestNote) => void
): void {
  const total = machine?.memory.total
  if (memory === undefined || total === undefined || memory < total) return
  tell({ code: 'MEMORY_OVER', needed: memory, total })
}

// ---- networks

function checkNetworks(needs: Needs, host: GuestHost, tell: (note: GuestNote) => void): void {
  // The default network is started with the guests.
  const networks = needs.networks.filter(it => it !== 'default')
  if (networks.length > 0) tell({ code: 'NETWORK', names: networks })
  for (const name of needs.bridges) {
    const { bridges = [] } = host.machine ?? {}
    if (!bridges.includes(name) && !host.texts.some(it => names(it, name))) {
      const isMasked = bridges.some(it => isPlaceholder('bridge', it))
      tell({ code: 'BRIDGE_MISSING', name, isMasked })
    }
  }
  for (const name of needs.interfaces) {
    const { networks: known, bridges = [] } = host.machine ?? { networks: [] }
    const all = [...known.map(it => it.name), ...bridges]
    const isMasked = all.some(it => isPlaceholder('net', it) || isPlaceholder('bridge', it))
    const isMissing = host.machine !== undefined && !all.includes(name) && !isMasked
    tell({
      code: 'INTERFACE',
      name,
      isMissing: isMissing && !host.texts.some(it => names(it, name))
    })
  }
}

/** Whether a text has this word, outside of comments that are lines. */
function names(text: string, word: string): boolean {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).test(text.replace(/^\s*#.*$/gm, ''))
}

// ---- what QEMU opens by itself

/** The sizes of the devices of kvmfr, by their numbers from 0 on; undefined where nothing is to be set. */
function kvmfrFor(
  { kvmfr }: Needs,
  { configuration, prefix }: GuestHost,
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
  const path = ['virtualisation', 'kvmfr', 'devices']
  const said = placesOf(prefix).flatMap(it => configuration.itemsIn([...it, ...path]))
  const isSaid = sourcesAt(configuration, prefix, path).length > 0
  const has = (size: number, i: number) => {
    const item = said[i]
    return typeof item === 'object' && item !== null && 'size' in item && item.size === size
  }
  if (isSaid && !sizes.every(has)) tell({ code: 'KVMFR_SAID', sizes })
  return sizes
}

function nodesFor(
  { deviceNodes, devices }: Needs,
  { machine, configuration, prefix }: GuestHost,
  tell: (note: GuestNote) => void
): string[] {
  for (const node of deviceNodes) {
    if (!parseDeviceNode(node).ok) tell({ code: 'NODE_UNUSABLE', node })
  }
  const nodes = deviceNodes.filter(it => parseDeviceNode(it).ok)
  const runAsRoot = ['virtualisation', 'libvirtd', 'qemu', 'runAsRoot']
  const isRoot = !sourcesAt(configuration, prefix, runAsRoot).includes('false')
  if (!isRoot && nodes.some(it => it.startsWith('/dev/input/'))) tell({ code: 'INPUT_GROUP' })
  const groups = devices
    .filter(it => it.as === 'argument')
    .flatMap(it => machine?.devices.find(at => at.address === it.address)?.group ?? [])
  const vfio = groups.length > 0 ? ['/dev/vfio/vfio', ...groups.map(it => `/dev/vfio/${it}`)] : []
  return [...nodes, ...vfio]
}

/** The option of a guest, as a person would write it. */
export function guestOption(name: string, option: string): string {
  return formatPath(['virtualisation', 'vfio', 'guests', name, option])
}
