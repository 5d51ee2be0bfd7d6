// Changes to guests from other distributions and older releases, with their reasons.

import { describe, expect, test } from 'vitest'
import { warningsAbout } from '../../src/guests/convert.ts'
import { modernize } from '../../src/guests/modernize/modernize.ts'
import { toValue } from '../../src/guests/value.ts'
import { renderXml } from '../../src/guests/xml/renderXml.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { GUESTS, guestXml } from './support/guests.ts'
import { documentOf, text } from './support/text.ts'

function identities() {
  let next = 0
  return {
    uuid: () => `00000000-0000-4000-8000-00000000000${next++}`,
    mac: () => `52:54:00:00:00:0${next++}`
  }
}

/** Each change on a line, then each warning. */
function modernized(xml: string): string[] {
  const { root } = documentOf(xml)
  const { changes, warnings } = modernize(root, identities())
  return [
    ...changes.map(it => `${it.code} ${it.path}: ${it.before} -> ${it.after}`),
    ...warnings.map(it => `warning ${it.code} ${it.path}: ${it.what}`)
  ]
}

const UUID = '<uuid>1</uuid>'

test('replaces the machine type, firmware and shared memory of the example guest', () => {
  const { root } = documentOf(guestXml('seed-win10'))
  expect(modernize(root, identities()).changes.map(({ start, ...it }) => it)).toEqual([
    {
      code: 'MACHINE',
      path: 'os/type',
      before: 'pc-q35-4.2',
      after: 'q35',
      why: 'QEMU removes machine types after six years; the guest may see its devices as new hardware, and Windows may ask for activation'
    },
    {
      code: 'FIRMWARE',
      path: 'os/loader',
      before: '/run/libvirt/nix-ovmf/OVMF_CODE.fd',
      after: "<os firmware='efi'>",
      why: "libvirt then selects this system's firmware; if the guest does not start with its old UEFI variables, restore them from a backup or let libvirt create new ones"
    },
    {
      code: 'SHMEM',
      path: 'qemu:commandline',
      before:
        '-device ivshmem-plain,memdev=ivshmem_lg,bus=pcie.0 -object memory-backend-file,id=ivshmem_lg,share=on,mem-path=/dev/shm/looking-glass,size=32M',
      after:
        "<shmem name='looking-glass'><model type='ivshmem-plain'/><size unit='M'>32</size></shmem>",
      why: 'libvirt then knows the memory and its PCI address'
    },
    {
      code: 'SHMEM',
      path: 'qemu:commandline',
      before:
        '-device ivshmem-plain,memdev=ivshmem_scream,bus=pcie.0 -object memory-backend-file,id=ivshmem_scream,share=on,mem-path=/dev/shm/scream,size=2M',
      after: "<shmem name='scream'><model type='ivshmem-plain'/><size unit='M'>2</size></shmem>",
      why: 'libvirt then knows the memory and its PCI address'
    }
  ])
})

test('keeps every element that no change mentions', () => {
  const { root } = documentOf(guestXml('evdev-arguments'))
  const xml = renderXml(toValue(modernize(root, identities()).root))
  expect(xml).toEqual({
    ok: true,
    value: text`
      <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
        <name>games</name>
        <uuid>2c0d4c2e-9f0c-4d6b-8f8e-7b1c5a3d9e01</uuid>
        <memory unit='GiB'>12</memory>
        <vcpu>8</vcpu>
        <os>
          <type arch='x86_64' machine='q35'>hvm</type>
        </os>
        <features>
          <acpi/>
        </features>
        <devices>
          <emulator>/run/libvirt/nix-emulators/qemu-system-x86_64</emulator>
          <disk type='file' device='disk'>
            <driver name='qemu' type='qcow2'/>
            <source file='/var/lib/libvirt/images/games.qcow2'/>
            <target bus='sata' dev='sda'/>
          </disk>
          <input type='evdev'>
            <source dev='/dev/input/by-id/usb-Logitech_G403-event-mouse'/>
          </input>
          <input type='evdev'>
            <source dev='/dev/input/by-id/usb-Ducky_One2-event-kbd' grab='all' repeat='on'/>
          </input>
          <input type='evdev'>
            <source dev='/dev/input/by-id/usb-Pad-event-joystick' grabToggle='scrolllock'/>
          </input>
          <video>
            <model type='none'/>
          </video>
        </devices>
        <qemu:commandline>
          <qemu:arg value='-audiodev'/>
          <qemu:arg value='pa,id=snd0,server=/run/user/1000/pulse/native'/>
          <qemu:env name='QEMU_AUDIO_DRV' value='pa'/>
        </qemu:commandline>
      </domain>
    `
  })
})

