// Finds the block device at a path below /dev, and how the host uses it.

import { expect, test } from 'vitest'
import {
  blockDevicesAt,
  devicePath,
  hostUsesOf,
  isPartitionOf,
  isSamePath
} from '../../src/machine/disks.ts'
import { readBlocks } from '../../src/machine/read/storage.ts'
import { followLinks } from '../../src/machine/source.ts'
import { NAMES, sourceOf } from './support/machines.ts'
import { sourceFrom } from './support/tree.ts'

const SATA = 'pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block'

/** A disk with two partitions, and a disk without partitions. */
const DISKS = {
  '/sys/class/block/sda': `-> ../../devices/${SATA}/sda`,
  '/sys/class/block/sda/dev': '8:0\n',
  '/sys/class/block/sda1': `-> ../../devices/${SATA}/sda/sda1`,
  '/sys/class/block/sda1/dev': '8:1\n',
  '/sys/class/block/sda2': `-> ../../devices/${SATA}/sda/sda2`,
  '/sys/class/block/sda2/dev': '8:2\n',
  '/sys/class/block/nvme0n1': '-> ../../devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1',
  '/sys/class/block/nvme0n1/dev': '259:0\n'
}

const mounted = (...lines: string[]) => ({
  '/proc/self/mountinfo': lines.map((it, i) => `${i} 1 ${it}\n`).join('')
})

/** The uses, as `kind name on device`. */
function usesAt(path: string, tree: Record<string, string>): string[] {
  const blocks = readBlocks(sourceFrom({ ...DISKS, ...tree })) ?? []
  return blockDevicesAt(path, blocks)
    .flatMap(it => hostUsesOf(it, blocks))
    .map(it => [it.kind, it.name, 'on', it.blockDevice].filter(Boolean).join(' '))
}

const ROOT = {
  '/sys/dev/block/8:2': `-> ../../devices/${SATA}/sda/sda2`,
  ...mounted('8:2 / / rw - ext4 /dev/sda2 rw')
}

test('a used partition makes its disk used, but not another partition', () => {
  expect(usesAt('/dev/sda', ROOT)).toEqual(['mount / on sda2'])
  expect(usesAt('/dev/sda2', ROOT)).toEqual(['mount / on sda2'])
  expect(usesAt('/dev/sda1', ROOT)).toEqual([])
  expect(usesAt('/dev/nvme0n1', ROOT)).toEqual([])
})

test('finds a disk by every udev symlink', () => {
  const udev = {
    '/run/udev/data/b8:2': 'S:disk/by-id/ata-X-part2\nS:disk/by-uuid/1234-ABCD\nE:ID_FS_TYPE=ext4\n'
  }
  for (const path of [
    '/dev/disk/by-id/ata-X-part2',
    '/dev/disk/by-uuid/1234-ABCD',
    '/dev//disk/./by-uuid/1234-ABCD',
    'UUID=1234-ABCD',
    '/dev/block/8:2'
  ]) {
    expect(usesAt(path, { ...ROOT, ...udev })).toEqual(['mount / on sda2'])
  }
  expect(usesAt('/dev/disk/by-id/ata-X', { ...ROOT, ...udev })).toEqual([])
})

const LUKS = {
  '/sys/class/block/dm-0': '-> ../../devices/virtual/block/dm-0',
  '/sys/class/block/dm-0/dev': '254:0\n',
  '/sys/class/block/dm-0/dm/name': 'crypt\n',
  '/sys/class/block/dm-0/dm/uuid': 'CRYPT-LUKS2-0123-crypt\n',
  '/sys/class/block/dm-0/slaves/sda2': ''
}
const LVM = {
  ...LUKS,
  '/sys/class/block/dm-1': '-> ../../devices/virtual/block/dm-1',
  '/sys/class/block/dm-1/dm/name': 'my--vg-root\n',
  '/sys/class/block/dm-1/dm/uuid': 'LVM-0123\n',
  '/sys/class/block/dm-1/slaves/dm-0': '',
  '/sys/class/block/dm-2': '-> ../../devices/virtual/block/dm-2',
  '/sys/class/block/dm-2/dm/name': 'my--vg-win10\n',
  '/sys/class/block/dm-2/dm/uuid': 'LVM-4567\n',
  '/sys/class/block/dm-2/slaves/dm-0': '',
  '/sys/dev/block/254:1': '-> ../../devices/virtual/block/dm-1',
  ...mounted('254:1 / / rw - ext4 /dev/mapper/my--vg-root rw')
}

