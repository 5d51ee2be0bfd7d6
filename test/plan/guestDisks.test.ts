// Compares the disks of a guest with a machine and a configuration.

import { expect, test } from 'vitest'
import { sourceFile } from '../../src/configuration/files.ts'
import { type PassedDisk, passedDisks } from '../../src/guests/needs/disks.ts'
import { readXml } from '../../src/guests/xml/readXml.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { configuredDevices, type DiskHost } from '../../src/plan/disks/configuredDevices.ts'
import { judgeDisks } from '../../src/plan/disks/guestDisks.ts'
import { readPool, systemFolderAt } from '../../src/plan/disks/sharedFolders.ts'
import { sourceFrom } from '../machine/support/tree.ts'

const SATA = 'pci0000:00/0000:00:17.0/ata1/host0/target0:0:0'
const USB = 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0'

/** The root is on sda, sdb is free, sdc is a USB stick, and sdd has unused content. */
const TREE: Record<string, string> = {
  ...disk('sda', '8:0', `${SATA}/0:0:0:0/block/sda`, 'S:disk/by-id/ata-A\n'),
  ...disk(
    'sda1',
    '8:1',
    `${SATA}/0:0:0:0/block/sda/sda1`,
    'S:disk/by-uuid/1-1\nE:ID_FS_TYPE=ext4\n'
  ),
  ...disk('sda2', '8:2', `${SATA}/0:0:0:0/block/sda/sda2`, 'S:disk/by-uuid/2-2\n'),
  ...disk('sdb', '8:16', `${SATA}/0:0:1:0/block/sdb`, 'S:disk/by-id/ata-B\nS:disk/by-id/wwn-1\n'),
  ...disk('sdc', '8:32', `${USB}/block/sdc`, 'S:disk/by-id/usb-C\n'),
  ...disk(
    'sdd',
    '8:48',
    `${SATA}/0:0:2:0/block/sdd`,
    'S:disk/by-id/ata-D\nE:ID_FS_TYPE=crypto_LUKS\n'
  ),
  ...disk('sr0', '11:0', `${SATA}/0:0:3:0/block/sr0`, 'S:cdrom\n'),
  '/sys/dev/block/8:1': `-> ../../devices/${SATA}/0:0:0:0/block/sda/sda1`,
  '/sys/dev/block/11:0': `-> ../../devices/${SATA}/0:0:3:0/block/sr0`,
  '/sys/bus/usb/devices/2-1/idVendor': '0951\n',
  '/sys/bus/usb/devices/2-1/idProduct': '1666\n',
  '/sys/bus/usb/devices/2-1/busnum': '2\n',
  '/sys/bus/usb/devices/2-1/devnum': '7\n',
  '/proc/self/mountinfo':
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 11:0 / /media ro - iso9660 /dev/sr0 ro\n'
}

function disk(name: string, number: string, path: string, udev: string): Record<string, string> {
  return {
    [`/sys/class/block/${name}`]: `-> ../../devices/${path}`,
    [`/sys/class/block/${name}/dev`]: `${number}\n`,
    [`/run/udev/data/b${number}`]: udev
  }
}

function hostOf(configuration: string, more: Partial<DiskHost> = {}, tree = TREE): DiskHost {
  return {
    machine: readMachine(sourceFrom(tree)),
    isDump: false,
    follow: it => it,
    poolCalled: () => undefined,
    devices: configuredDevices([sourceFile('/a.nix', `{\n${configuration}\n}\n`)]),
    entry: '',
    ...more
  }
}

/** The result for the disks: `used PATH: uses`, or the code of a note. */
function judged(disks: readonly PassedDisk[], host: DiskHost): string[] {
  const { used, notes } = judgeDisks(disks, host)
  return [
    ...used.map(it => {
      const uses = it.uses.map(use => `${use.kind} ${use.name}`.trim())
      return `used ${it.name}: ${it.folder ?? uses.join(', ')}`
    }),
    ...notes.map(it => `${it.code} ${it.name}`)
  ]
}

const element = (xml: string, host = hostOf('')) => {
  const document = readXml(`<domain type='kvm'><name>a</name><devices>${xml}</devices></domain>`)
  if (!document.ok) throw new Error(document.error.message)
  return judged(passedDisks(document.value.root), host)
}
const block = (path: string, host = hostOf(''), more = '') =>
  element(`<disk type='block'><source dev='${path}'/>${more}</disk>`, host)

