// A passphrase prompt that would be invisible after the next boot: it is reported, and a fix is offered.

import { describe, expect } from 'vitest'
import { folderOf } from '../machine/support/machines.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const test = needing('python3')

const MACHINE = folderOf('amd-reset')
const SYSFS = ['--sysfs', MACHINE, '--parse-check=off']
const CHECKED = 'Checked: parses (built-in parser only; switched off).'
const CARD = '0000:01:00.0 AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]'

const LUKS = text`
  { config, pkgs, ... }:
  {
    networking.hostName = "box";
    boot.initrd.luks.devices.root.device = "/dev/disk/by-uuid/0f3c1c5e-0000-4000-8000-000000000001";
    fileSystems."/" = { device = "/dev/mapper/root"; fsType = "ext4"; };
    system.stateVersion = "26.05";
  }
  `

const GUEST = text`
  <domain type='kvm'>
    <name>win10</name>
    <memory unit='GiB'>4</memory>
    <vcpu>2</vcpu>
    <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices>
      <hostdev mode='subsystem' type='pci' managed='yes'>
        <source><address domain='0' bus='1' slot='0' function='0'/></source>
      </hostdev>
      <hostdev mode='subsystem' type='pci' managed='yes'>
        <source><address domain='0' bus='1' slot='0' function='1'/></source>
      </hostdev>
    </devices>
  </domain>
  `

/** Runs a command; in its output, MACHINE replaces the folder of the machine. */
async function run(place: Place, words: readonly string[]) {
  const outcome = await place.run(words)
  const named = (it: string) => it.replaceAll(MACHINE, 'MACHINE')
  return { ...outcome, stdout: named(outcome.stdout), stderr: named(outcome.stderr) }
}

const WHY =
  "vfio-pci binds 0000:01:00.0 in the initrd, which removes the firmware's framebuffer, and the initrd does not load i915, the driver of the host's card 0000:00:02.0."
const FIXING = 'vfio-patch check configuration.nix --fix --sysfs MACHINE'

function willBe(line: number, entry = ''): string {
  return `New problem: configuration.nix:${line}: DARK_PASSPHRASE, the passphrase prompt for root (LUKS) is invisible${entry}. Why: ${WHY} Do: add boot.initrd.kernelModules = [ "i915" ]; (after this is written: ${FIXING})`
}

describe('apply reports that the passphrase prompt will be invisible', () => {
  const confirm = ['--confirm', '01:00.0']
  test.concurrent.for<[string, readonly string[], number, string?]>([
    ['--gpu', ['--gpu', '01:00.0', ...confirm], 11],
    ['--device', ['--device', '1002:67df', '--device', '1002:aaf0', ...confirm], 10],
    ['--address', ['--address', '0000:01:00.0', '--address', '0000:01:00.1', ...confirm], 9],
    [
      '--specialisation',
      ['--gpu', '01:00.0', '--specialisation', 'vfio'],
      12,
      ' in the boot entry "vfio"'
    ],
    ['--domain', ['--domain', 'win10.xml', ...confirm], 11]
  ])('apply %s reports the invisible passphrase prompt', async ([, flags, line, entry]) => {
    const place = makePlace({ 'configuration.nix': LUKS, 'win10.xml': GUEST })
    const { code, stderr } = await run(place, [
      'apply',
      'configuration.nix',
      '-n',
      ...SYSFS,
      ...flags
    ])
    expect(code).toBe(1)
    expect(stderr.split('\n').filter(it => it.includes('DARK_PASSPHRASE'))).toEqual([
      willBe(line, entry).replace('configuration.nix --fix', '/etc/nixos/configuration.nix --fix')
    ])
  })
})

