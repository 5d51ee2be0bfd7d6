// `scan --dump` on a machine with a private name in every place that can have one. The dump contains none of these
// names, and commands report the same for the dump as for the machine.

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'vitest'
import { openMachine, readMachine } from '../../src/machine/read/machine.ts'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const UUID = 'deadbeef-1234-4321-abcd-c0ffeec0ffee'
const POOL_UUID = 'feedface-1234-4321-abcd-c0ffeec0ffee'
const MAC = '0badc0ffee11'
const HASH = (letter: string) => `zz${letter.repeat(30)}`
const STORE = (letter: string, name: string) => `/nix/store/${HASH(letter)}-${name}`

/** Each private name, and its placeholder if rules or people read it. */
const PLACEHOLDERS: Record<string, string> = {
  zz_wifi: 'net1',
  'zzlan-0': 'net2',
  'br-zzalice': 'bridge1',
  [`enx${MAC}`]: 'enx000000000001',
  md_zzarray: 'md_array1',
  zzpool: 'pool1',
  'zzvg-zzroot': 'vg1-lv1',
  'zzvg-zzswap': 'vg1-lv2',
  zzcrypt: 'luks1',
  '/mnt/zzsecret': '/mnt/1',
  '/home/zzuser/work': '/mnt/2',
  "zzAlice's Keyboard": 'input',
  'zzBob Bluetooth': 'input2',
  zzentry: 'entry2',
  'zz-gaming': 'entry1',
  zzdriver: 'driver1',
  '6.18.2-zzlocal': '6.18.2',
  [STORE('a', 'nixos-system-zzhost-26.05.1')]: `/nix/store/${'2'.padStart(32, '0')}-nixos-system`
}

const BITS = 'B: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe'

const PCI: [address: string, vendor: string, device: string, code: string, driver: string][] = [
  ['0000:01:00.0', '0x10de', '0x1b80', '0x030000', 'nouveau'],
  ['0000:02:00.0', '0x1002', '0x67df', '0x030000', 'amdgpu'],
  ['0000:03:00.0', '0x8086', '0x1533', '0x020000', 'igb'],
  ['0000:04:00.0', '0x144d', '0xa808', '0x010802', 'nvme'],
  ['0000:05:00.0', '0x8086', '0xa36d', '0x0c0330', 'xhci_hcd'],
  ['0000:06:00.0', '0x8086', '0x24fd', '0x028000', 'iwlwifi'],
  ['0000:07:00.0', '0x144d', '0xa808', '0x010802', 'nvme']
]

