import { uniqueBy } from '../../collections.ts'
import { type Argument, argumentsIn, mebibytes } from '../arguments.ts'
import {
  attributeOf,
  findElement,
  findElements,
  textContent,
  type XmlDocument,
  type XmlElement
} from '../xml/tree.ts'
import type { PassedDisk } from './disks.ts'

/** What a domain requires of its host. */
export interface Needs {
  /** In KiB. */
  memory: number | undefined
  /** Number of vCPUs. */
  processors: number | undefined
  pins: Pins
  /** Sizes of huge pages in KiB, undefined for the host's default; empty without huge pages. */
  pageSizes: readonly (number | undefined)[]
  devices: readonly PassedDevice[]
  /** Names of files in /dev/shm. */
  sharedFiles: readonly string[]
  kvmfr: readonly KvmfrDevice[]
  /** Device nodes that only QEMU arguments name. libvirt does not let QEMU open them. */
  deviceNodes: readonly string[]
  /** Whether the guest has an emulated TPM. */
  hasTpm: boolean
  /** Names of libvirt networks, and of bridges and interfaces of the host. */
  networks: readonly string[]
  bridges: readonly string[]
  interfaces: readonly string[]
}

/**
 * Derives what a guest requires of its host. Expects a domain from `modernize`, which replaces QEMU arguments
 * with libvirt elements where it can: the host must be set up only for the remaining arguments.
 */
export function deriveNeeds(root: XmlElement): Needs {
  const backends = argumentsOf(root)
    .filter(it => it.type === 'memory-backend-file')
    .map(({ properties: it }) => ({ path: it.get('mem-path') ?? '', size: it.get('size') ?? '' }))
  return {
    memory: guestMemory(root),
    processors: processorsOf(root),
    pins: pinsOf(root),
    pageSizes: pageSizesOf(root),
    devices: passedDevices(root),
    sharedFiles: sharedFiles(root, backends),
    kvmfr: kvmfrDevices(backends),
    deviceNodes: deviceNodes(root),
    hasTpm: findElements(root, 'devices', 'tpm', 'backend').some(
      it => attributeOf(it, 'type') === 'emulator'
    ),
    networks: sourcesOf(root, 'network', 'network'),
    bridges: sourcesOf(root, 'bridge', 'bridge'),
    interfaces: sourcesOf(root, 'direct', 'dev')
  }
}

/** The sources of the network cards of one type. */
function sourcesOf(root: XmlElement, type: string, attribute: string): string[] {
  const cards = findElements(root, 'devices', 'interface').filter(
    it => attributeOf(it, 'type') === type
  )
  return [...new Set(cards.flatMap(it => attributeOf(findElement(it, 'source'), attribute) ?? []))]
}

/** A guest, read from its XML. */
export interface Guest {
  /** The path that the user named, and the text of that file. */
  file: string
  xml: string
  name: string
  document: XmlDocument
  needs: Needs
  /** The host's disks, folders and USB devices that the guest uses. */
  disks: readonly PassedDisk[]
}

/** A PCI device of the host that is passed through to the guest. */
export interface PassedDevice {
  /** Including the PCI domain: `0000:01:00.0`. */
  address: string
  /** The kind of element; `argument` is a QEMU argument, which libvirt does not interpret. */
  as: 'hostdev' | 'disk' | 'interface' | 'argument'
  /** Whether libvirt binds the device to vfio-pci and later back to the host's driver. */
  isManaged: boolean
  /** Present if the element has `managed='no'`; absent if it has another value or no `managed` attribute. */
  isUnmanaged?: true
}

/** The host's PCI devices in a domain, each once, in the order of `passedElements`, then QEMU arguments. */
export function passedDevices(root: XmlElement): PassedDevice[] {
  const elements = passedElements(root).map(({ element, holder, as, address }): PassedDevice => {
    const managed = attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')
    const isManaged = managed === 'yes'
    return { address, as, isManaged, ...(managed === 'no' ? { isUnmanaged: true } : {}) }
  })
  return uniqueBy([...elements, ...argumentDevices(root)], it => it.address)
}

/** An element that passes a PCI device of the host through to the guest. */
interface PassedElement {
  element: XmlElement
  /** The element with the `managed` attribute: the source of an NVMe disk, otherwise the element itself. */
  holder: XmlElement
  as: Exclude<PassedDevice['as'], 'argument'>
  address: string
}

/** The elements that pass PCI devices of the host through to the guest, grouped by kind. */
export function passedElements(root: XmlElement): PassedElement[] {
  return [
    ...elementsOfType(root, 'hostdev', 'pci'),
    ...elementsOfType(root, 'disk', 'nvme'),
    ...elementsOfType(root, 'interface', 'hostdev')
  ]
}

