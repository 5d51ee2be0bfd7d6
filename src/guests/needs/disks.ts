// The disks and folders of the host that a guest gets, however its domain names them.

import { parseJson, splitWords } from '../arguments.ts'
import {
  attributeOf,
  childElements,
  find,
  findAll,
  textContent,
  type XmlElement
} from '../xml/tree.ts'

/** What names a disk of the host; a path may also be that of an image file. */
export type DiskName =
  | { kind: 'path'; path: string }
  /** A volume of one of libvirt's storage pools. */
  | { kind: 'volume'; pool: string; volume: string }
  /** Host, bus, target and unit of a SCSI device: `0:0:0:0`. */
  | { kind: 'scsi'; address: string }
  /** A USB device, which may be anything: four lower-case hex digits each, or its numbers. */
  | { kind: 'usb'; vendor: string; product: string }
  | { kind: 'usb'; bus: number; device: number }
  /** A USB device by the bus and the ports that it is reached through: `1-5.2`. */
  | { kind: 'usb'; port: string }
  /** A folder that is shared with the guest. */
  | { kind: 'folder'; path: string }

export interface PassedDisk {
  name: DiskName
  /** Whether the guest can only read it. */
  isReadOnly: boolean
  /** Whether it is in a floppy drive, where QEMU takes no more than what fits on one. */
  isFloppy: boolean
  /** Whether the domain says that it is a block device, so that one which is not there is worth a word. */
  isBlock: boolean
  /** Where the element begins that names it. */
  start?: number | undefined
}

function passed(name: DiskName, facts: Partial<PassedDisk>): PassedDisk {
  return { name, isReadOnly: false, isFloppy: false, isBlock: false, ...facts }
}

/** The disks, folders and USB devices of the host in a domain, in the order of the kinds of elements. */
export function passedDisks(root: XmlElement): PassedDisk[] {
  return [
    ...findAll(root, 'devices', 'disk').flatMap(disk),
    ...findAll(root, 'devices', 'hostdev').flatMap(hostdev),
    ...findAll(root, 'devices', 'filesystem').flatMap(filesystem),
    ...findAll(root, 'devices', 'memory').flatMap(memory),
    ...findAll(root, 'os', 'nvram').flatMap(it => sourcesIn(it)),
    ...argumentDisks(root)
  ]
}

// ---- <disk>

function disk(element: XmlElement): PassedDisk[] {
  const device = attributeOf(element, 'device') ?? 'disk'
  // A LUN that takes commands as they are can be written to, whatever it is opened for.
  const isRaw =
    device === 'lun' &&
    (attributeOf(element, 'rawio') === 'yes' || attributeOf(element, 'sgio') === 'unfiltered')
  const isReadOnly =
    device === 'cdrom' || (!isRaw && has(element, 'readonly')) || has(element, 'transient')
  const more = { isReadOnly, isFloppy: device === 'floppy' }
  return sourcesIn(element).map(it => ({ ...it, ...more }))
}

/**
 * What the sources below an element name: its own, and those of the images that it is based on, of its copy
 * and of where its data are. A source is of the type that the nearest element around it has.
 */
function sourcesIn(element: XmlElement, inherited = 'file'): PassedDisk[] {
  const type = attributeOf(element, 'type') ?? inherited
  return childElements(element).flatMap(it => {
    const inner = sourcesIn(it, type)
    return it.name === 'source' ? [...sourceNames(it, type, element), ...inner] : inner
  })
}

function sourceNames(source: XmlElement, type: string, { start }: XmlElement): PassedDisk[] {
  const [pool, volume] = [attributeOf(source, 'pool'), attributeOf(source, 'volume')]
  if (type === 'volume' && pool !== undefined && volume !== undefined) {
    return [passed({ kind: 'volume', pool, volume }, { start })]
  }
  if (type !== 'block' && type !== 'file') return []
  return ['dev', 'file'].flatMap(attribute => {
    const path = attributeOf(source, attribute)
    return path ? passed({ kind: 'path', path }, { isBlock: type === 'block', start }) : []
  })
}

