// Generated machines with disks, and the expected uses by the host.

import fc from 'fast-check'

/** A disk, a partition, or a volume that is built on others. */
export interface Volume {
  name: string
  /** The disk that it is a partition of. */
  disk?: Volume
  /** The volumes that it is built on. */
  made: Volume[]
  number: string
  path: string
  /** Other paths, relative to /dev. */
  links: string[]
  content?: string
  label?: string
  mapping?: { name: string; uuid: string }
  /** True if the host uses it directly. */
  isUsed: boolean
}

export interface DiskMachine {
  /** The machine, for `sourceFrom`. */
  tree: Record<string, string>
  volumes: Volume[]
  /** The volumes that must not be passed to a guest. */
  taken: Set<Volume>
  /** A configuration that uses some of the volumes. */
  configuration: string
  /** True if there is a pool that isn't imported. */
  hasSpare: boolean
}

type Layer =
  | 'luks'
  | 'locked'
  | 'lvm'
  | 'md'
  | 'firmware'
  | 'multipath'
  | 'btrfs'
  | 'zfs'
  | 'exported'
type End = 'nothing' | 'mount' | 'swap' | 'text' | 'by-text'

interface Draw {
  disks: { kind: 'sd' | 'nvme' | 'vd' | 'usb'; partitions: number }[]
  layers: { kind: Layer; at: number[]; count: number }[]
  ends: End[]
}

const draw: fc.Arbitrary<Draw> = fc.record({
  disks: fc.array(
    fc.record({
      kind: fc.constantFrom<'sd' | 'nvme' | 'vd' | 'usb'>('sd', 'nvme', 'vd', 'usb'),
      partitions: fc.nat(3)
    }),
    { minLength: 1, maxLength: 4 }
  ),
  layers: fc.array(
    fc.record({
      kind: fc.constantFrom<Layer>(
        ...([
          'luks',
          'locked',
          'lvm',
          'md',
          'firmware',
          'multipath',
          'btrfs',
          'zfs',
          'exported'
        ] as const)
      ),
      at: fc.array(fc.nat(20), { minLength: 1, maxLength: 2 }),
      count: fc.integer({ min: 1, max: 2 })
    }),
    { maxLength: 4 }
  ),
  ends: fc.array(
    fc.constantFrom<End>('nothing', 'nothing', 'nothing', 'mount', 'swap', 'text', 'by-text'),
    { minLength: 24, maxLength: 24 }
  )
})

export const diskMachines: fc.Arbitrary<DiskMachine> = draw.map(make)

class Builder {
  readonly tree: Record<string, string> = { '/sys/class/block': '' }
  readonly volumes: Volume[] = []
  readonly mounts: string[] = []
  readonly swaps: string[] = []
  readonly text: string[] = []
  /** The volumes that nothing is built on yet. */
  free: Volume[] = []
  count = 0

  next(): number {
    return ++this.count
  }

  add(name: string, path: string, more: Partial<Volume> = {}): Volume {
    const n = this.next()
    const links = [`disk/by-id/id-${n}`, ...(more.links ?? [])]
    const number = `${name.startsWith('dm-') ? 253 : 8}:${n}`
    const volume: Volume = { name, made: [], isUsed: false, ...more, number, path, links }
    this.volumes.push(volume)
    this.free.push(volume)
    return volume
  }

  take(volume: Volume, content: string): void {
    this.free = this.free.filter(it => it !== volume)
    volume.content = content
    // Only file systems have a UUID.
    volume.links.push(`disk/by-uuid/u-${volume.number.replace(':', '-')}`)
  }
}

function make({ disks, layers, ends }: Draw): DiskMachine {
  const all = new Builder()
  for (const [i, it] of disks.entries()) addDisk(all, it, i)
  let hasSpare = false
  for (const [i, { kind, at, count }] of layers.entries()) {
    const members = [...new Set(at.map(n => all.free[n % Math.max(1, all.free.length)]))]
    const found = members.filter(it => it !== undefined)
    if (found.length === 0) continue
    if (kind === 'exported') hasSpare = true
    addLayer(all, kind, found, count, i)
  }
  for (const [i, volume] of [...all.free].entries()) addEnd(all, volume, ends[i] ?? 'nothing', i)
  return {
    tree: treeOf(all),
    volumes: all.volumes,
    taken: takenOf(all.volumes),
    configuration: `{ ... }:\n{\n${all.text.join('')}}\n`,
    hasSpare
  }
}

