// The host's disks, folders and USB devices that a guest uses, in every form in which a domain can name them.

import { parseJson, splitAtCommas } from '../arguments.ts'
import {
  attributeOf,
  childElements,
  findElement,
  findElements,
  textContent,
  type XmlElement
} from '../xml/tree.ts'

/** How a domain names a disk, folder or USB device of the host. */
export type DiskName =
  /** A block device or an image file. */
  | { kind: 'path'; path: string }
  /** A volume of one of libvirt's storage pools. */
  | { kind: 'volume'; pool: string; volume: string }
  /** Host, bus, target and unit of a SCSI device: `0:0:0:0`. */
  | { kind: 'scsi'; address: string }
  /** A USB device of any kind, by vendor and product in four lowercase hex digits, or by bus and device. */
  | { kind: 'usb'; vendor: string; product: string }
  | { kind: 'usb'; bus: number; device: number }
  /** A USB device by its bus and ports: `1-5.2`. */
  | { kind: 'usb'; port: string }
  /** A folder shared with the guest. */
  | { kind: 'folder'; path: string }

export interface PassedDisk {
  name: DiskName
  /** Whether the guest can't write to the disk. */
  isReadOnly: boolean
  /** Whether the disk is in a floppy drive, for which QEMU accepts only images of floppy size. */
  isFloppy: boolean
  /** Whether the domain declares the disk as a block device, which is reported if the host does not have it. */
  isBlock: boolean
  /** The offset of the element that names the disk. */
  start?: number | undefined
}

function passedDisk(name: DiskName, flags: Partial<PassedDisk>): PassedDisk {
  return { name, isReadOnly: false, isFloppy: false, isBlock: false, ...flags }
}

/** The host's disks, folders and USB devices in a domain, grouped by kind of element. */
export function passedDisks(root: XmlElement): PassedDisk[] {
  return [
    ...findElements(root, 'devices', 'disk').flatMap(disk),
    ...findElements(root, 'devices', 'hostdev').flatMap(hostdev),
    ...findElements(root, 'devices', 'filesystem').flatMap(filesystem),
    ...findElements(root, 'devices', 'memory').flatMap(memory),
    ...findElements(root, 'os', 'nvram').flatMap(it => sourcesIn(it)),
    ...argumentDisks(root)
  ]
}

// ---- <disk>

function disk(element: XmlElement): PassedDisk[] {
  const device = attributeOf(element, 'device') ?? 'disk'
  // Raw SCSI commands can write to a LUN even if it was opened read-only.
  const isRaw =
    device === 'lun' &&
    (attributeOf(element, 'rawio') === 'yes' || attributeOf(element, 'sgio') === 'unfiltered')
  const isReadOnly =
    device === 'cdrom' ||
    (!isRaw && hasChild(element, 'readonly')) ||
    hasChild(element, 'transient')
  const flags = { isReadOnly, isFloppy: device === 'floppy' }
  return sourcesIn(element).map(it => ({ ...it, ...flags }))
}

/**
 * The disks in all `<source>` elements below an element, including those in `<backingStore>`, `<mirror>` and
 * `<dataStore>`. The nearest enclosing `type` applies to a source.
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
    return [passedDisk({ kind: 'volume', pool, volume }, { start })]
  }
  if (type !== 'block' && type !== 'file') return []
  return ['dev', 'file'].flatMap(attribute => {
    const path = attributeOf(source, attribute)
    return path ? passedDisk({ kind: 'path', path }, { isBlock: type === 'block', start }) : []
  })
}

function hasChild(element: XmlElement, name: string): boolean {
  return childElements(element, name).length > 0
}

// ---- <hostdev>

function hostdev(element: XmlElement): PassedDisk[] {
  const source = findElement(element, 'source')
  if (!source) return []
  const flags = { isReadOnly: hasChild(element, 'readonly'), start: element.start }
  const block = findElement(source, 'block')
  const path = (block && textContent(block).trim()) ?? attributeOf(source, 'dev')
  if (path) return [passedDisk({ kind: 'path', path }, { ...flags, isBlock: true })]
  const type = attributeOf(element, 'type')
  const name = type === 'scsi' ? scsi(source) : type === 'usb' ? usb(source) : undefined
  return name ? [passedDisk(name, flags)] : []
}

function scsi(source: XmlElement): DiskName | undefined {
  const adapter = attributeOf(findElement(source, 'adapter'), 'name')
  const host = /^scsi_host(\d+)$/.exec(adapter ?? '')?.[1]
  const address = findElement(source, 'address')
  if (host === undefined || !address) return undefined
  const [bus, target, unit] = ['bus', 'target', 'unit'].map(it => attributeOf(address, it) ?? '0')
  return { kind: 'scsi', address: [host, bus, target, unit].join(':') }
}

function usb(source: XmlElement): DiskName | undefined {
  const [vendor, product, address] = ['vendor', 'product', 'address'].map(it =>
    findElement(source, it)
  )
  if (vendor && product) {
    const [vendorID, productID] = [vendor, product].map(it => Number(attributeOf(it, 'id')))
    return { kind: 'usb', vendor: hex(vendorID), product: hex(productID) }
  }
  const [bus, device] = ['bus', 'device'].map(it => Number(attributeOf(address, it)))
  if (bus && device) return { kind: 'usb', bus, device }
  const port = attributeOf(address, 'port')
  return bus && port !== undefined ? { kind: 'usb', port: `${bus}-${port}` } : undefined
}

/** A USB vendor or product ID as sysfs writes it. */
function hex(number: number | undefined): string {
  return (number ?? 0).toString(16).padStart(4, '0')
}

