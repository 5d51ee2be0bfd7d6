// Invisible passphrase prompts on the machine that a configuration is for.

import { describe, expect, it } from 'vitest'
import { findDarkPassphrases } from '../../src/check/darkPassphrase.ts'
import { type Finding, planFixes } from '../../src/lints/index.ts'
import { type Files, filesOf, inShort } from '../lints/support.ts'
import { machineWith, type Tree } from './support.ts'

const LUKS = 'boot.initrd.luks.devices.root.device = "/dev/sda2";'
/** The RX 580 of the machine amd-reset, on which the firmware draws. The host's card is integrated in its i5. */
const GUEST = 'virtualisation.vfio = { enable = true; devices = [ "1002:67df" "1002:aaf0" ]; };'

function found(files: Files, machine = 'amd-reset', tree: Tree = {}): Finding[] {
  return findDarkPassphrases(filesOf(files), { importsModules: true }, machineWith(machine, tree))
}

function module(...lines: string[]): string {
  return `{ lib, pkgs, ... }:\n{\n${lines.map(it => `  ${it}\n`).join('')}}\n`
}

/** The findings in a module of these lines, in short. */
function short(lines: readonly string[], machine = 'amd-reset', tree: Tree = {}): string[] {
  const text = module(...lines)
  return inShort(text, found(text, machine, tree))
}