test("distinguishes the host's LVM volumes on LUKS from volumes for guests", () => {
  const all = [
    'mount / on dm-1',
    'luks crypt on sda2',
    'lvm my--vg-root on dm-0',
    'lvm my--vg-win10 on dm-0'
  ]
  expect(usesAt('/dev/sda', LVM)).toEqual(all)
  expect(usesAt('/dev/mapper/crypt', LVM)).toEqual(all.filter(it => !it.startsWith('luks')))
  expect(usesAt('/dev/my-vg/root', LVM)).toEqual(['mount / on dm-1'])
  expect(usesAt('/dev/mapper/my--vg-root', LVM)).toEqual(['mount / on dm-1'])
  expect(usesAt('/dev/disk/by-id/dm-name-my--vg-root', LVM)).toEqual(['mount / on dm-1'])
  expect(usesAt('/dev/my-vg/win10', LVM)).toEqual([])
  expect(usesAt('/dev/dm-2', LVM)).toEqual([])
})

test('an open LUKS container is used, but an unmounted mapping on it is not', () => {
  expect(usesAt('/dev/sda2', LUKS)).toEqual(['luks crypt on sda2'])
  expect(usesAt('/dev/mapper/crypt', LUKS)).toEqual([])
})

test('finds a disk by its character devices for commands', () => {
  const tree = {
    ...ROOT,
    '/sys/class/block/sda/device/scsi_generic/sg3': '',
    '/proc/swaps': 'Filename Type Size Used Priority\n/dev/nvme0n1 partition 9 0 -2\n'
  }
  expect(usesAt('/dev/sg3', tree)).toEqual(['mount / on sda2'])
  expect(usesAt('/dev/bsg/0:0:0:0', tree)).toEqual(['mount / on sda2'])
  expect(usesAt('/dev/ng0n1', tree)).toEqual(['swap on nvme0n1'])
  expect(usesAt('/dev/sg4', tree)).toEqual([])
})

test('finds swap, including on a whole disk and on zram', () => {
  const tree = {
    '/sys/class/block/zram0': '-> ../../devices/virtual/block/zram0',
    '/proc/swaps':
      'Filename Type Size Used Priority\n/dev/nvme0n1 partition 9 0 -2\n/dev/zram0 partition 9 0 5\n'
  }
  expect(usesAt('/dev/nvme0n1', tree)).toEqual(['swap on nvme0n1'])
  expect(usesAt('/dev/zram0', tree)).toEqual(['swap on zram0'])
})

test('a member of an array and its partitions are used even if the array is not', () => {
  const tree = {
    '/sys/class/block/md127': '-> ../../devices/virtual/block/md127',
    '/sys/class/block/md127/slaves/sda': ''
  }
  expect(usesAt('/dev/sda', tree)).toEqual(['md md127 on sda'])
  expect(usesAt('/dev/sda1', tree)).toEqual(['md md127 on sda'])
  expect(usesAt('/dev/md127', tree)).toEqual([])
})

test('finds members of btrfs, bcachefs and bcache', () => {
  const tree = {
    '/sys/fs/btrfs/abc/devices/sda1': '',
    '/sys/fs/bcachefs/def/dev-0/block': `-> ../../../../devices/${SATA}/sda/sda2`,
    '/sys/class/block/nvme0n1/bcache/set': '-> ../../fs/bcache/x'
  }
  expect(usesAt('/dev/sda', tree)).toEqual(['btrfs on sda1', 'bcachefs on sda2'])
  expect(usesAt('/dev/nvme0n1', tree)).toEqual(['bcache on nvme0n1'])
})

test('finds members of imported ZFS pools, and members without a known pool', () => {
  const member = (label: string) => ({
    '/run/udev/data/b8:2': `S:disk/by-id/x\nE:ID_FS_TYPE=zfs_member\n${label}`,
    '/proc/spl/kstat/zfs/rpool/state': 'ONLINE\n',
    '/proc/spl/kstat/zfs/arcstats': 'x'
  })
  expect(usesAt('/dev/sda', member('E:ID_FS_LABEL=rpool\n'))).toEqual(['zfs rpool on sda2'])
  expect(usesAt('/dev/sda', member('E:ID_FS_LABEL=other\n'))).toEqual([])
  expect(usesAt('/dev/sda', member(''))).toEqual(['zfs on sda2'])
})

test('treats a loop device on a disk as that disk', () => {
  const tree = {
    '/sys/class/block/loop0': '-> ../../devices/virtual/block/loop0',
    '/sys/class/block/loop0/loop/backing_file': '/dev/nvme0n1\n',
    ...mounted('7:0 / /mnt rw - ext4 /dev/loop0 rw')
  }
  expect(usesAt('/dev/nvme0n1', tree)).toEqual(['mount /mnt on loop0', 'loop loop0 on nvme0n1'])
  expect(usesAt('/dev/loop0', tree)).toEqual(['mount /mnt on loop0'])
})

