import { describe, expect, it } from 'vitest'
import { type ApplyInput, planApply } from '../../src/plan/apply.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { nix } from '../nix/support.ts'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import {
  qemuConf,
  softdeps,
  stateOf,
  untouched,
  vfioModules,
  withNixos,
  withOneCard
} from '../oracle/machines.ts'
import { inputFor, installed } from './support/input.ts'

function plan(text: string, settings: Settings, more: Partial<ApplyInput> = {}) {
  const result = planApply(
    inputFor('/etc/nixos/configuration.nix', text, settings, { listing: installed, ...more })
  )
  if (!result.ok) throw new Error(result.error.code)
  const { configuration, replaced = [] } = result.value
  return { text: configuration.text, replaced: replaced.map(it => `${it.line} ${it.code}`) }
}

/** A configuration that follows an old guide, for a Ryzen with a GTX 1080. */
const GUIDE = nix`
  { pkgs, ... }:
  {
    boot.kernelParams = [
      "amd_iommu=pt"
      "vfio-pci.ids=10de:1b80,10de:10f0" # the card and its sound
      "pci=nomsi"
      "video=efifb:off"
      "kvm.ignore_msrs=1 kvm.report_ignored_msrs=0"
    ];
    boot.initrd.kernelModules = [ "vfio_virqfd" "vfio_pci" "vfio_iommu_type1" "vfio" ];

    virtualisation.libvirtd = {
      enable = true;
      onShutdown = "suspend";
      qemu.ovmf.enable = true;
      qemuRunAsRoot = false;
      qemu.verbatimConfig = ''
        namespaces = []
        cgroup_device_acl = [
          "/dev/null", "/dev/full", "/dev/zero",
          "/dev/random", "/dev/urandom", "/dev/ptmx",
          "/dev/kvm", "/dev/kvmfr0"
        ]
        user = "alice"
      '';
    };

    system.stateVersion = "26.05";
  }
`

const FIXED_GUIDE = nix`
  { pkgs, ... }:
  {
    imports = [ ./vfio ];

    boot.kernelParams = [
      "kvm.ignore_msrs=1"
      "kvm.report_ignored_msrs=0"
      "iommu=pt"
    ];
    boot.initrd.kernelModules = [ "vfio_pci" "vfio_iommu_type1" "vfio" ];

    virtualisation.libvirtd = {
      enable = true;
      onShutdown = "suspend";
      qemu.runAsRoot = false;
      qemu.verbatimConfig = ''
        namespaces = []
        user = "alice"
      '';
      deviceACL = [ "/dev/kvmfr0" ];
    };

    virtualisation.vfio = {
      enable = true;
      IOMMUType = "amd";
      disableEFIfb = true;
      devices = [ "10de:1b80" "10de:10f0" ];
    };

    system.stateVersion = "26.05";
  }
`

/** A configuration that follows an older guide, for Intel: several parameters in one string, old option names. */
const OLDER_GUIDE = nix`
  { pkgs, ... }:
  {
    boot.kernelParams = [
      "amd_iommu=pt vfio-pci.ids=10de:2484 hugepagesz=1M hugepages=2048" "quiet"
    ];
    boot.extraModprobeConfig = ''
      options vfio-pci ids=10de:228b
      options kvm ignore_msrs=1
    '';
    virtualisation.libvirtd = {
      qemuOvmf = true;
      qemuVerbatimConfig = ''
        namespaces = []
        cgroup_device_acl = [ "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/kvm", "/dev/input/by-id/kbd" ]
      '';
    };
  }
`

const FIXED_OLDER_GUIDE = nix`
  { pkgs, ... }:
  {
    imports = [ ./vfio ];
    boot.kernelParams = [
      "quiet"
      "iommu=pt"
      "hugepagesz=2M"
      "hugepages=1024"
    ];
    boot.extraModprobeConfig = ''
      options kvm ignore_msrs=1
    '';
    virtualisation.libvirtd = {
      qemu.verbatimConfig = ''
        namespaces = []
      '';
      deviceACL = [ "/dev/input/by-id/kbd" ];
    };
    virtualisation.vfio = {
      enable = true;
      IOMMUType = "intel";
      devices = [ "10de:2484" "10de:228b" ];
    };
  }
`

const SETTINGS: Settings = { IOMMUType: 'amd', disableEFIfb: true }

