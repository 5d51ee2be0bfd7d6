// Where a disk of a guest is on the host, and what the host does with it.

import { devicePath, filePath, isPartitionOf, isSamePath } from '../../host/devicePath.ts'
import { blocksAt, downwards, type PlacedUse, usesUpon } from '../../host/hostDisks.ts'
import type { BlockDevice, UsbPlace } from '../../host/machine.ts'
import type { DiskName, PassedDisk } from '../../libvirt/learn/disks.ts'
import type { DiskHost, DiskUse } from './diskTypes.ts'
import type { HostDevice } from './hostDevices.ts'
import { pathsOfVolume } from './storagePool.ts'

/** How a disk is called: by its path, or by what names it instead. */
export function callDisk(name: DiskName): string {
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
export interface DiskPlace {
  /** Paths of devices, as `devicePath` gives them. */
  paths: string[]
  /** Paths of image files, as `filePath` gives them. */
  files: string[]
  blocks: BlockDevice[]
}

/** Where a disk is; both are empty for what is no disk. */
export function placeOf({ name }: PassedDisk, host: DiskHost): DiskPlace {
  const all = host.machine?.blocks ?? []
  switch (name.kind) {
    case 'folder':
      return { paths: [], files: [], blocks: [] }
    case 'path':
      return placeAt([name.path], host)
    case 'volume':
      return placeAt(pathsOfVolume(name, host.poolCalled(name.pool)), host)
    case 'scsi':
      return { paths: [], files: [], blocks: all.filter(it => it.scsi === name.address) }
    case 'usb':
      return {
        paths: [],
        files: [],
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
  const blocks = paths.flatMap(it => blocksAt(it, machine?.blocks ?? []))
  return { paths, files, blocks: [...new Set(blocks)] }
}

/**
 * All that the host does with a disk, what the machine shows before what only the configuration says, be it for
 * whichever boot entry.
 */
export function usesOf(place: DiskPlace, host: DiskHost): DiskUse[] {
  const all = host.machine?.blocks ?? []
  const machine = place.blocks.flatMap(it => usesUpon(it, all))
  const seen = machine.filter((it, i) => machine.findIndex(at => isSameUse(at, it)) === i)
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

function isSameUse(one: PlacedUse, other: PlacedUse): boolean {
  return one.kind === other.kind && one.name === other.name && one.blockDevice === other.blockDevice
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
  const below = downwards(above, all)
  return devices.some(it => below.includes(it))
}