// ---- the machine

test('the host uses a mounted partition and its disk', () => {
  expect(block('/dev/sda1')).toEqual(['used /dev/sda1: mount /'])
  expect(block('/dev/disk/by-id/ata-A')).toEqual(['used /dev/disk/by-id/ata-A: mount /'])
  expect(block('/dev/disk/by-uuid/2-2')).toEqual([])
  expect(block('/dev/disk/by-id/ata-B')).toEqual([])
})

test('finds a disk through symlinks', () => {
  const follow = (it: string) => (it === '/home/a/disk' ? '/dev/sda' : it)
  expect(block('/home/a/disk', hostOf('', { follow }))).toEqual(['used /home/a/disk: mount /'])
})

test('notes used disks that are read-only, except optical discs', () => {
  expect(block('/dev/sda', hostOf(''), '<readonly/>')).toEqual(['DISK_READ /dev/sda'])
  expect(element("<disk type='block' device='cdrom'><source dev='/dev/sr0'/></disk>")).toEqual([])
  expect(element("<disk type='block' device='floppy'><source dev='/dev/sda'/></disk>")).toEqual([
    'DISK_IN_FLOPPY /dev/sda'
  ])
})

test('has no notes about image files', () => {
  const image = "<disk type='file'><source file='/var/lib/libvirt/images/a.qcow2'/></disk>"
  expect(element(image)).toEqual([])
  expect(element(image, hostOf('', { machine: undefined }))).toEqual([])
})

test('the host uses a swap file and a mounted image', () => {
  const host = hostOf(
    'swapDevices = [ { device = "/var/swap"; } ];\n' +
      'fileSystems."/a" = { device = "/var/a.img"; options = [ "loop" ]; };'
  )
  const file = (path: string, more = '') =>
    element(`<disk type='file'><source file='${path}'/>${more}</disk>`, host)
  expect(file('/var/swap')).toEqual(['used /var/swap: swap'])
  expect(file('/var/lib/../a.img')).toEqual(['used /var/lib/../a.img: mount /a'])
  expect(file('/var/a.img', '<readonly/>')).toEqual(['DISK_READ /var/a.img'])
  expect(file('/var/b.img')).toEqual([])
  // A dump has no files, but that makes no disk unknown.
  expect(block('/dev/sda2', { ...host, isDump: true })).toEqual([])
})

test('notes disks that the host may use', () => {
  expect(block('/dev/sdc')).toEqual(['DISK_REMOVABLE /dev/sdc'])
  expect(block('/dev/sdd')).toEqual(['DISK_DORMANT /dev/sdd'])
  expect(block('/dev/sdz')).toEqual(['DISK_MISSING /dev/sdz'])
  expect(block('/dev/sdb')).toEqual(['DISK_RENUMBERED /dev/sdb'])
  const [note] = judgeDisks(
    [
      {
        name: { kind: 'path', path: '/dev/sdb' },
        isReadOnly: false,
        isFloppy: false,
        isBlock: true
      }
    ],
    hostOf('')
  ).notes
  expect(note).toMatchObject({ link: '/dev/disk/by-id/ata-B', others: ['sda'] })
})

test('notes disks that may be in a ZFS pool on unknown disks', () => {
  const tree = { ...TREE, '/proc/self/mountinfo': '1 0 0:31 / / rw - zfs rpool/root rw\n' }
  expect(block('/dev/disk/by-id/ata-B', hostOf('', {}, tree))).toEqual([
    'DISK_MAY_BE_POOL /dev/disk/by-id/ata-B'
  ])
})

