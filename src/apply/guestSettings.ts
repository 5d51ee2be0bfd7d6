// From what a guest needs to the settings that give it that, as far as the configuration and the
// machine allow.

import { type Machine, type PciDevice, slotOf } from '../host/machine.ts'
import { isBridge } from '../host/pciClass.ts'
import { printCpuSet, readCpuSet } from '../libvirt/learn/cpuSet.ts'
import type { Needs } from '../libvirt/learn/learn.ts'
import { formatPath, type NixDocument } from '../nix/index.ts'
import { parseDeviceNode } from '../vfio/parseSettings.ts'
import type { Settings } from '../vfio/settings.ts'
import { hugepagesFor, type PagesNote } from './guestPages.ts'

/** What a person has to know of what a guest needs; a decision that was taken, or what does not fit. */
export type GuestNote =
  | PagesNote
  /** The configuration is another machine's, so nobody can look at the devices. */
  | { code: 'DEVICES_UNSEEN'; addresses: readonly string[] }
  /** There is nothing at the address, or something that no guest can have. */
  | { code: 'DEVICE_MISSING'; address: string; others: readonly PciDevice[] }
  | { code: 'DEVICE_IS_BRIDGE'; device: PciDevice }
  /** Other functions of a card that the guest gets, which the domain does not name. */
  | { code: 'FUNCTIONS_LEFT'; device: PciDevice; others: readonly PciDevice[] }
  /** The host's driver keeps it, as devices are to be given away when the guest starts. */
  | { code: 'NOT_MANAGED'; addresses: readonly string[] }
  /** It is an argument of QEMU, of which libvirt knows nothing. */
  | { code: 'DEVICE_ARGUMENT'; addresses: readonly string[] }
  /** Sizes in KiB. */
  | { code: 'MEMORY_OVER'; needed: number; total: number }
  /** Processors that the machine does not have. */
  | { code: 'CPUS_MISSING'; missing: string; online: string }
  /** What the host keeps while the guest runs. */
  | { code: 'HOST_CPUS'; guest: string; host: string }
  | { code: 'HOST_CPUS_UNKNOWN'; pinned: string }
  | { code: 'HOST_CPUS_NONE' }
  /** The configuration says something else than the pins would give. */
  | { code: 'HOST_CPUS_OTHER'; said: string; host: string }
  | { code: 'NETWORK'; names: readonly string[] }
  | { code: 'BRIDGE_MISSING'; name: string }
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