const FILES: Record<string, string> = {
  '/proc/cmdline': `BOOT_IMAGE=(hd0)/zzboot root=UUID=${UUID} resume=/dev/mapper/zzvg-zzswap init=${STORE('a', 'nixos-system-zzhost-26.05.1')}/init ip=10.0.0.5::::zzhost systemd.hostname=zzhost rd.luks.name=${UUID}=zzcrypt user=zzuser intel_iommu=on,sm_on iommu=pt vfio-pci.ids=10de:1b80 video=zzvideo:off video=efifb:off module_blacklist=zzmodule,nouveau acpi_osi="zzacpi" isolcpus=2-5 amdgpu.zz_parameter=zzvalue zziommu=1 quiet`,
  '/proc/cpuinfo':
    'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel i5\nserial\t: zzserial\nflags\t\t: vmx pdpe1gb zzflag\n\nprocessor\t: 1\n',
  '/proc/meminfo': 'MemTotal:       16000000 kB\nzzMemory: 1 kB\n',
  '/etc/os-release':
    'NAME=zzNixOS\nID=nixos\nVERSION_ID="26.05"\nVARIANT_ID=zzvariant\nHOME_URL="https://zzhost"\n',
  '/proc/sys/kernel/osrelease': '6.18.2-zzlocal\n',
  '/proc/modules':
    'vfio_pci 1 0 - Live 0x0\nzzmodule 1 0 - Live 0x0\nkvm_zzmodule 1 0 - Live 0x0\n',
  '/proc/iomem':
    'c0000000-cfffffff : 0000:01:00.0\n  c0000000-c02fffff : BOOTFB\nd0-d1 : zzdevice\n',
  '/dev/kmsg':
    '5,0,0,-;Linux version 6.18.2-zzlocal (zzuser@zzhost)\n6,7,0,-;usb 1-1: SerialNumber: zzserial\n6,8,0,-;PCIe ACS overrides enabled\n',
  '/proc/swaps':
    'Filename\t\tType\t\tSize\tUsed\tPriority\n/home/zzuser/zzswap  file\t\t1\t0\t-2\n/dev/dm-2  partition\t1\t0\t-3\n/dev/mapper/zzvg-zzswap  partition\t1\t0\t-4\n',
  '/proc/self/mountinfo': [
    '21 1 254:0 /@zzsubvolume / rw,zz=1 shared:1 - ext4 /dev/mapper/zzvg-zzroot rw,zzoption',
    '22 21 259:1 / /boot rw - vfat /dev/nvme0n1p1 rw',
    '23 21 9:127 / /mnt/zzsecret rw - xfs /dev/md_zzarray rw',
    '24 21 0:40 / /home/zzuser/work rw - btrfs /dev/mapper/zzcrypt rw,subvol=/zzsub',
    '25 21 0:41 / /home rw - zfs zzpool/zzhome/zzuser rw',
    '26 21 0:42 / /home/zzuser/share rw - cifs //zznas/zzuser rw,username=zzuser',
    '27 21 0:43 / /run/user/1000/zzdoc rw - fuse.zzportal zzportal rw',
    ''
  ].join('\n'),
  '/proc/bus/input/devices': [
    'N: Name="zzAlice\'s Keyboard"\nP: Phys=zzphys\nS: Sysfs=/devices/pci0000:00/0000:05:00.0/usb1/1-1/1-1:1.0/0003:1/input/input1\nU: Uniq=zzserial\nH: Handlers=kbd event1\nB: EV=120013',
    `${BITS}\n\nN: Name="zzBob Bluetooth"\nS: Sysfs=/devices/virtual/misc/uhid/0005:1/input/input2\nU: Uniq=0b:ad:c0:ff:ee:11\nH: Handlers=kbd event2\nB: EV=120013`,
    `${BITS}\n\nN: Name="Logitech USB Receiver"\nS: Sysfs=/devices/pci0000:00/0000:05:00.0/usb1/1-2/1-2:1.0/0003:2/input/input3\nH: Handlers=kbd event3\nB: EV=120013\n${BITS}\n`
  ].join('\n'),
  '/sys/class/dmi/id/board_name': 'X570\n',
  '/sys/class/dmi/id/board_serial': 'zzserial\n',
  '/sys/class/net/zzlan-0/operstate': 'up\n',
  '/sys/class/net/zz_wifi/operstate': 'down\n',
  '/sys/class/net/br-zzalice/bridge/stp_state': '0\n',
  '/sys/class/net/virbr0/bridge/stp_state': '0\n',
  '/sys/class/block/dm-0/dm/name': 'zzvg-zzroot\n',
  '/sys/class/block/dm-1/dm/name': 'zzcrypt\n',
  '/sys/class/block/dm-2/dm/name': 'zzvg-zzswap\n',
  '/sys/class/block/nvme0n1p2/dev': '259:2\n',
  '/sys/class/block/nvme1n1/dev': '259:3\n',
  '/sys/class/block/nvme1n1p1/dev': '259:4\n',
  '/sys/class/block/dm-1/dev': '254:1\n',
  '/run/udev/data/b259:2': `S:disk/by-id/nvme-zzserial\nS:disk/by-label/zzlabel\nE:ID_SERIAL=zzserial\nE:ID_FS_LABEL=zzlabel\nE:ID_FS_UUID=${UUID}\nE:ID_FS_TYPE=LVM2_member\n`,
  '/run/udev/data/b259:3': 'E:ID_SERIAL=zzserial\nE:ID_FS_TYPE=crypto_LUKS\n',
  '/run/udev/data/b259:4': 'E:ID_FS_LABEL=zzpool\nE:ID_FS_TYPE=zfs_member\n',
  '/sys/firmware/acpi/tables/DMAR': '',
  '/usr/share/hwdata/pci.ids': '10de  NVIDIA Corporation\n\t1b80  GP104 [GeForce GTX 1080]\n'
}