describe('obsolete settings', () => {
  it('removes obsolete settings or moves them into options, except settings that may be intended', () => {
    expect(plan(GUIDE, SETTINGS)).toEqual({
      text: FIXED_GUIDE,
      replaced: [
        '8 PARAMETERS_IN_ONE',
        '16 RENAMED_OPTION',
        '4 AMD_IOMMU_PT',
        '5 IDS_MOVED',
        '6 PCI_NOMSI',
        '7 EFIFB_OFF',
        '10 VIRQFD',
        '15 OVMF_OPTION',
        '19 ACL_MOVED'
      ]
    })
    expect(plan(FIXED_GUIDE, SETTINGS)).toEqual({ text: FIXED_GUIDE, replaced: [] })
  })

  it('keeps obsolete settings with keepObsolete', () => {
    const { text, replaced } = plan(GUIDE, SETTINGS, { keepObsolete: true })
    expect(replaced).toEqual([])
    expect(text).toContain('"vfio-pci.ids=10de:1b80,10de:10f0" # the card and its sound')
    expect(text).toContain('qemu.ovmf.enable = true;')
  })

  it('keeps obsolete settings that the NixOS release needs', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        boot.initrd.kernelModules = [ "vfio_virqfd" ];
        virtualisation.libvirtd.qemu.ovmf.enable = true;
        virtualisation.vfio.enable = true;
      }
    `
    expect(plan(text, { users: [] }, { release: '23.11' }).replaced).toEqual([])
    expect(plan(text, { users: [] }, { release: '25.11' }).replaced).toEqual([
      '3 VIRQFD',
      '4 OVMF_OPTION'
    ])
  })

  it('removes IDs from kernel parameters without moving them if devices are requested', () => {
    const text = '{ boot.kernelParams = [ "vfio-pci.ids=1002:73bf" ]; imports = [ ./vfio ]; }\n'
    expect(plan(text, { devices: ['10de:1b80'] }).text).toBe(
      '{ boot.kernelParams = [ ]; imports = [ ./vfio ]; virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; }; }\n'
    )
  })

  it('moves IDs from module options, unless the line has other options', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        boot.extraModprobeConfig = ''
          options kvm ignore_msrs=1
          options vfio-pci ids=10de:1b80
        '';
        virtualisation.vfio.enable = true;
      }
    `
    expect(plan(text, SETTINGS).text).toBe(nix`
      {
        imports = [ ./vfio ];
        boot.extraModprobeConfig = ''
          options kvm ignore_msrs=1
        '';
        virtualisation.vfio.enable = true;
        virtualisation.vfio.IOMMUType = "amd";
        virtualisation.vfio.disableEFIfb = true;
        virtualisation.vfio.devices = [ "10de:1b80" ];
      }
    `)
    const more = text.replace('ids=10de:1b80', 'ids=10de:1b80 disable_vga=1')
    expect(plan(more, SETTINGS).replaced).toEqual([])
  })

  it('keeps IDs that cannot be moved if they equal the requested ones', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        boot.extraModprobeConfig = "options vfio-pci disable_vga=1 ids=10de:10F0,10de:1b80";
        virtualisation.vfio.enable = true;
      }
    `
    const card = { devices: ['10de:1b80', '10de:10f0'] }
    const both = text.replace(
      /(\n})$/m,
      '\n  virtualisation.vfio.devices = [ "10de:1b80" "10de:10f0" ];$1'
    )
    expect(plan(text, card).text).toBe(both)
    expect(() => plan(text, { devices: ['10de:1b80'] })).toThrow('NIX')
    expect(() => plan(both, { devices: ['10de:1b80'] })).toThrow('NIX')
  })

  it('does not move devices in comments of cgroup_device_acl', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          namespaces = []
          cgroup_device_acl = [
            "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/kvm",
            # "/dev/input/by-id/mouse",
            "/dev/input/by-id/kbd"
          ]
        '';
        virtualisation.vfio.enable = true;
      }
    `
    const { text: after, replaced } = plan(text, { users: [] })
    expect(replaced).toEqual(['5 ACL_MOVED'])
    expect(after).toContain('deviceACL = [ "/dev/input/by-id/kbd" ];')
  })

  it.each([
    ['with single quotation marks', `[ '/dev/null', '/dev/kvm', '/dev/input/by-id/kbd' ]`],
    ['with a bracket in a comment', `[ # mine ]\n      "/dev/input/by-id/kbd" ]`],
    ['with a comma at the end', `[ "/dev/kvm", "/dev/input/by-id/kbd", ]`]
  ])('moves the devices of a cgroup_device_acl %s', (_, list) => {
    const text = `{ pkgs, ... }:
{
  imports = [ ./vfio ];
  virtualisation.libvirtd.qemu.verbatimConfig = ''
    namespaces = []
    cgroup_device_acl = ${list}
  '';
  virtualisation.vfio.enable = true;
}
`
    const { text: after, replaced } = plan(text, { users: [] })
    expect(replaced).toEqual(['6 ACL_MOVED'])
    expect(after).toContain('deviceACL = [ "/dev/input/by-id/kbd" ];')
    expect(after).not.toContain('cgroup_device_acl')
  })

  it('writes moved and requested devices into one list', () => {
    const text = nix`
      { pkgs, ... }:
      {
        imports = [ ./vfio ];
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          user = "alice"
          cgroup_device_acl = [ "/dev/shm/looking-glass" ]
        '';
        virtualisation.vfio.enable = true;
      }
    `
    expect(plan(text, { users: [], deviceACL: ['/dev/kvmfr1'] }).text).toBe(nix`
      { pkgs, ... }:
      {
        imports = [ ./vfio ];
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          user = "alice"
        '';
        virtualisation.libvirtd.deviceACL = [
          "/dev/kvmfr1"
          "/dev/shm/looking-glass"
        ];
        virtualisation.vfio.enable = true;
      }
    `)
  })

  it.each([
    ['another list', 'allowed = [\n      "/dev/null",\n      "/dev/input/by-id/kbd"\n    ]\n  '],
    ['a blank line and a deeper closing quote', '\n    ']
  ])('removes only the lines of cgroup_device_acl, and keeps %s', (_, rest) => {
    const before = `{ lib, ... }:
{
  imports = [ ./vfio ];
  virtualisation.libvirtd.qemu.verbatimConfig = lib.mkForce ''
    namespaces = []

    cgroup_device_acl = [
      "/dev/null",

      "/dev/input/by-id/kbd"
    ]
    ${rest}'';
  virtualisation.vfio.enable = true;
}
`
    expect(plan(before, { users: [] })).toEqual({
      text: `{ lib, ... }:
{
  imports = [ ./vfio ];
  virtualisation.libvirtd.qemu.verbatimConfig = lib.mkForce ''
    namespaces = []

    ${rest}'';
  virtualisation.libvirtd.deviceACL = [ "/dev/input/by-id/kbd" ];
  virtualisation.vfio.enable = true;
}
`,
      replaced: ['7 ACL_MOVED']
    })
  })

  it('keeps a cgroup_device_acl whose lines are repeated in another string of the option', () => {
    const list = 'cgroup_device_acl = [\n      "/dev/input/by-id/kbd"\n    ]\n  '
    const text = `{ lib, ... }:
{
  imports = [ ./vfio ];
  virtualisation.libvirtd.qemu.verbatimConfig = lib.mkMerge [ ''
    ${list}'' ''
    allowed = [
      "/dev/input/by-id/kbd"
    ]
  '' ];
  virtualisation.vfio.enable = true;
}
`
    expect(plan(text, { users: [] })).toEqual({ text, replaced: [] })
  })

  it('replaces settings in strings with several parameters and under old option names', () => {
    expect(plan(OLDER_GUIDE, { IOMMUType: 'intel' })).toEqual({
      text: FIXED_OLDER_GUIDE,
      replaced: [
        '4 PARAMETERS_IN_ONE',
        '12 RENAMED_OPTION',
        '4 AMD_IOMMU_PT',
        '4 IDS_MOVED',
        '4 HUGEPAGES_1M',
        '7 IDS_MOVED',
        '11 OVMF_OPTION',
        '14 ACL_MOVED'
      ]
    })
    expect(plan(FIXED_OLDER_GUIDE, { IOMMUType: 'intel' })).toEqual({
      text: FIXED_OLDER_GUIDE,
      replaced: []
    })
  })

  it('replaces huge pages of 1M with valid pages of the same total size', () => {
    const pages = (options: string) =>
      plan(
        `{ imports = [ ./vfio ]; virtualisation = { vfio.enable = true; hugepages = { ${options} }; }; }\n`,
        {
          users: []
        }
      )
    expect(
      pages('enable = true; defaultPageSize = "1M"; pageSize = "1M"; numPages = 16384;')
    ).toEqual({
      text: '{ imports = [ ./vfio ]; virtualisation = { vfio.enable = true; hugepages = { enable = true; defaultPageSize = "2M"; pageSize = "2M"; numPages = 8192; }; }; }\n',
      replaced: ['1 HUGEPAGES_1M', '1 HUGEPAGES_1M']
    })
    // The number is for the pages of 1G, so it does not change.
    expect(pages('defaultPageSize = "1M"; pageSize = "1G"; numPages = 16;').text).toContain(
      'defaultPageSize = "2M"; pageSize = "1G"; numPages = 16;'
    )
    // The number of pages can't be read.
    expect(pages('pageSize = "1M"; numPages = config.my.pages;').replaced).toEqual([])
  })

  it('does not set disableEFIfb in place of the removed video=efifb:off', () => {
    const text = '{ imports = [ ./vfio ]; boot.kernelParams = [ "video=efifb:off" ]; }\n'
    expect(plan(text, { ignoreMSRs: true }).text).toBe(
      '{ imports = [ ./vfio ]; boot.kernelParams = [ ]; virtualisation.vfio = { enable = true; ignoreMSRs = true; }; }\n'
    )
  })

  it('keeps conditional obsolete settings', () => {
    const text = nix`
      { config, lib, ... }:
      {
        imports = [ ./vfio ];
        boot.kernelParams = lib.optionals config.my.games [ "vfio-pci.ids=10de:1b80" ];
        virtualisation.vfio.enable = true;
      }
    `
    expect(plan(text, SETTINGS).replaced).toEqual([])
  })
})

