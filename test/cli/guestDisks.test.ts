// `apply --domain`: refuses disks that the host uses.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import {
  APPLY,
  call,
  DIFF,
  given,
  MACHINE,
  notesIn,
  PLAIN,
  planned,
  small
} from './support/guest.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const ROOT = text`
  { ... }:
  {
    networking.hostName = "box";
    fileSystems."/" = { device = "/dev/disk/by-label/root"; fsType = "ext4"; };
    system.stateVersion = "26.05";
  }
  `

const disk = (path: string, more = '') =>
  small(
    `<devices>\n    <disk type='block'><source dev='${path}'/><target dev='vda'/>${more}</disk>\n  </devices>`
  )

const WHY =
  'QEMU opens a disk even if it is mounted, and two systems that write to the same disk destroy its data.'

test.concurrent('apply and diff --domain refuse the disk of the root file system', async () => {
  for (const words of [APPLY, DIFF, call('apply', ...MACHINE, '--dry-run')]) {
    await expectRefusal(given(disk('/dev/nvme0n1'), ROOT), words, {
      code: 7,
      stderr: text`
        vfio-patch: win10.xml:6: small would get /dev/nvme0n1, which this system uses: /boot (nvme0n1p1) and / (nvme0n1p2). Nothing was written.
          Why: ${WHY}
          Do:  give small another disk or an image file: change it in win10.xml
        `
    })
  }
})

test.concurrent('diff --domain refuses a disk of a ZFS pool', async () => {
  const words = call('diff', '--sysfs', folderOf('single-gpu'))
  await expectRefusal(given(disk('/dev/nvme0n1')), words, {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:6: small would get /dev/nvme0n1, which this system uses: /boot (nvme0n1p1) and the ZFS pool (nvme0n1p2). Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in win10.xml
      `
  })
})