test('finds the mount of a loop device on a disk or on another loop device', () => {
  const tree = {
    ...ROOT,
    '/sys/class/block/loop0': '-> ../../devices/virtual/block/loop0',
    '/sys/class/block/loop0/loop/backing_file': '/dev/sda2\n',
    '/sys/class/block/loop1': '-> ../../devices/virtual/block/loop1',
    '/sys/class/block/loop1/loop/backing_file': '/dev/loop0\n'
  }
  expect(usesAt('/dev/loop1', tree)).toContain('mount / on sda2')
  expect(usesAt('/dev/loop0', tree)).toContain('loop loop1 on loop0')
  const free = { ...tree, '/proc/self/mountinfo': '' }
  expect(usesAt('/dev/loop1', free)).toEqual([])
  expect(usesAt('/dev/sda2', free)).toEqual(['loop loop0 on sda2', 'loop loop1 on loop0'])
})

test('terminates for cyclic mappings', () => {
  const tree = {
    '/sys/class/block/dm-0': '-> ../../devices/virtual/block/dm-0',
    '/sys/class/block/dm-0/slaves/dm-1': '',
    '/sys/class/block/dm-1': '-> ../../devices/virtual/block/dm-1',
    '/sys/class/block/dm-1/slaves/dm-0': ''
  }
  expect(usesAt('/dev/dm-0', tree)).toEqual(['mapping dm-1 on dm-0', 'mapping dm-0 on dm-1'])
})

test('infers the disk of a partition from its name if the symlinks are unknown', () => {
  const blocks = readBlocks(
    sourceFrom({
      '/sys/class/block/nvme0n1/dev': '259:0\n',
      '/sys/class/block/nvme0n1p1/dev': '259:1\n',
      '/sys/class/block/sda/dev': '8:0\n',
      '/sys/class/block/sda12/dev': '8:12\n'
    })
  )
  expect(blocks?.map(it => `${it.name} ${it.disk ?? ''}`)).toEqual([
    'nvme0n1 ',
    'nvme0n1p1 nvme0n1',
    'sda ',
    'sda12 sda'
  ])
})

test.each(NAMES)('finds that the system disk of %s is in use', name => {
  const blocks = readBlocks(sourceOf(name)) ?? []
  const whole = blocks.filter(it => it.disk === undefined && /^(?:sd|nvme)/.test(it.name))
  const used = whole.filter(it =>
    hostUsesOf(it, blocks).some(use => use.kind === 'zfs' || use.name === '/')
  )
  expect(used.length).toBeGreaterThan(0)
})

test.each([
  ['/dev//sda/', '/dev/sda'],
  ['/dev/../dev/sda', '/dev/sda'],
  ['/dev/disk/by-id/dm-name-a', '/dev/mapper/a'],
  ['LABEL=My Disk', '/dev/disk/by-label/My\\x20Disk'],
  ['PARTUUID="ab-cd"', '/dev/disk/by-partuuid/ab-cd'],
  ['/var/lib/a.img', undefined],
  ['/dev/../etc/a', undefined],
  ['tmpfs', undefined]
])('normalizes %s to %s', (text, path) => {
  expect(devicePath(text)).toBe(path)
})

test.each([
  ['/dev/sda1', '/dev/sda', true],
  ['/dev/sdaa', '/dev/sda', false],
  ['/dev/sdaa1', '/dev/sda', false],
  ['/dev/nvme0n1p2', '/dev/nvme0n1', true],
  ['/dev/nvme0n12', '/dev/nvme0n1', false],
  ['/dev/md0p1', '/dev/md0', true],
  ['/dev/mmcblk0p1', '/dev/mmcblk0', true],
  ['/dev/disk/by-id/ata-X-part2', '/dev/disk/by-id/ata-X', true],
  ['/dev/disk/by-path/pci-1-part2', '/dev/disk/by-path/pci-1', true],
  ['/dev/disk/by-uuid/12', '/dev/disk/by-uuid/1', false],
  ['/dev/zvol/a/b-part1', '/dev/zvol/a/b', true],
  ['/dev/vg/lv1', '/dev/vg/lv', false],
  ['/dev/mapper/vg-lv1', '/dev/mapper/vg-lv', false],
  ['/dev/sda', '/dev/sda', false]
])('%s is a partition of %s: %s', (part, disk, expected) => {
  expect(isPartitionOf(part, disk)).toBe(expected)
})

test('finds a logical volume by both of its paths', () => {
  expect(isSamePath('/dev/my-vg/a-b', '/dev/mapper/my--vg-a--b')).toBe(true)
  expect(isSamePath('/dev/vg/a', '/dev/vg/b')).toBe(false)
  expect(isSamePath('/dev/md/a', '/dev/mapper/md-a')).toBe(false)
})

test('follows symlinks, but returns a symlink loop unchanged', () => {
  const source = sourceFrom({
    '/home/a/disk': '-> ../../dev/disk/by-id/x',
    '/dev/disk/by-id/x': '-> ../../sda',
    '/var/images': '-> /data/images',
    '/a': '-> b',
    '/b': '-> a'
  })
  expect(followLinks(source, '/home/a/disk')).toBe('/dev/sda')
  expect(followLinks(source, '/var/images/w.qcow2')).toBe('/data/images/w.qcow2')
  expect(followLinks(source, '/a/c')).toBe('/a/c')
})