const GPU = ['--gpu', '01:00.0', '--confirm', '01:00.0']
const APPLY = ['apply', 'configuration.nix', ...SYSFS]
const CHECK = ['check', 'configuration.nix', '--sysfs', MACHINE]
const IMPORT = 'imports = [ ./vfio ];'
const DEVICES = text`
  virtualisation.vfio = {
    enable = true;
    IOMMUType = "intel";
    devices = [
      "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
      "1002:aaf0" # AMD Ellesmere HDMI Audio [Radeon RX 470/480 / 570/580/590]
    ];
  };
  `
const LINE = '  boot.initrd.kernelModules = [ "i915" ];\n'

/** The configuration with the card passed through, and with a line that may make the prompt visible. */
function written(line: string): string {
  return LUKS.replace('{\n', `{\n  ${IMPORT}\n`)
    .replace('  fileSystems', `${line}  fileSystems`)
    .replace('  system.', `${DEVICES.replace(/^(?=.)/gm, '  ')}  system.`)
}

const NOTES = text`
  Card: ${CARD}, with 0000:01:00.1 (audio): a guest gets the whole card.
  IOMMU type: intel (detected from the CPU).
  Selected by PCI ID: no other device on this host has it.
  Note: the firmware draws the boot screen on 0000:01:00.0. Choose the host's card as the primary display in the firmware setup. If the boot screen keeps a guest from starting, use --disable-efifb.
  Note: ${CARD} may not work again after a guest shuts down; the kernel module vendor-reset helps with many cards of this kind.
  `
const FIXING_FILE = FIXING.replace('configuration.nix', '/etc/nixos/configuration.nix')
const SUDO = process.geteuid?.() === 0 ? 'sudo ' : ''
const NEXT = text`
  Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
          If the screen stays dark, choose the previous generation in the boot menu.
  `

test('apply --yes adds no driver to the initrd, but prints the command that does, to be run before the reboot', async () => {
  const place = makePlace({ 'configuration.nix': LUKS })
  const { code, stderr } = await run(place, [...APPLY, '--yes', ...GPU])
  expect(code).toBe(0)
  expect(stderr).toBe(text`
    /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
    ${NOTES.trimEnd()}
    ${willBe(11).replace(FIXING, FIXING_FILE)}
    ${CHECKED}
    Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
    Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix
    First:  ${SUDO}${FIXING_FILE}   (otherwise the passphrase prompt is invisible)
    ${NEXT.trimEnd()}
    `)
  expect(place.read('configuration.nix')).toBe(written(''))
})