test.concurrent('apply --domain --json reports a disk that is refused', async ({ expect }) => {
  const place = given(disk('/dev/nvme0n1'), ROOT)
  const before = place.snapshot()
  const { code, stdout, stderr } = await place.run([...APPLY, '--json'])
  expect([code, stderr]).toEqual([7, ''])
  expect(JSON.parse(stdout)).toMatchObject({
    exit: 7,
    error: {
      code: 'CARRIES_DISK',
      message:
        'win10.xml:6: small would get /dev/nvme0n1, which this system uses: /boot (nvme0n1p1) and / (nvme0n1p2). Nothing was written.',
      why: WHY,
      hint: 'give small another disk or an image file: change it in win10.xml',
      at: { path: 'win10.xml', line: 6, column: 5 }
    }
  })
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('diff --domain refuses a disk that only a file of the configuration names', async () => {
  const hardware = text`
    { ... }:
    {
      fileSystems."/data" = {
        device = "/dev/disk/by-id/ata-B-part1";
        options = [ "noauto" "nofail" ];
      };
      swapDevices = [ { device = "/dev/disk/by-id/ata-B-part2"; } ];
    }
    `
  const files = {
    'configuration.nix': '{ ... }:\n{\n  imports = [ ./hw.nix ];\n}\n',
    'hw.nix': hardware,
    'win10.xml': disk('/dev/disk/by-id/ata-B')
  }
  const stderr = (file: string) => text`
    vfio-patch: win10.xml:6: small would get /dev/disk/by-id/ata-B, which this system uses: /data (${file}:4) and swap (${file}:7). Nothing was written.
      Why: ${WHY}
      Do:  give small another disk or an image file: change it in win10.xml;
           or free the disk first (unmount /data and remove it from fileSystems; run swapoff on it, and remove it from swapDevices), then run this again
    `
  await expectRefusal(makePlace(files), DIFF, { code: 7, stderr: stderr('hw.nix') })
  // A flake may list this file next to the configuration.
  const listed = {
    ...files,
    'configuration.nix': PLAIN,
    'hardware-configuration.nix': hardware
  }
  await expectRefusal(makePlace(listed), DIFF, {
    code: 7,
    stderr: stderr('hardware-configuration.nix')
  })
})

test.concurrent('diff --domain reports several refusals at once', async () => {
  const guest = small(
    `<devices>
    <disk type='file'><source file='/var/lib/libvirt/images/a.qcow2'/><target dev='vda'/></disk>
    <filesystem type='mount'><source dir='/etc/nixos'/><target dir='nixos'/></filesystem>
    <disk type='file'><source file='/dev/nvme0n1p2'/><target dev='vdb'/></disk>
  </devices>`
  )
  await expectRefusal(given(guest), DIFF, {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:8: small would get /dev/nvme0n1p2, which this system uses: / (nvme0n1p2). Nothing was written.
        Why: ${WHY}
             also: small could write to the system of this host: it shares /etc/nixos, which is inside /etc or contains it.
        Do:  give small another disk or an image file: change it in win10.xml
      `
  })
})

test.concurrent('diff --domain refuses to share the root folder unless it is read-only', async ({
  expect
}) => {
  const share = (more: string) =>
    small(
      `<devices>\n    <filesystem type='mount'><source dir='/'/><target dir='host'/>${more}</filesystem>\n  </devices>`
    )
  await expectRefusal(given(share('')), DIFF, {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:6: small could write to the system of this host: it shares /. Nothing was written.
        Why: the guest could change files of the host, and so take over the host.
        Do:  add <readonly/> to that <filesystem> in win10.xml,
             or share a folder without system files
      `
  })
  expect((await planned(share('<readonly/>'))).notes).toEqual([
    'Guest: small; you may edit its file.'
  ])
})

test.concurrent('apply --domain notes a disk of the host that the guest can only read', async ({
  expect
}) => {
  expect((await planned(disk('/dev/nvme0n1', '<readonly/>'))).notes).toEqual([
    'Guest: small; you may edit its file.',
    'Note: win10.xml:6: small can read /dev/nvme0n1, which this system uses: /boot (nvme0n1p1) and / (nvme0n1p2). The host changes the data while the guest reads it, so the data may look damaged to the guest.'
  ])
})

test.concurrent('apply --domain notes a disk that could not be checked in a dump', async ({
  expect
}) => {
  expect((await planned(disk('/dev/disk/by-id/ata-B'))).notes).toEqual([
    'Guest: small; you may edit its file.',
    'Note: win10.xml:6: /dev/disk/by-id/ata-B, a disk of small, was not checked: a dump does not contain disk names like this one. The host may use it: run this on the machine itself before small starts.'
  ])
})

// ---- a machine that is not a dump

/** Adds a machine in a folder: the root is on sda, sdb and sdc are free, and a storage pool has the partitions. */
function addMachine(place: Place): string[] {
  const top = join(place.top, 'machine')
  const ata = (n: number) =>
    `sys/devices/pci0000:00/0000:00:17.0/ata${n}/host${n}/target${n}:0:0/${n}:0:0:0/block`
  const usb = 'sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block'
  const disks: [string, string, string, string][] = [
    ['sda', '8:0', `${ata(1)}/sda`, 'S:disk/by-id/ata-A'],
    ['sda1', '8:1', `${ata(1)}/sda/sda1`, 'S:disk/by-id/ata-A-part1\nS:disk/by-label/root'],
    ['sda2', '8:2', `${ata(1)}/sda/sda2`, 'S:disk/by-id/ata-A-part2'],
    ['sdb', '8:16', `${ata(2)}/sdb`, 'S:disk/by-id/ata-B'],
    ['sdc', '8:32', `${usb}/sdc`, 'S:disk/by-id/usb-C']
  ]
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(top, path)), { recursive: true })
    writeFileSync(join(top, path), content)
  }
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(top, path)), { recursive: true })
    symlinkSync(target, join(top, path))
  }
  for (const [name, number, path, udev] of disks) {
    write(`${path}/dev`, `${number}\n`)
    link(`sys/class/block/${name}`, `../../../${path}`)
    link(`sys/dev/block/${number}`, `../../../${path}`)
    write(`run/udev/data/b${number}`, `${udev}\n`)
    for (const it of udev.split('\n')) link(`dev/${it.slice(2)}`, `../../${name}`)
  }
  link('home/a/disk.img', '/dev/disk/by-id/ata-A')
  write('proc/self/mountinfo', '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n')
  write(
    'var/lib/libvirt/storage/parts.xml',
    "<pool type='disk'><name>parts</name><target><path>/dev</path></target></pool>"
  )
  return ['--sysfs', top]
}