describe("vfio-pci removes the firmware's framebuffer", () => {
  it('reports an invisible prompt with its cause, the card and the line that fixes it', () => {
    const text = module(GUEST, LUKS)
    const [finding, ...more] = found(text)
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      code: 'DARK_PASSPHRASE',
      level: 'problem',
      message: 'the passphrase prompt for root (LUKS) is invisible',
      why: "vfio-pci binds 0000:01:00.0 in the initrd, which removes the firmware's framebuffer, and the initrd does not load i915, the driver of the host's card 0000:00:02.0.",
      remedy: 'add boot.initrd.kernelModules = [ "i915" ];'
    })
    const [file] = filesOf(text)
    const planned = file && planFixes(file.doc, [finding?.fix ?? []])
    const after = planned?.ok ? planned.value.plan.text : ''
    expect(after).toBe(text.replace(LUKS, `${LUKS}\n  boot.initrd.kernelModules = [ "i915" ];`))
    expect(found(after)).toEqual([])
  })

  const id = '"vfio-pci.ids=1002:67df,1002:aaf0"'
  const early = 'boot.initrd.kernelModules = [ "vfio_pci" ];'
  it.each<[what: string, lines: string[], at: string]>([
    ['by option', [GUEST], '1002:67df'],
    [
      'by option, with addresses',
      ['virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; };'],
      '"0000:01:00.0"'
    ],
    ['by a parameter', [`boot.kernelParams = [ ${id} ];`, early], '1002:67df'],
    [
      'by modprobe',
      ['boot.extraModprobeConfig = "options vfio-pci ids=1002:67df";', early],
      '1002:67df'
    ],
    [
      "with the driver of the guest's card",
      [GUEST, 'boot.initrd.kernelModules = [ "amdgpu" "radeon" ];'],
      '1002:67df'
    ],
    [
      'by a script from an old guide',
      [
        'boot.initrd.kernelModules = [ "vfio_pci" ];',
        "boot.initrd.preDeviceCommands = ''\n  for it in 0000:01:00.0 0000:01:00.1; do\n    echo vfio-pci > /sys/bus/pci/devices/$it/driver_override\n  done\n'';"
      ],
      '0000:01:00.0'
    ],
    [
      'by a service in the initrd',
      [
        'boot.initrd.availableKernelModules = [ "vfio_pci" ];',
        'boot.initrd.systemd.services.vfio.script = "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override; modprobe -i vfio-pci";'
      ],
      '0000:01:00.0'
    ],
    ['with the other Intel driver', [GUEST, 'boot.initrd.kernelModules = [ "xe" ];'], '1002:67df'],
    [
      'with a blacklisted driver',
      [
        GUEST,
        'boot.initrd.kernelModules = [ "i915" ];',
        'boot.blacklistedKernelModules = [ "i915" ];'
      ],
      '1002:67df'
    ]
  ])('reports an invisible prompt: %s', (_, lines, at) => {
    expect(short([...lines, LUKS])).toEqual([`DARK_PASSPHRASE: ${at}`])
  })

  it.each<[what: string, lines: string[], machine?: string, tree?: Tree]>([
    ['no prompt', [GUEST]],
    ['a key file', [GUEST, 'boot.initrd.luks.devices.root.keyFile = "/key";']],
    ["the driver of the host's card", [GUEST, LUKS, 'boot.initrd.kernelModules = [ "i915" ];']],
    [
      "the driver of the host's card as an available module",
      [GUEST, LUKS, 'boot.initrd.availableKernelModules = [ "i915" ];']
    ],
    [
      'the other Intel driver, if a parameter selects it',
      [
        GUEST,
        LUKS,
        'boot.initrd.kernelModules = [ "xe" ];',
        'boot.kernelParams = [ "i915.force_probe=!4680" "xe.force_probe=4680" ];'
      ]
    ],
    ['a driver that is built into the kernel', [GUEST, LUKS], 'amd-reset', withoutModule()],
    [
      'vfio-pci after the initrd',
      [`boot.kernelParams = [ ${id} ];`, 'boot.kernelModules = [ "vfio_pci" ];', LUKS]
    ],
    [
      'devices that are bound when a guest starts',
      [GUEST.replace('};', 'bindAtBoot = false; };'), LUKS]
    ],
    ['an old kernel', [GUEST, LUKS, 'boot.kernelPackages = pkgs.linuxPackages_5_15;']],
    ['a report of nixos-facter', [GUEST, LUKS, 'hardware.facter.reportPath = ./facter.json;']],
    [
      'a script for another device',
      [
        'boot.initrd.kernelModules = [ "vfio_pci" ];',
        'boot.initrd.preDeviceCommands = "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.1/driver_override";',
        LUKS
      ]
    ],
    [
      'a card without the framebuffer',
      ['virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; };', LUKS],
      'x570-two-makers'
    ]
  ])('reports nothing with %s', (_, lines, machine, tree) => {
    expect(short(lines, machine, tree)).toEqual([])
  })

  function withoutModule(): Tree {
    return { '/sys/bus/pci/devices/0000:00:02.0/driver/module': null }
  }

  it('recommends the driver of both cards if they are identical', () => {
    const guest = 'virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; };'
    const nvidia = 'services.xserver.videoDrivers = [ "nvidia" ];'
    const [dark] = found(module(guest, LUKS, nvidia), 'two-identical')
    expect(dark).toMatchObject({
      level: 'problem',
      remedy: 'add boot.initrd.kernelModules = [ "nvidia_drm" ];',
      fix: [{ op: 'add', items: ['nvidia_drm'] }]
    })
    const modules = (names: string) => `boot.initrd.kernelModules = [ ${names} ];`
    const lines = [guest, LUKS, nvidia]
    expect(short([...lines, modules('"nvidia_drm"')], 'two-identical')).toEqual([])
    // nvidia alone draws no console.
    expect(short([...lines, modules('"nvidia"')], 'two-identical')).toHaveLength(1)
    // The build would fail if the system does not have the driver.
    const [unsure] = found(module(guest, LUKS), 'two-identical')
    expect(unsure?.fix).toBeUndefined()
    expect(unsure?.remedy).toBe('add boot.initrd.kernelModules = [ "nvidia_drm" ];')
  })

  it('recommends unlocking without a prompt if there is no other card', () => {
    const guest = 'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; };'
    const [dark] = found(
      module(`specialisation.vfio.configuration = { ${guest} };`, LUKS),
      'single-gpu'
    )
    expect(dark).toMatchObject({
      level: 'problem',
      why: "vfio-pci binds 0000:0a:00.0 in the initrd, which removes the firmware's framebuffer, and the host has no other card to show the prompt.",
      remedy:
        'unlock the disk without a passphrase (TPM2, a key file) or over the network (boot.initrd.network.ssh), or pass the card through only while the guest runs: vfio-patch apply --bind hooks'
    })
    expect(dark?.fix).toBeUndefined()
  })

  it('recommends the driver by vendor and alias for a card that is bound to vfio-pci', () => {
    // The GTX 1080 is the host's card, and the AMD card is the guest's.
    const guest = 'virtualisation.vfio = { enable = true; devices = [ "1002:6985" ]; };'
    const [dark] = found(module(guest, LUKS), 'already-bound')
    expect(dark?.remedy).toBe('add boot.initrd.kernelModules = [ "nouveau" ];')
  })

  it('recommends removing nomodeset', () => {
    const params = 'boot.kernelParams = [ "nomodeset" ];'
    const [dark] = found(module(GUEST, LUKS, params, 'boot.initrd.kernelModules = [ "i915" ];'))
    expect(dark).toMatchObject({
      why: "vfio-pci binds 0000:01:00.0 in the initrd, which removes the firmware's framebuffer, and nomodeset disables i915, the driver of the host's card 0000:00:02.0.",
      remedy: 'remove nomodeset, and add boot.initrd.kernelModules = [ "i915" ];'
    })
    expect(dark?.fix).toBeUndefined()
  })

  it.each<[string, string, string]>([
    [
      'boot.kernelParams = [ "i915.modeset=0" ];',
      "i915.modeset=0 disables i915, the driver of the host's card 0000:00:02.0",
      'remove i915.modeset=0'
    ],
    [
      'boot.blacklistedKernelModules = [ "i915" ];',
      "a blacklist disables i915, the driver of the host's card 0000:00:02.0",
      'remove i915 from the blacklist'
    ],
    [
      'boot.extraModprobeConfig = "blacklist i915";',
      "a blacklist disables i915, the driver of the host's card 0000:00:02.0",
      'remove i915 from the blacklist'
    ]
  ])('recommends enabling a disabled driver: %s', (line, why, remedy) => {
    const [dark] = found(module(GUEST, LUKS, line, 'boot.initrd.kernelModules = [ "i915" ];'))
    expect(dark?.why).toContain(`, and ${why}.`)
    expect(dark?.remedy).toBe(`${remedy}, and add boot.initrd.kernelModules = [ "i915" ];`)
  })

  it("NVIDIA's driver draws no console without modesetting", () => {
    const guest = 'virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; };'
    const lines = [
      guest,
      LUKS,
      'services.xserver.videoDrivers = [ "nvidia" ];',
      'boot.initrd.kernelModules = [ "nvidia_drm" ];'
    ]
    const off = 'hardware.nvidia.modesetting.enable = false;'
    expect(short([...lines, off], 'two-identical')).toHaveLength(1)
    const param = 'boot.kernelParams = [ "nvidia-drm.fbdev=0" ];'
    expect(short([...lines, param], 'two-identical')).toHaveLength(1)
  })

  it.each<[what: string, ...lines: string[]]>([
    ['options', `config = lib.mkIf config.my.vfio { ${GUEST} };`],
    [
      'a parameter',
      'boot.initrd.kernelModules = [ "vfio_pci" ];',
      'boot.kernelParams = lib.optionals config.my.vfio [ "vfio-pci.ids=1002:67df" ];'
    ]
  ])('reports a note under a condition: %s', (_, ...lines) => {
    const text = `{ config, lib, ... }:\n{\n${[LUKS, ...lines].join('\n')}\n}\n`
    // Next to config there can be no options.
    const all = text.replace(LUKS, lines[0]?.startsWith('config') ? '' : LUKS)
    const files = all === text ? text : { 'configuration.nix': all, 'luks.nix': module(LUKS) }
    expect(found(files)).toMatchObject([
      { level: 'note', message: 'the passphrase prompt for root (LUKS) may be invisible' }
    ])
  })

  it('reports a note if it is unknown which card the firmware draws on', () => {
    const tree = {
      '/sys/bus/pci/devices/0000:01:00.0/boot_vga': null,
      '/sys/bus/pci/devices/0000:00:02.0/boot_vga': null
    }
    const [dark] = found(module(GUEST, LUKS), 'amd-reset', tree)
    expect(dark).toMatchObject({
      level: 'note',
      why: "vfio-pci binds 0000:01:00.0 in the initrd, which removes the firmware's framebuffer if the firmware draws on this card, and the initrd does not load i915, the driver of the host's card 0000:00:02.0."
    })
  })

  it.each<[what: string, ...lines: string[]]>([
    ['ssh in the initrd', LUKS, 'boot.initrd.network.ssh.enable = true;'],
    ['a pool that may be encrypted', 'fileSystems."/" = { device = "p/r"; fsType = "zfs"; };'],
    ['bcachefs', 'fileSystems."/" = { device = "/dev/sda2"; fsType = "bcachefs"; };'],
    ['a model of nixos-hardware', LUKS, 'imports = [ <nixos-hardware/dell/xps> ];']
  ])('reports a note with %s', (_, ...lines) => {
    expect(found(module(GUEST, ...lines)).map(it => it.level)).toEqual(['note'])
  })

  it('reports a note for a root on LUKS that only the machine shows', () => {
    const guest = 'virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; };'
    const [dark] = found(module(guest), 'two-identical')
    expect(dark).toMatchObject({
      level: 'note',
      message: 'the passphrase prompt for nvme0n1p2 (LUKS, if it has a passphrase) is invisible'
    })
    // A whole configuration defines its LUKS devices.
    const whole = ['fileSystems."/".fsType = "ext4";', 'system.stateVersion = "26.05";']
    expect(short([guest, ...whole], 'two-identical')).toEqual([])
  })
})