const LINKS: Record<string, string> = {
  '/sys/class/net/lo': '../../devices/virtual/net/lo',
  '/sys/class/block/nvme0n1': '../../devices/pci0000:00/0000:04:00.0/nvme/nvme0/nvme0n1',
  '/sys/dev/block/259:1': '../../devices/pci0000:00/0000:04:00.0/nvme/nvme0/nvme0n1/nvme0n1p1',
  '/sys/dev/block/254:0': '../../devices/virtual/block/dm-0',
  '/sys/dev/block/9:127': '../../devices/virtual/block/md_zzarray',
  '/run/booted-system': STORE('a', 'nixos-system-zzhost-26.05.1'),
  '/run/current-system': STORE('b', 'nixos-system-zzhost-26.05.2'),
  '/nix/var/nix/profiles/system': 'system-7-link',
  '/nix/var/nix/profiles/system-7-link': STORE('b', 'nixos-system-zzhost-26.05.2'),
  '/nix/var/nix/profiles/system-6-link': STORE('a', 'nixos-system-zzhost-26.05.1')
}

/** Symlinks to folders: the symlink, and the folder. */
const FOLDERS: Record<string, string> = {
  '/sys/class/net/zzlan-0': '/sys/devices/pci0000:00/0000:03:00.0/net/zzlan-0',
  '/sys/class/net/zz_wifi': '/sys/devices/pci0000:00/0000:06:00.0/net/zz_wifi',
  '/sys/class/net/br-zzalice': '/sys/devices/virtual/net/br-zzalice',
  [`/sys/class/net/enx${MAC}`]: `/sys/devices/pci0000:00/0000:05:00.0/usb1/1-3/net/enx${MAC}`,
  '/sys/class/block/dm-0': '/sys/devices/virtual/block/dm-0',
  '/sys/class/block/dm-1': '/sys/devices/virtual/block/dm-1',
  '/sys/class/block/dm-2': '/sys/devices/virtual/block/dm-2',
  '/sys/class/block/md_zzarray': '/sys/devices/virtual/block/md_zzarray',
  '/sys/class/block/nvme0n1p2': '/sys/devices/pci0000:00/0000:04:00.0/nvme/nvme0/nvme0n1/nvme0n1p2',
  '/sys/class/block/nvme1n1': '/sys/devices/pci0000:00/0000:07:00.0/nvme/nvme1/nvme1n1',
  '/sys/class/block/nvme1n1p1': '/sys/devices/pci0000:00/0000:07:00.0/nvme/nvme1/nvme1n1/nvme1n1p1'
}

const EMPTY = [
  '/sys/devices/virtual/block/dm-0/slaves/nvme0n1p2',
  '/sys/devices/virtual/block/dm-1/slaves/nvme1n1',
  '/sys/devices/virtual/block/dm-2/slaves/nvme0n1p2',
  '/sys/devices/virtual/block/md_zzarray/slaves/nvme0n1p2',
  `/sys/fs/btrfs/${POOL_UUID}/devices/dm-1`,
  '/nix/var/nix/profiles/zzprofile',
  '/nix/var/nix/profiles/per-user/zzuser',
  '/sys/firmware/efi/efivars'
]

function systemFiles(letter: string, version: string, params: string): void {
  const system = STORE(letter, `nixos-system-zzhost-26.05.${version}`)
  const kernel = STORE('k', 'linux-6.18.2-zzlocal')
  LINKS[`${system}/kernel`] = `${kernel}/bzImage`
  LINKS[`${system}/initrd`] = `${STORE(`${letter}`, 'initrd-linux-6.18.2-zzlocal')}/initrd`
  LINKS[`${system}/kernel-modules`] = STORE('m', 'zzkernel-modules')
  FILES[`${system}/kernel-params`] = params
  for (const [entry, inner] of [
    ['zzentry', `${letter}x`],
    ['zz-gaming', `${letter}y`]
  ]) {
    const path = `/nix/store/zz${(inner ?? '').padEnd(30, 'q')}-nixos-system-zzhost-26.05.${version}`
    LINKS[`${system}/specialisation/${entry}`] = path
    FILES[`${path}/kernel-params`] = `${params} vfio-pci.ids=10de:1b80`
    LINKS[`${path}/kernel`] = `${kernel}/bzImage`
  }
}
systemFiles('a', '1', 'root=fstab loglevel=4 zzparameter=zzvalue intel_iommu=on iommu=pt')
systemFiles('b', '2', 'root=fstab loglevel=7 zzparameter=zzother intel_iommu=on iommu=pt')
FILES[`${STORE('m', 'zzkernel-modules')}/lib/modules/6.18.2-zzlocal/modules.alias`] =
  'alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\nalias pci:v000010DEd*sv*sd*bc03sc*i* nvidia\nalias usb:zzalias zzmodule\n'

