// Reads the block devices of a machine: their names, how they are stacked, and how the host uses them.

import { defined, uniqueBy } from '../../collections.ts'
import { type Mount, parseMounts, unescapeOctal } from '../../mounts.ts'
import {
  addressesIn,
  type BlockDevice,
  type BlockUse,
  type StorageUse,
  type UsbPlace
} from '../machine.ts'
import type { Source } from '../source.ts'

const BLOCK = '/sys/class/block'

type Plain = Omit<BlockDevice, 'uses'>

/**
 * Reads all block devices with their uses; undefined if sysfs doesn't have them. Facts that a recording lacks are
 * absent, such as udev's symlinks, the SCSI address and the USB device.
 */
export function readBlocks(source: Source): BlockDevice[] | undefined {
  const names = source.names(BLOCK)?.filter(it => !/^ram\d/.test(it))
  if (names === undefined) return undefined
  const tree = blockTree(source)
  const plain = names.map(it => readBlock(source, it, names, tree))
  const uses = [
    ...mountsAndSwap(source, tree),
    ...memberships(source, plain),
    ...fileSystemMembers(source),
    ...poolMembers(source, plain)
  ]
  return plain.map(it => {
    const direct = uses.filter(({ on }) => on === it.name).map(({ kind, name }) => ({ kind, name }))
    return { ...it, uses: uniqueBy(direct, ({ kind, name }) => `${kind} ${name}`) }
  })
}

interface UseOn extends BlockUse {
  on: string
}

function useOn(on: string, kind: BlockUse['kind'], name = ''): UseOn {
  return { kind, name, on }
}

// ---- one block device

function readBlock(source: Source, name: string, names: readonly string[], tree: BlockTree): Plain {
  const folder = `${BLOCK}/${name}`
  // There can be hundreds of loop devices, and only their backing devices matter.
  if (/^(?:loop|zram)\d/.test(name)) {
    return { name, parts: loopParts(source, name, names, tree), isRemovable: false }
  }
  const path = source.link(folder) ?? ''
  const number = source.text(`${folder}/dev`)?.trim()
  const mapping = source.text(`${folder}/dm/name`)?.trim()
  const disk = diskOf(name, path, names)
  const udev = number === undefined ? '' : (source.text(`/run/udev/data/b${number}`) ?? '')
  const content = /^E:ID_FS_TYPE=(.+)$/m.exec(udev)?.[1]
  const pool = content === 'zfs_member' ? /^E:ID_FS_LABEL=(.+)$/m.exec(udev)?.[1] : undefined
  const links = [...udev.matchAll(/^S:(.+)$/gm)].map(it => it[1] ?? '')
  const scsi = /\/(\d+:\d+:\d+:\d+)\/block\//.exec(path)?.[1]
  const isWholeScsi = scsi !== undefined && disk === undefined
  const generic = isWholeScsi ? source.names(`${folder}/device/scsi_generic`)?.[0] : undefined
  const usb = usbOf(source, path)
  const isRemovable =
    usb !== undefined ||
    /^mmcblk\d/.test(name) ||
    source.text(`${BLOCK}/${disk ?? name}/removable`)?.trim() === '1'
  return {
    name,
    parts: source.names(`${folder}/slaves`) ?? [],
    isRemovable,
    // If there is no symlink at all, udev's data is missing, so the links are unknown.
    ...(links.length > 0 ? { links } : {}),
    ...defined({ number, disk, mapping, scsi, generic, usb, content, pool })
  }
}

/** The disk of a partition: from the parent folder in sysfs or, if that is unknown, from the partition's name. */
function diskOf(name: string, path: string, names: readonly string[]): string | undefined {
  const parent = path.split('/').at(-2)
  if (parent !== undefined) return names.includes(parent) ? parent : undefined
  const byName = /^(.*\d)p\d+$/.exec(name)?.[1] ?? /^((?:sd|vd|hd|xvd)[a-z]+)\d+$/.exec(name)?.[1]
  return byName !== undefined && names.includes(byName) ? byName : undefined
}

function usbOf(source: Source, path: string): UsbPlace | undefined {
  const port = /.*\/(\d+-[\d.]+)\/\d+-[\d.]+:\d+\.\d+\//.exec(path)?.[1]
  if (port === undefined) return undefined
  const folder = `/sys/bus/usb/devices/${port}`
  const text = (name: string) => source.text(`${folder}/${name}`)?.trim()
  const number = (name: string) => {
    const found = text(name)
    return found === undefined ? undefined : Number(found)
  }
  const [vendor, product] = ['idVendor', 'idProduct'].map(text)
  const [bus, device] = ['busnum', 'devnum'].map(number)
  return { port, ...defined({ vendor, product, bus, device }) }
}

/** The block device that backs a loop device; most are backed by files. */
function loopParts(
  source: Source,
  name: string,
  names: readonly string[],
  tree: BlockTree
): string[] {
  if (!name.startsWith('loop')) return []
  const file = source.text(`${BLOCK}/${name}/loop/backing_file`)?.trim() ?? ''
  if (!file.startsWith('/dev/')) return []
  const backing = file.slice('/dev/'.length)
  return [names.includes(backing) ? backing : tree.named(file)].filter(it => it !== undefined)
}