test.each(GUESTS)('changes nothing in a second run, and not its argument: %s', name => {
  const { root } = documentOf(guestXml(name))
  const before = canonicalOf(root)
  const once = modernize(root, identities())
  expect(canonicalOf(root)).toBe(before)
  expect(modernize(once.root, identities()).changes).toEqual([])
})

test('keeps an up-to-date guest unchanged', () => {
  const { root } = documentOf(guestXml('evdev-input'))
  expect(modernize(root, identities())).toEqual({ root, changes: [], warnings: [] })
})

test.each([
  ['/usr/bin/qemu-system-x86_64', 'qemu-system-x86_64'],
  ['/usr/bin/kvm', 'qemu-system-x86_64'],
  ['/usr/libexec/qemu-kvm', 'qemu-system-x86_64'],
  ['/run/current-system/sw/bin/qemu-system-aarch64', 'qemu-system-aarch64'],
  ['/nix/store/1hmyz8ax1xlrzvwlvhzvdyl4ndg71f9w-qemu-9.1.2/bin/qemu-kvm', 'qemu-system-x86_64']
])('replaces the emulator %s', (path, name) => {
  const given = `<domain>${UUID}<devices><emulator>${path}</emulator></devices></domain>`
  expect(modernized(given)).toEqual([
    `EMULATOR devices/emulator: ${path} -> /run/libvirt/nix-emulators/${name}`
  ])
})

test('keeps a custom emulator', () => {
  const given = `<domain>${UUID}<devices><emulator>/opt/qemu/bin/qemu-system-x86_64</emulator></devices></domain>`
  expect(modernized(given)).toEqual([])
})

test.each([
  ['pc-q35-4.2', 'q35'],
  ['pc-q35-2.12', 'q35'],
  ['pc-i440fx-2.11', 'pc'],
  ['pc-1.3', 'pc'],
  ['pc-q35-rhel8.6.0', 'q35'],
  ['pc-i440fx-focal', 'pc'],
  ['pc-q35-jammy-hpb', 'q35']
])('replaces the machine type %s', (machine, after) => {
  const given = `<domain>${UUID}<os><type machine='${machine}'>hvm</type></os></domain>`
  expect(modernized(given)).toEqual([`MACHINE os/type: ${machine} -> ${after}`])
})

test.each(['pc-q35-5.0', 'pc-q35-10.1', 'q35', 'pc', 'virt-4.1', 'microvm'])(
  'keeps the machine type %s',
  machine => {
    const given = `<domain>${UUID}<os><type machine='${machine}'>hvm</type></os></domain>`
    expect(modernized(given)).toEqual([])
  }
)

test.each([
  ['/usr/share/OVMF/OVMF_CODE.fd', ''],
  ['/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', ''],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', ''],
  ['/usr/share/edk2-ovmf/x64/OVMF_CODE.fd', ''],
  ['/usr/share/qemu/edk2-x86_64-code.fd', ''],
  ['/nix/store/1hmyz8ax1xlrzvwlvhzvdyl4ndg71f9w-OVMF-202411-fd/FV/OVMF_CODE.fd', ''],
  ['/run/libvirt/nix-ovmf/OVMF_CODE.fd', ''],
  ['/usr/share/OVMF/OVMF_CODE.secboot.fd', " with <loader secure='yes'/>"]
])('replaces the firmware %s', (path, more) => {
  const secure = more === '' ? '' : " secure='yes'"
  const given = `<domain>${UUID}<os><loader type='pflash' readonly='yes'${secure}>${path}</loader></os></domain>`
  expect(modernized(given)).toEqual([`FIRMWARE os/loader: ${path} -> <os firmware='efi'>${more}`])
})

test.each([
  [
    'that this NixOS has',
    "<loader type='pflash'>/run/libvirt/nix-ovmf/edk2-x86_64-code.fd</loader>",
    []
  ],
  ['that is custom', "<loader type='pflash'>/opt/OVMF_CODE.fd</loader>", []],
  [
    'in another format',
    "<loader type='pflash' format='qcow2'>/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2</loader>",
    [
      "warning FIRMWARE os/loader: /usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2 does not exist on NixOS, or garbage collection can remove it; NixOS has only raw images, so convert the variables to raw: qemu-img convert -O raw VARS.qcow2 VARS.fd; then set <nvram> to VARS.fd, without a format attribute, and replace this <loader> with <os firmware='efi'>"
    ]
  ],
  [
    'of another processor',
    "<loader type='pflash'>/usr/share/qemu/edk2-aarch64-code.fd</loader>",
    [
      'warning FIRMWARE os/loader: /usr/share/qemu/edk2-aarch64-code.fd does not exist on NixOS, or garbage collection can remove it; choose one from /run/libvirt/nix-ovmf'
    ]
  ]
])('keeps firmware %s', (_, loader, expected) => {
  expect(modernized(`<domain>${UUID}<os>${loader}</os></domain>`)).toEqual(expected)
})