const CASES: readonly [title: string, element: string, name: string, line: string][] = [
  [
    'a link from udev',
    "<disk type='block'><source dev='/dev/disk/by-label/root'/><target dev='vda'/></disk>",
    '/dev/disk/by-label/root',
    '/ (sda1)'
  ],
  [
    'a link in a home folder',
    "<disk type='file'><source file='/home/a/disk.img'/><target dev='vda'/></disk>",
    '/home/a/disk.img',
    '/ (sda1)'
  ],
  [
    'a volume of a storage pool',
    "<disk type='volume'><source pool='parts' volume='sda1'/><target dev='vda'/></disk>",
    'the volume sda1 of the pool parts',
    '/ (sda1)'
  ],
  [
    'a SCSI device',
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host1'/><address bus='0' target='0' unit='0'/></source></hostdev>",
    'the SCSI device 1:0:0:0',
    '/ (sda1)'
  ]
]

test.concurrent.for(CASES)(
  'diff --domain refuses a disk of the host through %s',
  async ([_, element, name, uses]) => {
    const place = given(small(`<devices>\n    ${element}\n  </devices>`))
    const machine = addMachine(place)
    await expectRefusal(place, call('diff', ...machine), {
      code: 7,
      stderr: text`
      vfio-patch: win10.xml:6: small would get ${name}, which this system uses: ${uses}. Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in win10.xml
      `
    })
  }
)

test.concurrent('diff --domain refuses a disk of the host in a QEMU argument', async () => {
  const place = given(
    small(
      "<qemu:commandline>\n    <qemu:arg value='-drive'/>\n    <qemu:arg value='file=/dev/sda,format=raw,if=none,id=a'/>\n  </qemu:commandline>"
    )
  )
  await expectRefusal(place, call('diff', ...addMachine(place)), {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:7: small would get /dev/sda, which this system uses: / (sda1). Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in win10.xml
      `
  })
})

test.concurrent.for([
  ['/dev/disk/by-id/ata-B'],
  ['/dev/disk/by-id/ata-A-part2'],
  [
    '/dev/sdb',
    '/dev/sdb can be another disk after the next boot, possibly a disk that this system uses (sda). Use /dev/disk/by-id/ata-B instead.'
  ],
  [
    '/dev/disk/by-id/usb-C',
    '/dev/disk/by-id/usb-C, a disk of small, is removable, so the host may mount it when it is plugged in. Make sure that the host does not mount it while small runs.'
  ],
  [
    '/dev/disk/by-id/ata-Z',
    'this machine does not have /dev/disk/by-id/ata-Z, a disk of small, so vfio-patch could not check whether the host uses it. Plug it in and run this again, or change the disk.'
  ]
])('diff --domain accepts %s, with a note if needed', async ([path = '', note], { expect }) => {
  const place = given(disk(path))
  const { code, stderr } = await place.run(call('diff', ...addMachine(place)))
  expect(code).toBe(1)
  const notes = note === undefined ? [] : [`Note: win10.xml:6: ${note}`]
  expect(notesIn(stderr).slice(1)).toEqual(notes)
})

test.concurrent('diff --domain refuses a disk that a desktop mounted, and suggests only to unmount it', async () => {
  const place = given(disk('/dev/disk/by-id/usb-C'), '{ ... }:\n{\n}\n')
  const machine = addMachine(place)
  const mounts = join(machine[1] ?? '', 'proc/self/mountinfo')
  writeFileSync(mounts, '9 1 8:32 / /run/media/alice/C rw - exfat /dev/sdc rw\n', { flag: 'a' })
  await expectRefusal(place, call('diff', ...machine), {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:6: small would get /dev/disk/by-id/usb-C, which this system uses: /run/media/alice/C (sdc). Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in win10.xml;
             or free the disk first (unmount /run/media/alice/C), then run this again
      `
  })
})