function buildMachine(place: Place): string {
  const root = join(place.top, 'machine')
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    symlinkSync(target, join(root, path))
  }
  for (const [path, target] of Object.entries(FOLDERS)) {
    mkdirSync(join(root, target), { recursive: true })
    link(path, join('../..', target.slice('/sys/'.length)))
  }
  for (const path of EMPTY) mkdirSync(join(root, path), { recursive: true })
  for (const [i, [address, vendor, device, code, driver]] of PCI.entries()) {
    const folder = `/sys/devices/pci0000:00/${address}`
    put(`${folder}/vendor`, `${vendor}\n`)
    put(`${folder}/device`, `${device}\n`)
    put(`${folder}/class`, `${code}\n`)
    put(`${folder}/reset_method`, 'flr bus\n')
    put(`${folder}/driver_override`, i === 5 ? 'zzdriver\n' : '(null)\n')
    const id = (it: string) => it.slice(2).toUpperCase().padStart(8, '0')
    put(
      `${folder}/modalias`,
      `pci:v${id(vendor)}d${id(device)}sv0sd0bc${code.slice(2, 4)}sc00i00\n`
    )
    link(`/sys/bus/pci/devices/${address}`, `../../../devices/pci0000:00/${address}`)
    link(`${folder}/driver`, `../../../bus/pci/drivers/${driver}`)
    link(`${folder}/iommu_group`, `../../../kernel/iommu_groups/${i}`)
    mkdirSync(join(root, `/sys/kernel/iommu_groups/${i}`), { recursive: true })
  }
  put('/sys/devices/pci0000:00/0000:02:00.0/boot_vga', '1\n')
  put('/sys/class/drm/card0-DP-1/status', 'connected\n')
  link('/sys/class/drm/card0/device', '../../../devices/pci0000:00/0000:02:00.0')
  for (const [path, content] of Object.entries(FILES)) put(path, content)
  for (const [path, target] of Object.entries(LINKS)) link(path, target)
  return root
}

/** The text with the placeholders that the dump has. */
function replaced(content: string): string {
  const names = Object.entries(PLACEHOLDERS).sort(([a], [b]) => b.length - a.length)
  return names.reduce((it, [name, placeholder]) => it.replaceAll(name, placeholder), content)
}

const place = makePlace({
  'configuration.nix': text`
    { ... }:
    {
      boot.kernelParams = [ "intel_iommu=on" "vfio-pci.ids=10de:1b80,1002:67df" "pci=nomsi" ];
      boot.initrd.kernelModules = [ "vfio_pci" ];
      specialisation.zzentry.configuration.boot.kernelParams = [ "iommu=pt" ];
    }
    `
})
const machine = buildMachine(place)
const dump = join(place.top, 'dump')
const saved = await place.run(['scan', '--sysfs', machine, '--dump', dump])

test('scan --dump leaves out all private names and lists the kinds that it replaced', ({
  expect
}) => {
  expect(saved).toMatchObject({ code: 0 })
  expect(saved.stderr).toBe(text`
    Saved the machine in /dump.
    Replaced by placeholders: 1 network bridge, 10 UUIDs, hardware addresses and
    store paths, 2 network interfaces, 2 boot entries, 4 sets of kernel parameters,
    1 disk array, 1 LVM volume group, 2 LVM volumes, 1 encrypted volume, 1 ZFS pool,
    2 mount points, 2 ZFS datasets, 1 swap file, 1 driver, 5 kernel parameters and 2
    input devices.
    The dump contains the models of the devices, the board and the processor, PCI
    addresses and IDs, drivers, generic names such as enp5s0 and /home, the kernel
    version (6.18.2), the release of NixOS and kernel parameters about devices.
    Read it before you send it.
    `)
  const texts = readdirSync(dump).map(it => readFileSync(join(dump, it), 'utf8'))
  for (const content of texts) {
    expect(content.match(/.*(?:zz|deadbeef|feedface|0badc0ffee|c0ffee|0b:ad).*/gi)).toBeNull()
  }
})

