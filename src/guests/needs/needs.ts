import { uniqueBy } from '../../collections.ts'
import { type Argument, argumentsIn, megabytes } from '../arguments.ts'
import {
  attributeOf,
  find,
  findAll,
  textContent,
  type XmlDocument,
  type XmlElement
} from '../xml/tree.ts'
import type { PassedDisk } from './disks.ts'

/** What a guest needs of its host, as its domain says. */
export interface Needs {
  /** In KiB. */
  memory: number | undefined
  /** How many processors. */
  processors: number | undefined
  pins: Pins
  /** Sizes of huge pages in KiB, undefined for that of the host; empty where it needs none. */
  pageSizes: readonly (number | undefined)[]
  devices: readonly PassedDevice[]
  /** Names of files in /dev/shm. */
  sharedFiles: readonly string[]
  kvmfr: readonly KvmfrDevice[]
  /** Device nodes that libvirt knows nothing of. */
  deviceNodes: readonly string[]
  /** Whether it has a TPM that the host plays. */
  hasTpm: boolean
  /** Networks of libvirt, bridges and interfaces of the host, by name. */
  networks: readonly string[]
  bridges: readonly string[]
  interfaces: readonly string[]
}

/**
 * What the host has to have ready for a guest. Arguments of QEMU for which libvirt has elements count as
 * what they are, so a domain is mended first.
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
    hasTpm: findAll(root, 'devices', 'tpm', 'backend').some(
      it => attributeOf(it, 'type') === 'emulator'
    ),
    networks: sourcesOf(root, 'network', 'network'),
    bridges: sourcesOf(root, 'bridge', 'bridge'),
    interfaces: sourcesOf(root, 'direct', 'dev')
  }
}

/** What the network cards of one type are connected to. */
function sourcesOf(root: XmlElement, type: string, attribute: string): string[] {
  const cards = findAll(root, 'devices', 'interface').filter(it => attributeOf(it, 'type') === type)
  return [...new Set(cards.flatMap(it => attributeOf(find(it, 'source'), attribute) ?? []))]
}

/** A guest as it was read from its XML. */
export interface Guest {
  /** The file as the person knows it, and its text. */
  file: string
  xml: string
  name: string
  document: XmlDocument
  needs: Needs
  /** The disks and folders of the host that it gets. */
  disks: readonly PassedDisk[]
}

/** A PCI device of the host that the guest gets. */
export interface PassedDevice {
  /** With its domain: `0000:01:00.0`. */
  address: string
  /** As what: an argument of QEMU is one that libvirt knows nothing of. */
  as: 'hostdev' | 'disk' | 'interface' | 'argument'
  /** Whether libvirt takes it from the host's driver, and gives it back. */
  isManaged: boolean
  /** Whether the domain says in so many words that libvirt does not do that. */
  isUnmanaged?: true
}

/** The PCI devices of the host in a domain, each once, in the order of the elements. */
export function passedDevices(root: XmlElement): PassedDevice[] {
  const elements = passedElements(root).map(({ element, holder, as, address }): PassedDevice => {
    const managed = attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')
    const isManaged = managed === 'yes'
    return { address, as, isManaged, ...(managed === 'no' ? { isUnmanaged: true } : {}) }
  })
  return uniqueBy([...elements, ...argumentDevices(root)], it => it.address)
}

/** An element that gives the guest a PCI device of the host. */
interface PassedElement {
  element: XmlElement
  /** The one that says whether libvirt manages the device: the element itself, of an NVMe disk its source. */
  holder: XmlElement
  as: Exclude<PassedDevice['as'], 'argument'>
  address: string
}

/** The elements of a domain that give it PCI devices of the host, those of one kind after the other. */
export function passedElements(root: XmlElement): PassedElement[] {
  return [
    ...elementsOfType(root, 'hostdev', 'pci'),
    ...elementsOfType(root, 'disk', 'nvme'),
    ...elementsOfType(root, 'interface', 'hostdev')
  ]
}

