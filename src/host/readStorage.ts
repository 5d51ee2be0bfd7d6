import { addressesIn, type StorageUse } from './machine.ts'
import type { Source } from './source.ts'

const BLOCK = '/sys/class/block'

/**
 * What the host has on block devices: mounted file systems, swap, and members of LUKS and ZFS, each
 * with the PCI devices that it is reached through, also below mappings and arrays.
 */
export function readStorage(source: Source): StorageUse[] {
  const tree = blockTree(source)
  const use = (kind: StorageUse['kind'], name: string, blockDevice: string): StorageUse => ({
    kind,
    name,
    blockDevice,
    through: [...tree.through(blockDevice)].sort()
  })
  const mounts = readMounts(source, tree).map(it => use('mount', it.point, it.blockDevice))
  const swaps = readSwaps(source, tree).map(it => use('swap', it, it))
  const members = tree.names.flatMap(name => {
    const kind = memberKind(source, name)
    return kind === undefined ? [] : [use(kind, name, name)]
  })
  return [...mounts, ...swaps, ...members].filter(it => it.through.length > 0)
}

/** The block devices by their names. */
export interface BlockTree {
  names: readonly string[]
  /** The block device at a path such as `/dev/mapper/root`. */
  named(path: string): string | undefined
  /** The PCI devices that a block device is reached through. */
  through(name: string): Set<string>
}

/** Reads how the block devices lie on each other; loop devices and memory are left out. */
export function blockTree(source: Source): BlockTree {
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
    // A partition of an array has its members at the array.
    const parents = path.split('/block/')[1]?.split('/') ?? [name]
    const below = parents.flatMap(it => source.names(`${BLOCK}/${it}/slaves`) ?? [])
    for (const inner of below) for (const it of through(inner, seen)) found.add(it)
    for (const it of controllersOf(source, path)) found.add(it)
    return found
  }
  return { names, named, through }
}

/** An NVMe disk with several controllers belongs to none of them in sysfs. */
function controllersOf(source: Source, path: string): string[] {
  const subsystem = /\/nvme-subsystem\/(nvme-subsys\d+)\//.exec(path)?.[1]
  if (subsystem === undefined) return []
  const folder = `/sys/devices/virtual/nvme-subsystem/${subsystem}`
  return (source.names(folder) ?? [])
    .filter(it => /^nvme\d+$/.test(it))
    .flatMap(it => addressesIn(source.link(`${folder}/${it}`) ?? ''))
}

interface Mount {
  point: string
  /** The type of the file system. */
  type: string
  blockDevice: string
}

/** Every mounted file system with each block device under it. */
export function readMounts(source: Source, tree: BlockTree): Mount[] {
  const lines = (source.text('/proc/self/mountinfo') ?? '').split('\n')
  const found: Mount[] = []
  for (const line of lines) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , number = '', , point = ''] = before.split(' ')
    const [type = '', from = ''] = after.split(' ')
    for (const blockDevice of mounted(source, tree, number, type, from)) {
      found.push({ point: plainName(point), type, blockDevice })
    }
  }
  return found.filter(
    (it, i) =>
      found.findIndex(at => at.point === it.point && at.blockDevice === it.blockDevice) === i
  )
}

/** The block devices under a mounted file system; several where it spans them. */
function mounted(
  source: Source,
  tree: BlockTree,
  number: string,
  type: string,
  from: string
): string[] {
  const name = source.link(`/sys/dev/block/${number}`)?.split('/').at(-1)
  if (name !== undefined) return [name]
  // A pool is known by the mark on its members only; without any, all disks may be of it.
  if (type === 'zfs') {
    const members = tree.names.filter(it => memberKind(source, it) === 'zfs')
    return members.length > 0 ? members : [...tree.names]
  }
  const own = from
    .split(':')
    .map(it => tree.named(plainName(it)))
    .filter(it => it !== undefined)
  if (type !== 'btrfs') return own
  const pools = (source.names('/sys/fs/btrfs') ?? [])
    .map(it => source.names(`/sys/fs/btrfs/${it}/devices`) ?? [])
    // Where the name of the device is one that nobody knows, it is any of those in use.
    .filter(it => own.length === 0 || own.some(device => it.includes(device)))
  return [...new Set([...own, ...pools.flat()])]
}

/** The block devices that hold swap. */
export function readSwaps(source: Source, tree: BlockTree): string[] {
  const lines = (source.text('/proc/swaps') ?? '').split('\n').slice(1)
  return lines
    .map(line => line.split(/\s+/)[0] ?? '')
    .filter(it => it.startsWith('/dev/'))
    .map(it => tree.named(plainName(it)))
    .filter(it => it !== undefined)
}

/** What udev found on a block device. */
function memberKind(source: Source, name: string): 'luks' | 'zfs' | undefined {
  const number = source.text(`${BLOCK}/${name}/dev`)?.trim()
  const facts = number === undefined ? undefined : source.text(`/run/udev/data/b${number}`)
  const type = /^E:ID_FS_TYPE=(.*)$/m.exec(facts ?? '')?.[1]
  return type === 'crypto_LUKS' ? 'luks' : type === 'zfs_member' ? 'zfs' : undefined
}

/** The kernel writes blanks in names as octal numbers. */
export function plainName(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8))
  )
}