// ---- other elements

function filesystem(element: XmlElement): PassedDisk[] {
  const source = findElement(element, 'source')
  const dir = attributeOf(source, 'dir')
  const path = dir ?? attributeOf(source, 'dev') ?? attributeOf(source, 'file')
  if (!path) return []
  const isReadOnly = hasChild(element, 'readonly')
  const isBlock = attributeOf(element, 'type') === 'block'
  const name = { kind: dir === undefined ? 'path' : 'folder', path } as const
  return [passedDisk(name, { isReadOnly, isBlock, start: element.start })]
}

/** Persistent memory (NVDIMM), which may be a block device of the host. */
function memory(element: XmlElement): PassedDisk[] {
  const source = findElement(element, 'source', 'path')
  const path = source && textContent(source).trim()
  if (!path) return []
  const isReadOnly = hasChild(element, 'readonly')
  return [passedDisk({ kind: 'path', path }, { isReadOnly, start: element.start })]
}

// ---- QEMU arguments, which libvirt does not interpret

/** The flags whose value is only a path. */
const DRIVE_FLAG = /^(?:hd[a-d]|mtdblock|sd|pflash|fd[ab]|cdrom)$/

/** The properties that have the path of a disk or image, including properties of an inner node. */
const FILE_PROPERTY = /(?:^|\.)(?:file|filename|mem-path)$/

/** The prefixes that QEMU accepts before a path. */
const FORMAT_PREFIXES = /^(?:(?:raw|file|host_device|host_cdrom):|(?:blkdebug|blkverify):[^:]*:)+/

/**
 * The disks, USB devices and shared folders in `<qemu:arg>`, in order. They include every path below `/dev`, in
 * any property, because the argument does not show whether the path is a block device.
 */
function argumentDisks(root: XmlElement): PassedDisk[] {
  const all = findElements(root, 'qemu:commandline', 'qemu:arg')
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
    if (name) return [passedDisk(name, {})]
  }
  const isOn = (name: RegExp) =>
    properties.some(([key, it]) => name.test(key) && /^(?:on|yes|true)$/.test(it))
  const isReadOnly =
    flag === 'cdrom' ||
    isOn(/^(?:readonly|read-only|snapshot)$/) ||
    properties.some(([key, it]) => key === 'media' && it === 'cdrom')
  if (flag === 'virtfs' || flag === 'fsdev') {
    const folders = properties.filter(([key]) => key === 'path')
    return folders.map(([, path]) => passedDisk({ kind: 'folder', path }, { isReadOnly }))
  }
  const fat = fatFolders(properties, isOn(/(?:^|\.)rw$/))
  if (fat.length > 0) {
    return fat.map(path => passedDisk({ kind: 'folder', path }, { isReadOnly }))
  }
  const isDrive = DRIVE_FLAG.test(flag)
  const isFloppy = /^fd[ab]$/.test(flag)
  return properties.flatMap(([key, it]) => {
    const path = it.replace(FORMAT_PREFIXES, '')
    const isFile = FILE_PROPERTY.test(key) || (isDrive && key === '')
    const isDevice = /^\/+(?:\.\/+)*dev\//.test(path)
    if (!path.startsWith('/') || !(isFile || isDevice)) return []
    const isBlock = isFile && (isDrive || flag === 'drive' || flag === 'blockdev')
    return passedDisk({ kind: 'path', path }, { isReadOnly, isFloppy, isBlock })
  })
}

/** The folders that the guest sees as a writable FAT disk. A FAT disk without `rw` is read-only and left out. */
function fatFolders(properties: Properties, isWritable: boolean): string[] {
  const isFat = properties.some(([key, it]) => /(?:^|\.)driver$/.test(key) && it === 'vvfat')
  return properties.flatMap(([key, it]) => {
    if (isFat && isWritable && /(?:^|\.)dir$/.test(key)) return [it]
    return /^fat:(?:.*:)?rw:(?:.*:)?(\/.*)$/.exec(it)?.[1] ?? []
  })
}

/** The USB device of a `usb-host` argument; undefined for other arguments. */
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

/** The pairs in `name=value,…` or in JSON. The name is empty for a value without a name. */
function propertiesOf(value: string): (readonly [string, string])[] {
  if (/^\s*\{/.test(value)) return pairsFromJson(value)
  return splitAtCommas(value).flatMap((word): (readonly [string, string])[] => {
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
