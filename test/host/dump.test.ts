import { expect, test } from 'vitest'
import { formatDump, parseDump } from '../../src/host/dump.ts'
import { readMachine } from '../../src/host/readMachine.ts'
import { recordedSource } from '../../src/host/source.ts'
import { recordingOf } from './support/tree.ts'

test('what would tell the machine from others of its kind is not in it', () => {
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

  expect(Object.fromEntries(formatDump(recording))).toEqual({
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

test('a line that is none is an error', () => {
  expect(parseDump(['# x\n/sys/a = 1\nnonsense\n'])).toEqual({ ok: false, error: 'nonsense' })
})

test('a machine that says nothing is one without devices', () => {
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