describe("the firmware's framebuffer is off", () => {
  const off = 'boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];'

  it("requires the driver of the card with the monitor, or of the host's other card", () => {
    expect(short([off, LUKS])).toEqual(['DARK_PASSPHRASE: "initcall_blacklist=sysfb_init"'])
    const load = (name: string) => `boot.initrd.kernelModules = [ "${name}" ];`
    // No card is passed through, so the monitor on the AMD card shows the prompt.
    expect(short([off, LUKS, load('amdgpu')])).toEqual([])
    expect(short([off, LUKS, load('i915')])).toHaveLength(1)
    expect(short([off, LUKS, GUEST, load('i915')])).toEqual([])
    expect(short([off, LUKS, GUEST, load('amdgpu')])).toHaveLength(1)
  })

  it('reports disableEFIfb even if devices are bound when a guest starts', () => {
    const lent = GUEST.replace('};', 'bindAtBoot = false; disableEFIfb = true; };')
    const text = module(lent, LUKS)
    expect(found(text)).toMatchObject([
      {
        why: "with virtualisation.vfio.disableEFIfb, nothing is drawn before a graphics driver loads, and the initrd does not load amdgpu, the driver of the host's card 0000:01:00.0.",
        remedy: 'add boot.initrd.kernelModules = [ "amdgpu" ];'
      }
    ])
  })
})

