// Replaces names with placeholders: consistent, unique, and nothing else changes.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeDump, withoutIdentity } from '../../src/machine/dump/dump.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { type Recording, recordedSource, recordingSource } from '../../src/machine/source.ts'
import { recordingOf, sourceFrom } from './support/tree.ts'

/** The masked recording: paths with texts, or `-> target` for symlinks. */
function masked(tree: Record<string, string>): Record<string, string> {
  const { recording } = withoutIdentity(recordingOf(tree))
  return Object.fromEntries(
    [...recording].map(([path, it]) => [
      path,
      it === 'folder' ? '' : 'link' in it ? `-> ${it.link}` : it.text
    ])
  )
}

test.each<[string, Record<string, string>, Record<string, string>]>([
  [
    'an LVM volume gets the same name in all its paths',
    {
      '/sys/class/block/dm-0/dm/name': 'alice--pc-my--data\n',
      '/sys/class/block/dm-0/dm/uuid': 'LVM-abcdefABCDEF\n',
      '/dev/mapper/alice--pc-my--data': '-> ../dm-0',
      '/dev/alice-pc/my-data': '-> ../dm-0',
      '/dev/disk/by-id/dm-name-alice--pc-my--data': '-> ../../dm-0',
      '/proc/self/mountinfo': '1 0 254:0 / / rw - ext4 /dev/mapper/alice--pc-my--data rw\n'
    },
    {
      '/sys/class/block/dm-0/dm/name': 'vg1-lv1\n',
      '/sys/class/block/dm-0/dm/uuid': 'LVM\n',
      '/dev/mapper/vg1-lv1': '-> ../dm-0',
      '/dev/vg1/lv1': '-> ../dm-0',
      '/dev/disk/by-id/dm-name-vg1-lv1': '-> ../../dm-0',
      '/proc/self/mountinfo': '0 0 254:0 / / rw - ext4 /dev/mapper/vg1-lv1 rw\n'
    }
  ],
  [
    'an encrypted volume is recognized by its content, not its name',
    {
      '/sys/class/block/sda2/dev': '8:2\n',
      '/run/udev/data/b8:2': 'E:ID_FS_TYPE=crypto_LUKS\n',
      '/sys/class/block/dm-0/dm/name': 'alice-root\n',
      '/sys/class/block/dm-0/slaves/sda2': '',
      '/dev/mapper/alice-root': '-> ../dm-0',
      '/proc/swaps': 'Filename Type\n/dev/mapper/alice-root partition 1\n'
    },
    {
      '/sys/class/block/sda2/dev': '8:2\n',
      '/run/udev/data/b8:2': 'E:ID_FS_TYPE=crypto_LUKS\n',
      '/sys/class/block/dm-0/dm/name': 'luks1\n',
      '/sys/class/block/dm-0/slaves/sda2': '',
      '/dev/mapper/luks1': '-> ../dm-0',
      '/proc/swaps': 'Filename Type\n/dev/mapper/luks1 partition 1\n'
    }
  ],
  [
    'symlinks to disks keep their type and partition',
    {
      '/dev/disk/by-id/nvme-Samsung_SSD_S4EVNF0M123456': '-> ../../nvme0n1',
      '/dev/disk/by-id/nvme-Samsung_SSD_S4EVNF0M123456-part2': '-> ../../nvme0n1p2',
      '/dev/disk/by-id/wwn-0x5002538d12345678': '-> ../../sda',
      '/dev/disk/by-label/ALICE': '-> ../../sda1',
      '/dev/disk/by-partlabel/Alices\\x20data': '-> ../../sda1',
      '/dev/disk/by-uuid/ABCD-1234': '-> ../../sda1',
      '/dev/disk/by-uuid/6f9619ff-8b86-d011-b42d-00c04fc964ff': '-> ../../sda2',
      '/dev/disk/by-partuuid/6f9619ff-8b86-d011-b42d-00c04fc964ff': '-> ../../sda2',
      '/dev/disk/by-path/pci-0000:01:00.0-nvme-1-part2': '-> ../../nvme0n1p2',
      '/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2004.com.alice:disk-lun-1': '-> ../../sdb'
    },
    {
      '/dev/disk/by-id/nvme-disk1': '-> ../../nvme0n1',
      '/dev/disk/by-id/nvme-disk1-part2': '-> ../../nvme0n1p2',
      '/dev/disk/by-id/wwn-disk2': '-> ../../sda',
      '/dev/disk/by-label/label1': '-> ../../sda1',
      '/dev/disk/by-partlabel/partlabel1': '-> ../../sda1',
      '/dev/disk/by-uuid/disk3': '-> ../../sda1',
      '/dev/disk/by-uuid/00000000-0000-0000-0000-000000000001': '-> ../../sda2',
      '/dev/disk/by-partuuid/00000000-0000-0000-0000-000000000001': '-> ../../sda2',
      '/dev/disk/by-path/pci-0000:01:00.0-nvme-1-part2': '-> ../../nvme0n1p2',
      '/dev/disk/by-path/path1': '-> ../../sdb'
    }
  ],
  [
    'common names are kept, and no placeholder equals one of them',
    {
      '/sys/class/net/enp5s0': '-> ../../devices/pci0000:00/0000:05:00.0/net/enp5s0',
      '/sys/class/net/wlp3s0': '-> ../../devices/pci0000:00/0000:03:00.0/net/wlp3s0',
      '/sys/class/net/br0/bridge/stp_state': '0\n',
      '/sys/class/net/net1': '-> ../../devices/virtual/net/net1',
      '/sys/class/net/lan-alice': '-> ../../devices/virtual/net/lan-alice',
      '/proc/bus/input/devices': 'N: Name="Logitech USB Receiver"\n\nN: Name="Alice\'s phone"\n'
    },
    {
      '/sys/class/net/enp5s0': '-> ../../devices/pci0000:00/0000:05:00.0/net/enp5s0',
      '/sys/class/net/wlp3s0': '-> ../../devices/pci0000:00/0000:03:00.0/net/wlp3s0',
      '/sys/class/net/br0/bridge/stp_state': '0\n',
      '/sys/class/net/net1': '-> ../../devices/virtual/net/net1',
      '/sys/class/net/net2': '-> ../../devices/virtual/net/net2',
      '/proc/bus/input/devices': 'N: Name="Logitech USB Receiver"\n\nN: Name="input"\n'
    }
  ],
  [
    'a kernel keeps its version, also in the path of its modules',
    {
      '/proc/sys/kernel/osrelease': '6.19.0-rc3-alice-tuned\n',
      '/lib/modules/6.19.0-rc3-alice-tuned/modules.alias': 'alias usb:x alice\n',
      '/run/booted-system': `-> /nix/store/${'a'.repeat(32)}-nixos-system-alice-26.05`,
      [`/nix/store/${'a'.repeat(32)}-nixos-system-alice-26.05/kernel`]: `-> /nix/store/${'b'.repeat(32)}-linux-alice-6.19.0-rc3-tuned/bzImage`,
      [`/nix/store/${'a'.repeat(32)}-nixos-system-alice-26.05/specialisation/vfio`]: `-> /nix/store/${'c'.repeat(32)}-nixos-system-alice-26.05`,
      [`/nix/store/${'a'.repeat(32)}-nixos-system-alice-26.05/specialisation/bobs`]: `-> /nix/store/${'d'.repeat(32)}-nixos-system-alice-26.05`
    },
    {
      '/proc/sys/kernel/osrelease': '6.19.0-rc3\n',
      '/lib/modules/6.19.0-rc3/modules.alias': '',
      '/run/booted-system': `-> /nix/store/${'1'.padStart(32, '0')}-nixos-system`,
      [`/nix/store/${'1'.padStart(32, '0')}-nixos-system/kernel`]: `-> /nix/store/${'2'.padStart(32, '0')}-linux-6.19.0-rc3/bzImage`,
      [`/nix/store/${'1'.padStart(32, '0')}-nixos-system/specialisation/vfio`]: `-> /nix/store/${'3'.padStart(32, '0')}-nixos-system`,
      [`/nix/store/${'1'.padStart(32, '0')}-nixos-system/specialisation/entry1`]: `-> /nix/store/${'4'.padStart(32, '0')}-nixos-system`
    }
  ],
  [
    'a pool gets the same name at its members and mounts',
    {
      '/run/udev/data/b8:1':
        'S:disk/by-label/alice\nE:ID_FS_LABEL=alice\nE:ID_FS_TYPE=zfs_member\n',
      '/proc/spl/kstat/zfs/alice/state': 'ONLINE\n',
      '/proc/spl/kstat/zfs/arcstats': '',
      '/proc/self/mountinfo':
        '1 0 0:9 / /srv rw - zfs alice/share/bob rw\n2 0 0:10 / /srv/\\040x rw - zfs alice rw\n',
      '/sys/fs/bcachefs/6f9619ff-8b86-d011-b42d-00c04fc964ff/dev-0/block':
        '-> ../../../../block/sda',
      '/sys/class/block/sdb/bcache/set':
        '-> ../../../fs/bcache/6f9619ff-8b86-d011-b42d-00c04fc964ff',
      '/sys/bus/usb/devices/2-1/idVendor': '0951\n',
      '/sys/bus/usb/devices/2-1/serial': 'S123\n'
    },
    {
      '/run/udev/data/b8:1': 'E:ID_FS_LABEL=pool1\nE:ID_FS_TYPE=zfs_member\n',
      '/proc/spl/kstat/zfs/pool1/state': 'ONLINE\n',
      '/proc/self/mountinfo':
        '0 0 0:9 / /srv rw - zfs pool1/set1/set2 rw\n1 0 0:10 / /mnt/1 rw - zfs pool1 rw\n',
      '/sys/fs/bcachefs/00000000-0000-0000-0000-000000000001/dev-0/block':
        '-> ../../../../block/sda',
      '/sys/class/block/sdb/bcache/set':
        '-> ../../../fs/bcache/00000000-0000-0000-0000-000000000001',
      '/sys/bus/usb/devices/2-1/idVendor': '0951\n'
    }
  ],
  [
    'paths that vfio-patch does not read are omitted',
    { '/etc/hostname': 'alice\n', '/home/alice/notes': 'x', '/sys/class/net/eth0/address': 'x\n' },
    {}
  ]
])('%s', (_, given, expected) => {
  expect(masked(given)).toEqual(expected)
  expect(masked(expected)).toEqual(expected)
})

