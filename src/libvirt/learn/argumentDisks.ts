// The disks and folders of the host in QEMU's own arguments, of which libvirt knows nothing.

import { attributeOf, findAll, type XmlElement } from '../tree.ts'
import { type DiskName, hex, type PassedDisk } from './disks.ts'

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
export function argumentDisks(root: XmlElement): PassedDisk[] {
  const all = findAll(root, 'qemu:commandline', 'qemu:arg')
  return all.flatMap((element, i) => {
    const value = attributeOf(element, 'value') ?? ''
    const before = all[i - 1]
    const flag = ((before && attributeOf(before, 'value')) ?? '').replace(/^--?/, '')
    const { start } = element
    return pathsIn(value, flag).map(it => ({ ...it, ...(start === undefined ? {} : { start }) }))
  })
}

function pathsIn(value: string, flag: string): PassedDisk[] {
  const properties = propertiesOf(value)
  if (flag === 'device' || flag === 'usbdevice') {
    const name = usbHost(properties)
    if (name) return [{ name, isReadOnly: false, isFloppy: false, isBlock: false }]
  }
  const isOn = (name: RegExp) =>
    properties.some(([key, it]) => name.test(key) && /^(?:on|yes|true)$/.test(it))
  const isReadOnly =
    flag === 'cdrom' || isOn(/^(?:readonly|read-only|snapshot)$/) || isCdrom(properties)
  if (flag === 'virtfs' || flag === 'fsdev') {
    const folders = properties.filter(([key]) => key === 'path')
    return folders.map(([, path]) => ({
      ...{ name: { kind: 'folder', path }, isReadOnly, isFloppy: false, isBlock: false }
    }))
  }
  const isDrive = DRIVES.test(flag)
  const shown = fatFolders(properties, isOn(/(?:^|\.)rw$/))
  if (shown.length > 0) {
    return shown.map(path => ({
      ...{ name: { kind: 'folder', path }, isReadOnly, isFloppy: false, isBlock: false }
    }))
  }
  const named = properties.flatMap(([key, it]) => {
    const path = it.replace(FORMATS, '')
    const isFile = FILES.test(key) || (isDrive && key === '')
    const isDevice = /^\/+(?:\.\/+)*dev\//.test(path)
    return path.startsWith('/') && (isFile || isDevice) ? [{ path, isFile }] : []
  })
  return named.map(({ path, isFile }) => ({
    name: { kind: 'path', path },
    isReadOnly,
    isFloppy: /^fd[ab]$/.test(flag),
    isBlock: isFile && (isDrive || flag === 'drive' || flag === 'blockdev')
  }))
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

function isCdrom(properties: Properties): boolean {
  return properties.some(([key, value]) => key === 'media' && value === 'cdrom')
}

type Properties = readonly (readonly [string, string])[]

/** `name=value,…` or JSON as pairs; what has no name has a blank one. */
function propertiesOf(value: string): (readonly [string, string])[] {
  if (/^\s*\{/.test(value)) return fromJson(value)
  // In a value a comma is written twice.
  const words = value.split(/(?<!,),(?!,)/)
  return words.flatMap((word): (readonly [string, string])[] => {
    const [, key = '', text = word] = /^([\w.-]+)=(.*)$/s.exec(word) ?? []
    const plain = text.replaceAll(',,', ',')
    return plain.startsWith('json:') ? fromJson(plain.slice('json:'.length)) : [[key, plain]]
  })
}

function fromJson(text: string): (readonly [string, string])[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // QEMU does not read it either.
    return []
  }
  return pairsOf('', parsed)
}

function pairsOf(key: string, value: unknown): (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[key, String(value)]]
  return Object.entries(value).flatMap(([name, it]) => pairsOf(name, it))
}