function machineAt(folder: string) {
  const opened = openMachine(folder)
  if (!opened.ok) throw new Error(opened.error.code)
  return readMachine(opened.value.source)
}

test('a dump describes the same machine with other names', ({ expect }) => {
  const [onMachine, inDump] = [machineAt(machine), machineAt(dump)]
  // A dump has no symlinks of udev, because they consist of names and serial numbers.
  const plain = (it: typeof onMachine) => ({
    ...it,
    ...{ systems: [], kernelParams: [], modules: [] },
    blocks: it.blocks?.map(({ links: _, ...block }) => block)
  })
  // Block devices and their uses are read in the order of their names, which differ in the dump.
  const inOrder = ({ blocks, ...it }: ReturnType<typeof plain>) => {
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    const sorted = blocks?.map(block => ({ ...block, uses: block.uses.toSorted(byName) }))
    return { ...it, blocks: sorted?.toSorted(byName) }
  }
  expect(inOrder(plain(inDump))).toEqual(
    inOrder(JSON.parse(replaced(JSON.stringify(plain(onMachine)))))
  )
  expect(inDump.storage.length).toBeGreaterThan(6)
  expect(inDump.kernelParams).toEqual(
    'intel_iommu=on,sm_on iommu=pt vfio-pci.ids=10de:1b80 video=value1:off video=efifb:off module_blacklist=value2,nouveau acpi_osi="value3" isolcpus=2-5 amdgpu.value5=value4 quiet'.split(
      ' '
    )
  )
  expect(inDump.systems).toMatchObject({
    entry: '',
    booted: { specialisations: [{ name: 'entry1' }, { name: 'entry2' }] }
  })
})

const CALLS: string[] = [
  'scan --json',
  'scan --verbose',
  'check configuration.nix --json --release 26.05',
  'check configuration.nix --release 26.05',
  ...PCI.flatMap(([address]) => [
    `diff configuration.nix --json --address ${address} --parse-check=off`,
    `diff configuration.nix --gpu ${address} --confirm ${address} --parse-check=off`
  ])
]

test.concurrent.for(CALLS)(
  '%s prints the same for the dump as for the machine',
  async (call, { expect }) => {
    const words = call.split(' ')
    const [onMachine, inDump] = [
      await place.run([...words, '--sysfs', machine]),
      await place.run([...words, '--sysfs', dump])
    ]
    // Placeholders have other lengths, so lines wrap elsewhere. The dump has not the whole kernel command line.
    const plain = (it: string) =>
      it
        .replaceAll('/machine', '/dump')
        .replace(/"cmdline": \[.*?\]/s, '')
        .split(/\s+/)
    expect(plain(replaced(inDump.stdout))).toEqual(plain(replaced(onMachine.stdout)))
    expect(plain(replaced(inDump.stderr))).toEqual(plain(replaced(onMachine.stderr)))
    expect(inDump.code).toBe(onMachine.code)
  }
)

test('diff --domain does not call a bridge missing if it has another name in the dump', async ({
  expect
}) => {
  place.write('plain.nix', '{ ... }: { }\n')
  place.write(
    'win10.xml',
    `<domain type='kvm'><name>win10</name><uuid>8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10</uuid><os><type arch='x86_64' machine='q35'>hvm</type></os><devices><interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='br-zzalice'/></interface></devices></domain>\n`
  )
  const notes = async (folder: string) => {
    const call = ['diff', 'plain.nix', '--domain', 'win10.xml', '--sysfs', folder]
    const { stderr } = await place.run([...call, '--parse-check=off'])
    return stderr.split('\n').filter(it => it.startsWith('Note: win10'))
  }
  expect(await notes(machine)).toEqual([])
  expect(await notes(dump)).toEqual([
    'Note: win10 needs the bridge br-zzalice, which no option declares. A dump does not contain bridge names like this one, so check on the machine whether it has the bridge: ip link'
  ])
})