test.concurrent('diff --domain refuses a disk with an LVM volume that the host activated', async () => {
  const place = given(disk('/dev/disk/by-id/ata-B'), '{ ... }:\n{\n}\n')
  const machine = addMachine(place)
  const top = machine[1] ?? ''
  const folder = join(top, 'sys/devices/virtual/block/dm-0')
  mkdirSync(join(folder, 'dm'), { recursive: true })
  mkdirSync(join(folder, 'slaves/sdb'), { recursive: true })
  writeFileSync(join(folder, 'dev'), '254:0\n')
  writeFileSync(join(folder, 'dm/name'), 'ubuntu--vg-lv--1\n')
  writeFileSync(join(folder, 'dm/uuid'), 'LVM-abc\n')
  symlinkSync('../../devices/virtual/block/dm-0', join(top, 'sys/class/block/dm-0'))
  await expectRefusal(place, call('diff', ...machine), {
    code: 7,
    stderr: text`
      vfio-patch: win10.xml:6: small would get /dev/disk/by-id/ata-B, which this system uses: LVM ubuntu--vg-lv--1 (sdb). Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in win10.xml;
             or free the disk first (vgchange -an ubuntu-vg, and vgchange --setautoactivation n ubuntu-vg so that it is not activated at the next boot), then run this again
      `
  })
})

// ---- guests that the configuration already has

test.concurrent('apply --domain refuses a disk of the host in an edited file of the guest', async ({
  expect
}) => {
  const place = given(disk('/dev/disk/by-id/ata-B'))
  const words = [...call('apply', ...addMachine(place)), '--yes']
  expect((await place.run(words)).code).toBe(0)
  const file = 'vfio/guests/small.nix'
  place.write(file, place.read(file).replace('by-id/ata-B', 'by-id/ata-A'))
  await expectRefusal(place, words, {
    code: 7,
    stderr: text`
      vfio-patch: vfio/guests/small.nix: small would get /dev/disk/by-id/ata-A, which this system uses: / (sda1). Nothing was written.
        Why: ${WHY}
        Do:  give small another disk or an image file: change it in vfio/guests/small.nix
      `
  })
})

test.concurrent('apply without --domain only notes a disk of the host in the file of a guest', async ({
  expect
}) => {
  const place = given(disk('/dev/disk/by-id/ata-B'))
  const machine = addMachine(place)
  expect((await place.run([...call('apply', ...machine), '--yes'])).code).toBe(0)
  const file = 'vfio/guests/small.nix'
  place.write(file, place.read(file).replace('by-id/ata-B', 'by-id/ata-A'))
  const words = ['apply', 'configuration.nix', '--ignore-msrs', '--yes', ...machine]
  const { code, stderr } = await place.run(words)
  expect(code).toBe(0)
  expect(notesIn(stderr)).toEqual([
    'Note: vfio/guests/small.nix: small would get /dev/disk/by-id/ata-A, which this system uses: / (sda1). What small writes can destroy files of this system. Change the guest before it starts.'
  ])
})

test.concurrent('check finds a disk of the host in a guest of the configuration, and does not fix it', async ({
  expect
}) => {
  const place = given(
    disk('/dev/disk/by-id/ata-B'),
    '{ ... }:\n{\n  fileSystems."/old" = {\n    device = "/dev/disk/by-id/ata-C";\n    options = [ "noauto" ];\n  };\n}\n'
  )
  const machine = addMachine(place)
  expect((await place.run([...call('apply', ...machine), '--yes'])).code).toBe(0)
  const words = ['check', 'configuration.nix', ...machine]
  expect((await place.run(words)).code).toBe(0)
  const file = 'vfio/guests/small.nix'
  place.write(file, place.read(file).replace('by-id/ata-B', 'by-id/ata-C'))
  const { code, stdout, stderr } = await place.run(words)
  expect(code).toBe(1)
  expect(stdout.split('\n\n')[0]).toBe(
    [
      '/etc/nixos/vfio/guests/small.nix:10:38: GUEST_DISK: small would get /dev/disk/by-id/ata-C, which this system uses: /old (configuration.nix:6).',
      '    10 | … "block"; source.dev = "/dev/disk/by-id/ata-C"; target.dev = "vda"; }',
      '                                 ^^^^^^^^^^^^^^^^^^^^^^^',
      `  Why: ${WHY}`,
      '  Do:  give small another disk or an image file'
    ].join('\n')
  )
  expect(stderr).toBe('1 problem in /etc/nixos/configuration.nix and 1 file that it imports.\n')
  const json = JSON.parse((await place.run([...words, '--json'])).stdout)
  expect(json.findings).toMatchObject([
    { code: 'GUEST_DISK', level: 'problem', at: { path: '/etc/nixos/vfio/guests/small.nix' } }
  ])
  const before = place.snapshot()
  expect((await place.run([...words, '--fix', '--yes'])).code).toBe(1)
  expect(place.snapshot()).toEqual(before)
})
