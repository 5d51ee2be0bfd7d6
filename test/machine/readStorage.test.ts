import { expect, test } from 'vitest'
import { readStorage } from '../../src/machine/read/storage.ts'
import { sourceFrom } from './support/tree.ts'

const SATA = 'pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0'
const NVME = 'pci0000:00/0000:00:06.0/0000:02:00.0/nvme/nvme0'
const CARD = 'pci0000:00/0000:00:1d.0/0000:05:00.0/nvme/nvme1'

/** Two disks: on a controller in the chipset, and in a slot. */
const DISKS = {
  '/sys/class/block/sda': `-> ../../devices/${SATA}/block/sda`,
  '/sys/class/block/sda1': `-> ../../devices/${SATA}/block/sda/sda1`,
  '/sys/class/block/nvme0n1': `-> ../../devices/${NVME}/nvme0n1`,
  '/sys/class/block/nvme0n1p1': `-> ../../devices/${NVME}/nvme0n1/nvme0n1p1`,
  '/sys/class/block/nvme1n1': `-> ../../devices/${CARD}/nvme1n1`,
  '/sys/class/block/loop0': '-> ../../devices/virtual/block/loop0',
  '/sys/dev/block/8:1': `-> ../../devices/${SATA}/block/sda/sda1`,
  '/sys/dev/block/259:1': `-> ../../devices/${NVME}/nvme0n1/nvme0n1p1`
}

/** The uses, as `kind name on device through addresses`. */
function usesOf(tree: Record<string, string>): string[] {
  return readStorage(sourceFrom({ ...DISKS, ...tree })).map(
    it => `${it.kind} ${it.name} on ${it.blockDevice} through ${it.through.join(' ')}`
  )
}

function mounted(...lines: string[]): Record<string, string> {
  const own = lines.map((it, i) => `${i} 1 ${it}\n`).join('')
  return { '/proc/self/mountinfo': `9 1 0:5 / /proc rw - proc proc rw\n${own}` }
}

test('finds the controller and all bridges of a mounted partition', () => {
  expect(
    usesOf(
      mounted(
        '259:1 / / rw shared:1 - ext4 /dev/nvme0n1p1 rw',
        '8:1 / /mnt/my\\040files rw - xfs /dev/sda1 rw'
      )
    )
  ).toEqual([
    'mount / on nvme0n1p1 through 0000:00:06.0 0000:02:00.0',
    'mount /mnt/my files on sda1 through 0000:00:17.0'
  ])
})

test('follows stacked mappings to the partition', () => {
  expect(
    usesOf({
      '/sys/class/block/dm-0': '-> ../../devices/virtual/block/dm-0',
      '/sys/class/block/dm-0/slaves/nvme0n1p1': '',
      '/sys/class/block/dm-1': '-> ../../devices/virtual/block/dm-1',
      '/sys/class/block/dm-1/slaves/dm-0': '',
      '/sys/dev/block/254:1': '-> ../../devices/virtual/block/dm-1',
      ...mounted('254:1 / / rw - ext4 /dev/mapper/vg-root rw')
    })
  ).toEqual(['mount / on dm-1 through 0000:00:06.0 0000:02:00.0'])
})

test('finds both controllers of a partition on an array', () => {
  expect(
    usesOf({
      '/sys/class/block/md0': '-> ../../devices/virtual/block/md0',
      '/sys/class/block/md0/slaves/sda1': '',
      '/sys/class/block/md0/slaves/nvme0n1p1': '',
      '/sys/class/block/md0p1': '-> ../../devices/virtual/block/md0/md0p1',
      '/sys/dev/block/259:9': '-> ../../devices/virtual/block/md0/md0p1',
      ...mounted('259:9 / /home rw - ext4 /dev/md0p1 rw')
    })
  ).toEqual(['mount /home on md0p1 through 0000:00:06.0 0000:00:17.0 0000:02:00.0'])
})

