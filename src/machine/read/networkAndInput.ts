// Reads networks and keyboards, through which users access the machine.

import { uniqueBy } from '../../collections.ts'
import { addressesIn, type Keyboard, type Network } from '../machine.ts'
import type { Source } from '../source.ts'

const NET = '/sys/class/net'

/** The interfaces of network hardware. */
export function readNetworks(source: Source): Network[] {
  return (source.names(NET) ?? []).flatMap(name => {
    const path = source.link(`${NET}/${name}`) ?? ''
    if (path === '' || path.includes('/devices/virtual/')) return []
    const isUp = source.text(`${NET}/${name}/operstate`)?.trim() === 'up'
    return [{ name, through: withPhysicalFunctions(source, addressesIn(path)), isUp }]
  })
}

/** Adds the physical functions of virtual functions: they are not in the path, but the device needs them. */
function withPhysicalFunctions(source: Source, addresses: readonly string[]): string[] {
  const physical = (it: string) => source.link(`/sys/bus/pci/devices/${it}/physfn`) ?? ''
  return addresses.flatMap(it => [...addressesIn(physical(it)), it])
}

/** The names of the network bridges; undefined if unknown. */
export function readBridges(source: Source): string[] | undefined {
  return source
    .names(NET)
    ?.filter(name => source.text(`${NET}/${name}/bridge/stp_state`) !== undefined)
}

interface Input {
  name: string
  path: string
  handlers: readonly string[]
  /** Bit masks of the supported events and keys. */
  events: bigint
  keys: bigint
}

/** The keyboards: input devices with letters and key repeat, except devices that nobody types on. */
export function readKeyboards(source: Source): Keyboard[] {
  const inputs = readInputs(source.text('/proc/bus/input/devices') ?? '')
  const pointers = inputs.filter(it => it.handlers.some(name => /^mouse\d+$/.test(name)))
  const mice = new Set(pointers.map(it => usbDeviceOf(it.path)))
  const found = inputs.filter(it => isKeyboard(it) && !NOT_TYPED_ON.test(it.path))
  const keyboards = found.map(({ name, path }): Keyboard => {
    const isWireless = path.startsWith('/devices/virtual/')
    const through = isWireless ? bluetooth(source) : addressesIn(path)
    return {
      name,
      through,
      hasMouse: !isWireless && mice.has(usbDeviceOf(path)),
      isBuiltIn: through.length === 0 && !isWireless
    }
  })
  return uniqueBy(keyboards, it => `${it.name}\0${it.through.join()}`)
}

/** Parses /proc/bus/input/devices: blocks of lines, separated by blank lines. */
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
      events: parseBits(line('B: EV=')),
      keys: parseBits(line('B: KEY='))
    }
  })
}

/** Parses 64-bit words in hexadecimal, most significant first. */
function parseBits(text: string): bigint {
  const words = text.split(/\s+/).filter(it => /^[0-9a-f]{1,16}$/i.test(it))
  return words.reduce((all, word) => (all << 64n) | BigInt(`0x${word}`), 0n)
}

const REPEATS = 1n << 20n
// The kernel's key codes of Q to P, A to L and Z to M.
const LETTERS = (0x3ffn << 16n) | (0x1ffn << 30n) | (0x7fn << 44n)

/** Virtual keyboards of programs, such as key remappers, and Yubico security keys. */
const NOT_TYPED_ON = /^\/devices\/virtual\/input\/|\/0003:1050:/i

function isKeyboard({ handlers, events, keys }: Input): boolean {
  return handlers.includes('kbd') && (events & REPEATS) !== 0n && (keys & LETTERS) === LETTERS
}

/** The path of the USB device that an input device belongs to, or its own path. */
function usbDeviceOf(path: string): string {
  return /^.*?\/usb\d+\/(?:\d+-[\d.]+\/)*(?=\d+-[\d.]+:)/.exec(path)?.[0] ?? path
}

/** The PCI devices that lead to Bluetooth adapters. */
function bluetooth(source: Source): string[] {
  const folder = '/sys/class/bluetooth'
  const adapters = (source.names(folder) ?? []).filter(it => /^hci\d+$/.test(it))
  return [...new Set(adapters.flatMap(it => addressesIn(source.link(`${folder}/${it}`) ?? '')))]
}