describeWithOracle('a configuration that follows an old guide', oracle => {
  it('apply replaces the settings of an old guide, and the result evaluates to the replacements', () => {
    const { text } = plan(GUIDE, SETTINGS)
    // The stub of NixOS has no stateVersion, and the modules are imported from this repository.
    const body = text
      .replace('imports = [ ./vfio ];', '')
      .replace(/system\.stateVersion = .*\n/, '')
    const modules = [withNixos('partsParams = true;'), vfioModules, body]
    expect(evalNix(configExpression(oracle, stateOf, { modules }))).toEqual({
      ok: true,
      value: {
        ...withOneCard,
        kernelParams: [
          'iommu=pt',
          'vfio-pci.ids=10de:1b80,10de:10f0',
          'initcall_blacklist=sysfb_init',
          'kvm.ignore_msrs=1',
          'kvm.report_ignored_msrs=0',
          'iommu=pt'
        ],
        extraModprobeConfig: softdeps,
        libvirtd: {
          ...untouched.libvirtd,
          enable: true,
          qemuConf: `namespaces = []
user = "alice"

namespaces = []
cgroup_device_acl = [
  "/dev/null",
  "/dev/full",
  "/dev/zero",
  "/dev/random",
  "/dev/urandom",
  "/dev/ptmx",
  "/dev/kvm",
  "/dev/userfaultfd",
  "/dev/kvmfr0"
]
`
        }
      }
    })
  })

  it('apply replaces the settings of an older guide, and the result evaluates to the replacements', () => {
    const { text } = plan(OLDER_GUIDE, { IOMMUType: 'intel' })
    const modules = [
      withNixos('partsParams = true;'),
      vfioModules,
      text.replace('imports = [ ./vfio ];', '')
    ]
    expect(evalNix(configExpression(oracle, stateOf, { modules }))).toEqual({
      ok: true,
      value: {
        ...withOneCard,
        kernelParams: [
          'intel_iommu=on',
          'iommu=pt',
          'vfio-pci.ids=10de:2484,10de:228b',
          'quiet',
          'iommu=pt',
          'hugepagesz=2M',
          'hugepages=1024'
        ],
        extraModprobeConfig: `${softdeps}\noptions kvm ignore_msrs=1\n`,
        libvirtd: {
          ...withOneCard.libvirtd,
          qemuConf: `namespaces = []\n\n${qemuConf('/dev/input/by-id/kbd')}`
        }
      }
    })
  })
})