function elementsOfType(root: XmlElement, as: PassedElement['as'], type: string): PassedElement[] {
  const elements = findAll(root, 'devices', as).filter(it => attributeOf(it, 'type') === type)
  return elements.flatMap(element => {
    const source = find(element, 'source')
    const address = source && parsePciAddress(find(source, 'address'))
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
  return argumentsIn(findAll(root, 'qemu:commandline', 'qemu:arg'))
}

/** `<address domain= bus= slot= function=>`, each number in the base that its prefix says. */
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

// What libvirt allows in any case, what it or our modules see to, and what is no device at all.
const KNOWN =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|tty|stdin|stdout|stderr|(?:shm|hugepages[^/]*|mqueue|fd|pts|vfio)(?:\/.*)?|kvmfr\d+)$/

/**
 * The device nodes that QEMU is told of by its command line alone, so that libvirt does not know that
 * it has to be let at them.
 */
function deviceNodes(root: XmlElement): string[] {
  const values = findAll(root, 'qemu:commandline', 'qemu:arg').map(it => attributeOf(it, 'value'))
  const nodes = values.flatMap(it => it?.match(/(?<![\w./-])\/dev\/[^\s,"'\\;=]+/g) ?? [])
  return [...new Set(nodes)].filter(it => !KNOWN.test(it))
}

/** The memory of a guest in KiB; undefined where the domain does not say. */
function guestMemory(root: XmlElement): number | undefined {
  const memory = find(root, 'memory')
  return memory && readSize(textContent(memory), attributeOf(memory, 'unit'))
}

/**
 * The sizes of the huge pages, in KiB, that a guest's memory is to be made of: undefined for that of
 * the host. None where it takes memory as it comes.
 */
function pageSizesOf(root: XmlElement): (number | undefined)[] {
  const hugepages = find(root, 'memoryBacking', 'hugepages')
  if (!hugepages) return []
  const pages = findAll(hugepages, 'page')
  const sizes = pages.map(it => readSize(attributeOf(it, 'size') ?? '', attributeOf(it, 'unit')))
  return pages.length === 0 ? [undefined] : [...new Set(sizes)]
}

/** A file that QEMU takes memory from by its command line alone. */
interface Backend {
  path: string
  size: string
}

/** The files in /dev/shm that the guest shares with the host, by name. */
function sharedFiles(root: XmlElement, backends: readonly Backend[]): string[] {
  const elements = findAll(root, 'devices', 'shmem').filter(it => {
    const model = attributeOf(find(it, 'model'), 'type')
    // With a server the memory is what that one hands out.
    return model !== 'ivshmem-doorbell' && !find(it, 'server')
  })
  const names = elements.flatMap(it => attributeOf(it, 'name') ?? [])
  const paths = backends.flatMap(it => /^\/dev\/shm\/([^/]+)$/.exec(it.path)?.[1] ?? [])
  return [...new Set([...names, ...paths])]
}

/** A device of the kernel module kvmfr: the number in `/dev/kvmfr0`, and its size in MiB. */
interface KvmfrDevice {
  number: number
  /** Undefined where it is not whole. */
  size: number | undefined
}

/** The devices of kvmfr that the guest's memory is shared through, by their numbers. */
function kvmfrDevices(backends: readonly Backend[]): KvmfrDevice[] {
  return backends
    .flatMap(({ path, size }) => {
      const number = /^\/dev\/kvmfr(\d{1,2})$/.exec(path)?.[1]
      return number === undefined ? [] : [{ number: Number(number), size: megabytes(size) }]
    })
    .sort((a, b) => a.number - b.number)
}

const UNITS: Readonly<Record<string, number>> = {
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

/** A size as libvirt reads it, in KiB and rounded up; `unit` is what it has where it names none. */
export function readSize(text: string, unit = 'KiB'): number | undefined {
  const factor = UNITS[unit.toLowerCase()]
  if (!/^\s*\d+\s*$/.test(text) || factor === undefined) return undefined
  const size = Math.ceil((Number(text) * factor) / 1024)
  return Number.isSafeInteger(size) ? size : undefined
}

/** The processors of the host that a domain names, by number. */
interface Pins {
  /** Those that the guest's own are tied to, one by one. */
  guest: readonly number[]
  /** Those for what QEMU does besides. */
  helpers: readonly number[]
  /** Those that the guest as a whole may use; empty where it may use all. */
  allowed: readonly number[]
}

/** The processors of the host that a domain asks for. */
function pinsOf(root: XmlElement): Pins {
  const count = processorsOf(root) ?? Number.POSITIVE_INFINITY
  // libvirt drops the pins of those that the guest does not have.
  const pins = findAll(root, 'cputune', 'vcpupin')
  const guest = pins.filter(it => Number(attributeOf(it, 'vcpu')) < count)
  const helpers = ['emulatorpin', 'iothreadpin'].flatMap(it => findAll(root, 'cputune', it))
  const allowed = findAll(root, 'vcpu').slice(0, 1)
  return { guest: cpuSets(guest), helpers: cpuSets(helpers), allowed: cpuSets(allowed) }
}

function cpuSets(elements: readonly XmlElement[]): number[] {
  const all = elements.flatMap(it => readCpuSet(attributeOf(it, 'cpuset') ?? '') ?? [])
  return [...new Set(all)]
}

/** How many processors the guest has. */
function processorsOf(root: XmlElement): number | undefined {
  const vcpu = find(root, 'vcpu')
  const found = /^\s*(\d{1,5})\s*$/.exec(vcpu ? textContent(vcpu) : '')?.[1]
  return found === undefined ? undefined : Number(found)
}

const PART = /^\s*(?:\^(\d{1,5})|(\d{1,5})\s*(?:-\s*(\d{1,5}))?)\s*$/

/**
 * The numbers that a set such as `0-3,^2,8` stands for, in order: `^2` takes out what stands before it.
 * Undefined for what libvirt takes for none; it lets a comma stand at the end.
 */
export function readCpuSet(text: string): number[] | undefined {
  // More than any machine needs, and not enough to be kept busy with.
  if (text.length > 2048) return undefined
  const all = new Set<number>()
  for (const part of text.replace(/,\s*$/, '').split(',')) {
    const [whole, out, first, last = first] = PART.exec(part) ?? []
    if (whole === undefined || Number(last) < Number(first)) return undefined
    if (out !== undefined) all.delete(Number(out))
    else for (let it = Number(first); it <= Number(last); it++) all.add(it)
  }
  return [...all].sort((a, b) => a - b)
}

/** The numbers as such a set: `0-3,8`. */
export function printCpuSet(numbers: readonly number[]): string {
  const ranges: [first: number, last: number][] = []
  for (const it of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && it === last[1] + 1) last[1] = it
    else ranges.push([it, it])
  }
  return ranges.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(',')
}
