// Why a guest should perhaps not get a disk, although nothing shows that the host uses it.

import { devicePath } from '../../host/devicePath.ts'
import { blocksAt, dormantOn, downwards, usesUpon } from '../../host/hostDisks.ts'
import type { BlockDevice } from '../../host/machine.ts'
import type { PassedDisk } from '../../libvirt/learn/disks.ts'
import { callDisk, type DiskPlace } from './diskPlace.ts'
import type { DiskDoubt, DiskHost, DiskNote, DiskUse } from './diskTypes.ts'
import type { HostDevice } from './hostDevices.ts'

/**
 * What there is to say of a disk that the host does not use: that it may, or that nobody can tell. `ofOthers` is
 * what another boot entry does with it. Nothing for what the guest can only read.
 */
export function doubtsOf(
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
  if (place.blocks.some(it => isRemovable(it, all))) return [{ ...about, code: 'DISK_REMOVABLE' }]
  const content = place.blocks.map(it => dormantOn(it, all)).find(it => it !== undefined)
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
  if (!isBlock && !place.paths.some(isDiskPath) && name.kind === 'path') return []
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

/** Whether a path below `/dev` may be one of a disk: whatever is not known to be something else. */
function isDiskPath(path: string): boolean {
  return !OTHER_DEVICE.test(path)
}

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
      blocksAt(follow(it.device), all).length === 0
  )
}

function isRemovable(device: BlockDevice, all: readonly BlockDevice[]): boolean {
  return downwards(device, all).some(it => it.isRemovable)
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
  const own = downwards(block, all)
  const others = all.filter(
    it =>
      it.name.startsWith(family) &&
      it.disk === undefined &&
      !own.includes(it) &&
      usesUpon(it, all).length > 0
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