test('finds disks by SCSI address and USB device', () => {
  const scsi = (unit: string) =>
    element(
      `<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='${unit}' unit='0'/></source></hostdev>`
    )
  expect(scsi('0')).toEqual(['used the SCSI device 0:0:0:0: mount /'])
  expect(scsi('1')).toEqual([])
  expect(scsi('9')).toEqual(['DISK_MISSING the SCSI device 0:0:9:0'])

  const stick = (source: string, tree = TREE) =>
    element(
      `<hostdev mode='subsystem' type='usb'><source>${source}</source></hostdev>`,
      hostOf('', {}, tree)
    )
  const mounted = {
    ...TREE,
    '/sys/dev/block/8:32': `-> ../../devices/${USB}/block/sdc`,
    '/proc/self/mountinfo': '1 0 8:32 / /mnt rw - ext4 /dev/sdc rw\n'
  }
  const id = "<vendor id='0x0951'/><product id='0x1666'/>"
  expect(stick(id)).toEqual([])
  expect(stick(id, mounted)).toEqual(['used the USB device 0951:1666: mount /mnt'])
  expect(stick("<address bus='2' device='7'/>", mounted)).toEqual([
    'used the USB device 7 on bus 2: mount /mnt'
  ])
  expect(stick("<address bus='2' device='8'/>", mounted)).toEqual([])
  expect(stick("<address bus='2' port='1'/>", mounted)).toEqual([
    'used the USB device at port 2-1: mount /mnt'
  ])
  expect(stick("<address bus='2' port='1.1'/>", mounted)).toEqual([])
})

// ---- storage pools

const volume = (pool: string, name: string, host = hostOf('')) =>
  element(`<disk type='volume'><source pool='${pool}' volume='${name}'/></disk>`, host)

const poolOf = (xml: string) => {
  const document = readXml(xml, 'pool')
  return document.ok ? readPool(document.value.root) : undefined
}

test('finds the disk of a volume in a known pool', () => {
  const called = (xml: string) => hostOf('', { poolCalled: () => poolOf(xml) })
  const disks = called("<pool type='disk'><name>p</name><target><path>/dev</path></target></pool>")
  const files = called("<pool type='dir'><target><path>/var/lib/images</path></target></pool>")
  const scsi = called("<pool type='scsi'><target><path>/dev/disk/by-path</path></target></pool>")
  expect(volume('p', 'sda1', disks)).toEqual(['used the volume sda1 of the pool p: mount /'])
  expect(volume('p', 'sda2', disks)).toEqual([])
  expect(volume('p', 'sda1', files)).toEqual([])
  expect(volume('p', 'unit:0:0:1', scsi)).toEqual([
    'VOLUME_UNSEEN the volume unit:0:0:1 of the pool p'
  ])
})

test('guesses the disk of a volume in an unknown pool', () => {
  expect(volume('p', 'sda1')).toEqual(['used the volume sda1 of the pool p: mount /'])
  expect(volume('default', 'win10.qcow2')).toEqual([])
  expect(volume('vg', 'win10')).toEqual(['VOLUME_UNSEEN the volume win10 of the pool vg'])
  const lvm = {
    ...TREE,
    ...disk('dm-0', '254:0', 'virtual/block/dm-0', 'S:vg/win10\nS:mapper/vg-win10\n'),
    '/sys/class/block/dm-0/dm/name': 'vg-win10\n'
  }
  expect(volume('vg', 'win10', hostOf('', {}, lvm))).toEqual([])
  expect(
    volume('vg', 'win10', hostOf('fileSystems."/x".device = "/dev/vg/win10";', {}, lvm))
  ).toEqual(['used the volume win10 of the pool vg: mount /x'])
})

// ---- the configuration

test('the host uses a disk in the configuration even if it is not mounted', () => {
  const text =
    'fileSystems."/data" = { device = "/dev/disk/by-id/ata-B"; options = [ "noauto" ]; };'
  expect(block('/dev/sdb', hostOf(text))).toEqual(['used /dev/sdb: mount /data'])
  expect(block('/dev/disk/by-id/wwn-1', hostOf(text))).toEqual([
    'used /dev/disk/by-id/wwn-1: mount /data'
  ])
  const part = 'boot.initrd.luks.devices.x.device = "/dev/disk/by-uuid/2-2";'
  expect(block('/dev/sda2', hostOf(part))).toEqual(['used /dev/sda2: luks x'])
})

test('compares only with the configuration if it is for another machine', () => {
  const other = (text: string) => hostOf(text, { machine: undefined })
  const text = 'fileSystems."/data".device = "/dev/disk/by-id/ata-X-part2";'
  expect(block('/dev/disk/by-id/ata-X', other(text))).toEqual([
    'used /dev/disk/by-id/ata-X: mount /data'
  ])
  expect(block('/dev/disk/by-id/ata-X-part3', other(text))).toEqual([
    'DISK_UNSEEN /dev/disk/by-id/ata-X-part3'
  ])
  expect(block('/dev/vg/home', other('fileSystems."/h".device = "/dev/mapper/vg-home";'))).toEqual([
    'used /dev/vg/home: mount /h'
  ])
})