test('finds all controllers of an NVMe disk', () => {
  const folder = '/sys/devices/virtual/nvme-subsystem/nvme-subsys2'
  expect(
    usesOf({
      '/sys/class/block/nvme2n1': '-> ../../devices/virtual/nvme-subsystem/nvme-subsys2/nvme2n1',
      [`${folder}/nvme2`]: '-> ../../../pci0000:00/0000:00:1b.0/0000:07:00.0/nvme/nvme2',
      '/sys/dev/block/259:7': '-> ../../devices/virtual/nvme-subsystem/nvme-subsys2/nvme2n1',
      ...mounted('259:7 / / rw - ext4 /dev/nvme2n1 rw')
    })
  ).toEqual(['mount / on nvme2n1 through 0000:00:1b.0 0000:07:00.0'])
})

test('finds all disks of a btrfs', () => {
  expect(
    usesOf({
      '/sys/fs/btrfs/features': '',
      '/sys/fs/btrfs/1234/devices/sda1': '',
      '/sys/fs/btrfs/1234/devices/nvme0n1p1': '',
      ...mounted('0:29 /@ / rw - btrfs /dev/sda1 rw')
    })
  ).toEqual([
    'mount / on sda1 through 0000:00:17.0',
    'mount / on nvme0n1p1 through 0000:00:06.0 0000:02:00.0'
  ])
})

test('uses the disks of every mounted btrfs if the device of one is unknown', () => {
  expect(
    usesOf({
      '/sys/fs/btrfs/1234/devices/sda1': '',
      ...mounted('0:29 /@ / rw - btrfs /dev/disk/by-label/root rw')
    })
  ).toEqual(['mount / on sda1 through 0000:00:17.0'])
})

test('finds ZFS by its members', () => {
  expect(
    usesOf({
      '/sys/class/block/sda1/dev': '8:1\n',
      '/run/udev/data/b8:1': 'S:disk/by-id/x\nE:ID_FS_TYPE=zfs_member\n',
      ...mounted('0:31 / / rw - zfs rpool/root rw')
    })
  ).toEqual(['mount / on sda1 through 0000:00:17.0', 'zfs sda1 on sda1 through 0000:00:17.0'])
})

test('assumes that any disk is a ZFS member if no members are known', () => {
  const uses = usesOf(mounted('0:31 / / rw - zfs rpool/root rw'))
  expect(uses.map(it => it.split(' ')[3])).toEqual([
    'nvme0n1',
    'nvme0n1p1',
    'nvme1n1',
    'sda',
    'sda1'
  ])
})

test('finds swap and a locked LUKS container', () => {
  expect(
    usesOf({
      '/proc/swaps':
        'Filename Type Size Used Priority\n/dev/sda1 partition 9 0 -2\n/swapfile file 9 0 -3\n',
      '/sys/class/block/nvme1n1/dev': '259:5\n',
      '/run/udev/data/b259:5': 'E:ID_FS_TYPE=crypto_LUKS\n'
    })
  ).toEqual([
    'swap sda1 on sda1 through 0000:00:17.0',
    'luks nvme1n1 on nvme1n1 through 0000:00:1d.0 0000:05:00.0'
  ])
})

test('omits file systems that are not on hardware', () => {
  expect(
    usesOf(mounted('7:0 / /mnt rw - squashfs /dev/loop0 ro', '0:30 / /tmp rw - tmpfs x rw'))
  ).toEqual([])
})

test('terminates for cyclic mappings', () => {
  expect(
    usesOf({
      '/sys/class/block/dm-0': '-> ../../devices/virtual/block/dm-0',
      '/sys/class/block/dm-0/slaves/dm-1': '',
      '/sys/class/block/dm-1': '-> ../../devices/virtual/block/dm-1',
      '/sys/class/block/dm-1/slaves/dm-0': '',
      '/sys/dev/block/254:0': '-> ../../devices/virtual/block/dm-0',
      ...mounted('254:0 / / rw - ext4 /dev/dm-0 rw')
    })
  ).toEqual([])
})