function addDisk(all: Builder, { kind, partitions }: Draw['disks'][number], i: number): void {
  const letter = 'abcdefgh'[i]
  const port = `pci0000:00/0000:00:0${i + 1}.0`
  const [name, inner] = {
    sd: [`sd${letter}`, `${port}/ata${i}/host${i}/target${i}:0:0/${i}:0:0:0/block`],
    usb: [`sd${letter}`, `${port}/usb1/1-${i}/1-${i}:1.0/host${i}/target${i}:0:0/${i}:0:0:0/block`],
    vd: [`vd${letter}`, `${port}/virtio${i}/block`],
    nvme: [`nvme${i}n1`, `${port}/nvme/nvme${i}`]
  }[kind] as [string, string]
  const path = `${inner}/${name}`
  const disk = all.add(name, path, { links: [`disk/by-path/pci-0000:00:0${i + 1}.0-x-1`] })
  if (partitions > 0) all.free = all.free.filter(it => it !== disk)
  const [id = '', byPath = ''] = disk.links
  for (let n = 1; n <= partitions; n++) {
    const part = `${name}${/\d$/.test(name) ? 'p' : ''}${n}`
    const links = [`${id}-part${n}`, `${byPath}-part${n}`, `disk/by-partuuid/p-${i}-${n}`]
    all.add(part, `${path}/${part}`, { disk, links })
  }
}

function addMapping(
  all: Builder,
  name: string,
  uuid: string,
  made: Volume[],
  link?: string
): Volume {
  const dm = `dm-${all.next()}`
  const links = [`mapper/${name}`, `disk/by-id/dm-name-${name}`, ...(link ? [link] : [])]
  return all.add(dm, `virtual/block/${dm}`, { made, links, mapping: { name, uuid } })
}

/** Other paths to the same disks, which are in use only if something on them is in use. */
function addMultipath(all: Builder, members: Volume[], i: number): void {
  for (const it of members) all.free = all.free.filter(at => at !== it)
  addMapping(all, `mpath${i}`, 'mpath-x', members)
}

/** An array of whole disks that still have partitions according to the kernel. */
function addFirmwareArray(all: Builder, members: Volume[], i: number): void {
  const disks = [...new Set(members.map(it => it.disk ?? it))]
  for (const it of disks) {
    all.free = all.free.filter(at => at !== it)
    it.isUsed = true
    it.content = 'isw_raid_member'
  }
  all.add(`md${i}`, `virtual/block/md${i}`, { made: disks, links: [`md/firmware${i}`] })
}

function addLayer(all: Builder, kind: Layer, members: Volume[], count: number, i: number): void {
  if (kind === 'multipath') addMultipath(all, members, i)
  else if (kind === 'firmware') addFirmwareArray(all, members, i)
  else addMembers(all, kind, members, count, i)
}

