// Which block device a path means, and what the host does with it or with what lies on it.

import { posix } from 'node:path'
import type { BlockDevice, BlockUse } from './machine.ts'

/** A use, and the block device that has it. */
export interface PlacedUse extends BlockUse {
  blockDevice: string
}

/**
 * The block devices that a path below `/dev` names: none where the machine has it not, several where more than
 * one of them lays claim to a link.
 */
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

/** Whether it is the character device that takes commands for a disk, which can write to it as well. */
function isGenericOf(name: string, { generic, scsi, disk, name: block }: BlockDevice): boolean {
  if (disk !== undefined) return false
  return (
    (generic !== undefined && generic === name) ||
    (scsi !== undefined && name === `bsg/${scsi}`) ||
    (name.startsWith('ng') && block === name.replace('ng', 'nvme'))
  )
}

/**
 * What the host does with a block device, with its partitions, and with all that is made of these. Of the disk
 * around a partition only that counts which takes the disk as a whole. A loop device on a disk is that disk. What
 * is mounted comes first.
 */
export function hostUsesOf(device: BlockDevice, blocks: readonly BlockDevice[]): PlacedUse[] {
  const looped = withLooped(device, blocks)
  const own = withStacked(looped, blocks, true)
  const disk = blocks.find(it => it.name === device.disk)
  const whole = disk && disk.uses.length > 0 ? withStacked([disk], blocks, false) : []
  const isItself = ({ kind, name }: BlockUse) =>
    kind === 'loop' && looped.some(it => it.name === name)
  const uses = [...new Set([...own, ...whole])].flatMap(({ name, uses }) =>
    uses.filter(it => !isItself(it)).map((it): PlacedUse => ({ ...it, blockDevice: name }))
  )
  const isEnd = ({ kind }: BlockUse) => kind === 'mount' || kind === 'swap'
  return [...uses.filter(isEnd), ...uses.filter(it => !isEnd(it))]
}

/** A block device, and those that it gives another name to: unlike mappings, loop devices claim no disk. */
function withLooped(device: BlockDevice, blocks: readonly BlockDevice[]): BlockDevice[] {
  return withAllFrom([device], at =>
    blocks.filter(it => at.name.startsWith('loop') && at.parts.includes(it.name))
  )
}

/** The block devices from some on upwards: their partitions if these count, and what is made of them. */
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

/** The block devices below one: the disk around it, and what it is made of; with itself. */
export function withUnderlying(device: BlockDevice, blocks: readonly BlockDevice[]): BlockDevice[] {
  return withAllFrom([device], at =>
    blocks.filter(it => at.parts.includes(it.name) || it.name === at.disk)
  )
}

/** Some block devices, and all that are reached from them step by step. */
function withAllFrom(
  from: readonly BlockDevice[],
  next: (at: BlockDevice) => readonly BlockDevice[]
): BlockDevice[] {
  const found = new Set(from)
  // A set gives what is added to it meanwhile, too.
  for (const at of found) for (const it of next(at)) found.add(it)
  return [...found]
}

const MEMBERS =
  /^(?:crypto_LUKS|LVM2_member|zfs_member|\w+_raid_member|bcachefs|bcache|swap|swsuspend)$/

/** What a block device holds that the host may take into use, and does not use now. */
export function dormantContent(
  device: BlockDevice,
  blocks: readonly BlockDevice[]
): string | undefined {
  return withStacked([device], blocks, true).find(it => MEMBERS.test(it.content ?? ''))?.content
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
