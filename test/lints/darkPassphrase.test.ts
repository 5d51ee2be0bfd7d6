// Passphrases that the initrd asks for, and drivers that it has, according to the text alone.

import { describe, expect, it } from 'vitest'
import { earlyDriversOf, loadsVfioEarly } from '../../src/lints/earlyDrivers.ts'
import type { Finding } from '../../src/lints/index.ts'
import { promptsOf } from '../../src/lints/prompts.ts'
import { viewsOf } from '../../src/lints/view.ts'
import { filesOf, inShort, lintFiles } from './support.ts'

const OFF = 'boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];'
const LUKS = 'boot.initrd.luks.devices.root.device = "/dev/sda2";'

function viewOf(text: string) {
  const [view] = viewsOf(filesOf(`{ lib, ... }:\n{\n${text}\n}\n`), { importsModules: false })
  if (!view) throw new Error('no view')
  return view
}

function dark(...lines: string[]): Finding[] {
  const found = lintFiles(`{ config, lib, pkgs, inputs, ... }:\n{\n${lines.join('\n')}\n}\n`)
  return found.filter(it => it.code === 'DARK_PASSPHRASE')
}

describe('passphrase prompts of the initrd', () => {
  const asks = (text: string) =>
    promptsOf(viewOf(text)).map(
      it =>
        `${it.name} (${it.kind})${it.condition === undefined ? '' : `, condition: ${it.condition}`}`
    )
  const root = (type: string, device = 'rpool/root') =>
    `fileSystems."/" = { device = "${device}"; fsType = "${type}"; };`
  const luks = (options: string) => `boot.initrd.luks.devices.root = { ${options} };`

  it.each<[what: string, text: string, ...prompts: string[]]>([
    ['no encryption', 'fileSystems."/".fsType = "ext4";'],
    ['a LUKS device', LUKS, 'root (LUKS)'],
    ['a name with a dash', 'boot.initrd.luks.devices."luks-1".device = "x";', 'luks-1 (LUKS)'],
    [
      'two LUKS devices',
      'boot.initrd.luks.devices = { a.device = "x"; b.device = "y"; };',
      'a (LUKS)',
      'b (LUKS)'
    ],
    ['no LUKS devices', 'boot.initrd.luks.devices = { };'],
    [
      'a computed set',
      'boot.initrd.luks.devices = lib.genAttrs [ "a" ] (n: { });',
      'boot.initrd.luks.devices (LUKS)'
    ],
    ['a key file', luks('device = "x"; keyFile = "/key";')],
    ['keyFile = null', luks('device = "x"; keyFile = null;'), 'root (LUKS)'],
    [
      'one of two with a key file',
      `${luks('keyFile = "/k";')} ${LUKS.replace('root', 'a')}`,
      'a (LUKS)'
    ],
    ['TPM2', luks('crypttabExtraOpts = [ "tpm2-device=auto" ];')],
    [
      'TPM2 with a PIN',
      luks('crypttabExtraOpts = [ "tpm2-device=auto" "tpm2-pin=yes" ];'),
      'root (LUKS)'
    ],
    ['FIDO2', luks('crypttabExtraOpts = [ "fido2-device=auto" ];'), 'root (LUKS), condition: pin'],
    ['other options of crypttab', luks('crypttabExtraOpts = [ "discard" ];'), 'root (LUKS)'],
    ['FIDO2 without a passphrase', luks('fido2 = { credential = "x"; passwordLess = true; };')],
    ['a second factor', luks('yubikey.slot = 2;'), 'root (LUKS)'],
    ['a single factor', luks('yubikey = { slot = 2; twoFactor = false; };')],
    ['a GPG card', luks('gpgCard.publicKey = ./key;'), 'root (LUKS)'],
    [
      'clevis',
      `${LUKS} boot.initrd.clevis = { enable = true; devices.root.secretFile = ./root.jwe; };`
    ],
    [
      'clevis for another device',
      `${LUKS} boot.initrd.clevis = { enable = true; devices.data.secretFile = ./root.jwe; };`,
      'root (LUKS)'
    ],
    [
      'clevis that is not enabled',
      `${LUKS} boot.initrd.clevis.devices.root.secretFile = ./a;`,
      'root (LUKS)'
    ],
    [
      'an encrypted file system',
      'fileSystems."/home".encrypted = { enable = true; label = "home"; blkDev = "/dev/sda3"; };',
      'home (LUKS)'
    ],
    [
      'an encrypted file system with a key',
      'fileSystems."/home".encrypted = { enable = true; label = "home"; keyFile = "/mnt-root/k"; };'
    ],
    [
      'encrypted swap',
      'swapDevices = [ { device = "/dev/mapper/s"; encrypted = { enable = true; label = "s"; }; } ];',
      's (LUKS)'
    ],
    [
      'swap with a random key',
      'swapDevices = [ { device = "/dev/sda3"; randomEncryption.enable = true; } ];'
    ],
    [
      'swap with a key',
      'swapDevices = [ { device = "x"; encrypted = { enable = true; keyFile = "/k"; }; } ];'
    ],
    [
      'LUKS in a disko layout',
      'disko.devices.disk.main.content.partitions.luks.content = { type = "luks"; name = "crypt"; };',
      'crypt (LUKS)'
    ],
    [
      'LUKS in a disko layout, with a key',
      'disko.devices.disk.a.content = { type = "luks"; name = "c"; settings.keyFile = "/k"; };'
    ],
    [
      'LUKS in a disko layout, unlocked after the initrd',
      'disko.devices.disk.a.content = { type = "luks"; name = "c"; initrdUnlock = false; };'
    ],
    ['ZFS', root('zfs'), 'rpool (ZFS), condition: encrypted'],
    [
      'ZFS with a computed pool name',
      'fileSystems."/" = { device = "${pool}/root"; fsType = "zfs"; };',
      'undefined (ZFS), condition: encrypted'
    ],
    ['ZFS without key requests', `${root('zfs')} boot.zfs.requestEncryptionCredentials = false;`],
    [
      'ZFS with an empty list of key requests',
      `${root('zfs')} boot.zfs.requestEncryptionCredentials = [ ];`
    ],
    [
      'ZFS with a key request for this dataset',
      `${root('zfs')} boot.zfs.requestEncryptionCredentials = [ "rpool/root" ];`,
      'rpool/root (ZFS)'
    ],
    [
      'ZFS with a key request for a pool that is mounted later',
      `${root('zfs')} boot.zfs.requestEncryptionCredentials = [ "data" ];`
    ],
    [
      'ZFS with explicit key requests',
      `${root('zfs')} boot.zfs.requestEncryptionCredentials = true;`,
      'rpool (ZFS)'
    ],
    [
      'a key request without file systems in these files',
      'boot.zfs.requestEncryptionCredentials = [ "rpool" ];',
      'rpool (ZFS)'
    ],
    [
      'an encrypted pool in a disko layout',
      `${root('zfs')} disko.devices.zpool.rpool.rootFsOptions.encryption = "aes-256-gcm";`,
      'rpool (ZFS)'
    ],
    [
      'ZFS unlocked by clevis',
      `${root('zfs')} boot.zfs.requestEncryptionCredentials = [ "rpool" ];
       boot.initrd.clevis = { enable = true; devices.rpool.secretFile = ./a; };`
    ],
    [
      'a ZFS file system mounted after the initrd',
      'fileSystems."/data" = { device = "data/all"; fsType = "zfs"; };'
    ],
    [
      'a ZFS file system needed for boot',
      'fileSystems."/persist" = { device = "p/all"; fsType = "zfs"; neededForBoot = true; };',
      'p (ZFS), condition: encrypted'
    ],
    ['bcachefs', root('bcachefs', '/dev/sda2'), '/ (bcachefs), condition: encrypted'],
    [
      'a bcachefs file system mounted after the initrd',
      'fileSystems."/data" = { device = "/dev/sdb"; fsType = "bcachefs"; };'
    ],
    [
      'bcachefs unlocked by clevis',
      `${root('bcachefs', '/dev/sda2')} boot.initrd.clevis = { enable = true; devices."/dev/sda2".secretFile = ./a; };`
    ]
  ])('lists the passphrase prompts with %s', (_, text, ...prompts) => {
    expect(asks(text)).toEqual(prompts)
  })
})

