import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeDump, parseDump } from '../../src/machine/dump/dump.ts'
import { nameTables, openMachine, readMachine } from '../../src/machine/read/machine.ts'
import { recordedSource } from '../../src/machine/source.ts'
import { recordingOf } from './support/tree.ts'

test('omits names and numbers that identify the machine', () => {
  const uuid = '6f9619ff-8b86-d011-b42d-00c04fc964ff'
  const recording = recordingOf({
    '/proc/cmdline': `root=UUID=${uuid} quiet intel_iommu=on init=/nix/store/abc ip=192.168.1.9\n`,
    '/proc/cpuinfo':
      'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: i5\nmicrocode\t: 0x25\nflags\t\t: fpu vmx pdpe1gb sse\n\nprocessor\t: 1\n',
    '/proc/meminfo': 'MemTotal:       16000 kB\nMemFree:         9000 kB\n',
    '/etc/os-release': 'NAME=NixOS\nID=nixos\nVERSION_ID="26.05"\nBUILD_ID="26.05.1.abc"\n',
    '/proc/self/mountinfo': [
      `21 1 254:0 / / rw - ext4 /dev/mapper/luks-${uuid} rw`,
      '22 21 8:17 / /run/media/alice/Holiday\\0402025 rw - vfat /dev/sdb1 rw',
      '23 21 0:40 / /home/alice/share rw - cifs //nas/alice rw,username=alice',
      ''
    ].join('\n'),
    '/sys/class/block/dm-0/dm/name': `luks-${uuid}\n`,
    '/proc/bus/input/devices':
      'N: Name="Alice\'s Keyboard"\nP: Phys=aa:bb:cc:dd:ee:ff\nS: Sysfs=/devices/x\nU: Uniq=11:22:33:44:55:66\nH: Handlers=kbd event0 \nB: EV=120013\n',
    '/run/udev/data/b8:1': 'S:disk/by-id/ata-SAMSUNG_S2\nE:ID_SERIAL=S2\nE:ID_FS_TYPE=ext4\n',
    '/sys/class/net/enx00e04c680001':
      '-> ../../devices/pci0000:00/0000:00:14.0/net/enx00e04c680001',
    '/sys/class/block/loop0': '-> ../../devices/virtual/block/loop0'
  })

  expect(Object.fromEntries(makeDump(recording).texts)).toEqual({
    'etc.txt': `# A machine as "vfio-patch scan --dump" saw it.
/etc/os-release =
	ID=nixos
	VERSION_ID="26.05"
`,
    'proc.txt': `# A machine as "vfio-patch scan --dump" saw it.
/proc/bus/input/devices =
	N: Name="input"
	S: Sysfs=/devices/x
	H: Handlers=kbd event0${' '}
	B: EV=120013
/proc/cmdline = quiet intel_iommu=on
/proc/cpuinfo =
	vendor_id	: GenuineIntel
	model name	: i5
	flags		: vmx pdpe1gb
/proc/meminfo = MemTotal:       16000 kB
/proc/self/mountinfo =
	0 0 254:0 / / rw - ext4 /dev/mapper/luks-00000000-0000-0000-0000-000000000001 rw
	1 0 8:17 / /mnt/1 rw - vfat /dev/sdb1 rw
`,
    'run.txt': `# A machine as "vfio-patch scan --dump" saw it.
/run/udev/data/b8:1 = E:ID_FS_TYPE=ext4
`,
    'sys.txt': `# A machine as "vfio-patch scan --dump" saw it.
/sys/class/block/dm-0/dm/name = luks-00000000-0000-0000-0000-000000000001
/sys/class/net/enx000000000002 -> ../../devices/pci0000:00/0000:00:14.0/net/enx000000000002
`
  })
})

test('masks store paths, and keeps only relevant parts of the log and the modules', () => {
  const path = (digit: string, name: string) => `/nix/store/${digit.repeat(32)}-${name}`
  const system = path('a', 'nixos-system-alices-pc-26.05.1234')
  const recording = recordingOf({
    '/run/booted-system': `-> ${system}`,
    [`${system}/kernel`]: `-> ${path('k', 'linux-6.18.2/bzImage')}`,
    [`${system}/kernel-params`]: 'root=fstab loglevel=4 iommu=pt',
    '/proc/modules': 'vfio_pci 16384 0 - Live 0x0\nusbcore 1 1 - Live 0x0\n',
    '/proc/iomem': 'c0000000-cfffffff : 0000:01:00.0\n  c0000000-c02fffff : BOOTFB\n',
    '/dev/kmsg':
      '5,0,0,-;Linux version 6.18.2 (alice@pc)\n6,7,0,-;usb 1-1: SerialNumber: 123\n4,9,0,-;Warning: PCIe ACS overrides enabled;\n',
    '/sys/bus/pci/devices/0000:01:00.0/modalias': 'pci:v000010DEd00001B80sv0sd0bc03sc00i00\n',
    '/lib/modules/6.18.2/modules.alias':
      'alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\nalias pci:v00001002d*sv*sd*bc03sc*i* amdgpu\n'
  })
  const head = '# A machine as "vfio-patch scan --dump" saw it.\n'
  const masked = (number: number) => `/nix/store/${String(number).padStart(32, '0')}`
  expect(Object.fromEntries(makeDump(recording).texts)).toEqual({
    'dev.txt': `${head}/dev/kmsg =\n\tLinux version 6.18.2\n\tPCIe ACS overrides enabled\n`,
    'lib.txt': `${head}/lib/modules/6.18.2/modules.alias = alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n`,
    'nix.txt': `${head}${masked(1)}-nixos-system/kernel -> ${masked(2)}-linux-6.18.2/bzImage
${masked(1)}-nixos-system/kernel-params = iommu=pt
`,
    'proc.txt': `${head}/proc/iomem =\n\t0-0 : 0000:01:00.0\n\t  0-0 : BOOTFB\n/proc/modules = vfio_pci\n`,
    'run.txt': `${head}/run/booted-system -> ${masked(1)}-nixos-system\n`,
    'sys.txt': `${head}/sys/bus/pci/devices/0000:01:00.0/modalias = pci:v000010DEd00001B80sv0sd0bc03sc00i00\n`
  })
})

test('parseDump refuses an invalid line', () => {
  expect(parseDump(['# x\n/sys/a = 1\nnonsense\n'])).toEqual({ ok: false, error: 'nonsense' })
})

test('reads an empty machine as one without devices', () => {
  expect(readMachine(recordedSource(new Map()))).toEqual({
    devices: [],
    iommu: { groups: 0 },
    cpu: {},
    memory: { hugepages: [] },
    firmware: { isEfi: false, isLaptop: false },
    kernelParams: [],
    storage: [],
    networks: [],
    keyboards: []
  })
})

test('recognizes the dump of a machine without /sys', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-dump-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'proc.txt'), '/proc/meminfo = MemTotal: 1024 kB\n')
  writeFileSync(join(folder, 'pci.ids'), '')
  const opened = openMachine(folder)
  if (!opened.ok) throw new Error(opened.error.code)
  expect(readMachine(opened.value.source)).toMatchObject({ devices: [], memory: { total: 1024 } })
  expect(nameTables(folder)).toEqual({ pciIds: [join(folder, 'pci.ids')] })
})