test('check finds the invisible prompt after apply, check --fix fixes it, and undo reverts the fix', async () => {
  const place = makePlace({ 'configuration.nix': LUKS })
  await run(place, [...APPLY, '--yes', ...GPU])
  const again = await run(place, [...APPLY, '--yes', ...GPU])
  expect(again).toEqual({
    code: 0,
    stdout: '',
    stderr: text`
      Nothing to do: /etc/nixos/configuration.nix is already up to date.
      ${NOTES.trimEnd()}
      ${willBe(11)
        .replace('New problem', 'Existing problem')
        .replace(`after this is written: ${FIXING}`, FIXING_FILE)}
      `
  })
  const checked = await run(place, CHECK)
  expect(checked.code).toBe(1)
  expect(checked.stdout).toContain(text`
    /etc/nixos/configuration.nix:11:8: DARK_PASSPHRASE: the passphrase prompt for root (LUKS) is invisible.
        11 |       "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580…
                    ^^^^^^^^^
      Why: ${WHY}
      Do:  add boot.initrd.kernelModules = [ "i915" ];
    `)
  const fix = [...CHECK, '--fix', '--yes', '--parse-check=off']
  expect((await run(place, fix)).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(written(LINE))
  const fixed = await run(place, CHECK)
  expect([fixed.code, fixed.stdout.includes('DARK_PASSPHRASE')]).toEqual([0, false])
  // A second run of check or apply has nothing to do.
  await run(place, fix)
  expect((await run(place, [...APPLY, '--yes', ...GPU])).stderr).toBe(
    `Nothing to do: /etc/nixos/configuration.nix is already up to date.\n${NOTES}`
  )
  expect(place.read('configuration.nix')).toBe(written(LINE))
  await place.run(['undo', 'configuration.nix', '--yes'])
  expect(place.read('configuration.nix')).toBe(written(''))
})

const QUESTION = text`

  After the next boot, the passphrase prompt for root (LUKS) is invisible:
  vfio-pci binds 0000:01:00.0 in the initrd, which removes the firmware's
  framebuffer, and the initrd does not load i915, the driver of the host's card
  0000:00:02.0. Add "i915" to boot.initrd.kernelModules?
    1) yes
    2) no
  `
const NUMBER = 'Number [1]: '
const WRITE = 'Write these changes? [y/N] '

describe('the question of apply about the driver in the initrd', () => {
  const answered = async (answer: string, ...flags: string[]) => {
    const place = makePlace({ 'configuration.nix': LUKS })
    const steps = [
      { until: NUMBER, send: answer },
      { until: WRITE, send: 'y\n' }
    ]
    const words = [...APPLY, '--color=never', ...flags]
    return { place, shown: await onTerminal(place, words, { steps }) }
  }

  test.concurrent('Enter adds the driver in the same run, which undo reverts', async () => {
    const { place, shown } = await answered('\n', ...GPU)
    expect(shown.code).toBe(0)
    expect(shown.terminal.startsWith(`${QUESTION}${NUMBER}\n`)).toBe(true)
    expect(shown.terminal).not.toMatch(/DARK_PASSPHRASE|First:/)
    expect(place.read('configuration.nix')).toBe(written(LINE))
    expect((await run(place, CHECK)).stdout).not.toContain('DARK_PASSPHRASE')
    await place.run(['undo', 'configuration.nix', '--yes'])
    expect(place.read('configuration.nix')).toBe(LUKS)
  })

  test.concurrent('answering no adds no driver, and the problem is reported before and after the change', async () => {
    const { place, shown } = await answered('2\n', ...GPU)
    expect(shown.terminal).toContain('New problem: configuration.nix:11: DARK_PASSPHRASE')
    expect(shown.terminal.replaceAll(MACHINE, 'MACHINE')).toContain(
      `First:  ${SUDO}${FIXING_FILE}   (otherwise the passphrase prompt is invisible)\n`
    )
    expect(place.read('configuration.nix')).toBe(written(''))
  })

  test.concurrent('Enter adds the driver in the boot entry that needs it', async () => {
    const { place } = await answered('\n', '--gpu', '01:00.0', '--specialisation', 'vfio')
    const inner = `${DEVICES}${LINE.slice(2)}`.replace(/^(?=.)/gm, '    ')
    expect(place.read('configuration.nix')).toBe(
      LUKS.replace('{\n', `{\n  ${IMPORT}\n`).replace(
        '  system.',
        `  specialisation.vfio.configuration = {\n${inner}  };\n  system.`
      )
    )
  })

  test.concurrent('Enter adds the driver in a boot entry that is a function', async () => {
    const entry =
      '  specialisation.vfio.configuration = { pkgs, ... }: {\n    services.x.enable = true;\n  };\n'
    const place = makePlace({
      'configuration.nix': LUKS.replace('  system.', `${entry}  system.`)
    })
    const words = [...APPLY, '--color=never', '--gpu', '01:00.0', '--specialisation', 'vfio']
    const dryRun = await run(place, [...words, '-n'])
    expect(dryRun.stderr).toContain('Do: add boot.initrd.kernelModules = [ "i915" ];\n')
    const steps = [
      { until: NUMBER, send: '\n' },
      { until: WRITE, send: 'y\n' }
    ]
    await onTerminal(place, words, { steps })
    const inner = `\n${DEVICES}\n${LINE.slice(2)}`.replace(/^(?=.)/gm, '    ')
    const more = entry.replace('  };\n', `${inner}  };\n`)
    expect(place.read('configuration.nix')).toBe(
      LUKS.replace('{\n', `{\n  ${IMPORT}\n`).replace('  system.', `${more}  system.`)
    )
    expect((await run(place, CHECK)).stdout).not.toContain('DARK_PASSPHRASE')
  })

  test.concurrent('Ctrl-C ends apply and writes nothing', async () => {
    const place = makePlace({ 'configuration.nix': LUKS })
    const before = place.snapshot()
    const steps = [{ until: NUMBER, send: '\x03' }]
    const shown = await onTerminal(place, [...APPLY, ...GPU], { steps })
    expect(shown).toMatchObject({
      code: 130,
      terminal: `${QUESTION}${NUMBER}^C\nCancelled. Nothing was written.\n`,
      restored: true
    })
    expect(place.snapshot()).toEqual(before)
  })

  test.concurrent('apply --dry-run does not ask about the driver', async () => {
    const place = makePlace({ 'configuration.nix': LUKS })
    const shown = await onTerminal(place, [...APPLY, ...GPU, '-n'])
    expect(shown.code).toBe(1)
    expect(shown.terminal).not.toContain(NUMBER)
    expect(shown.terminal).toContain('New problem: configuration.nix:11: DARK_PASSPHRASE')
  })

  test.concurrent('apply does not ask about the driver if the file cannot be edited for it', async () => {
    const computed = LUKS.replace(
      '  system.',
      `  boot.initrd.kernelModules = import ./m.nix;\n  system.`
    )
    const place = makePlace({ 'configuration.nix': computed, 'm.nix': '[ ]\n' })
    const steps = [{ until: WRITE, send: 'n\n' }]
    const shown = await onTerminal(place, [...APPLY, ...GPU], { steps })
    expect(shown.terminal).not.toContain(NUMBER)
    expect(shown.terminal).toContain('Note: configuration.nix:12: DARK_PASSPHRASE')
  })
})

test('apply --json has the problem among the notes, and check --json as a fixable finding', async () => {
  const place = makePlace({ 'configuration.nix': LUKS })
  const planned = await run(place, [...APPLY, '-n', '--json', ...GPU])
  const note = willBe(11).replace(FIXING, FIXING_FILE)
  expect(JSON.parse(planned.stdout).notes).toContain(note)
  await run(place, [...APPLY, '--yes', ...GPU])
  const { code, stdout } = await run(place, [...CHECK, '--json'])
  expect(code).toBe(1)
  const found = JSON.parse(stdout).findings.filter(
    (it: { code: string }) => it.code === 'DARK_PASSPHRASE'
  )
  expect(found).toEqual([
    expect.objectContaining({
      level: 'problem',
      message: 'the passphrase prompt for root (LUKS) is invisible',
      why: WHY,
      fixable: true,
      hint: 'add boot.initrd.kernelModules = [ "i915" ];'
    })
  ])
})

test('apply --domain reports an existing invisible prompt if the card is already passed through', async () => {
  const place = makePlace({ 'configuration.nix': LUKS, 'win10.xml': GUEST })
  await run(place, [...APPLY, '--yes', ...GPU])
  const { code, stderr } = await run(place, [...APPLY, '-n', '--domain', 'win10.xml'])
  expect(code).toBe(1)
  expect(stderr).toContain(
    'Existing problem: configuration.nix:11: DARK_PASSPHRASE, the passphrase prompt for root (LUKS) is invisible.'
  )
})

test('check finds the invisible prompt of a ZFS pool when sysfb is disabled, whether or not it reads a machine', async () => {
  const place = makePlace({
    'configuration.nix': text`
      { config, pkgs, lib, ... }:
      {
        networking.hostName = "box";
        virtualisation.libvirtd = { enable = true; onShutdown = "shutdown"; };
        boot.initrd.kernelModules = [ "vfio_pci" "vfio" "vfio_iommu_type1" ];
        system.stateVersion = "26.05";
        fileSystems."/" = { device = "tank/root"; fsType = "zfs"; };
        boot.zfs.requestEncryptionCredentials = [ "tank" ];
        boot.kernelParams = [ "vfio-pci.ids=10de:1b80,10de:10f0" "initcall_blacklist=sysfb_init" ];
      }
      `
  })
  const found = text`
    /etc/nixos/configuration.nix:9:60: DARK_PASSPHRASE: the passphrase prompt for tank (ZFS) is invisible.
        9 | …s=10de:1b80,10de:10f0" "initcall_blacklist=sysfb_init" ];
                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    `
  const inText = await run(place, ['check', 'configuration.nix', '--release', '26.05'])
  expect(inText).toEqual({
    code: 1,
    stdout: text`
      ${found.trimEnd()}
        Why: with initcall_blacklist=sysfb_init, nothing is drawn before a graphics driver loads, and the initrd loads none.
        Do:  make the initrd load the driver of the card with your monitor, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915", "xe")
      `,
    stderr: '1 problem in /etc/nixos/configuration.nix.\n'
  })
  const x570 = ['--release', '26.05', '--sysfs', folderOf('x570-two-makers')]
  const onMachine = await run(place, ['check', 'configuration.nix', ...x570])
  expect(onMachine.code).toBe(1)
  expect(onMachine.stdout).toContain(text`
    ${found.trimEnd()}
      Why: with initcall_blacklist=sysfb_init, nothing is drawn before a graphics driver loads, and the initrd does not load amdgpu, the driver of the host's card 0000:0a:00.0.
      Do:  add boot.initrd.kernelModules = [ "amdgpu" ];
    `)
})

test('apply --disable-efifb offers to load the driver of services.xserver.videoDrivers', async () => {
  const place = makePlace({
    'configuration.nix': LUKS.replace(
      '  system.',
      '  services.xserver.videoDrivers = [ "amdgpu" ];\n  system.'
    )
  })
  const words = [
    'apply',
    'configuration.nix',
    '--disable-efifb',
    '--color=never',
    '--parse-check=off'
  ]
  const { stderr } = await run(place, [...words, '-n'])
  expect(stderr).toContain(
    'New problem: configuration.nix:10: DARK_PASSPHRASE, the passphrase prompt for root (LUKS) is invisible. Why: with virtualisation.vfio.disableEFIfb, nothing is drawn before a graphics driver loads, and the initrd loads none. Do: add boot.initrd.kernelModules = [ "amdgpu" ]; (after this is written: vfio-patch check /etc/nixos/configuration.nix --fix)\n'
  )
  const steps = [
    { until: NUMBER, send: 'yes\n' },
    { until: WRITE, send: 'y\n' }
  ]
  await onTerminal(place, words, { steps })
  expect(place.read('configuration.nix')).toContain('boot.initrd.kernelModules = [ "amdgpu" ];')
})

test('check --fix adds a softdep along with the driver if both cards are from AMD', async () => {
  const place = makePlace({
    'configuration.nix': text`
      { ... }:
      {
        boot.initrd.kernelModules = [ "vfio_pci" ];
        boot.initrd.luks.devices.root.device = "/dev/sda2";
        boot.kernelParams = [ "vfio-pci.ids=1002:73ff" ];
      }
      `
  })
  const audio = folderOf('shared-audio-id')
  const fix = [
    'check',
    'configuration.nix',
    '--fix',
    '--yes',
    '--sysfs',
    audio,
    '--parse-check=off'
  ]
  expect((await run(place, fix)).code).toBe(0)
  expect(place.read('configuration.nix')).toBe(text`
    { ... }:
    {
      boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" ];
      boot.initrd.luks.devices.root.device = "/dev/sda2";
      boot.kernelParams = [ "vfio-pci.ids=1002:73ff" ];
      boot.extraModprobeConfig = "softdep amdgpu pre: vfio-pci";
    }
    `)
})
