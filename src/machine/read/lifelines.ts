// What a person reaches their machine by: the network and the keyboard.

import { posix } from 'node:path'
import { uniqueBy } from '../../collections.ts'
import { addressesIn, type Keyboard, type Network } from '../machine.ts'
import type { Source } from '../source.ts'

const NET = '/sys/class/net'

/** The interfaces that are hardware. */
export function readNetworks(source: Source): Network[] {
  return (source.names(NET) ?? []).flatMap(name => {
    const path = source.link(`${NET}/${name}`) ?? ''
    if (path === '' || path.includes('/devices/virtual/')) return []
    const isUp = source.text(`${NET}/${name}/operstate`)?.trim() === 'up'
    return [{ name, through: withCards(source, addressesIn(path)), isUp }]
  })
}

/** A virtual function is gone with the card that it is made of, though that is not on the way to it. */
function withCards(source: Source, addresses: readonly string[]): string[] {
  const physical = (it: string) => source.link(`/sys/bus/pci/devices/${it}/physfn`) ?? ''
  return addresses.flatMap(it => [...addressesIn(physical(it)), it])
}

/** The bridges that there are; undefined where nobody says. */
export function readBridges(source: Source): string[] | undefined {
  return source
    .names(NET)
    ?.filter(name => source.text(`${NET}/${name}/bridge/stp_state`) !== undefined)
}

interface Input {
  name: string
  path: string
  handlers: readonly string[]
  /** The kinds of events and the keys that it has, as bits. */
  events: bigint
  keys: bigint
}

/** The keyboards: what has letters and repeats them, but for what nobody types on. */
export function readKeyboards(source: Source): Keyboard[] {
  const inputs = readInputs(source.text('/proc/bus/input/devices') ?? '')
  const pointers = inputs.filter(it => it.handlers.some(name => /^mouse\d+$/.test(name)))
  const mice = new Set(pointers.map(it => plugOf(it.path)))
  const typed = inputs.filter(it => isKeyboard(it) && !NOT_TYPED_ON.test(it.path))
  const keyboards = typed.map(({ name, path }): Keyboard => {
    const isWireless = path.startsWith('/devices/virtual/')
    const through = isWireless ? bluetooth(source) : addressesIn(path)
    return {
      name,
      through,
      hasMouse: !isWireless && mice.has(plugOf(path)),
      isBuiltIn: through.length === 0 && !isWireless
    }
  })
  return uniqueBy(keyboards, it => `${it.name}\0${it.through.join()}`)
}

/** One block of lines for each input device, blocks apart by an empty line. */
function readInputs(text: string): Input[] {
  const blocks = text.split('\n\n').filter(it => it.includes('H: Handlers='))
  return blocks.map(block => {
    const lines = block.split('\n')
    const line = (start: string) =>
      lines.find(it => it.startsWith(start))?.slice(start.length) ?? ''
    return {
      name: line('N: Name=').replace(/^"|"$/g, ''),
      path: line('S: Sysfs='),
      handlers: line('H: Handlers=').split(/\s+/),
      events: bits(line('B: EV=')),
      keys: bits(line('B: KEY='))
    }
  })
}

/** Words of 64 bits in hexadecimal, the highest first. */
function bits(text: string): bigint {
  const words = text.split(/\s+/).filter(it => /^[0-9a-f]{1,16}$/i.test(it))
  return words.reduce((all, word) => (all << 64n) | BigInt(`0x${word}`), 0n)
}

const REPEATS = 1n << 20n
// Q to P, A to L, Z to M by their numbers in the kernel.
const LETTERS = (0x3ffn << 16n) | (0x1ffn << 30n) | (0x7fn << 44n)

/** Keyboards that programs make, such as those that remap keys, and the security keys of Yubico. */
const NOT_TYPED_ON = /^\/devices\/virtual\/input\/|\/0003:1050:/i

function isKeyboard({ handlers, events, keys }: Input): boolean {
  return handlers.includes('kbd') && (events & REPEATS) !== 0n && (keys & LETTERS) === LETTERS
}