describe('in boot entries', () => {
  const entry = (...lines: string[]) =>
    `specialisation.vfio.configuration = { ${lines.join(' ')} };`
  const path = (...names: string[]) => [...names, 'boot', 'initrd', 'kernelModules']

  it('adds the driver to the boot entry that passes the card through', () => {
    const [dark, ...more] = found(module(entry(GUEST), LUKS))
    expect(more).toEqual([])
    expect(dark?.fix).toEqual([
      { op: 'add', path: path('specialisation', 'vfio', 'configuration'), items: ['i915'] }
    ])
    const inside = entry(GUEST, 'boot.initrd.kernelModules = [ "i915" ];')
    expect(short([inside, LUKS])).toEqual([])
    expect(short([entry(GUEST), LUKS, 'boot.initrd.kernelModules = [ "i915" ];'])).toEqual([])
  })

  it('checks all boot entries, not only the running one', () => {
    const [usual, own] = [
      'virtualisation.vfio = { enable = true; devices = [ "8086:7ad0" ]; };',
      entry('virtualisation.vfio.devices = [ "1002:67df" ];')
    ]
    expect(short([usual, own, LUKS])).toEqual(['DARK_PASSPHRASE: 1002:67df'])
  })

  it('checks a boot entry that is a function, without a fix', () => {
    const own = `specialisation.vfio.configuration = { pkgs, ... }: { ${GUEST} };`
    expect(short([own, LUKS])).toEqual(['DARK_PASSPHRASE: 1002:67df'])
    const [inside] = found(module(own, LUKS))
    // The file has no option with that path; apply can add the modules.
    expect(inside?.fix).toBeUndefined()
    expect(inside?.initrdModules).toEqual(['i915'])
    // A finding outside of it has a fix.
    const other = 'specialisation.other.configuration = { pkgs, ... }: { };'
    const [outside] = found(module(GUEST, other, LUKS))
    expect(outside?.fix).toEqual([{ op: 'add', path: path(), items: ['i915'] }])
  })
})
