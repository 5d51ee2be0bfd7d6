// The disks of a guest, held against what the host uses.

import { uniqueBy } from '../../collections.ts'
import type { SourceFile } from '../../configuration/files.ts'
import { guestName } from '../../guests/convert.ts'
import { type DiskName, type PassedDisk, passedDisks } from '../../guests/needs/disks.ts'
import {
  blockDevicesAt,
  devicePath,
  dormantContent,
  filePath,
  hostUsesOf,
  isPartitionOf,
  isSamePath,
  withUnderlying
} from '../../machine/disks.ts'
import type { BlockDevice, UsbPlace } from '../../machine/machine.ts'
import { domainIn } from '../guest.ts'
import type {
  DiskDoubt,
  DiskHost,
  DiskNote,
  DiskUse,
  HostDevice,
  JudgedDisks
} from './hostDevices.ts'
import { pathsOfVolume, systemFolderAt } from './sharedFolders.ts'

/**
 * Which disks of a guest the host uses, and what there is to say of the others. A disk counts as used if the
 * host has it, a part of it or what is made of it mounted, as swap or as a member of an array, a mapping or a
 * pool; or if the configuration names one of these, also where that is not mounted now. Nothing is said of what
 * the guest can only read and the host does not use, and of images in files.
 */
export function judgeDisks(disks: readonly PassedDisk[], host: DiskHost): JudgedDisks {
  const judged: JudgedDisks = { used: [], notes: [] }
  for (const disk of disks) {
    const name = callDisk(disk.name)
    const folder = sharedFolder(disk, host)
    if (folder !== undefined) judged.used.push({ disk, name, uses: [], folder })
    const place = placeOf(disk, host)
    const all = usesOf(place, host)
    const uses = all.filter(it => !isOfOtherEntry(it, host))
    if (uses.length === 0) judged.notes.push(...doubtsOf(disk, place, all, host))
    else if (disk.isReadOnly) {
      // What lies in a drive for discs can be read by both.
      const isDisc = place.blocks.length > 0 && place.blocks.every(it => /^sr\d/.test(it.name))
      if (!isDisc) judged.notes.push({ code: 'DISK_READ', disk, name, uses })
    } else if (disk.isFloppy) judged.notes.push({ code: 'DISK_IN_FLOPPY', disk, name, uses })
    else judged.used.push({ disk, name, uses })
  }
  return judged
}

function isOfOtherEntry(use: DiskUse, { entry }: DiskHost): boolean {
  return use.by === 'configuration' && use.entry !== '' && entry !== '' && use.entry !== entry
}

function sharedFolder({ name, isReadOnly }: PassedDisk, host: DiskHost): string | undefined {
  if (name.kind !== 'folder' || isReadOnly) return undefined
  return systemFolderAt(name.path) ?? systemFolderAt(host.follow(name.path))
}

// Why a guest should perhaps not get a disk, although nothing shows that the host uses it.

/**
 * What there is to say of a disk that the host does not use: that it may, or that nobody can tell. `ofOthers` is
 * what another boot entry does with it. Nothing for what the guest can only read.
 */
function doubtsOf(
  disk: PassedDisk,
  place: DiskPlace,
  ofOthers: readonly DiskUse[],
  host: DiskHost
): DiskNote[] {
  const { kind } = disk.name
  if (disk.isReadOnly || kind === 'folder' || kind === 'usb') return []
  const about = { disk, name: callDisk(disk.name) }
  if (ofOthers.length > 0) return [{ ...about, code: 'DISK_OF_ENTRY', uses: ofOthers }]
  if (place.blocks.length === 0) return absent(disk, place, host).map(it => ({ ...about, ...it }))
  const all = host.machine?.blocks ?? []
  const unsettled = unsettledIn(host)
  if (unsettled.length > 0) return [{ ...about, code: 'DISK_NOT_IN_DUMP', devices: unsettled }]
  const below = place.blocks.flatMap(it => withUnderlying(it, all))
  if (below.some(it => it.isRemovable)) return [{ ...about, code: 'DISK_REMOVABLE' }]
  const content = place.blocks.map(it => dormantContent(it, all)).find(it => it !== undefined)
  if (content !== undefined) return [{ ...about, code: 'DISK_DORMANT', content }]
  if (isPoolUnplaced(place, host)) return [{ ...about, code: 'DISK_MAY_BE_POOL' }]
  const renumbered = renumberedBy(disk, place, host)
  return renumbered ? [{ ...about, ...renumbered }] : []
}