function has(element: XmlElement, name: string): boolean {
  return childElements(element, name).length > 0
}

// ---- <hostdev>

function hostdev(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source')
  if (!source) return []
  const facts = { isReadOnly: has(element, 'readonly'), start: element.start }
  const block = find(source, 'block')
  const path = (block && textContent(block).trim()) ?? attributeOf(source, 'dev')
  if (path) return [passed({ kind: 'path', path }, { ...facts, isBlock: true })]
  const type = attributeOf(element, 'type')
  const name = type === 'scsi' ? scsi(source) : type === 'usb' ? usb(source) : undefined
  return name ? [passed(name, facts)] : []
}

function scsi(source: XmlElement): DiskName | undefined {
  const adapter = attributeOf(find(source, 'adapter'), 'name')
  const host = /^scsi_host(\d+)$/.exec(adapter ?? '')?.[1]
  const address = find(source, 'address')
  if (host === undefined || !address) return undefined
  const [bus, target, unit] = ['bus', 'target', 'unit'].map(it => attributeOf(address, it) ?? '0')
  return { kind: 'scsi', address: [host, bus, target, unit].join(':') }
}

function usb(source: XmlElement): DiskName | undefined {
  const [vendor, product, address] = ['vendor', 'product', 'address'].map(it => find(source, it))
  if (vendor && product) {
    const [one, other] = [vendor, product].map(it => Number(attributeOf(it, 'id')))
    return { kind: 'usb', vendor: hex(one), product: hex(other) }
  }
  const [bus, device] = ['bus', 'device'].map(it => Number(attributeOf(address, it)))
  if (bus && device) return { kind: 'usb', bus, device }
  const port = attributeOf(address, 'port')
  return bus && port !== undefined ? { kind: 'usb', port: `${bus}-${port}` } : undefined
}

/** A number of a USB device as sysfs writes it. */
function hex(number: number | undefined): string {
  return (number ?? 0).toString(16).padStart(4, '0')
}

// ---- others

function filesystem(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source')
  const dir = attributeOf(source, 'dir')
  const path = dir ?? attributeOf(source, 'dev') ?? attributeOf(source, 'file')
  if (!path) return []
  const isReadOnly = has(element, 'readonly')
  const isBlock = attributeOf(element, 'type') === 'block'
  const name = { kind: dir === undefined ? 'path' : 'folder', path } as const
  return [passed(name, { isReadOnly, isBlock, start: element.start })]
}

/** Memory that lasts, which the kernel may have as a block device. */
function memory(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source', 'path')
  const path = source && textContent(source).trim()
  if (!path) return []
  const isReadOnly = has(element, 'readonly')
  return [passed({ kind: 'path', path }, { isReadOnly, start: element.start })]
}

// The disks and folders of the host in QEMU's own arguments, of which libvirt knows nothing.

/** The flags whose value is a path alone. */
const DRIVES = /^(?:hd[a-d]|mtdblock|sd|pflash|fd[ab]|cdrom)$/

/** The properties that hold a path of a disk or image, also below that of an inner node. */
const FILES = /(?:^|\.)(?:file|filename|mem-path)$/

/** What can precede a path in the name of a file. */
const FORMATS = /^(?:(?:raw|file|host_device|host_cdrom):|(?:blkdebug|blkverify):[^:]*:)+/

/**
 * The disks, USB devices and shared folders in `<qemu:arg>`, in their order. A path below `/dev` counts wherever it is, as long
 * as it can be told from the text around it; whether it is a block device only the machine can say.
 */
function argumentDisks(root: XmlElement): PassedDisk[] {
  const all = findAll(root, 'qemu:commandline', 'qemu:arg')
  return all.flatMap((element, i) => {
    const value = attributeOf(element, 'value') ?? ''
    const flag = (attributeOf(all[i - 1], 'value') ?? '').replace(/^--?/, '')
    return disksInArgument(value, flag).map(it => ({ ...it, start: element.start }))
  })
}