describe('graphics drivers of the initrd', () => {
  const early = (text: string) => {
    const { alwaysLoaded, available, loadsAllDrivers, mayLoadMore } = earlyDriversOf(viewOf(text))
    const marks = [...(loadsAllDrivers ? ['every'] : []), ...(mayLoadMore ? ['and more'] : [])]
    return [...alwaysLoaded, ...[...available].map(it => `${it}?`), ...marks]
  }

  it.each<[what: string, text: string, ...drivers: string[]]>([
    ['no graphics driver', 'boot.initrd.kernelModules = [ "dm_mod" "vfio_pci" ];'],
    [
      'a list of modules',
      'boot.initrd.kernelModules = [ "i915" "nvidia-drm" ];',
      'i915',
      'nvidia_drm'
    ],
    ['an attribute set of modules', 'boot.initrd.kernelModules.xe = true;', 'xe'],
    ['available modules', 'boot.initrd.availableKernelModules = [ "nvme" "i915" ];', 'i915?'],
    ['modules that draw no console', 'boot.initrd.kernelModules = [ "nvidia" "nvidia_modeset" ];'],
    ['amdgpu', 'hardware.amdgpu.initrd.enable = true;', 'amdgpu'],
    ['amdgpu disabled', 'hardware.amdgpu.initrd.enable = false;'],
    [
      'nixos-hardware for AMD',
      'imports = [ inputs.nixos-hardware.nixosModules.common-gpu-amd ];',
      'amdgpu'
    ],
    ['nixos-hardware by path', 'imports = [ <nixos-hardware/common/cpu/intel> ];', 'i915'],
    [
      'nixos-hardware with another driver',
      'imports = [ <nixos-hardware/common/gpu/intel> ];\nhardware.intelgpu.driver = "xe";',
      'xe'
    ],
    [
      'nixos-hardware with loadInInitrd = false',
      'imports = [ <nixos-hardware/common/gpu/intel> ];\nhardware.intelgpu.loadInInitrd = false;'
    ],
    ['nixos-hardware for a model', 'imports = [ <nixos-hardware/dell/xps/13-9370> ];', 'and more'],
    ['nixos-hardware in a comment', '# see nixos-hardware.nixosModules.dell-xps'],
    ['nixos-hardware for SSDs', 'imports = [ inputs.nixos-hardware.nixosModules.common-pc-ssd ];'],
    ['nixos-facter', 'hardware.facter.reportPath = ./facter.json;', 'every'],
    [
      'nixos-facter with its own list',
      'facter.reportPath = ./f.json;\nfacter.detected.boot.graphics.kernelModules = [ "i915" ];',
      'i915'
    ],
    ['a variable', 'boot.initrd.kernelModules = gpu.modules;', 'and more'],
    ['a variable in a list', 'boot.initrd.kernelModules = [ "i915" driver ];', 'i915', 'and more'],
    [
      'a condition',
      'boot.initrd.kernelModules = [ "xe" ] ++ lib.optionals config.my.x [ "i915" ];',
      'xe',
      'and more'
    ],
    [
      'an option under a condition',
      'hardware.amdgpu.initrd.enable = lib.mkIf config.my.x true;',
      'and more'
    ],
    [
      'a condition for a module that is not a graphics driver',
      'boot.initrd.kernelModules = lib.mkIf config.my.x [ "nvme" ];'
    ],
    [
      'a blacklist',
      'boot.initrd.kernelModules = [ "i915" "xe" ];\nboot.blacklistedKernelModules = [ "i915" ];',
      'xe'
    ],
    [
      'a parameter',
      'boot.initrd.kernelModules = [ "i915" ];\nboot.kernelParams = [ "module_blacklist=xe,i915" ];'
    ],
    [
      'nomodeset',
      'boot.initrd.kernelModules = [ "i915" ];\nboot.kernelParams = [ "quiet" "nomodeset" ];'
    ],
    [
      'nouveau along with the NVIDIA driver',
      'boot.initrd.kernelModules = [ "nouveau" ];\nservices.xserver.videoDrivers = [ "nvidia" ];'
    ]
  ])('lists the graphics drivers in the initrd with %s', (_, text, ...drivers) => {
    expect(early(text)).toEqual(drivers)
  })

  it.each<[boolean, string]>([
    [true, 'boot.initrd.kernelModules = [ "vfio-pci" ];'],
    [false, 'boot.kernelModules = [ "vfio_pci" ];'],
    [false, 'boot.initrd.availableKernelModules = [ "vfio_pci" "amdgpu" ];'],
    [
      true,
      'boot.initrd.availableKernelModules = [ "vfio_pci" "amdgpu" ];\nboot.extraModprobeConfig = "softdep amdgpu pre: vfio-pci";'
    ],
    [true, 'virtualisation.vfio.enable = true;'],
    [false, 'virtualisation.vfio = { enable = true; bindAtBoot = false; };'],
    [false, 'virtualisation.vfio.enable = false;']
  ])('decides whether the initrd loads vfio-pci: %s with %s', (isLoaded, text) => {
    expect(loadsVfioEarly(viewOf(text))).toBe(isLoaded)
  })
})