test('a boot loader on a disk does not use its partitions', () => {
  const text = 'boot.loader.grub.device = "/dev/sdb";'
  expect(block('/dev/sdb', hostOf(text))).toEqual(['used /dev/sdb: boot'])
  const other = { machine: undefined }
  expect(block('/dev/sdb1', hostOf(text, other))).toEqual(['DISK_UNSEEN /dev/sdb1'])
})

test('notes disks that another boot entry uses', () => {
  const text = 'specialisation.nas.configuration.fileSystems."/data".device = "/dev/sdb";'
  expect(block('/dev/sdb', hostOf(text, { entry: 'vfio' }))).toEqual(['DISK_OF_ENTRY /dev/sdb'])
  expect(block('/dev/sdb', hostOf(text, { entry: 'nas' }))).toEqual(['used /dev/sdb: mount /data'])
  // A guest of every boot entry is in the other entry too.
  expect(block('/dev/sdb', hostOf(text))).toEqual(['used /dev/sdb: mount /data'])
})

test('the host uses the members of an imported pool', () => {
  const member = (label: string) => ({
    ...TREE,
    '/run/udev/data/b8:16': `S:disk/by-id/ata-B\nE:ID_FS_TYPE=zfs_member\n${label}`
  })
  const text = 'boot.zfs.extraPools = [ "tank" ];'
  const path = '/dev/disk/by-id/ata-B'
  const uses = (label: string) => block(path, hostOf(text, {}, member(label)))
  expect(uses('E:ID_FS_LABEL=tank\n')).toEqual([`used ${path}: pool tank`])
  expect(uses('')).toEqual([`used ${path}: pool tank`])
  expect(uses('E:ID_FS_LABEL=other\n')).toEqual([`DISK_DORMANT ${path}`])
})

test('notes disks whose names a dump does not contain', () => {
  const tree = Object.fromEntries(
    Object.entries(TREE).filter(([path]) => !path.startsWith('/run/udev'))
  )
  const dump = (text: string) => hostOf(text, { isDump: true }, tree)
  expect(block('/dev/disk/by-id/ata-B', dump(''))).toEqual([
    'DISK_NOT_IN_DUMP /dev/disk/by-id/ata-B'
  ])
  expect(block('/dev/sdz', dump(''))).toEqual(['DISK_MISSING /dev/sdz'])
  expect(block('/dev/sda', dump(''))).toEqual(['used /dev/sda: mount /'])
  // The root is mounted, so its disk is known.
  const root = 'fileSystems."/".device = "/dev/disk/by-uuid/1-1";'
  expect(block('/dev/sdb', dump(root))).toEqual(['DISK_RENUMBERED /dev/sdb'])
  const data = 'fileSystems."/data".device = "/dev/disk/by-uuid/9-9";'
  expect(block('/dev/sdb', dump(data))).toEqual(['DISK_NOT_IN_DUMP /dev/sdb'])
})

// ---- folders

test.each([
  ['/', '/'],
  ['//', '/'],
  ['/etc', '/etc'],
  ['/etc/nixos', '/etc'],
  ['/boot/efi/', '/boot'],
  ['/home/../etc', '/etc'],
  ['/nix', '/nix'],
  ['/nix/var/nix', '/nix/var'],
  ['/var', '/var'],
  ['/root', '/root'],
  ['/dev/shm', '/dev'],
  ['/nix/store', undefined],
  ['/home', undefined],
  ['/home/a', undefined],
  ['/root/share', undefined],
  ['/var/lib/share', undefined],
  ['/run/media/a', undefined],
  ['/etcetera', undefined],
  ['share', undefined]
])('of the folder %s the system has %s', (folder, expected) => {
  expect(systemFolderAt(folder)).toBe(expected)
})

test('refuses a shared system folder only if it is writable', () => {
  const share = (dir: string, more = '') =>
    element(`<filesystem type='mount'><source dir='${dir}'/><target dir='a'/>${more}</filesystem>`)
  expect(share('/')).toEqual(['used /: /'])
  expect(share('/etc/nixos')).toEqual(['used /etc/nixos: /etc'])
  expect(share('/', '<readonly/>')).toEqual([])
  expect(share('/home/a')).toEqual([])
})
