// The block devices of a machine: how they lie on each other, their names, and what the host does with
// each of them.

import type { BlockDevice, BlockUse, UsbPlace } from './machine.ts'
import { type BlockTree, blockTree, plainName, readMounts, readSwaps } from './readStorage.ts'
import type { Source } from './source.ts'

const BLOCK = '/sys/class/block'

type Plain = Omit<BlockDevice, 'uses'>

/**
 * Reads all block devices with their uses; undefined where sysfs has none to read. Of a recording that
 * lacks something, what is missing is absent: names that udev gave, the place on a SCSI host, the USB device.
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
  return plain.map(it => ({ ...it, uses: usesOf(it.name, uses) }))
}

interface UseOn extends BlockUse {
  on: string
}

function usesOf(name: string, all: readonly UseOn[]): BlockUse[] {
  const own = all.filter(it => it.on === name)
  return own
    .filter((it, i) => own.findIndex(at => at.kind === it.kind && at.name === it.name) === i)
    .map(it => ({ kind: it.kind, name: it.name }))
}

// ---- one block device

function readBlock(source: Source, name: string, names: readonly string[], tree: BlockTree): Plain {
  const folder = `${BLOCK}/${name}`
  // There can be hundreds of loop devices, and only those on a block device are of interest.
  if (/^(?:loop|zram)\d/.test(name))
    return { name, parts: loopParts(source, name, names, tree), isRemovable: false }
  const path = source.link(folder) ?? ''
  const number = source.text(`${folder}/dev`)?.trim()
  const mapping = source.text(`${folder}/dm/name`)?.trim()
  const disk = diskOf(name, path, names)
  const udev = number === undefined ? '' : (source.text(`/run/udev/data/b${number}`) ?? '')
  const content = /^E:ID_FS_TYPE=(.+)$/m.exec(udev)?.[1]
  const pool = content === 'zfs_member' ? /^E:ID_FS_LABEL=(.+)$/m.exec(udev)?.[1] : undefined
  const links = linksIn(udev)
  const scsi = /\/(\d+:\d+:\d+:\d+)\/block\//.exec(path)?.[1]
  const [generic] =
    scsi === undefined || disk !== undefined
      ? []
      : (source.names(`${folder}/device/scsi_generic`) ?? [])
  const usb = usbOf(source, path)
  const isRemovable =
    usb !== undefined ||
    /^mmcblk\d/.test(name) ||
    source.text(`${BLOCK}/${disk ?? name}/removable`)?.trim() === '1'
  return {
    name,
    parts: source.names(`${folder}/slaves`) ?? [],
    isRemovable,
    ...(number === undefined ? {} : { number }),
    ...(disk === undefined ? {} : { disk }),
    ...(mapping === undefined ? {} : { mapping }),
    ...(links === undefined ? {} : { links }),
    ...(scsi === undefined ? {} : { scsi }),
    ...(generic === undefined ? {} : { generic }),
    ...(usb === undefined ? {} : { usb }),
    ...(content === undefined ? {} : { content }),
    ...(pool === undefined ? {} : { pool })
  }
}

/** A partition lies in the folder of its disk; where no link says so, the names do. */
function diskOf(name: string, path: string, names: readonly string[]): string | undefined {
  const around = path.split('/').at(-2)
  if (around !== undefined) return names.includes(around) ? around : undefined
  const byName = /^(.*\d)p\d+$/.exec(name)?.[1] ?? /^((?:sd|vd|hd|xvd)[a-z]+)\d+$/.exec(name)?.[1]
  return byName !== undefined && names.includes(byName) ? byName : undefined
}

/** The links that udev made for a device; undefined where they are not all told. */
function linksIn(udev: string): string[] | undefined {
  const links = [...udev.matchAll(/^S:(.+)$/gm)].map(it => it[1] ?? '')
  return links.length === 0 ? undefined : links
}

function usbOf(source: Source, path: string): UsbPlace | undefined {
  const port = /.*\/(\d+-[\d.]+)\/\d+-[\d.]+:\d+\.\d+\//.exec(path)?.[1]
  if (port === undefined) return undefined
  const folder = `/sys/bus/usb/devices/${port}`
  const text = (name: string) => source.text(`${folder}/${name}`)?.trim()
  const [vendor, product] = [text('idVendor'), text('idProduct')]
  const [bus, device] = [text('busnum'), text('devnum')]
  return {
    port,
    ...(vendor === undefined ? {} : { vendor }),
    ...(product === undefined ? {} : { product }),
    ...(bus === undefined ? {} : { bus: Number(bus) }),
    ...(device === undefined ? {} : { device: Number(device) })
  }
}

/** The block device that a loop device makes another one of; most are made of files. */
function loopParts(
  source: Source,
  name: string,
  names: readonly string[],
  tree: BlockTree
): string[] {
  if (!name.startsWith('loop')) return []
  const file = source.text(`${BLOCK}/${name}/loop/backing_file`)?.trim() ?? ''
  if (!file.startsWith('/dev/')) return []
  const own = file.slice('/dev/'.length)
  return [names.includes(own) ? own : tree.named(file)].filter(it => it !== undefined)
}