/** Of what is no block device of the machine. */
function absent(disk: PassedDisk, place: DiskPlace, host: DiskHost): DiskDoubt[] {
  const { name, isBlock } = disk
  if (name.kind === 'volume') {
    const pool = host.poolCalled(name.pool)
    if (pool ? !pool.isOfDisks : IMAGE.test(name.volume)) return []
    return [{ code: 'VOLUME_UNSEEN' }]
  }
  // A character device or a file in memory is no disk, and the arguments of QEMU name many of these.
  const isOther = !isBlock && place.paths.every(it => OTHER_DEVICE.test(it))
  if (isOther && name.kind === 'path') return []
  if (host.machine?.blocks === undefined) return [{ code: 'DISK_UNSEEN' }]
  // Names that the kernel gives are in a dump as well.
  const isKnown = name.kind !== 'path' || place.paths.some(it => KERNEL_NAME.test(it))
  return host.isDump && !isKnown
    ? [{ code: 'DISK_NOT_IN_DUMP', devices: [] }]
    : [{ code: 'DISK_MISSING' }]
}

const KERNEL_NAME =
  /^\/dev\/(?:(?:sd|vd|hd|xvd)[a-z]+\d*|(?:nvme\d+n\d+|mmcblk\d+|md\d+)(?:p\d+)?|dm-\d+|zd\d+(?:p\d+)?)$/

const IMAGE = /\.(?:qcow2?|img|raw|iso|vmdk|vdi|vhdx?|qed|luks|snap\w*|bin|fd)$/i

/** What below `/dev` is no disk for sure. */
const OTHER_DEVICE =
  /^\/dev\/(?:(?:shm|hugepages[^/]*|mqueue|input|vfio|dri|net|bus|snd|char|pts|fd|usb|cpu)(?:\/.*)?|(?:kvmfr|hidraw|video|tty|vhost|nvidia|rtc|tpm|dax|uinput)[^/]*|null|zero|full|u?random|hwrng|kvm|ptmx|userfaultfd|std(?:in|out|err))$/

/** What the configuration uses, and nobody can tell on which disk, as the machine lacks the names. */
function unsettledIn({ machine, isDump, devices, follow }: DiskHost): HostDevice[] {
  const all = machine?.blocks ?? []
  const isBlind = isDump || all.every(it => it.links === undefined)
  if (!isBlind) return []
  const mounted = all.flatMap(it => it.uses.filter(at => at.kind === 'mount').map(at => at.name))
  return devices.filter(
    it =>
      it.kind !== 'pool' &&
      it.device.startsWith('/dev/') &&
      !(it.kind === 'mount' && mounted.includes(it.name)) &&
      blockDevicesAt(follow(it.device), all).length === 0
  )
}

function isPoolUnplaced({ blocks }: DiskPlace, { machine, devices }: DiskHost): boolean {
  const all = machine?.blocks ?? []
  const hasPool = devices.some(it => it.kind === 'pool') || machine?.hasPools === true
  // A volume of ZFS is made of a pool, and no member.
  const isVolume = blocks.every(it => /^zd\d/.test(it.name))
  return hasPool && !isVolume && !all.some(it => it.content === 'zfs_member')
}

const NUMBERED = /^\/dev\/(sd|vd|hd|xvd|nvme|mmcblk|dm-|md|zd|nbd)(?:[a-z]+|\d)/

/** A name that the kernel gives in the order in which it finds the disks. */
function renumberedBy(
  { name }: PassedDisk,
  { blocks }: DiskPlace,
  { machine, isDump }: DiskHost
): DiskDoubt | undefined {
  const all = machine?.blocks ?? []
  const path = name.kind === 'path' ? devicePath(name.path) : undefined
  const family = NUMBERED.exec(path ?? '')?.[1]
  const [block] = blocks
  if (family === undefined || !block) return undefined
  const own = withUnderlying(block, all)
  const others = all.filter(
    it =>
      it.name.startsWith(family) &&
      it.disk === undefined &&
      !own.includes(it) &&
      hostUsesOf(it, all).length > 0
  )
  if (others.length === 0) return undefined
  return {
    code: 'DISK_RENUMBERED',
    link: isDump ? undefined : lastingLink(block),
    others: others.map(it => it.name)
  }
}

/** A name of a device that stays the same. */
function lastingLink({ mapping, links = [] }: BlockDevice): string | undefined {
  if (mapping !== undefined) return `/dev/mapper/${mapping}`
  const wanted = [
    /^zvol\//,
    /^md\//,
    /^disk\/by-id\/(?!wwn-|nvme-eui|nvme-nvme|md-)/,
    /^disk\/by-id\//
  ]
  const found = wanted.map(it => links.find(link => it.test(link))).find(it => it !== undefined)
  return found === undefined ? undefined : `/dev/${found}`
}

// Where a disk of a guest is on the host, and what the host does with it.

/** How a disk is called: by its path, or by what names it instead. */
function callDisk(name: DiskName): string {
  switch (name.kind) {
    case 'path':
    case 'folder':
      return name.path
    case 'volume':
      return `the volume ${name.volume} of the pool ${name.pool}`
    case 'scsi':
      return `the SCSI device ${name.address}`
    case 'usb':
      if ('port' in name) return `the USB device at port ${name.port}`
      return 'vendor' in name
        ? `the USB device ${name.vendor}:${name.product}`
        : `the USB device ${name.device} on bus ${name.bus}`
  }
}