const letter = fc.constantFrom(...'abcdeXYZ019-_.+@é’~')
/** Unusual names, and names in the form of placeholders. */
const unusual = fc.array(letter, { minLength: 2, maxLength: 9 }).map(it => `zz${it.join('')}`)
const placeholderLike = fc.constantFrom(
  ...[
    'net1',
    'net2',
    'bridge1',
    'luks1',
    'luks2',
    'map1',
    'vg1',
    'vg1-lv1',
    'lv1',
    'lv2',
    'entry1',
    'entry2'
  ],
  ...['input', 'input1', 'input2', 'pool', 'pool1', 'set1', 'block1', '1', '2', 'swap1', 'value1']
)
const several = fc.uniqueArray(
  fc.oneof({ weight: 3, arbitrary: unusual }, { weight: 1, arbitrary: placeholderLike }),
  {
    minLength: 2,
    maxLength: 4,
    selector: it => it.toLowerCase()
  }
)

const names = fc.record({
  networks: several,
  bridges: several,
  mappings: several,
  volumes: several,
  mounts: several,
  swaps: several,
  inputs: several,
  entries: several,
  datasets: several
})
type Names = typeof names extends fc.Arbitrary<infer T> ? T : never

const KEYS = 'B: EV=120013\nB: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe'

/** A machine with these names, with a separate device for each network, mapping and keyboard. */
function treeOf(it: Names): Record<string, string> {
  const tree: Record<string, string> = {}
  const at = (i: number) => `pci0000:00/0000:00:0${i}.0`
  for (const [i, name] of it.networks.entries()) {
    tree[`/sys/class/net/${name}`] = `-> ../../devices/${at(i)}/net/${name}`
  }
  for (const name of it.bridges) tree[`/sys/class/net/${name}/bridge/stp_state`] = '0\n'
  const mounts: string[] = []
  const swaps = ['Filename Type']
  const doubled = it.volumes.map(name => name.replaceAll('-', '--'))
  const mappings = [...it.mappings, ...doubled.map(name => `${name}-${name}`)]
  for (const [i, name] of mappings.entries()) {
    const disk = `sd${'abcdefgh'[i]}`
    const isLUKS = i < it.mappings.length
    tree[`/sys/class/block/${disk}`] = `-> ../../devices/${at(i)}/block/${disk}`
    tree[`/sys/class/block/${disk}/dev`] = `8:${i}\n`
    tree[`/run/udev/data/b8:${i}`] = `E:ID_FS_TYPE=${isLUKS ? 'crypto_LUKS' : 'LVM2_member'}\n`
    tree[`/sys/class/block/dm-${i}`] = `-> ../../devices/virtual/block/dm-${i}`
    tree[`/sys/class/block/dm-${i}/dm/name`] = `${name}\n`
    tree[`/sys/class/block/dm-${i}/slaves/${disk}`] = ''
    const point = it.mounts[i]
    // No symlink leads to this device, so it is found by its name.
    if (point !== undefined)
      mounts.push(`1 0 254:${i} / /${point} rw - ext4 /dev/mapper/${name} rw`)
    else swaps.push(`/dev/mapper/${name} partition 1`)
  }
  for (const name of it.swaps) swaps.push(`/${name} file 1`)
  for (const name of it.datasets) mounts.push(`1 0 0:9 / /data/${name} rw - zfs ${name}/${name} rw`)
  tree['/proc/self/mountinfo'] = `${mounts.join('\n')}\n`
  tree['/proc/swaps'] = `${swaps.join('\n')}\n`
  tree['/proc/bus/input/devices'] = it.inputs
    .map(
      (name, i) =>
        `N: Name="${name}"\nS: Sysfs=/devices/${at(i)}/usb1/1-1/1-1:1.0/input\nH: Handlers=kbd\n${KEYS}\n`
    )
    .join('\n')
  const store = (digit: string) => `/nix/store/${digit.repeat(32)}-nixos-system-${it.networks[0]}`
  tree['/run/current-system'] = `-> ${store('a')}`
  for (const [i, name] of it.entries.entries()) {
    tree[`${store('a')}/specialisation/${name}`] = `-> ${store('bcde'[i] ?? '')}`
  }
  return tree
}