describe('DARK_PASSPHRASE from the text alone', () => {
  const guest = 'boot.extraModprobeConfig = "options vfio-pci ids=10de:1b80";'

  it('reports a problem with its cause if no driver in the initrd draws a console', () => {
    const [found, ...more] = dark(OFF, LUKS)
    expect(more).toEqual([])
    expect(found).toMatchObject({
      level: 'problem',
      message: 'the passphrase prompt for root (LUKS) is invisible',
      why: 'with initcall_blacklist=sysfb_init, nothing is drawn before a graphics driver loads, and the initrd loads none.',
      remedy:
        'make the initrd load the driver of the card with your monitor, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915", "xe")'
    })
    expect(found?.fix).toBeUndefined()
  })

  it.each<[what: string, ...lines: string[]]>([
    ['no prompt', OFF, 'fileSystems."/".fsType = "ext4";'],
    ["the firmware's framebuffer", guest, 'boot.initrd.kernelModules = [ "vfio_pci" ];', LUKS],
    ['a driver in the initrd', OFF, LUKS, 'boot.initrd.availableKernelModules = [ "i915" ];'],
    [
      "a driver for the guest's vendor, whose cards the host may also have",
      OFF,
      LUKS,
      guest,
      'boot.initrd.kernelModules = [ "nouveau" ];'
    ],
    ['video=efifb:off on a new kernel', 'boot.kernelParams = [ "video=efifb:off" ];', LUKS]
  ])('does not report an invisible prompt with %s', (_, ...lines) => {
    expect(dark(...lines)).toEqual([])
  })

  it("ignores the driver of the guest's card if the desktop uses another card", () => {
    const [found] = dark(
      OFF,
      LUKS,
      guest,
      'boot.initrd.kernelModules = [ "nouveau" ];',
      'services.xserver.videoDrivers = [ "amdgpu" ];'
    )
    expect(found).toMatchObject({
      level: 'problem',
      why: "with initcall_blacklist=sysfb_init, nothing is drawn before a graphics driver loads, and the initrd loads only the driver of the guest's card (nouveau).",
      remedy: 'add boot.initrd.kernelModules = [ "amdgpu" ];',
      fix: [{ op: 'add', path: ['boot', 'initrd', 'kernelModules'], items: ['amdgpu'] }]
    })
  })

  it.each<[string, string | undefined]>([
    ['[ "amdgpu" ]', 'amdgpu'],
    ['[ "intel" ]', 'i915'],
    // This may be the former driver of the guest's card.
    ['[ "nvidia" ]', undefined],
    ['[ "nvidia" "amdgpu" ]', 'amdgpu'],
    ['[ "amdgpu" "intel" ]', undefined],
    ['[ "modesetting" ]', undefined]
  ])('recommends the driver of the desktop if it is certain: %s', (drivers, driver) => {
    const [found] = dark(OFF, LUKS, guest, `services.xserver.videoDrivers = ${drivers};`)
    const items = driver === undefined ? undefined : [expect.objectContaining({ items: [driver] })]
    expect(found?.fix).toEqual(items)
  })

  it.each<[what: string, ...lines: string[]]>([
    [
      'a pool that may be encrypted',
      'fileSystems."/" = { device = "rpool/root"; fsType = "zfs"; };'
    ],
    ['ssh in the initrd', LUKS, 'boot.initrd.network.ssh.enable = true;'],
    ['computed drivers', LUKS, 'boot.initrd.kernelModules = config.my.modules;']
  ])('reports only a note with %s', (_, ...lines) => {
    expect(dark(OFF, ...lines).map(it => it.level)).toEqual(['note'])
  })

  it('reports only a note with a serial console', () => {
    const serial = OFF.replace(' ];', ' "console=ttyS0,115200" ];')
    expect(dark(serial, LUKS).map(it => it.level)).toEqual(['note'])
  })

  it('reports an invisible prompt with video=efifb:off on old kernels', () => {
    const old = 'boot.kernelPackages = pkgs.linuxPackages_5_10;'
    expect(dark('boot.kernelParams = [ "video=efifb:off" ];', LUKS, old)).toHaveLength(1)
  })

  it('reports the invisible prompt of an encrypted pool in a configuration from an old guide', () => {
    const text = `{ config, pkgs, lib, ... }:
    {
      virtualisation.libvirtd = { enable = true; onShutdown = "shutdown"; };
      boot.initrd.kernelModules = [ "vfio_pci" "vfio" "vfio_iommu_type1" ];
      fileSystems."/" = { device = "tank/root"; fsType = "zfs"; };
      boot.zfs.requestEncryptionCredentials = [ "tank" ];
      boot.kernelParams = [ "vfio-pci.ids=10de:1b80,10de:10f0" "initcall_blacklist=sysfb_init" ];
    }`
    expect(inShort(text, lintFiles(text))).toEqual([
      'DARK_PASSPHRASE: "initcall_blacklist=sysfb_init"'
    ])
  })

  it('fixes an invisible prompt in the specialisation that causes it', () => {
    const [found] = dark(
      LUKS,
      'services.xserver.videoDrivers = [ "amdgpu" ];',
      'specialisation.vfio.configuration.virtualisation.vfio.disableEFIfb = true;'
    )
    const path = ['specialisation', 'vfio', 'configuration', 'boot', 'initrd', 'kernelModules']
    expect(found?.fix).toEqual([{ op: 'add', path, items: ['amdgpu'] }])
  })
})

it('finds sysfb_init in a list of initcalls', () => {
  const off = 'boot.kernelParams = [ "initcall_blacklist=acpi_init,sysfb_init" ];'
  expect(dark(LUKS, off).map(it => it.why)).toEqual([
    'with initcall_blacklist=acpi_init,sysfb_init, nothing is drawn before a graphics driver loads, and the initrd loads none.'
  ])
  expect(dark(LUKS, 'boot.kernelParams = [ "initcall_blacklist=acpi_init" ];')).toEqual([])
})
