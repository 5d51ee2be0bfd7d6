import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SUDO } from './support/option.ts'
import { expectRefusal, makeExample, makePlace } from './support/place.ts'
import { patch, text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'

const OLD = text`
  { ... }:
  {
    imports = [ ./hardware.nix ];

    boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=1-de:10f12" ];
    virtualisation.libvirtd.qemuRunAsRoot = false;
  }
  `
const HARDWARE = '{ boot.kernelModules = [ "vfio_virqfd" ]; }\n'

const UNSEEN =
  'This machine was not checked, because no networking.hostName shows that the configuration is for it. To check it anyway: --sysfs /'
const OFF = '--parse-check=off'
const UNCHECKED = 'Checked: parses (built-in parser only; switched off).'

function given() {
  return makePlace({ 'configuration.nix': OLD, 'hardware.nix': HARDWARE })
}

test.concurrent('check prints the place, the reason and a remedy for each finding', async () => {
  expect(await given().run(['check', 'configuration.nix'])).toEqual({
    code: 1,
    stdout: text`
      ${FILE}:5:25: AMD_IOMMU_PT: the kernel parameter amd_iommu does not accept the value pt.
          5 |   boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=1-de:10f12" ];
                                      ^^^^^^^^^^^^^^
        Why: the parameter is iommu=pt, on AMD and Intel alike; the kernel ignores amd_iommu=pt.
        Do:  write iommu=pt instead

      ${FILE}:5:54: BAD_ID: "1-de:10f12" is not a PCI ID.
          5 |   boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=1-de:10f12" ];
                                                                   ^^^^^^^^^^
        Why: vfio-pci skips an ID that it cannot parse, so the device keeps its usual driver.
        Do:  an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets

      ${FILE}:6:43: note RENAMED_OPTION: virtualisation.libvirtd.qemuRunAsRoot was renamed to qemu.runAsRoot.
          6 |   virtualisation.libvirtd.qemuRunAsRoot = false;
                                                        ^^^^^
        Why: NixOS still accepts the old name, with a warning at each build.
        Do:  write virtualisation.libvirtd.qemu.runAsRoot

      /etc/nixos/hardware.nix:1:26: VIRQFD: Linux 6.2 removed the kernel module vfio_virqfd.
          1 | { boot.kernelModules = [ "vfio_virqfd" ]; }
                                       ^^^^^^^^^^^^^
        Why: its code is now part of the module vfio. The boot log shows an error for the missing module.
        Do:  remove it
      `,
    stderr: text`
      ${UNSEEN}
      3 problems and 1 note in ${FILE} and 1 file that it imports. With --fix, 3 can be fixed automatically.
      `
  })
})

test.concurrent('check --fix fixes what an edit can fix and lists the rest, and undo reverts it', async () => {
  const place = given()
  const stdout = patch`
    --- a/configuration.nix
    +++ b/configuration.nix
    @@ -5,2 +5,2 @@
    -  boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=1-de:10f12" ];
    -  virtualisation.libvirtd.qemuRunAsRoot = false;
    +  boot.kernelParams = [ "vfio-pci.ids=1-de:10f12" "iommu=pt" ];
    +  virtualisation.libvirtd.qemu.runAsRoot = false;
    --- a/hardware.nix
    +++ b/hardware.nix
    @@ -1,1 +1,1 @@
    -{ boot.kernelModules = [ "vfio_virqfd" ]; }
    +{ boot.kernelModules = [ ]; }
    `
  expect(await place.run(['check', 'configuration.nix', '--fix', '-yU0', OFF])).toEqual({
    code: 0,
    stdout,
    stderr: text`
      ${FILE}: 3 changes; hardware.nix: changed
      Fixes configuration.nix:5: AMD_IOMMU_PT, the kernel parameter amd_iommu does not accept the value pt.
      Fixes configuration.nix:6: RENAMED_OPTION, virtualisation.libvirtd.qemuRunAsRoot was renamed to qemu.runAsRoot.
      Fixes hardware.nix:1: VIRQFD, Linux 6.2 removed the kernel module vfio_virqfd.
      Not fixed: configuration.nix:5: BAD_ID, "1-de:10f12" is not a PCI ID.
      ${UNCHECKED}
      Wrote /etc/nixos/hardware.nix and ${FILE}.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect((await place.run(['undo', '-qy', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': OLD, 'hardware.nix': HARDWARE })
})

test.concurrent('check --fix also fixes a problem that shows only after another fix', async () => {
  const place = makePlace({
    'configuration.nix': '{ boot.kernelParams = [ "quiet" "pci=nomsi amd_iommu=pt" ]; }\n'
  })
  expect(await place.run(['check', '-q', '--fix', 'configuration.nix', '-yU0', OFF])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
  expect(place.read('configuration.nix')).toBe('{ boot.kernelParams = [ "quiet" "iommu=pt" ]; }\n')
  expect(await place.run(['check', '--fix', 'configuration.nix'])).toEqual({
    code: 0,
    stdout: '',
    stderr: `Nothing found in ${FILE}.\n`
  })
})

test.concurrent('check finds nothing in a correct configuration, before and after apply', async () => {
  const place = makeExample()
  const clean = { code: 0, stdout: '' }
  expect(await place.run(['check', 'configuration.nix'])).toMatchObject(clean)
  const words = ['--iommu', 'amd', '--device', '10de:1b80', '--disable-efifb', '--ignore-msrs']
  await place.run(['apply', '-qy', 'configuration.nix', ...words, OFF])
  expect(await place.run(['check', 'configuration.nix'])).toEqual({
    ...clean,
    stderr: `Nothing found in ${FILE} and 1 file that it imports.\n`
  })
  expect((await place.run(['check', '--fix', 'configuration.nix'])).code).toBe(0)
})

test.concurrent('check exits with 0 if it finds only notes', async () => {
  const place = makePlace({ 'configuration.nix': '{ boot.kernelParams = [ "amd_iommu=on" ]; }\n' })
  const { code, stderr } = await place.run(['check', 'configuration.nix'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: `1 note in ${FILE}.\n` })
  expect(await place.run(['check', '-q', 'configuration.nix'])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
})

test.concurrent('check uses --release, or else the release of the system in --root', async () => {
  const place = makePlace({
    'configuration.nix': '{ virtualisation.libvirtd.qemu.ovmf.enable = true; }\n'
  })
  const check = async (...words: string[]) =>
    (await place.run(['check', 'configuration.nix', ...words])).code
  expect(await check('--release', '25.05')).toBe(0)
  expect(await check('--release', '25.11')).toBe(1)
  expect(await check('--release', 'unstable')).toBe(1)
  const root = join(place.top, 'mnt')
  mkdirSync(join(root, 'etc/nixos'), { recursive: true })
  writeFileSync(join(root, 'etc/nixos/configuration.nix'), place.read('configuration.nix'))
  writeFileSync(join(root, 'etc/os-release'), 'ID=nixos\nVERSION_ID="24.11"\n')
  expect((await place.run(['check', '--root', root])).code).toBe(0)
  expect((await place.run(['check', '--root', root, '--release', '26.05'])).code).toBe(1)
})

test.concurrent('check --json lists the findings with their places', async () => {
  const { code, stdout } = await given().run(['check', 'configuration.nix', '--json'])
  const { findings, ...document } = JSON.parse(stdout)
  expect({ code, ...document }).toMatchObject({
    code: 1,
    schema: 'vfio-patch/check',
    outcome: 'problems',
    exit: 1,
    files: [FILE, '/etc/nixos/hardware.nix'],
    error: null
  })
  expect(findings[0]).toEqual({
    code: 'AMD_IOMMU_PT',
    level: 'problem',
    message: 'the kernel parameter amd_iommu does not accept the value pt',
    why: 'the parameter is iommu=pt, on AMD and Intel alike; the kernel ignores amd_iommu=pt.',
    hint: 'write iommu=pt instead',
    at: { path: FILE, line: 5, column: 25 },
    offset: OLD.indexOf('"amd_iommu=pt"'),
    length: '"amd_iommu=pt"'.length,
    fixable: true
  })
})

test.concurrent('check refuses a syntax error and invalid flags', async () => {
  await expectRefusal(
    makePlace({ 'configuration.nix': '{ boot = }\n' }),
    ['check', 'configuration.nix'],
    {
      code: 3,
      stderr: expect.stringContaining(`vfio-patch: ${FILE}:1:`)
    }
  )
  const place = given()
  await expectRefusal(place, ['check', 'configuration.nix', '--yes'], {
    code: 2,
    stderr: text`
      vfio-patch: --yes needs --fix.
        Do:  add --fix, or omit --yes
      `
  })
  await expectRefusal(place, ['check', 'configuration.nix', '--release', 'Yarara'], {
    code: 2,
    stderr: text`
      vfio-patch: --release needs a release of NixOS, got "Yarara".
        Do:  e.g. 26.05, or unstable
      `
  })
})