function elementsOfType(root: XmlElement, as: PassedElement['as'], type: string): PassedElement[] {
  const elements = findElements(root, 'devices', as).filter(it => attributeOf(it, 'type') === type)
  return elements.flatMap(element => {
    const source = findElement(element, 'source')
    const address = source && parsePciAddress(findElement(source, 'address'))
    if (source === undefined || address === undefined) return []
    return { element, holder: as === 'disk' ? source : element, as, address }
  })
}

function argumentDevices(root: XmlElement): PassedDevice[] {
  const devices = argumentsOf(root).filter(it => it.flag === 'device' && it.type === 'vfio-pci')
  return devices.flatMap(({ properties }): PassedDevice[] => {
    const place = properties.get('host') ?? properties.get('sysfsdev')?.split('/').at(-1) ?? ''
    const [, domain = '0000', rest] =
      /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(place) ?? []
    if (rest === undefined) return []
    return [{ address: `${domain}:${rest}`.toLowerCase(), as: 'argument', isManaged: false }]
  })
}

function argumentsOf(root: XmlElement): Argument[] {
  return argumentsIn(findElements(root, 'qemu:commandline', 'qemu:arg'))
}

/** Parses `<address domain= bus= slot= function=>`; numbers are hexadecimal, octal or decimal by prefix. */
function parsePciAddress(place: XmlElement | undefined): string | undefined {
  if (!place) return undefined
  const parts = ['domain', 'bus', 'slot', 'function']
  const numbers = parts.map(it => parseNumber(attributeOf(place, it) ?? '0'))
  if (!numbers.every(it => it !== undefined)) return undefined
  const [domain = 0, bus = 0, slot = 0, part = 0] = numbers
  if (bus > 0xff || slot > 0x1f || part > 7) return undefined
  const hex = (it: number, width: number) => it.toString(16).padStart(width, '0')
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${part}`
}

function parseNumber(text: string): number | undefined {
  const it = text.trim()
  if (/^0x[0-9a-f]{1,8}$/i.test(it)) return Number.parseInt(it, 16)
  if (/^0[0-7]{1,10}$/.test(it)) return Number.parseInt(it, 8)
  return /^(?:0|[1-9]\d{0,8})$/.test(it) ? Number(it) : undefined
}

// Device nodes that libvirt or the NixOS modules allow anyway, and paths below /dev that are not devices.
const KNOWN_DEV_PATH =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|tty|stdin|stdout|stderr|(?:shm|hugepages[^/]*|mqueue|fd|pts|vfio)(?:\/.*)?|kvmfr\d+)$/

/** The device nodes that only QEMU arguments name, so libvirt does not let QEMU open them. */
function deviceNodes(root: XmlElement): string[] {
  const values = findElements(root, 'qemu:commandline', 'qemu:arg').map(it =>
    attributeOf(it, 'value')
  )
  const nodes = values.flatMap(it => it?.match(/(?<![\w./-])\/dev\/[^\s,"'\\;=]+/g) ?? [])
  return [...new Set(nodes)].filter(it => !KNOWN_DEV_PATH.test(it))
}

/** The memory of a guest in KiB; undefined if the domain does not set it. */
function guestMemory(root: XmlElement): number | undefined {
  const memory = findElement(root, 'memory')
  return memory && readSize(textContent(memory), attributeOf(memory, 'unit'))
}

/** The sizes of the guest's huge pages in KiB, undefined for the host's default; empty without huge pages. */
function pageSizesOf(root: XmlElement): (number | undefined)[] {
  const hugepages = findElement(root, 'memoryBacking', 'hugepages')
  if (!hugepages) return []
  const pages = findElements(hugepages, 'page')
  const sizes = pages.map(it => readSize(attributeOf(it, 'size') ?? '', attributeOf(it, 'unit')))
  return pages.length === 0 ? [undefined] : [...new Set(sizes)]
}

/** A `memory-backend-file` of a QEMU argument. */
interface Backend {
  path: string
  size: string
}

/** The files in /dev/shm that the guest shares with the host, by name. */
function sharedFiles(root: XmlElement, backends: readonly Backend[]): string[] {
  const elements = findElements(root, 'devices', 'shmem').filter(it => {
    const model = attributeOf(findElement(it, 'model'), 'type')
    // If there is a server, it provides the memory.
    return model !== 'ivshmem-doorbell' && !findElement(it, 'server')
  })
  const names = elements.flatMap(it => attributeOf(it, 'name') ?? [])
  const paths = backends.flatMap(it => /^\/dev\/shm\/([^/]+)$/.exec(it.path)?.[1] ?? [])
  return [...new Set([...names, ...paths])]
}

/** A device of the kernel module kvmfr: the number in `/dev/kvmfr0`, and its size in MiB. */
interface KvmfrDevice {
  number: number
  /** Undefined if the size is not an integer number of MiB. */
  size: number | undefined
}

/** The kvmfr devices that the guest shares memory through, sorted by number. */
function kvmfrDevices(backends: readonly Backend[]): KvmfrDevice[] {
  return backends
    .flatMap(({ path, size }) => {
      const number = /^\/dev\/kvmfr(\d{1,2})$/.exec(path)?.[1]
      return number === undefined ? [] : [{ number: Number(number), size: mebibytes(size) }]
    })
    .sort((a, b) => a.number - b.number)
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  ...Object.fromEntries(
    ['k', 'm', 'g', 't', 'p', 'e'].flatMap((it, i) => [
      [it, 1024 ** (i + 1)],
      [`${it}ib`, 1024 ** (i + 1)],
      [`${it}b`, 1000 ** (i + 1)]
    ])
  )
}

/** A size as libvirt reads it, in KiB, rounded up; undefined if it is invalid. */
export function readSize(text: string, unit = 'KiB'): number | undefined {
  const factor = BYTES_PER_UNIT[unit.toLowerCase()]
  if (!/^\s*\d+\s*$/.test(text) || factor === undefined) return undefined
  const size = Math.ceil((Number(text) * factor) / 1024)
  return Number.isSafeInteger(size) ? size : undefined
}

/** Numbers of the host's CPUs that a domain names. */
interface Pins {
  /** CPUs that vCPUs are pinned to. */
  guest: readonly number[]
  /** CPUs for QEMU's emulator and I/O threads. */
  helpers: readonly number[]
  /** CPUs that the whole guest may use; empty if it may use all. */
  allowed: readonly number[]
}

function pinsOf(root: XmlElement): Pins {
  const count = processorsOf(root) ?? Number.POSITIVE_INFINITY
  // libvirt ignores pins of vCPUs that the guest does not have.
  const pins = findElements(root, 'cputune', 'vcpupin')
  const guest = pins.filter(it => Number(attributeOf(it, 'vcpu')) < count)
  const helpers = ['emulatorpin', 'iothreadpin'].flatMap(it => findElements(root, 'cputune', it))
  const allowed = findElements(root, 'vcpu').slice(0, 1)
  return { guest: cpuSets(guest), helpers: cpuSets(helpers), allowed: cpuSets(allowed) }
}

function cpuSets(elements: readonly XmlElement[]): number[] {
  const all = elements.flatMap(it => readCpuSet(attributeOf(it, 'cpuset') ?? '') ?? [])
  return [...new Set(all)]
}

/** The number of vCPUs; undefined if the domain does not set it. */
function processorsOf(root: XmlElement): number | undefined {
  const vcpu = findElement(root, 'vcpu')
  const found = /^\s*(\d{1,5})\s*$/.exec(vcpu ? textContent(vcpu) : '')?.[1]
  return found === undefined ? undefined : Number(found)
}

const CPU_SET_PART = /^\s*(?:\^(\d{1,5})|(\d{1,5})\s*(?:-\s*(\d{1,5}))?)\s*$/

/**
 * The sorted numbers in a CPU set such as `0-3,^2,8`; `^2` removes 2 from the part before it. Undefined if
 * libvirt rejects the set. A trailing comma is valid.
 */
export function readCpuSet(text: string): number[] | undefined {
  // No machine needs a longer set. The limit bounds the work below.
  if (text.length > 2048) return undefined
  const all = new Set<number>()
  for (const part of text.replace(/,\s*$/, '').split(',')) {
    const [match, excluded, first, last = first] = CPU_SET_PART.exec(part) ?? []
    if (match === undefined || Number(last) < Number(first)) return undefined
    if (excluded !== undefined) all.delete(Number(excluded))
    else for (let it = Number(first); it <= Number(last); it++) all.add(it)
  }
  return [...all].sort((a, b) => a - b)
}

/** Formats numbers as a CPU set: `0-3,8`. */
export function printCpuSet(numbers: readonly number[]): string {
  const ranges: [first: number, last: number][] = []
  for (const it of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && it === last[1] + 1) last[1] = it
    else ranges.push([it, it])
  }
  return ranges.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(',')
}