// ---- uses

function mountsAndSwap(source: Source, tree: BlockTree): UseOn[] {
  // `poolMembers` finds ZFS.
  const mounts = readMounted(source, tree).filter(it => it.type !== 'zfs')
  const mountUses = mounts.map(it => useOn(it.blockDevice, 'mount', it.point))
  const swaps = readSwaps(source, tree).map(it => useOn(it, 'swap'))
  return [...mountUses, ...swaps, ...loopAndZramUses(source)]
}

/** Mounts and swap on loop devices and zram, which are not in the tree. */
function loopAndZramUses(source: Source): UseOn[] {
  const mounts = mountsOf(source).flatMap(({ point, source: from }) => {
    const on = /^\/dev\/((?:loop|zram)\d\w*)$/.exec(from)?.[1]
    return on === undefined ? [] : [useOn(on, 'mount', point)]
  })
  const swaps = (source.text('/proc/swaps') ?? '').match(/^\/dev\/(?:loop|zram)\d+(?=\s)/gm) ?? []
  return [...mounts, ...swaps.map(it => useOn(it.slice('/dev/'.length), 'swap'))]
}

/** The members of arrays, mappings and caches. */
function memberships(source: Source, all: readonly Plain[]): UseOn[] {
  const uses = all.flatMap(whole => {
    return whole.parts.flatMap(on => {
      const part = all.find(it => it.name === on)
      const kind = membership(source, whole, part)
      return kind === undefined ? [] : [useOn(on, kind, whole.mapping ?? whole.name)]
    })
  })
  const caches = all
    .filter(it => /^(?:sd|nvme|vd|md|dm-|mmcblk)/.test(it.name))
    .filter(it => source.link(`${BLOCK}/${it.name}/bcache/set`) !== undefined)
    .map(it => useOn(it.name, 'bcache'))
  return [...uses, ...caches]
}

/** How `part` is a member of `whole`; undefined if `whole` is only another way to access `part`. */
function membership(
  source: Source,
  whole: Plain,
  part: Plain | undefined
): BlockUse['kind'] | undefined {
  if (whole.name.startsWith('loop')) return 'loop'
  if (whole.name.startsWith('bcache')) return 'bcache'
  if (whole.name.startsWith('md')) return 'md'
  const uuid = source.text(`${BLOCK}/${whole.name}/dm/uuid`)?.trim() ?? ''
  // Multipath devices and partitions of a mapping are in use only if something on them is in use.
  if (/^(?:mpath|part\d+)\b/.test(uuid)) return undefined
  if (uuid.startsWith('CRYPT') || part?.content === 'crypto_LUKS') return 'luks'
  return uuid.startsWith('LVM') || part?.content === 'LVM2_member' ? 'lvm' : 'mapping'
}

/** The members of mounted file systems that span several devices. */
function fileSystemMembers(source: Source): UseOn[] {
  const btrfs = (source.names('/sys/fs/btrfs') ?? [])
    .flatMap(it => source.names(`/sys/fs/btrfs/${it}/devices`) ?? [])
    .map(on => useOn(on, 'btrfs'))
  const bcachefs = (source.names('/sys/fs/bcachefs') ?? []).flatMap(it => {
    const folder = `/sys/fs/bcachefs/${it}`
    const members = (source.names(folder) ?? []).filter(name => name.startsWith('dev-'))
    return members
      .flatMap(name => source.link(`${folder}/${name}/block`)?.split('/').at(-1) ?? [])
      .map(on => useOn(on, 'bcachefs'))
  })
  return [...btrfs, ...bcachefs]
}

const POOLS = '/proc/spl/kstat/zfs'

/** The members of imported ZFS pools. Includes members of unknown pools if any pool is imported. */
function poolMembers(source: Source, all: readonly Plain[]): UseOn[] {
  const members = all.filter(it => it.content === 'zfs_member')
  if (members.length === 0) return []
  const pools = poolNames(source)
  const isAnyImported = hasPools(source)
  return members
    .filter(it =>
      it.pool === undefined || pools.length === 0 ? isAnyImported : pools.includes(it.pool)
    )
    .map(it => useOn(it.name, 'zfs', it.pool))
}

/** True if any ZFS pool is imported. */
export function hasPools(source: Source): boolean {
  const isMounted = mountsOf(source).some(it => it.type === 'zfs')
  const hasVolume = source.names(BLOCK)?.some(it => /^zd\d/.test(it)) === true
  return isMounted || hasVolume || poolNames(source).length > 0
}

function poolNames(source: Source): string[] {
  const names = source.names(POOLS) ?? []
  return names.filter(it => source.text(`${POOLS}/${it}/state`) !== undefined)
}

/**
 * Mounted file systems, swap, and members of LUKS and ZFS, each with the PCI devices that lead to it directly or
 * through mappings and arrays.
 */