/** Where a guest is to run, as far as it is known. */
export interface GuestHost {
  /** Undefined where the configuration is of another machine. */
  machine: Machine | undefined
  configuration: NixDocument
  /** The path of the specialisation that the options go into; empty for every boot entry. */
  prefix: readonly string[]
  /** The texts of all files of the configuration. */
  texts: readonly string[]
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
  const devices = devicesFor(needs, said, host, notes)
  checkMemory(needs, host, notes)
  checkNetworks(needs, host, notes)
  const hostCPUs = processorsFor(name, needs, host, notes)
  const hugepages = said.hugepages ? {} : hugepagesFor(needs, host)
  if (hugepages.note) notes.push(hugepages.note)
  const kvmfr = kvmfrFor(needs, host, notes)
  const nodes = [...nodesFor(needs, host, notes), ...(said.deviceACL ?? [])]
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

// ---- devices

function devicesFor(
  { devices }: Needs,
  said: Settings,
  { machine, configuration, prefix }: GuestHost,
  notes: GuestNote[]
): string[] {
  if (devices.length === 0) return []
  const addresses = devices.map(it => it.address)
  const unmanaged = devices.filter(it => !it.isManaged && it.as !== 'argument')
  if (bindsLater(said, configuration, prefix) && unmanaged.length > 0) {
    notes.push({ code: 'NOT_MANAGED', addresses: unmanaged.map(it => it.address) })
  }
  const unknown = devices.filter(it => it.as === 'argument').map(it => it.address)
  if (unknown.length > 0) notes.push({ code: 'DEVICE_ARGUMENT', addresses: unknown })
  if (machine === undefined) {
    notes.push({ code: 'DEVICES_UNSEEN', addresses })
    return []
  }
  const found = addresses.flatMap(address => {
    const device = machine.devices.find(it => it.address === address)
    if (device === undefined) {
      const others = machine.devices.filter(it => slotOf(it.address) === slotOf(address))
      notes.push({ code: 'DEVICE_MISSING', address, others })
      return []
    }
    if (isBridge(device)) notes.push({ code: 'DEVICE_IS_BRIDGE', device })
    return isBridge(device) ? [] : [device]
  })
  for (const device of found) {
    const siblings = machine.devices.filter(it => slotOf(it.address) === slotOf(device.address))
    const others = siblings.filter(it => !found.includes(it) && !isBridge(it))
    const isFirst = found.find(it => slotOf(it.address) === slotOf(device.address)) === device
    if (isFirst && device.class.startsWith('03') && others.length > 0) {
      notes.push({ code: 'FUNCTIONS_LEFT', device, others })
    }
  }
  const given = givenBy(configuration, prefix)
  return found.filter(it => !given(it)).map(it => it.address)
}

/** Whether the configuration gives a device to guests already. */
function givenBy(
  configuration: NixDocument,
  prefix: readonly string[]
): (device: PciDevice) => boolean {
  const items = (name: string) =>
    placesOf(prefix).flatMap(it => configuration.itemsIn([...it, 'virtualisation', 'vfio', name]))
  const ids = items('devices').flatMap(it => (typeof it === 'string' ? [it.toLowerCase()] : []))
  const addresses = items('addresses').flatMap(it => {
    const address = typeof it === 'object' && it !== null && 'address' in it ? it.address : it
    return typeof address === 'string' ? [address.toLowerCase()] : []
  })
  return ({ vendor, device, address }) =>
    addresses.includes(address) || ids.some(it => it.startsWith(`${vendor}:${device}`))
}

function bindsLater(
  said: Settings,
  configuration: NixDocument,
  prefix: readonly string[]
): boolean {
  if (said.bindAtBoot !== undefined) return !said.bindAtBoot
  return sourcesAt(configuration, prefix, ['virtualisation', 'vfio', 'bindAtBoot']).includes(
    'false'
  )
}

// ---- memory and processors

function checkMemory({ memory }: Needs, { machine }: GuestHost, notes: GuestNote[]): void {
  const total = machine?.memory.total
  if (memory === undefined || total === undefined || memory < total) return
  notes.push({ code: 'MEMORY_OVER', needed: memory, total })
}

/** The processors that the host keeps: all but those that only the guest's own are tied to. */
function processorsFor(
  name: string,
  { pins }: Needs,
  { machine, configuration, prefix }: GuestHost,
  notes: GuestNote[]
): string | undefined {
  const named = [...new Set([...pins.guest, ...pins.helpers, ...pins.allowed])]
  const all = machine?.cpu.online === undefined ? undefined : readCpuSet(machine.cpu.online)
  const own = pins.guest.filter(it => !pins.helpers.includes(it))
  if (all === undefined) {
    if (own.length > 0) notes.push({ code: 'HOST_CPUS_UNKNOWN', pinned: printCpuSet(own) })
    return undefined
  }
  const missing = named.filter(it => !all.includes(it))
  if (missing.length > 0) {
    const online = printCpuSet(all)
    notes.push({ code: 'CPUS_MISSING', missing: printCpuSet(missing), online })
    return undefined
  }
  if (own.length === 0) return undefined
  const left = all.filter(it => !own.includes(it))
  if (left.length === 0) {
    notes.push({ code: 'HOST_CPUS_NONE' })
    return undefined
  }
  const host = printCpuSet(left)
  const path = ['virtualisation', 'vfio', 'guests', name, 'hostCPUs']
  const [source] = sourcesAt(configuration, prefix, path)
  if (source === undefined) notes.push({ code: 'HOST_CPUS', guest: printCpuSet(own), host })
  else if (printCpuSet(readCpuSet(source.replaceAll('"', '')) ?? []) !== host) {
    notes.push({ code: 'HOST_CPUS_OTHER', said: source, host })
  }
  return host
}

// ---- networks

function checkNetworks(needs: Needs, host: GuestHost, notes: GuestNote[]): void {
  // The default network is started with the guests.
  const networks = needs.networks.filter(it => it !== 'default')
  if (networks.length > 0) notes.push({ code: 'NETWORK', names: networks })
  for (const name of needs.bridges) {
    const isThere = host.machine?.bridges?.includes(name) === true
    if (!isThere && !host.texts.some(it => names(it, name))) {
      notes.push({ code: 'BRIDGE_MISSING', name })
    }
  }
  for (const name of needs.interfaces) {
    const { networks: known, bridges = [] } = host.machine ?? { networks: [] }
    const isThere = known.some(it => it.name === name) || bridges.includes(name)
    const isMissing = host.machine !== undefined && !isThere
    notes.push({
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
  notes: GuestNote[]
): number[] | undefined {
  if (kvmfr.length === 0) return undefined
  const sizes = kvmfr.map(it => it.size ?? 0)
  const isUsable =
    kvmfr.every((it, i) => it.number === i) && sizes.every(it => it > 0 && (it & (it - 1)) === 0)
  if (!isUsable) {
    notes.push({ code: 'KVMFR_UNUSABLE' })
    return undefined
  }
  const path = ['virtualisation', 'kvmfr', 'devices']
  const said = placesOf(prefix).flatMap(it => configuration.itemsIn([...it, ...path]))
  const isSaid = sourcesAt(configuration, prefix, path).length > 0
  const has = (size: number, i: number) => {
    const item = said[i]
    return typeof item === 'object' && item !== null && 'size' in item && item.size === size
  }
  if (isSaid && !sizes.every(has)) notes.push({ code: 'KVMFR_SAID', sizes })
  return sizes
}

function nodesFor(
  { deviceNodes, devices }: Needs,
  { machine, configuration, prefix }: GuestHost,
  notes: GuestNote[]
): string[] {
  for (const node of deviceNodes) {
    if (!parseDeviceNode(node).ok) notes.push({ code: 'NODE_UNUSABLE', node })
  }
  const nodes = deviceNodes.filter(it => parseDeviceNode(it).ok)
  const runAsRoot = ['virtualisation', 'libvirtd', 'qemu', 'runAsRoot']
  const isRoot = !sourcesAt(configuration, prefix, runAsRoot).includes('false')
  if (!isRoot && nodes.some(it => it.startsWith('/dev/input/'))) notes.push({ code: 'INPUT_GROUP' })
  const groups = devices
    .filter(it => it.as === 'argument')
    .flatMap(it => machine?.devices.find(at => at.address === it.address)?.group ?? [])
  const vfio = groups.length > 0 ? ['/dev/vfio/vfio', ...groups.map(it => `/dev/vfio/${it}`)] : []
  return [...nodes, ...vfio]
}

// ---- what the configuration says

/** Where options count that a specialisation sees, its own first. */
function placesOf(prefix: readonly string[]): (readonly string[])[] {
  return prefix.length === 0 ? [[]] : [prefix, []]
}

/** The values of an option as they are spelt, its own first. */
function sourcesAt(
  configuration: NixDocument,
  prefix: readonly string[],
  path: readonly string[]
): string[] {
  return placesOf(prefix)
    .flatMap(it => configuration.getIn([...it, ...path]))
    .map(it => it.source)
}

/** The option of a guest, as a person would write it. */
export function guestOption(name: string, option: string): string {
  return formatPath(['virtualisation', 'vfio', 'guests', name, option])
}