function disksInArgument(value: string, flag: string): PassedDisk[] {
  const properties = propertiesOf(value)
  if (flag === 'device' || flag === 'usbdevice') {
    const name = usbHost(properties)
    if (name) return [passed(name, {})]
  }
  const isOn = (name: RegExp) =>
    properties.some(([key, it]) => name.test(key) && /^(?:on|yes|true)$/.test(it))
  const isReadOnly =
    flag === 'cdrom' ||
    isOn(/^(?:readonly|read-only|snapshot)$/) ||
    properties.some(([key, it]) => key === 'media' && it === 'cdrom')
  if (flag === 'virtfs' || flag === 'fsdev') {
    const folders = properties.filter(([key]) => key === 'path')
    return folders.map(([, path]) => passed({ kind: 'folder', path }, { isReadOnly }))
  }
  const shown = fatFolders(properties, isOn(/(?:^|\.)rw$/))
  if (shown.length > 0) {
    return shown.map(path => passed({ kind: 'folder', path }, { isReadOnly }))
  }
  const isDrive = DRIVES.test(flag)
  const isFloppy = /^fd[ab]$/.test(flag)
  return properties.flatMap(([key, it]) => {
    const path = it.replace(FORMATS, '')
    const isFile = FILES.test(key) || (isDrive && key === '')
    const isDevice = /^\/+(?:\.\/+)*dev\//.test(path)
    if (!path.startsWith('/') || !(isFile || isDevice)) return []
    const isBlock = isFile && (isDrive || flag === 'drive' || flag === 'blockdev')
    return passed({ kind: 'path', path }, { isReadOnly, isFloppy, isBlock })
  })
}

/** The folders that the guest sees as a disk of FAT and can write to, which it can't unless that is said. */
function fatFolders(properties: Properties, isWritable: boolean): string[] {
  const isFat = properties.some(([key, it]) => /(?:^|\.)driver$/.test(key) && it === 'vvfat')
  return properties.flatMap(([key, it]) => {
    if (isFat && isWritable && /(?:^|\.)dir$/.test(key)) return [it]
    return /^fat:(?:.*:)?rw:(?:.*:)?(\/.*)$/.exec(it)?.[1] ?? []
  })
}

/** The device that `usb-host` gives away; undefined for any other device. */
function usbHost(properties: Properties): DiskName | undefined {
  const value = (name: string) => properties.find(([key]) => key === name)?.[1]
  if ((value('driver') ?? value('')) !== 'usb-host') return undefined
  const [vendor, product, bus, device] = ['vendorid', 'productid', 'hostbus', 'hostaddr'].map(it =>
    Number(value(it) ?? 0)
  )
  const file = /^\/dev\/bus\/usb\/(\d+)\/(\d+)$/.exec(value('hostdevice') ?? '')
  if (file) return { kind: 'usb', bus: Number(file[1]), device: Number(file[2]) }
  const port = value('hostport')
  if (bus && port !== undefined) return { kind: 'usb', port: `${bus}-${port}` }
  if (bus && device) return { kind: 'usb', bus, device }
  return vendor && product ? { kind: 'usb', vendor: hex(vendor), product: hex(product) } : undefined
}

type Properties = readonly (readonly [string, string])[]

/** `name=value,…` or JSON as pairs; what has no name has a blank one. */
function propertiesOf(value: string): (readonly [string, string])[] {
  if (/^\s*\{/.test(value)) return pairsFromJson(value)
  return splitWords(value).flatMap((word): (readonly [string, string])[] => {
    const [, key = '', text = word] = /^([\w.-]+)=(.*)$/s.exec(word) ?? []
    const plain = text.replaceAll(',,', ',')
    return plain.startsWith('json:') ? pairsFromJson(plain.slice('json:'.length)) : [[key, plain]]
  })
}

function pairsFromJson(text: string): (readonly [string, string])[] {
  const parsed = parseJson(text)
  return parsed === undefined ? [] : pairsOf('', parsed)
}

function pairsOf(key: string, value: unknown): (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[key, String(value)]]
  return Object.entries(value).flatMap(([name, it]) => pairsOf(name, it))
}