function recorded(tree: Record<string, string>): { machine: Machine; recording: Recording } {
  const recording: Recording = new Map()
  return { machine: readMachine(recordingSource(sourceFrom(tree), recording)), recording }
}

/** The machine with a number for each name, sorted where the order depended on names. */
function shape({ networks, bridges, keyboards, storage, systems }: Machine) {
  const known = new Map<string, number>()
  const number = (name: string) => {
    known.set(name, known.get(name) ?? known.size)
    return known.get(name)
  }
  const sorted = <T>(items: readonly T[]) => items.map(it => JSON.stringify(it)).sort()
  return {
    networks: sorted(networks.map(it => it.through)),
    distinct: [networks.map(it => it.name), bridges ?? [], keyboards.map(it => it.name)].map(
      it => new Set(it).size
    ),
    bridges: bridges?.length,
    keyboards: keyboards.map(it => ({ ...it, name: number(it.name) })),
    storage: storage.map(it => ({ ...it, name: it.kind === 'mount' ? number(it.name) : it.name })),
    entries: new Set(systems?.current?.specialisations.map(it => it.name)).size
  }
}

test('masks names uniquely and idempotently, and changes no other facts', () => {
  fc.assert(
    fc.property(names, it => {
      const { machine, recording } = recorded(treeOf(it))
      const { recording: once } = withoutIdentity(recording)
      expect(withoutIdentity(once).recording).toEqual(once)
      expect(shape(readMachine(recordedSource(once)))).toEqual(shape(machine))
      expect(once.size).toBe([...recording.keys()].length)
      const dump = [...makeDump(recording).texts.values()].join('').toLowerCase()
      const planted = Object.values(it)
        .flat()
        .filter(name => name.startsWith('zz'))
      for (const name of planted) expect(dump).not.toContain(name.toLowerCase())
    })
  )
})
