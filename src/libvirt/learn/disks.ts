// The disks and folders of the host that a guest gets, however its domain names them.

import { attributeOf, elementsOf, find, findAll, textOf, type XmlElement } from '../tree.ts'
import { argumentDisks } from './argumentDisks.ts'

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
  start?: number
}

/** The disks, folders and USB devices of the host in a domain, in the order of the kinds of elements. */
export function passedDisks(root: XmlElement): PassedDisk[] {
  return [
    ...findAll(root, 'devices', 'disk').flatMap(disk),
    ...findAll(root, 'devices', 'hostdev').flatMap(hostdev),
    ...findAll(root, 'devices', 'filesystem').flatMap(filesystem),
    ...findAll(root, 'devices', 'memory').flatMap(memory),
    ...findAll(root, 'os', 'nvram').flatMap(nvram),
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
  return sourcesIn(element, attributeOf(element, 'type') ?? 'file').map(it => ({ ...it, ...more }))
}

type Named = Pick<PassedDisk, 'name' | 'isBlock' | 'start'>

/**
 * What the sources below an element name: its own, those of the images that it is based on, of its copy, and of
 * where its data are. The element around it has its kind.
 */
function sourcesIn(element: XmlElement, type: string): Named[] {
  return elementsOf(element).flatMap(it => {
    const inner = sourcesIn(it, attributeOf(it, 'type') ?? type)
    return it.name === 'source' ? [...sourceOf(it, type, element), ...inner] : inner
  })
}

function sourceOf(source: XmlElement, type: string, { start }: XmlElement): Named[] {
  const place = start === undefined ? {} : { start }
  const [pool, volume] = [attributeOf(source, 'pool'), attributeOf(source, 'volume')]
  if (type === 'volume' && pool !== undefined && volume !== undefined) {
    return [{ name: { kind: 'volume', pool, volume }, isBlock: false, ...place }]
  }
  if (type !== 'block' && type !== 'file') return []
  return ['dev', 'file'].flatMap(attribute => {
    const path = attributeOf(source, attribute) ?? ''
    const isBlock = type === 'block'
    return path === '' ? [] : [{ name: { kind: 'path', path }, isBlock, ...place } as const]
  })
}

function has(element: XmlElement, name: string): boolean {
  return elementsOf(element, name).length > 0
}

// ---- <hostdev>

function hostdev(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source')
  if (!source) return []
  const { start } = element
  const isReadOnly = has(element, 'readonly')
  const as = (name: DiskName): PassedDisk => ({
    ...{ name, isReadOnly, isFloppy: false, isBlock: name.kind === 'path' },
    ...(start === undefined ? {} : { start })
  })
  const block = find(source, 'block')
  const path = (block && textOf(block).trim()) ?? attributeOf(source, 'dev')
  if (path) return [as({ kind: 'path', path })]
  const type = attributeOf(element, 'type')
  const name = type === 'scsi' ? scsi(source) : type === 'usb' ? usb(source) : undefined
  return name ? [as(name)] : []
}

function scsi(source: XmlElement): DiskName | undefined {
  const adapter = find(source, 'adapter')
  const host = /^scsi_host(\d+)$/.exec((adapter && attributeOf(adapter, 'name')) ?? '')?.[1]
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
  const [bus, device] = ['bus', 'device'].map(it => Number(address && attributeOf(address, it)))
  if (bus && device) return { kind: 'usb', bus, device }
  const port = address && attributeOf(address, 'port')
  return bus && port !== undefined ? { kind: 'usb', port: `${bus}-${port}` } : undefined
}

/** A number of a USB device as sysfs writes it. */
export function hex(number: number | undefined): string {
  return (number ?? 0).toString(16).padStart(4, '0')
}

// ---- others

function filesystem(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source')
  const dir = source && attributeOf(source, 'dir')
  const device = source && (attributeOf(source, 'dev') ?? attributeOf(source, 'file'))
  const path = dir ?? device
  if (!path) return []
  const { start } = element
  return [
    {
      name: { kind: dir === undefined ? 'path' : 'folder', path },
      isReadOnly: has(element, 'readonly'),
      isFloppy: false,
      isBlock: attributeOf(element, 'type') === 'block',
      ...(start === undefined ? {} : { start })
    }
  ]
}

/** Memory that lasts, which the kernel may have as a block device. */
function memory(element: XmlElement): PassedDisk[] {
  const source = find(element, 'source', 'path')
  const path = source && textOf(source).trim()
  if (!path) return []
  const isReadOnly = has(element, 'readonly')
  const { start } = element
  const place = start === undefined ? {} : { start }
  return [{ name: { kind: 'path', path }, isReadOnly, isFloppy: false, isBlock: false, ...place }]
}

function nvram(element: XmlElement): PassedDisk[] {
  const named = sourcesIn(element, attributeOf(element, 'type') ?? 'file')
  return named.map(it => ({ ...it, isReadOnly: false, isFloppy: false }))
}