// As virt-manager creates a Windows 11 guest on a distribution that has firmware with keys.
const SECURE = (loader: string) => `
  <os firmware='efi'>
    <type machine='q35'>hvm</type>
    <firmware>
      <feature enabled='yes' name='enrolled-keys'/>
      <feature enabled='yes' name='secure-boot'/>
    </firmware>
    ${loader}
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/var/lib/libvirt/qemu/nvram/a_VARS.fd</nvram>
  </os>`

test('turns off enrolled Secure Boot keys', () => {
  const loader =
    "<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>"
  const given = `<domain>${UUID}${SECURE(loader)}</domain>`
  expect(modernized(given)).toEqual([
    "FIRMWARE os/loader: /usr/share/OVMF/OVMF_CODE_4M.ms.fd -> <os firmware='efi'> with <loader secure='yes'/>",
    "FIRMWARE os/nvram: template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd' -> null",
    "FIRMWARE os/firmware/feature: enrolled-keys enabled='yes' -> enrolled-keys enabled='no'"
  ])
  const expected = SECURE("<loader secure='yes'/>")
    .replace("enabled='yes' name='enrolled-keys'", "enabled='no' name='enrolled-keys'")
    .replace(/ template='[^']*'/, '')
  const { root } = modernize(documentOf(given).root, identities())
  expect(canonicalOf(root)).toBe(
    canonicalOf(documentOf(`<domain>${UUID}${expected}</domain>`).root)
  )
})

test.each([
  [
    'from NixOS',
    "<loader type='pflash'>/nix/store/a-qemu/share/qemu/edk2-x86_64-secure-code.fd</loader>"
  ],
  ['that libvirt already selects', "<loader secure='yes'/>"]
])('keeps Secure Boot keys of firmware %s', (_, loader) => {
  const given = `<domain>${UUID}${SECURE(loader)}</domain>`
  expect(modernized(given).filter(it => it.includes('enrolled-keys'))).toEqual([])
})

test('keeps stateless firmware stateless', () => {
  const loader =
    "<loader readonly='yes' type='pflash' stateless='yes'>/usr/share/edk2/ovmf/OVMF.amdsev.fd</loader>"
  expect(modernized(`<domain>${UUID}<os>${loader}</os></domain>`)).toEqual([
    "FIRMWARE os/loader: /usr/share/edk2/ovmf/OVMF.amdsev.fd -> <os firmware='efi'> with <loader stateless='yes'/>"
  ])
})

const QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
const withArguments = (...values: string[]) =>
  `<domain ${QEMU}>${UUID}<devices/><qemu:commandline>${values.map(it => `<qemu:arg value='${it}'/>`).join('')}</qemu:commandline></domain>`

test.each([
  [
    'evdev with a property that libvirt does not know',
    ['-object', 'input-linux,id=a,evdev=/dev/input/event1,x-new=on'],
    [
      "warning ARGUMENT qemu:commandline: kept input-linux,id=a,evdev=/dev/input/event1,x-new=on, which <input type='evdev'> can't express"
    ]
  ],
  [
    'shared memory that is not in /dev/shm',
    [
      ...['-device', 'ivshmem-plain,memdev=a'],
      ...['-object', 'memory-backend-file,id=a,mem-path=/tmp/a,size=1M,share=on']
    ],
    ["warning ARGUMENT qemu:commandline: kept ivshmem-plain,memdev=a, which <shmem> can't express"]
  ],
  [
    'kvmfr',
    [
      ...['-device', '{"driver":"ivshmem-plain","memdev":"a"}'],
      ...[
        '-object',
        '{"qom-type":"memory-backend-file","id":"a","mem-path":"/dev/kvmfr0","size":1048576,"share":true}'
      ]
    ],
    []
  ],
  ['a PCI device and the processor', ['-device', 'vfio-pci,host=01:00.0', '-cpu', 'host'], []]
])('keeps the QEMU arguments for %s', (_, values, expected) => {
  const given = withArguments(...values)
  expect(modernized(given)).toEqual(expected)
  const { root } = documentOf(given)
  expect(canonicalOf(modernize(root, identities()).root)).toBe(canonicalOf(root))
})

test('removes <qemu:commandline> and its namespace if no arguments are left', () => {
  const given = withArguments('-object', 'input-linux,id=a,evdev=/dev/input/event1')
  const { root } = documentOf(given)
  const expected = documentOf(
    `<domain>${UUID}<devices><input type='evdev'><source dev='/dev/input/event1'/></input></devices></domain>`
  )
  expect(canonicalOf(modernize(root, identities()).root)).toBe(canonicalOf(expected.root))
})