/** What may name a disk, and the block devices that it is. */
interface DiskPlace {
  /** Paths of devices, as `devicePath` gives them. */
  paths: readonly string[]
  /** Paths of image files, as `filePath` gives them. */
  files: readonly string[]
  blocks: readonly BlockDevice[]
}

const NOWHERE: DiskPlace = { paths: [], files: [], blocks: [] }

/** Where a disk is. */
function placeOf({ name }: PassedDisk, host: DiskHost): DiskPlace {
  const all = host.machine?.blocks ?? []
  switch (name.kind) {
    case 'folder':
      return NOWHERE
    case 'path':
      return placeAt([name.path], host)
    case 'volume':
      return placeAt(pathsOfVolume(name, host.poolCalled(name.pool)), host)
    case 'scsi':
      return { ...NOWHERE, blocks: all.filter(it => it.scsi === name.address) }
    case 'usb':
      return {
        ...NOWHERE,
        blocks: all.filter(
          ({ usb, disk }) => disk === undefined && usb !== undefined && isUsb(name, usb)
        )
      }
  }
}

function isUsb(name: Extract<DiskName, { kind: 'usb' }>, usb: UsbPlace): boolean {
  if ('port' in name) return usb.port === name.port
  return 'vendor' in name
    ? usb.vendor === name.vendor && usb.product === name.product
    : usb.bus === name.bus && usb.device === name.device
}

function placeAt(texts: readonly string[], { machine, follow }: DiskHost): DiskPlace {
  const all = [...new Set(texts.flatMap(it => [it, follow(it)]))]
  const paths = all.flatMap(it => devicePath(it) ?? [])
  const files = all.flatMap(it => filePath(it) ?? [])
  const blocks = paths.flatMap(it => blockDevicesAt(it, machine?.blocks ?? []))
  return { paths, files, blocks: [...new Set(blocks)] }
}

/**
 * All that the host does with a disk, what the machine shows before what only the configuration says, be it for
 * whichever boot entry.
 */
function usesOf(place: DiskPlace, host: DiskHost): DiskUse[] {
  const all = host.machine?.blocks ?? []
  const machine = place.blocks.flatMap(it => hostUsesOf(it, all))
  const seen = uniqueBy(machine, it => [it.kind, it.name, it.blockDevice].join('\0'))
  const said = host.devices
    .filter(it => isUsedBy(it, place, host))
    // What is mounted was named already.
    .filter(it => {
      const kind = it.kind === 'pool' ? 'zfs' : it.kind
      return !seen.some(at => at.kind === kind && at.name === it.name)
    })
  return [
    ...seen.map((it): DiskUse => ({ by: 'machine', ...it })),
    ...said.map((it): DiskUse => ({ by: 'configuration', ...it }))
  ]
}

/** Whether what the configuration uses is a disk, on it, or made of it. */
function isUsedBy(used: HostDevice, { paths, files, blocks }: DiskPlace, host: DiskHost): boolean {
  const all = host.machine?.blocks ?? []
  if (files.includes(used.device)) return true
  if (used.kind === 'pool') {
    // Where nobody says which pool a member is of, it is of any; a dump has placeholders for their names.
    return all.some(
      it =>
        it.content === 'zfs_member' &&
        (host.isDump || it.pool === undefined || it.pool === used.device) &&
        isBelow(blocks, it, all)
    )
  }
  // A partition is free where only the disk around it is named, to put a boot loader before all partitions.
  const isWhole = used.kind === 'boot' || used.kind === 'disko'
  const named = placeAt([used.device], host)
  const isNamed = paths.some(path =>
    named.paths.some(
      it => isSamePath(path, it) || isPartitionOf(it, path) || (!isWhole && isPartitionOf(path, it))
    )
  )
  const isInside = (it: BlockDevice) => !isWhole && blocks.some(at => at.disk === it.name)
  return isNamed || named.blocks.some(it => isBelow(blocks, it, all) || isInside(it))
}

/** Whether one of the devices is below another, or is it. */
function isBelow(
  devices: readonly BlockDevice[],
  above: BlockDevice,
  all: readonly BlockDevice[]
): boolean {
  const below = withUnderlying(above, all)
  return devices.some(it => below.includes(it))
}

// The guests that a configuration has already, and their disks.

/** A guest that a file defines. */
export interface GuestThere {
  file: SourceFile
  name: string
  /** Without places, as those would be in the XML that is made of the file. */
  disks: readonly PassedDisk[]
}

/**
 * The guests in these files, with their disks. Left out is what has to be computed, a file with several guests, and
 * what is only named as a file of XML.
 */
export function guestsThere(files: readonly SourceFile[]): GuestThere[] {
  return files.flatMap(file => {
    const root = file.text.includes('guests') ? domainIn(file.doc) : undefined
    if (!root) return []
    const disks = passedDisks(root).map(({ start, ...it }) => it)
    return [{ file, name: guestName({ root }) ?? '', disks }]
  })
}
