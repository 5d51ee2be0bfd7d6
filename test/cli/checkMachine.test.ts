// `check` on the machine of a configuration: which settings are active, and which do not fit.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { SUDO } from './support/option.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { patch, text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'
const OFF = '--parse-check=off'

const CONFIGURATION = text`
  { ... }:
  {
    boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80" ];
    boot.initrd.kernelModules = [ "vfio_pci" ];
  }
  `

function given(): Place {
  return makePlace({ 'configuration.nix': CONFIGURATION })
}

function check(machine: string, ...more: string[]): string[] {
  return ['check', 'configuration.nix', '--sysfs', folderOf(machine), ...more]
}

/** A folder like the root of a NixOS machine with two cards, whose latest build is not booted yet. */
function rebuilt(place: Place): string {
  const root = join(place.top, 'machine')
  const write = (path: string, content: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  // Absolute symlinks, as on a real machine.
  const link = (path: string, target: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    symlinkSync(target, join(root, path))
  }
  for (const [address, id, bootVga] of [
    ['0000:01:00.0', '0x1b80', '0'],
    ['0000:02:00.0', '0x1c82', '1']
  ]) {
    const device = `sys/bus/pci/devices/${address}`
    write(`${device}/vendor`, '0x10de\n')
    write(`${device}/device`, `${id}\n`)
    write(`${device}/class`, '0x030000\n')
    write(`${device}/boot_vga`, `${bootVga}\n`)
  }
  write('sys/kernel/iommu_groups/1/type', 'DMA\n')
  write('proc/cmdline', 'quiet iommu=pt\n')
  const system = (digit: string) => `/nix/store/${digit.repeat(32)}-nixos-system-pc-26.05`
  link('run/booted-system', system('1'))
  link('nix/var/nix/profiles/system', 'system-2-link')
  link('nix/var/nix/profiles/system-2-link', system('2'))
  write(`${system('1')}/kernel-params`, 'quiet iommu=pt')
  write(`${system('2')}/kernel-params`, 'quiet iommu=pt vfio-pci.ids=10de:1b80')
  return root
}

test.concurrent('check lists the state of each configured thing on the machine below the findings', async () => {
  expect(await given().run(check('x570-two-makers'))).toEqual({
    code: 1,
    stdout: text`
      ${FILE}:3:50: MISSING_FUNCTION: 0000:01:00.1 (audio) of the same card is not passed through.
          3 |   boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80" ];
                                                               ^^^^^^^^^
        Why: a guest gets all functions of a card or none, because the IOMMU cannot isolate them from each other.
        Do:  also name 10de:10f0

      On this machine:
        IOMMU: active (14 groups)
        iommu=pt: configured, not active because the machine was not started with it
        vfio-pci.ids=10de:1b80: configured, not active because the machine was not
          started with it
        0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]: configured, not active because
          the machine was not started with it (nvidia has it)
      `,
    stderr: `1 problem in ${FILE}. With --fix, 1 can be fixed automatically.\n`
  })
})

test.concurrent('check --fix also fixes what only the machine shows', async () => {
  const place = given()
  expect(await place.run(check('x570-two-makers', '--fix', '-yU0', OFF))).toEqual({
    code: 0,
    stdout: patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -3,1 +3,1 @@
      -  boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80" ];
      +  boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80,10de:10f0" ];
      `,
    stderr: text`
      ${FILE}: 1 change
      Fixes configuration.nix:3: MISSING_FUNCTION, 0000:01:00.1 (audio) of the same card is not passed through.
      Checked: parses (built-in parser only; switched off).
      Wrote ${FILE}.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  const { code, stderr } = await place.run(check('x570-two-makers'))
  expect({ code, stderr }).toEqual({ code: 0, stderr: `Nothing found in ${FILE}.\n` })
})

test.concurrent('check --json reports the state of each configured thing on the machine', async () => {
  const { code, stdout } = await given().run(check('already-bound', '--json'))
  const { findings, running } = JSON.parse(stdout)
  expect({ code, codes: findings.map((it: { code: string }) => it.code) }).toEqual({
    code: 1,
    codes: ['MISSING_FUNCTION']
  })
  expect(running).toEqual({
    state: 'partial',
    specialisation: null,
    reasons: [
      'vfio-pci.ids=10de:1b80: configured, not active because the machine was not started with it'
    ],
    things: [
      { kind: 'iommu', name: 'IOMMU', verdict: 'active', because: '13 groups', device: null },
      {
        kind: 'kernel-parameter',
        name: 'iommu=pt',
        verdict: 'active',
        because: null,
        device: null
      },
      {
        kind: 'kernel-parameter',
        name: 'vfio-pci.ids=10de:1b80',
        verdict: 'not-built',
        because: null,
        device: null
      },
      { kind: 'module', name: 'vfio_pci', verdict: 'active', because: null, device: null },
      {
        kind: 'device',
        name: '0000:01:00.0',
        verdict: 'active',
        because: 'vfio-pci has it',
        device: { address: '0000:01:00.0', id: '10de:1b80', driver: 'vfio-pci' }
      }
    ]
  })
})

test.concurrent("check --sysfs accepts a folder laid out like a machine's root folder", async () => {
  const place = given()
  const words = ['check', 'configuration.nix', '--sysfs', rebuilt(place)]
  expect((await place.run(words)).stdout).toBe(text`
    ${FILE}:3:50: note NEEDS_REBOOT: this is built, and takes effect after a reboot.
        3 |   boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80" ];
                                                             ^^^^^^^^^
      Why: kernel parameters and the drivers of devices are set at boot; "nixos-rebuild switch" does not change them.
      Do:  reboot

    On this machine:
      the latest build: configured, active after reboot
      IOMMU: active (1 group)
      iommu=pt: active
      vfio-pci.ids=10de:1b80: configured, active after reboot
      0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080]: configured, active after reboot
        (no driver has it)
    `)
})

test.concurrent('check reads the running machine only if networking.hostName matches or with --sysfs /', async () => {
  const named = (name: string) =>
    makePlace({
      'configuration.nix': '{ imports = [ ./host.nix ]; boot.kernelModules = [ "vfio_pci" ]; }\n',
      'host.nix': `{ networking.hostName = "${name}"; }\n`
    })
  const runningOn = async (place: Place, ...more: string[]) => {
    const { stdout } = await place.run(['check', 'configuration.nix', '--json', ...more])
    return JSON.parse(stdout).running
  }
  expect(await runningOn(named(hostname()))).toMatchObject({
    things: expect.arrayContaining([expect.objectContaining({ kind: 'iommu' })])
  })
  expect(await runningOn(named('another'))).toBeNull()
  const unnamed = makePlace({ 'configuration.nix': '{ boot.kernelModules = [ "vfio_pci" ]; }\n' })
  expect(await runningOn(unnamed)).toBeNull()
  expect(await runningOn(unnamed, '--sysfs', '/')).not.toBeNull()
  // A configuration that passes nothing through is not compared with the machine.
  const plain = makePlace({ 'configuration.nix': '{ boot.kernelParams = [ "quiet" ]; }\n' })
  expect(await runningOn(plain, '--sysfs', '/')).toBeNull()
})

test.concurrent('check --sysfs refuses a folder that does not exist', async () => {
  const place = given()
  await expectRefusal(place, ['check', 'configuration.nix', '--sysfs', 'nowhere'], {
    code: 2,
    stderr: text`
      vfio-patch: --sysfs: there is no folder nowhere.
        Do:  pass the folder that "vfio-patch scan --dump FOLDER" wrote
      `
  })
})
