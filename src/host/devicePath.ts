// Paths below /dev that name disks, compared by their text alone.

import { posix } from 'node:path'

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
  if (/^\/dev\/(?:disk\/by-(?:id|path)|mapper|zvol)\//.test(disk) && /^-part\d+$/.test(rest))
    return true
  if (disk.startsWith('/dev/disk/')) return false
  if (/\d$/.test(disk)) return /^p\d+$/.test(rest)
  return (
    /^\/dev\/(?:(?:sd|vd|hd|xvd)[a-z]+|mapper\/mpath\w*|md\/.+)$/.test(disk) && /^\d+$/.test(rest)
  )
}