// ---- what the host does with them

function mountsAndSwap(source: Source, tree: BlockTree): UseOn[] {
  // What a pool of ZFS lies on is seen by its members.
  const mounts = readMounts(source, tree).filter(it => it.type !== 'zfs')
  const own = mounts.map((it): UseOn => ({ kind: 'mount', name: it.point, on: it.blockDevice }))
  const swaps = readSwaps(source, tree).map((it): UseOn => ({ kind: 'swap', name: '', on: it }))
  return [...own, ...swaps, ...onMemory(source)]
}

/** Loop devices and compressed memory, which are not in the tree, by the names that the kernel says. */
function onMemory(source: Source): UseOn[] {
  const mounts = (source.text('/proc/self/mountinfo') ?? '')
    .split('\n')
    .flatMap((line): UseOn[] => {
      const on = / - \S+ \/dev\/((?:loop|zram)\d\w*) /.exec(line)?.[1]
      const name = plainName(line.split(' ')[4] ?? '')
      return on === undefined ? [] : [{ kind: 'mount', name, on }]
    })
  const swaps = (source.text('/proc/swaps') ?? '').match(/^\/dev\/(?:loop|zram)\d+(?=\s)/gm) ?? []
  return [...mounts, ...swaps.map((it): UseOn => ({ kind: 'swap', name: '', on: it.slice(5) }))]
}

/** What arrays, mappings and the like are made of. */
function memberships(source: Source, all: readonly Plain[]): UseOn[] {
  const uses = all.flatMap(whole => {
    const name = whole.mapping ?? whole.name
    return whole.parts.flatMap((on): UseOn[] => {
      const kind = membership(
        source,
        whole,
        all.find(it => it.name === on)
      )
      return kind === undefined ? [] : [{ kind, name, on }]
    })
  })
  const caches = all
    .filter(it => /^(?:sd|nvme|vd|md|dm-|mmcblk)/.test(it.name))
    .filter(it => source.link(`${BLOCK}/${it.name}/bcache/set`) !== undefined)
    .map((it): UseOn => ({ kind: 'bcache', name: '', on: it.name }))
  return [...uses, ...caches]
}

/** As what one block device is part of another; undefined for a mere other way to it. */
function membership(
  source: Source,
  whole: Plain,
  part: Plain | undefined
): BlockUse['kind'] | undefined {
  if (whole.name.startsWith('loop')) return 'loop'
  if (whole.name.startsWith('bcache')) return 'bcache'
  if (whole.name.startsWith('md')) return 'md'
  const uuid = source.text(`${BLOCK}/${whole.name}/dm/uuid`)?.trim() ?? ''
  // The paths of multipath and the partitions in a mapping: in use only if something on them is.
  if (/^(?:mpath|part\d+)\b/.test(uuid)) return undefined
  if (uuid.startsWith('CRYPT') || part?.content === 'crypto_LUKS') return 'luks'
  return uuid.startsWith('LVM') || part?.content === 'LVM2_member' ? 'lvm' : 'mapping'
}

/** The kernel lists the members of file systems over several devices only while they are mounted. */
function fileSystemMembers(source: Source): UseOn[] {
  const btrfs = (source.names('/sys/fs/btrfs') ?? [])
    .flatMap(it => source.names(`/sys/fs/btrfs/${it}/devices`) ?? [])
    .map((on): UseOn => ({ kind: 'btrfs', name: '', on }))
  const bcachefs = (source.names('/sys/fs/bcachefs') ?? []).flatMap(it => {
    const folder = `/sys/fs/bcachefs/${it}`
    return (source.names(folder) ?? [])
      .filter(name => name.startsWith('dev-'))
      .map(name => source.link(`${folder}/${name}/block`)?.split('/').at(-1))
      .filter(on => on !== undefined)
      .map((on): UseOn => ({ kind: 'bcachefs', name: '', on }))
  })
  return [...btrfs, ...bcachefs]
}

const POOLS = '/proc/spl/kstat/zfs'

/**
 * The members of imported ZFS pools. udev tells the pool of a member; where it does not, each member
 * counts as soon as any pool is imported.
 */
function poolMembers(source: Source, all: readonly Plain[]): UseOn[] {
  const members = all.filter(it => it.content === 'zfs_member')
  if (members.length === 0) return []
  const pools = poolNames(source)
  const isAny = hasPools(source)
  return members
    .filter(it => (it.pool === undefined || pools.length === 0 ? isAny : pools.includes(it.pool)))
    .map((it): UseOn => ({ kind: 'zfs', name: it.pool ?? '', on: it.name }))
}

/** Whether any pool of ZFS is imported. */
export function hasPools(source: Source): boolean {
  const isMounted = / - zfs /.test(source.text('/proc/self/mountinfo') ?? '')
  const hasVolume = source.names(BLOCK)?.some(it => /^zd\d/.test(it)) === true
  return isMounted || hasVolume || poolNames(source).length > 0
}

function poolNames(source: Source): string[] {
  const names = source.names(POOLS) ?? []
  return names.filter(it => source.text(`${POOLS}/${it}/state`) !== undefined)
}
