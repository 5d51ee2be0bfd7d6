// Compares the disks of a guest with the disks that the host uses.

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
import { diskLabel } from '../messages/guests.ts'
import type {
  ConfiguredDevice,
  DiskDoubt,
  DiskHost,
  DiskNote,
  DiskUse,
  JudgedDisks
} from './configuredDevices.ts'
import { pathsOfVolume, systemFolderAt } from './sharedFolders.ts'

/**
 * The guest's disks that the host uses, and notes about the other disks. The host uses a disk if the disk, a partition
 * of it, or a device on top of it is mounted, is swap, or is a member of an array, mapping or pool. The host also uses
 * a disk if the configuration names one of these devices, mounted or not. There are no notes about image files, or
 * about read-only disks that the host does not use.
 */
export function judgeDisks(disks: readonly PassedDisk[], host: DiskHost): JudgedDisks {
  const judged: JudgedDisks = { used: [], notes: [] }
  for (const disk of disks) {
    const name = diskLabel(disk.name)
    const folder = sharedFolder(disk, host)
    if (folder !== undefined) judged.used.push({ disk, name, uses: [], folder })
    const place = placeOf(disk, host)
    const all = usesOf(place, host)
    const uses = all.filter(it => !isOfOtherEntry(it, host))
    if (uses.length === 0) judged.notes.push(...doubtsOf(disk, place, all, host))
    else if (disk.isReadOnly) {
      // Host and guest can both read a disc in an optical drive.
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

// Disks that the host may use, although nothing shows that it does.

/**
 * The notes about a disk that the host is not known to use: the host may use the disk, or that can't be determined.
 * `ofOthers` are the uses by other boot entries. There are no notes about read-only disks.
 */
function doubtsOf(
  disk: PassedDisk,
  place: DiskPlace,
  ofOthers: readonly DiskUse[],
  host: DiskHost
): DiskNote[] {
  const { kind } = disk.name
  if (disk.isReadOnly || kind === 'folder' || kind === 'usb') return []
  const about = { disk, name: diskLabel(disk.name) }
  if (ofOthers.length > 0) return [{ ...about, code: 'DISK_OF_ENTRY', uses: ofOthers }]
  if (place.blocks.length === 0) return absent(disk, place, host).map(it => ({ ...about, ...it }))
  const all = host.machine?.blocks ?? []
  const unresolved = unresolvedDevices(host)
  if (unresolved.length > 0) return [{ ...about, code: 'DISK_NOT_IN_DUMP', devices: unresolved }]
  const below = place.blocks.flatMap(it => withUnderlying(it, all))
  if (below.some(it => it.isRemovable)) return [{ ...about, code: 'DISK_REMOVABLE' }]
  const content = place.blocks.map(it => dormantContent(it, all)).find(it => it !== undefined)
  if (content !== undefined) return [{ ...about, code: 'DISK_DORMANT', content }]
  if (mayBeInPool(place, host)) return [{ ...about, code: 'DISK_MAY_BE_POOL' }]
  const renumbered = renumberedBy(disk, place, host)
  return renumbered ? [{ ...about, ...renumbered }] : []
}

/** The doubts about a disk that is not a block device of the machine. */
function absent(disk: PassedDisk, place: DiskPlace, host: DiskHost): DiskDoubt[] {
  const { name, isBlock } = disk
  if (name.kind === 'volume') {
    const pool = host.poolCalled(name.pool)
    if (pool ? !pool.isOfDisks : IMAGE.test(name.volume)) return []
    return [{ code: 'VOLUME_UNSEEN' }]
  }
  // Character devices and files in memory are not disks; QEMU arguments name many of them.
  const isOther = !isBlock && place.paths.every(it => OTHER_DEVICE.test(it))
  if (isOther && name.kind === 'path') return []
  if (host.machine?.blocks === undefined) return [{ code: 'DISK_UNSEEN' }]
  // A dump has the kernel's names of devices, but not the other names.
  const isKnown = name.kind !== 'path' || place.paths.some(it => KERNEL_NAME.test(it))
  return host.isDump && !isKnown
    ? [{ code: 'DISK_NOT_IN_DUMP', devices: [] }]
    : [{ code: 'DISK_MISSING' }]
}

const KERNEL_NAME =
  /^\/dev\/(?:(?:sd|vd|hd|xvd)[a-z]+\d*|(?:nvme\d+n\d+|mmcblk\d+|md\d+)(?:p\d+)?|dm-\d+|zd\d+(?:p\d+)?)$/

const IMAGE = /\.(?:qcow2?|img|raw|iso|vmdk|vdi|vhdx?|qed|luks|snap\w*|bin|fd)$/i

/** Paths in `/dev` that are certainly not disks. */
const OTHER_DEVICE =
  /^\/dev\/(?:(?:shm|hugepages[^/]*|mqueue|input|vfio|dri|net|bus|snd|char|pts|fd|usb|cpu)(?:\/.*)?|(?:kvmfr|hidraw|video|tty|vhost|nvidia|rtc|tpm|dax|uinput)[^/]*|null|zero|full|u?random|hwrng|kvm|ptmx|userfaultfd|std(?:in|out|err))$/

/** The configuration's devices whose disk is unknown because the machine's data lacks their names. */
function unresolvedDevices({ machine, isDump, devices, follow }: DiskHost): ConfiguredDevice[] {
  const all = machine?.blocks ?? []
  const lacksNames = isDump || all.every(it => it.links === undefined)
  if (!lacksNames) return []
  const mounted = all.flatMap(it => it.uses.filter(at => at.kind === 'mount').map(at => at.name))
  return devices.filter(
    it =>
      it.kind !== 'pool' &&
      it.device.startsWith('/dev/') &&
      !(it.kind === 'mount' && mounted.includes(it.name)) &&
      blockDevicesAt(follow(it.device), all).length === 0
  )
}

/** Whether the host has a ZFS pool and the disk may be a member of it, because no member is known. */
function mayBeInPool({ blocks }: DiskPlace, { machine, devices }: DiskHost): boolean {
  const all = machine?.blocks ?? []
  const hasPool = devices.some(it => it.kind === 'pool') || machine?.hasPools === true
  // A ZFS volume is on top of a pool, so it is not a member.
  const isVolume = blocks.every(it => /^zd\d/.test(it.name))
  return hasPool && !isVolume && !all.some(it => it.content === 'zfs_member')
}

const NUMBERED = /^\/dev\/(sd|vd|hd|xvd|nvme|mmcblk|dm-|md|zd|nbd)(?:[a-z]+|\d)/

/** The doubt about a disk name that can change at the next boot: the kernel numbers disks in order of detection. */
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
    link: isDump ? undefined : persistentName(block),
    others: others.map(it => it.name)
  }
}

/** A persistent name of a device. */
function persistentName({ mapping, links = [] }: BlockDevice): string | undefined {
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

// Which block devices a guest's disk is on the host, and how the host uses them.

/** The paths and block devices of a disk on the host. */
interface DiskPlace {
  /** Paths of devices, as `devicePath` returns them. */
  paths: readonly string[]
  /** Paths of image files, as `filePath` returns them. */
  files: readonly string[]
  blocks: readonly BlockDevice[]
}

const NOWHERE: DiskPlace = { paths: [], files: [], blocks: [] }

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

/** All uses of a disk by the host: first the machine's, then those that the configuration has for any boot entry. */
function usesOf(place: DiskPlace, host: DiskHost): DiskUse[] {
  const all = host.machine?.blocks ?? []
  const machine = place.blocks.flatMap(it => hostUsesOf(it, all))
  const seen = uniqueBy(machine, it => [it.kind, it.name, it.blockDevice].join('\0'))
  const configured = host.devices
    .filter(it => isUsedBy(it, place, host))
    // If it is mounted now, the machine's uses already include it.
    .filter(it => {
      const kind = it.kind === 'pool' ? 'zfs' : it.kind
      return !seen.some(at => at.kind === kind && at.name === it.name)
    })
  return [
    ...seen.map((it): DiskUse => ({ by: 'machine', ...it })),
    ...configured.map((it): DiskUse => ({ by: 'configuration', ...it }))
  ]
}

/** Whether a device that the configuration uses is the disk, is on the disk, or contains the disk. */
function isUsedBy(
  used: ConfiguredDevice,
  { paths, files, blocks }: DiskPlace,
  host: DiskHost
): boolean {
  const all = host.machine?.blocks ?? []
  if (files.includes(used.device)) return true
  if (used.kind === 'pool') {
    // A member of an unknown pool may be in any pool. In a dump, placeholders replace the names of pools.
    return all.some(
      it =>
        it.content === 'zfs_member' &&
        (host.isDump || it.pool === undefined || it.pool === used.device) &&
        isBelow(blocks, it, all)
    )
  }
  // These kinds name only the disk. Its partitions may be free: a boot loader is installed before the first one.
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

/** Whether `above` is one of the devices, or is built on one. */
function isBelow(
  devices: readonly BlockDevice[],
  above: BlockDevice,
  all: readonly BlockDevice[]
): boolean {
  const below = withUnderlying(above, all)
  return devices.some(it => below.includes(it))
}

// The guests in a configuration.

/** A guest that a file defines. */
export interface DefinedGuest {
  file: SourceFile
  name: string
  /** Without `start`, which would be an offset in the converted XML. */
  disks: readonly PassedDisk[]
}

/**
 * The guests in these files, with their disks. Omits guests that have to be computed, guests in XML files, and files
 * with several guests.
 */
export function guestsIn(files: readonly SourceFile[]): DefinedGuest[] {
  return files.flatMap(file => {
    const root = file.text.includes('guests') ? domainIn(file.doc) : undefined
    if (!root) return []
    const disks = passedDisks(root).map(({ start, ...it }) => it)
    return [{ file, name: guestName({ root }) ?? '', disks }]
  })
}
