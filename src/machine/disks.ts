// Finds the block device at a path, how the host uses it, and its content.

import { posix } from 'node:path'
import type { BlockDevice, BlockUse } from './machine.ts'

/** A use by the host, with the block device that is used. */
export interface BlockDeviceUse extends BlockUse {
  blockDevice: string
}

/** The block devices at a path below `/dev`; several if more than one claims the same symlink. */
export function blockDevicesAt(text: string, blocks: readonly BlockDevice[]): BlockDevice[] {
  const path = devicePath(text)
  if (path === undefined) return []
  const rest = path.slice('/dev/'.length)
  const [first = '', second, ...more] = rest.split('/')
  const mapping =
    second === undefined || more.length > 0
      ? undefined
      : first === 'mapper'
        ? second
        : mappingOf(first, second)
  const number = first === 'block' ? second : undefined
  return blocks.filter(
    it =>
      it.name === rest.replaceAll('/', '!') ||
      (mapping !== undefined && it.mapping === mapping) ||
      (number !== undefined && it.number === number) ||
      it.links?.includes(rest) === true ||
      isGenericOf(rest, it)
  )
}

/** True for the character device that sends commands to a disk, and so can write to the disk. */
function isGenericOf(name: string, { generic, scsi, disk, name: block }: BlockDevice): boolean {
  if (disk !== undefined) return false
  return (
    (generic !== undefined && generic === name) ||
    (scsi !== undefined && name === `bsg/${scsi}`) ||
    (name.startsWith('ng') && block === name.replace('ng', 'nvme'))
  )
}

/**
 * How the host uses a block device, its partitions and everything built on them; mounts and swap first. For a
 * partition, includes uses of the whole disk. A loop device on a disk is treated as that disk.
 */
export function hostUsesOf(device: BlockDevice, blocks: readonly BlockDevice[]): BlockDeviceUse[] {
  const looped = withLooped(device, blocks)
  const stacked = withStacked(looped, blocks, true)
  const disk = blocks.find(it => it.name === device.disk)
  const whole = disk && disk.uses.length > 0 ? withStacked([disk], blocks, false) : []
  const isItself = ({ kind, name }: BlockUse) =>
    kind === 'loop' && looped.some(it => it.name === name)
  const uses = [...new Set([...stacked, ...whole])].flatMap(({ name, uses }) =>
    uses.filter(it => !isItself(it)).map((it): BlockDeviceUse => ({ ...it, blockDevice: name }))
  )
  const isEnd = ({ kind }: BlockUse) => kind === 'mount' || kind === 'swap'
  return [...uses.filter(isEnd), ...uses.filter(it => !isEnd(it))]
}

/** A block device and, for a loop device, its backing device, which loop devices, unlike mappings, don't claim. */
function withLooped(device: BlockDevice, blocks: readonly BlockDevice[]): BlockDevice[] {
  return withAllFrom([device], at =>
    blocks.filter(it => at.name.startsWith('loop') && at.parts.includes(it.name))
  )
}

/** These block devices and everything built on them, with the partitions of `from` if `withPartitions`. */
function withStacked(
  from: readonly BlockDevice[],
  blocks: readonly BlockDevice[],
  withPartitions: boolean
): BlockDevice[] {
  return withAllFrom(from, at => {
    const countsPartitions = withPartitions || !from.includes(at)
    return blocks.filter(
      it => it.parts.includes(at.name) || (it.disk === at.name && countsPartitions)
    )
  })
}

/** A block device, everything that it is built on, and the disks of all partitions among these. */
export function withUnderlying(device: BlockDevice, blocks: readonly BlockDevice[]): BlockDevice[] {
  return withAllFrom([device], at =>
    blocks.filter(it => at.parts.includes(it.name) || it.name === at.disk)
  )
}

/** `from`, and everything that `next` reaches from it in any number of steps. */
function withAllFrom(
  from: readonly BlockDevice[],
  next: (at: BlockDevice) => readonly BlockDevice[]
): BlockDevice[] {
  const found = new Set(from)
  // A loop over a set also visits devices that are added during the loop.
  for (const at of found) for (const it of next(at)) found.add(it)
  return [...found]
}

const MEMBERS =
  /^(?:crypto_LUKS|LVM2_member|zfs_member|\w+_raid_member|bcachefs|bcache|swap|swsuspend)$/

/** Content that the host may use later, such as `crypto_LUKS`, on a block device or on something built on it. */
export function dormantContent(
  device: BlockDevice,
  blocks: readonly BlockDevice[]
): string | undefined {
  return withStacked([device], blocks, true).find(it => MEMBERS.test(it.content ?? ''))?.content
}

// Paths below /dev that name disks, compared as text.

const TAGS: Readonly<Record<string, string>> = {
  UUID: 'by-uuid',
  LABEL: 'by-label',
  PARTUUID: 'by-partuuid',
  PARTLABEL: 'by-partlabel',
  ID: 'by-id'
}

/**
 * The normalized path of a device: without `//` and `..`, with a mapping as `/dev/mapper/NAME`, and with an fstab tag
 * such as `UUID=…` as udev's symlink. Undefined for anything else that isn't a path below `/dev`.
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

/** The normalized form of an absolute path that isn't below `/dev`; undefined for anything else. */
export function filePath(text: string): string | undefined {
  if (!text.startsWith('/')) return undefined
  const path = posix.normalize(text).replace(/(?<=.)\/$/, '')
  return devicePath(path) === undefined ? path : undefined
}

/** A label as udev writes it in a symlink, with special characters as `\x20`. */
export function udevName(text: string): string {
  return text.replace(/[^\w#+.:=@\u0080-\uffff-]/g, it => {
    return `\\x${it.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

/** The name that a logical volume has in `/dev/mapper`. */
function mappingOf(group: string, volume: string): string {
  return `${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`
}

/** True if two paths, as `devicePath` returns them, are the same device according to their text. */
export function isSamePath(one: string, other: string): boolean {
  return one === other || asMapping(one) === asMapping(other)
}

const FOLDERS =
  /^(?:block|bsg|bus|char|cpu|disk|dri|fd|hugepages|input|mapper|md|net|pts|shm|snd|usb|vfio|zvol)$/

function asMapping(path: string): string {
  const [, group = '', volume = ''] = /^\/dev\/([^/]+)\/([^/]+)$/.exec(path) ?? []
  return group === '' || FOLDERS.test(group) ? path : `/dev/mapper/${mappingOf(group, volume)}`
}

/** True if `part` is a partition of `disk` according to their names: `sda1`, `nvme0n1p2`, `…-part3`. */
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