test('adds a missing UUID and MAC address', () => {
  expect(
    modernized(
      '<domain><name>x</name><devices><interface/><interface><mac address="a"/></interface></devices></domain>'
    )
  ).toEqual([
    'UUID uuid: null -> 00000000-0000-4000-8000-000000000000',
    "MAC devices/interface: null -> <mac address='52:54:00:00:00:01'/>"
  ])
})

describe('a virtual function', () => {
  const address = (part: number) => `<address bus='0' slot='2' function='${part}'/>`
  const hostdev = (part: number, managed = '') =>
    `<hostdev type='pci'${managed}><source>${address(part)}</source></hostdev>`
  const known = new Set(['0000:00:02.1', '0000:00:02.2'])
  const changed = (inner: string, virtual?: ReadonlySet<string>) => {
    const { root } = documentOf(`<domain>${UUID}<devices>${inner}</devices></domain>`)
    const modern = modernize(root, identities(), virtual)
    const again = modernize(modern.root, identities(), virtual)
    expect(again.changes).toEqual([])
    expect(canonicalOf(again.root)).toBe(canonicalOf(modern.root))
    return modern.changes.map(it => `${it.path}: ${it.before} -> ${it.after}`)
  }
  const adds = (name: string) => [`devices/${name}: null -> managed='yes'`]

  test('a virtual function without a managed attribute becomes managed', () => {
    expect(changed(hostdev(1), known)).toEqual(adds('hostdev'))
    expect(changed(hostdev(2), known)).toEqual(adds('hostdev'))
    const { root } = documentOf(`<domain>${UUID}<devices>${hostdev(1)}</devices></domain>`)
    expect(modernize(root, identities(), known).changes[0]?.why).toBe(
      '0000:00:02.1 is a virtual function, which is not bound to vfio-pci at boot, so libvirt must bind it when the guest starts'
    )
  })

  test('a virtual function keeps an explicit managed attribute', () => {
    expect(changed(hostdev(1, " managed='no'"), known)).toEqual([])
    expect(changed(hostdev(1, " managed='yes'"), known)).toEqual([])
  })

  test('a virtual function of an NVMe disk becomes managed in its source', () => {
    const disk = (managed: string) =>
      `<disk type='nvme'><source type='pci' namespace='1'${managed}>${address(1)}</source></disk>`
    const { root } = documentOf(`<domain>${UUID}<devices>${disk('')}</devices></domain>`)
    const expected = documentOf(
      `<domain>${UUID}<devices>${disk(" managed='yes'")}</devices></domain>`
    )
    expect(canonicalOf(modernize(root, identities(), known).root)).toBe(canonicalOf(expected.root))
  })

  test('a virtual function of a network card becomes managed on any machine', () => {
    const card = (managed: string) =>
      `<interface type='hostdev'${managed}><mac address='a'/><source>${address(5)}</source></interface>`
    expect(changed(card(''))).toEqual(adds('interface'))
    expect(changed(card(" managed='no'"))).toEqual([])
  })

  test('a virtual function is recognized only by its address, so other devices are unchanged', () => {
    expect(changed(hostdev(0), known)).toEqual([])
    expect(changed(hostdev(1))).toEqual([])
    expect(changed("<hostdev type='usb'><source><vendor id='1'/></source></hostdev>")).toEqual([])
  })
})

test('warns about paths into the Nix store', () => {
  const { root } = documentOf(guestXml('store-paths'))
  expect(modernize(root, identities()).warnings.map(({ start, ...it }) => it)).toEqual([
    {
      code: 'STORE_PATH',
      path: 'devices/disk/source',
      what: 'garbage collection can remove /nix/store/0c1kqpd3j0s7w1kyfy2yrk6y4d6kmh8x-virtio-win-0.1.262/virtio-win.iso; refer to the package in Nix, as in "${pkgs.virtio-win}/…", or copy the file'
    }
  ])
})

test('warns about passwords, and about XML of a running guest', () => {
  const secret = withArguments('-object', 'secret,id=s,data=abc', '-spice', 'port=1,password=x')
  const warned = (xml: string) =>
    warningsAbout(documentOf(xml).root).map(it => `${it.code} ${it.path}`)
  expect(warned(secret)).toEqual([
    'PASSWORD qemu:commandline/qemu:arg',
    'PASSWORD qemu:commandline/qemu:arg'
  ])
  expect(warned(guestXml('store-paths'))).toEqual(['PASSWORD devices/graphics'])
  const cookie = "<cookies><cookie name='session'>abc</cookie></cookies>"
  const disk = `<disk type='network'><source protocol='https'>${cookie}</source></disk>`
  const open = "<graphics type='vnc' passwd=''/>"
  expect(warned(`<domain><devices>${disk}${open}</devices></domain>`)).toEqual([
    'PASSWORD devices/disk/source/cookies/cookie'
  ])
  expect(warned(guestXml('hugepages'))).toEqual(['RUNNING '])
  expect(warned(guestXml('seed-win10'))).toEqual([])
})