function addMembers(
  all: Builder,
  kind: Exclude<Layer, 'multipath' | 'firmware'>,
  members: Volume[],
  count: number,
  i: number
): void {
  const content = {
    luks: 'crypto_LUKS',
    locked: 'crypto_LUKS',
    lvm: 'LVM2_member',
    md: 'linux_raid_member',
    btrfs: 'btrfs',
    zfs: 'zfs_member',
    exported: 'zfs_member'
  }[kind]
  for (const it of members) {
    // A LUKS container has one member.
    if (/^(?:luks|locked)$/.test(kind) && it !== members[0]) continue
    all.take(it, content)
    it.isUsed = kind !== 'locked' && kind !== 'exported'
    if (content === 'zfs_member') it.label = `${kind}${i}`
  }
  const [first = members[0] as Volume] = members
  switch (kind) {
    case 'luks':
      addMapping(all, `crypt${i}`, 'CRYPT-LUKS2-0-x', [first])
      return
    case 'lvm':
      for (let n = 0; n < count; n++) {
        addMapping(all, `my--vg${i}-lv${n}`, 'LVM-abc', members, `my-vg${i}/lv${n}`)
      }
      return
    case 'md': {
      const path = `virtual/block/md${i}`
      const array = all.add(`md${i}`, path, { made: members, links: [`md/array${i}`] })
      if (count === 1) return
      all.free = all.free.filter(it => it !== array)
      all.add(`md${i}p1`, `${path}/md${i}p1`, { disk: array, links: [`md/array${i}p1`] })
      return
    }
    case 'btrfs':
      all.mounts.push(`0:${50 + i} / /pool${i} rw - btrfs /dev/${first.name} rw`)
      for (const it of members)
        all.tree[`/sys/fs/btrfs/6f9619ff-8b86-d011-b42d-00c04fc9640${i}/devices/${it.name}`] = ''
      return
    case 'zfs':
      all.tree[`/proc/spl/kstat/zfs/zfs${i}/state`] = 'ONLINE\n'
      if (count === 2) {
        const name = `zd${i * 16}`
        all.add(name, `virtual/block/${name}`, { links: [`zvol/zfs${i}/vm`] })
      }
      return
    default:
      return
  }
}

/** Adds the use of a volume that nothing is built on. */
function addEnd(all: Builder, volume: Volume, end: End, i: number): void {
  if (end === 'nothing') return
  volume.isUsed = true
  if (end === 'mount') {
    volume.content = 'ext4'
    all.mounts.push(`${volume.number} / /mnt/${i} rw - ext4 /dev/${volume.name} rw`)
  } else if (end === 'swap') {
    volume.content = 'swap'
    all.swaps.push(`/dev/${volume.name} partition 9 0 -2`)
  } else {
    const names = end === 'text' ? [volume.name] : volume.links
    const name = names[i % names.length]
    all.text.push(
      i % 2 === 0
        ? `  fileSystems."/data${i}" = { device = "/dev/${name}"; options = [ "noauto" ]; };\n`
        : `  boot.initrd.luks.devices.data${i}.device = "/dev/${name}";\n`
    )
  }
}

/** The used volumes with everything below them, and the partitions of disks that are used as a whole. */
function takenOf(volumes: readonly Volume[]): Set<Volume> {
  const taken = new Set<Volume>()
  const walk = (it: Volume) => {
    taken.add(it)
    for (const below of [...it.made, ...(it.disk ? [it.disk] : [])]) walk(below)
  }
  for (const it of volumes) if (it.isUsed) walk(it)
  for (const it of volumes) if (it.disk?.isUsed) taken.add(it)
  return taken
}

function treeOf(all: Builder): Record<string, string> {
  const tree = all.tree
  for (const it of all.volumes) {
    const folder = `/sys/class/block/${it.name}`
    tree[folder] = `-> ../../devices/${it.path}`
    tree[`${folder}/dev`] = `${it.number}\n`
    tree[`/sys/dev/block/${it.number}`] = `-> ../../devices/${it.path}`
    for (const part of it.made) tree[`${folder}/slaves/${part.name}`] = ''
    if (it.mapping) {
      tree[`${folder}/dm/name`] = `${it.mapping.name}\n`
      tree[`${folder}/dm/uuid`] = `${it.mapping.uuid}\n`
    }
    tree[`/run/udev/data/b${it.number}`] = [
      ...it.links.map(link => `S:${link}`),
      ...(it.content === undefined ? [] : [`E:ID_FS_TYPE=${it.content}`]),
      ...(it.label === undefined ? [] : [`E:ID_FS_LABEL=${it.label}`]),
      ''
    ].join('\n')
  }
  tree['/proc/self/mountinfo'] = all.mounts.map((it, i) => `${i} 1 ${it}\n`).join('')
  tree['/proc/swaps'] = ['Filename Type Size Used Priority', ...all.swaps, ''].join('\n')
  return tree
}