/** The path of the USB device that an input is part of, or its own. */
function plugOf(path: string): string {
  return /^.*?\/usb\d+\/(?:\d+-[\d.]+\/)*(?=\d+-[\d.]+:)/.exec(path)?.[0] ?? path
}

/** The PCI devices that wireless keyboards come through. */
function bluetooth(source: Source): string[] {
  const folder = '/sys/class/bluetooth'
  const adapters = (source.names(folder) ?? []).filter(it => /^hci\d+$/.test(it))
  return [...new Set(adapters.flatMap(it => addressesIn(source.link(`${folder}/${it}`) ?? '')))]
}

// Paths below /dev that name disks, compared by their text alone.

const TAGS: Readonly<Record<string, string>> = {
  UUID: 'by-uuid',
  LABEL: 'by-label',
  PARTUUID: 'by-partuuid',
  PARTLABEL: 'by-partlabel',
  ID: 'by-id'
}

/**
 * The path of a device as short as it can be said: without `//` and `..`, a mapping as `/dev/mapper/NAME`,
 * and `UUID=…` and its like of fstab as the link that udev makes. Undefined for what is no path below `/dev`.
 */
export function devicePath(text: string): string | undefined {
  const [, tag, value] = /^([A-Z]+)="?([^"]*)"?$/.exec(text) ?? []
  const folder = tag === undefined ? undefined : TAGS[tag]
  if (folder !== undefined && value) return `/dev/disk/${folder}/${udevName(value)}`
  const path = posix.normalize(text).replace(/\/$/, '')
  if (!path.startsWith('/dev/')) return undefined
  const name = /^\/dev\/disk\/by-id\/dm-name-(.+)$/.exec(path)?.[1]
  return name === undefined ? path : `/dev/mapper/${name}`
}

/** An absolute path that is not below `/dev`, as short as it can be said; undefined for anything else. */
export function filePath(text: string): string | undefined {
  if (!text.startsWith('/')) return undefined
  const path = posix.normalize(text).replace(/(?<=.)\/$/, '')
  return devicePath(path) === undefined ? path : undefined
}

/** A label as udev writes it in a link: what could harm there as `\x20`. */
export function udevName(text: string): string {
  return text.replace(/[^\w#+.:=@\u0080-\uffff-]/g, it => {
    return `\\x${it.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

/** The name of the mapping of a logical volume, as in `/dev/mapper/NAME`. */
export function mappingOf(group: string, volume: string): string {
  return `${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`
}

/** Whether two paths name the same thing, as far as their text says it; both as `devicePath` gives them. */
export function isSamePath(one: string, other: string): boolean {
  return one === other || asMapping(one) === asMapping(other)
}

const FOLDERS =
  /^(?:block|bsg|bus|char|cpu|disk|dri|fd|hugepages|input|mapper|md|net|pts|shm|snd|usb|vfio|zvol)$/

function asMapping(path: string): string {
  const [, group = '', volume = ''] = /^\/dev\/([^/]+)\/([^/]+)$/.exec(path) ?? []
  return group === '' || FOLDERS.test(group) ? path : `/dev/mapper/${mappingOf(group, volume)}`
}

/** Whether `part` is a partition of `disk` by their names: `sda1`, `nvme0n1p2`, `…-part3`. */
export function isPartitionOf(part: string, disk: string): boolean {
  if (!part.startsWith(disk)) return false
  const rest = part.slice(disk.length)
  const isNamed = /^\/dev\/(?:disk\/by-(?:id|path)|mapper|zvol)\//.test(disk)
  if (isNamed && /^-part\d+$/.test(rest)) return true
  if (disk.startsWith('/dev/disk/')) return false
  if (/\d$/.test(disk)) return /^p\d+$/.test(rest)
  return (
    /^\/dev\/(?:(?:sd|vd|hd|xvd)[a-z]+|mapper\/mpath\w*|md\/.+)$/.test(disk) && /^\d+$/.test(rest)
  )
}