export function readStorage(source: Source): StorageUse[] {
  const tree = blockTree(source)
  const use = (kind: StorageUse['kind'], name: string, blockDevice: string): StorageUse => ({
    kind,
    name,
    blockDevice,
    through: [...tree.through(blockDevice)].sort()
  })
  const mounts = readMounted(source, tree).map(it => use('mount', it.point, it.blockDevice))
  const swaps = readSwaps(source, tree).map(it => use('swap', it, it))
  const members = tree.names.flatMap(name => {
    const kind = memberKind(source, name)
    return kind === undefined ? [] : [use(kind, name, name)]
  })
  return [...mounts, ...swaps, ...members].filter(it => it.through.length > 0)
}

interface BlockTree {
  names: readonly string[]
  /** The block device at a path such as `/dev/mapper/root`. */
  named(path: string): string | undefined
  /** The PCI devices that lead to a block device. */
  through(name: string): Set<string>
}

/** Reads how the block devices are stacked. Omits loop devices, ram and zram. */
function blockTree(source: Source): BlockTree {
  const names = (source.names(BLOCK) ?? []).filter(it => !/^(?:loop|ram|zram)\d/.test(it))
  const mapped = new Map<string, string>()
  for (const name of names.filter(it => it.startsWith('dm-'))) {
    const title = source.text(`${BLOCK}/${name}/dm/name`)?.trim()
    if (title !== undefined) mapped.set(title, name)
  }
  const named = (path: string) => {
    const name = path.replace(/^\/dev\/(?:mapper\/)?/, '').replaceAll('/', '!')
    return names.includes(name) ? name : mapped.get(name)
  }
  const through = (name: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(name)) return new Set()
    seen.add(name)
    const path = source.link(`${BLOCK}/${name}`) ?? ''
    const found = new Set(addressesIn(path))
    // For a partition of an array, sysfs lists the members at the array.
    const parents = path.split('/block/')[1]?.split('/') ?? [name]
    const below = parents.flatMap(it => source.names(`${BLOCK}/${it}/slaves`) ?? [])
    for (const inner of below) for (const it of through(inner, seen)) found.add(it)
    for (const it of controllersOf(source, path)) found.add(it)
    return found
  }
  return { names, named, through }
}

/** The controllers of an NVMe disk with several controllers: in sysfs, such a disk is below none of them. */
function controllersOf(source: Source, path: string): string[] {
  const subsystem = /\/nvme-subsystem\/(nvme-subsys\d+)\//.exec(path)?.[1]
  if (subsystem === undefined) return []
  const folder = `/sys/devices/virtual/nvme-subsystem/${subsystem}`
  return (source.names(folder) ?? [])
    .filter(it => /^nvme\d+$/.test(it))
    .flatMap(it => addressesIn(source.link(`${folder}/${it}`) ?? ''))
}

function mountsOf(source: Source): Mount[] {
  return parseMounts(source.text('/proc/self/mountinfo') ?? '')
}

/** The mounted file systems, one entry for each block device under them. */
function readMounted(source: Source, tree: BlockTree): (Mount & { blockDevice: string })[] {
  const mounts = mountsOf(source).flatMap(mount =>
    blockDevicesUnder(source, tree, mount).map(blockDevice => ({ ...mount, blockDevice }))
  )
  return uniqueBy(mounts, it => `${it.point}\0${it.blockDevice}`)
}

/** The block devices under a mounted file system; several if the file system spans several. */
function blockDevicesUnder(
  source: Source,
  tree: BlockTree,
  { device: number, type, source: from }: Mount
): string[] {
  const name = source.link(`/sys/dev/block/${number}`)?.split('/').at(-1)
  if (name !== undefined) return [name]
  // Only udev knows the members. Without udev's data, any disk may be a member.
  if (type === 'zfs') {
    const members = tree.names.filter(it => memberKind(source, it) === 'zfs')
    return members.length > 0 ? members : [...tree.names]
  }
  const named = from.split(':').flatMap(it => tree.named(unescapeOctal(it)) ?? [])
  if (type !== 'btrfs') return named
  const pools = (source.names('/sys/fs/btrfs') ?? [])
    .map(it => source.names(`/sys/fs/btrfs/${it}/devices`) ?? [])
    // If the device is unknown, the file system may be any mounted btrfs.
    .filter(it => named.length === 0 || named.some(device => it.includes(device)))
  return [...new Set([...named, ...pools.flat()])]
}

/** The block devices in use as swap. */
function readSwaps(source: Source, tree: BlockTree): string[] {
  const lines = (source.text('/proc/swaps') ?? '').split('\n').slice(1)
  const paths = lines.map(line => line.split(/\s+/)[0] ?? '').filter(it => it.startsWith('/dev/'))
  return paths.flatMap(it => tree.named(unescapeOctal(it)) ?? [])
}

/** The type of member that udev detected on a block device. */
function memberKind(source: Source, name: string): 'luks' | 'zfs' | undefined {
  const number = source.text(`${BLOCK}/${name}/dev`)?.trim()
  const facts = number === undefined ? undefined : source.text(`/run/udev/data/b${number}`)
  const type = /^E:ID_FS_TYPE=(.*)$/m.exec(facts ?? '')?.[1]
  return type === 'crypto_LUKS' ? 'luks' : type === 'zfs_member' ? 'zfs' : undefined
}
