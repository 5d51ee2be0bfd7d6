// Replaces other modules that declare the same options.

import { describe, expect, it } from 'vitest'
import { placeOf } from '../../src/nix/text/lines.ts'
import { planApply } from '../../src/plan/apply.ts'
import { planTakeOver } from '../../src/plan/legacy/takeOver.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { text } from '../cli/support/text.ts'
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
import { configurationFrom } from '../support/configuration.ts'
import { inputFor, installed } from './support/input.ts'
import {
  OLD_LIBVIRT,
  OLD_MODULES,
  OLD_USAGE,
  OLD_VFIO,
  OLD_VIRTUALISATION
} from './support/oldModules.ts'

const FOLDER = '/etc/nixos'
const PATH = `${FOLDER}/configuration.nix`

type Files = Record<string, string>

/** File names are relative to the folder of the configuration. */
function takeOver(files: Files) {
  const { 'configuration.nix': text = '', ...others } = files
  const all = Object.entries({ 'configuration.nix': text, ...others })
  return planTakeOver(
    configurationFrom(Object.fromEntries(all.map(([name, it]) => [`${FOLDER}/${name}`, it])))
  )
}

/** The obstacles: file, line, text at the place, and problem. */
function obstacles(files: Files): string[] {
  const result = takeOver(files)
  if (result.ok || result.error.code !== 'NOT_TAKEN_OVER') return []
  return result.error.obstacles.map(({ path, text: all, range, what }) => {
    const { line } = placeOf(all, range.start)
    const [source = ''] = all.slice(range.start, range.end).split('\n')
    return `${path.slice(FOLDER.length + 1)}:${line} ${source} | ${what}`
  })
}

/** The changed files after the run, and the notes. */
function afterTakeOver(files: Files, settings: Settings = {}) {
  const result = takeOver(files)
  if (!result.ok || !result.value) throw new Error(JSON.stringify(result))
  const plan = planApply(
    inputFor(PATH, files['configuration.nix'] ?? '', settings, {
      listing: installed,
      takeOver: result.value
    })
  )
  if (!plan.ok) throw new Error(JSON.stringify(plan.error))
  const { notes, modules } = result.value
  return {
    files: Object.fromEntries(
      plan.value.files.map(it => [it.path.slice(FOLDER.length + 1), it.after])
    ),
    keptFiles: modules.map(it => it.slice(FOLDER.length + 1)),
    notes: notes.map(it => it.code),
    replaced: plan.value.replaced?.map(it => `${it.line} ${it.code}`)
  }
}

/** A configuration that imports `vfio.nix` and has these options. */
const using = (options: string, more = '') => text`
  {
    imports = [ ./vfio.nix ];
    ${options}
  }${more}
  `

const MOVED = text`
  { config, pkgs, ... }:

  {
    imports = [
      ./vfio
    ];

    virtualisation = {
      sharedMemoryFiles = {
        scream = { user = "alice"; group = "qemu-libvirtd"; mode = "666"; };
        looking-glass = { user = "alice"; group = "qemu-libvirtd"; mode = "666"; };
      };
      libvirtd = {
        enable = true;
        qemu.runAsRoot = false;
        onBoot = "ignore";
        onShutdown = "shutdown";
        clearEmulationCapabilities = false;
        deviceACL = [
          "/dev/input/by-id/usb-Keyboard-event-kbd"
          "/dev/vfio/vfio"
          "/dev/kvm"
          "/dev/shm/scream"
          "/dev/shm/looking-glass"
        ];
      };
      vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [ "10de:1b80" "10de:10f0" ];
        blacklistNvidia = true;
        disableEFIfb = true;
        ignoreMSRs = true;
      };
    };

    users.users.qemu-libvirtd.extraGroups = [ "input" ];

    system.stateVersion = "26.05";
  }
  `

describe('modules that can be replaced', () => {
  it('replaces other modules without a flag, and keeps their settings', () => {
    expect(afterTakeOver({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })).toEqual({
      files: { 'configuration.nix': MOVED },
      keptFiles: ['vfio.nix', 'libvirt.nix', 'virtualisation.nix'],
      notes: ['DARK_BOOT', 'NO_DEVICE_GROUP', 'INPUT_GROUP'],
      replaced: ['18 RENAMED_OPTION', '17 OVMF_OPTION']
    })
  })

  it('replaces other modules together with a file that only imports them', () => {
    const files = {
      'configuration.nix':
        '{ imports = [ ./hardware.nix ./old ]; virtualisation.vfio.enable = true; }\n',
      'hardware.nix': '{ }',
      'old/default.nix': '{ imports = [ ./vfio.nix ./libvirt.nix ]; }',
      'old/vfio.nix': OLD_VFIO,
      'old/libvirt.nix': OLD_LIBVIRT
    }
    expect(afterTakeOver(files)).toEqual({
      files: {
        'configuration.nix':
          '{ imports = [ ./hardware.nix ./vfio ]; virtualisation.vfio.enable = true; }\n'
      },
      keptFiles: ['old/vfio.nix', 'old/libvirt.nix'],
      notes: ['NO_DEVICE_GROUP'],
      replaced: []
    })
  })

  it('replaces other modules together with modules that they import and that have no other effect', () => {
    const files = {
      'configuration.nix': '{ imports = [ ./vfio.nix ]; virtualisation.vfio.enable = true; }\n',
      'vfio.nix': OLD_VFIO.replace(
        'options.virtualisation.vfio',
        'imports = [ ./hooks.nix ]; options.virtualisation.vfio'
      ),
      'hooks.nix':
        '{ lib, config, ... }: { options.virtualisation.libvirtd.scopedHooks = lib.mkOption { default = { }; }; config.virtualisation.libvirtd.hooks = config.virtualisation.libvirtd.scopedHooks; }\n'
    }
    expect(afterTakeOver(files).files).toEqual({
      'configuration.nix': '{ imports = [ ./vfio ]; virtualisation.vfio.enable = true; }\n'
    })
    const uses = files['configuration.nix'].replace(
      'enable = true;',
      'enable = true; virtualisation.libvirtd.scopedHooks.a = 1;'
    )
    expect(obstacles({ ...files, 'configuration.nix': uses })).toEqual([
      'configuration.nix:1 virtualisation.libvirtd.scopedHooks.a = 1; | virtualisation.libvirtd.scopedHooks is set here, but vfio-patch has no such option'
    ])
  })

  it('replaces other modules that an imported file imports', () => {
    const files = {
      'configuration.nix': '{ imports = [ ./gaming.nix ]; }\n',
      'gaming.nix': '{ imports = [ ./vfio.nix ]; virtualisation.vfio.enable = true; }\n',
      'vfio.nix': OLD_VFIO
    }
    expect(afterTakeOver(files).files).toEqual({
      'gaming.nix': '{ imports = [ ]; virtualisation.vfio.enable = true; }\n',
      'configuration.nix': '{ imports = [ ./gaming.nix ./vfio ]; }\n'
    })
  })

  it('replaces other modules that are modules of the flake nixos-vfio', () => {
    const configuration = text`
      { inputs, ... }:
      {
        imports = [ inputs.nixos-vfio.nixosModules.vfio ./disks.nix ];
        virtualisation.vfio = { enable = true; IOMMUType = "amd"; devices = [ "10de:1b80" ]; };
      }
      `
    expect(afterTakeOver({ 'configuration.nix': configuration }).files).toEqual({
      'configuration.nix': configuration.replace(
        'inputs.nixos-vfio.nixosModules.vfio ./disks.nix',
        './disks.nix ./vfio'
      )
    })
  })

  it('replaces other modules in the same run that writes requested settings', () => {
    const files = {
      'configuration.nix': using(
        'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; };'
      ),
      'vfio.nix': OLD_VFIO
    }
    expect(
      afterTakeOver(files, { ignoreMSRs: true, devices: ['10de:1b80', '10de:10f0'] }).files
    ).toEqual({
      'configuration.nix': text`
        {
          imports = [ ./vfio ];
          virtualisation.vfio = { enable = true; devices = [ "10de:1b80" "10de:10f0" ]; ignoreMSRs = true; };
        }
        `
    })
  })

  it('replaces other modules and keeps passthrough off if the user turned it off', () => {
    const files = {
      'configuration.nix': using(
        'boot.kernelParams = [ "iommu.passthrough=0" ]; virtualisation.vfio.enable = true;'
      ),
      'vfio.nix': OLD_VFIO
    }
    expect(afterTakeOver(files).files['configuration.nix']).toContain(
      'virtualisation.vfio.passthroughDMA = false;'
    )
  })

  it('replaces other modules and converts huge pages to a valid size with the same total', () => {
    const pages = (size: string, rest: string) =>
      afterTakeOver({
        'configuration.nix': `{ imports = [ ./virtualisation.nix ]; virtualisation.hugepages = { enable = true; ${size} ${rest} }; }\n`,
        'virtualisation.nix': OLD_VIRTUALISATION
      }).files['configuration.nix']?.replace(/.*enable = true; (.*?) *}; }\n/, '$1')
    expect(pages('defaultPageSize = "1M"; pageSize = "1M";', 'numPages = 16384;')).toBe(
      'defaultPageSize = "2M"; pageSize = "2M"; numPages = 8192;'
    )
    expect(pages('pageSize = "1024M";', 'numPages = 16;')).toBe('pageSize = "1G"; numPages = 16;')
    expect(pages('pageSize = "1G";', '')).toBe('pageSize = "1G"; numPages = 1;')
  })

  it('replaces other modules only if a module declares the options', () => {
    const result = takeOver({
      'configuration.nix': '{ imports = [ ./a.nix ]; virtualisation.vfio.enable = true; }',
      'a.nix': '{ lib, ... }: { options.virtualisation.mine = lib.mkOption { }; }'
    })
    expect(result).toEqual({ ok: true, value: undefined })
  })
})

describe("modules that can't be replaced", () => {
  it('refuses because of unknown options that are set or read', () => {
    const more = OLD_VFIO.replace(
      'ignoreMSRs = mkOption',
      'blacklistAMD = mkOption { default = false; }; hook = mkOption { }; ignoreMSRs = mkOption'
    )
    const configuration = text`
      { config, lib, ... }:
      {
        imports = [ ./vfio.nix ];
        virtualisation.vfio.blacklistAMD = true;
        environment.etc.x.text = lib.mkIf config.virtualisation.vfio.hook "y";
        specialisation.games.configuration.virtualisation.vfio.deviceDomains = [ "0000:01:00.0" ];
      }
      `
    expect(obstacles({ 'configuration.nix': configuration, 'vfio.nix': more })).toEqual([
      'configuration.nix:4 virtualisation.vfio.blacklistAMD = true; | virtualisation.vfio.blacklistAMD is set here, but vfio-patch has no such option',
      'configuration.nix:5 config.virtualisation.vfio.hook | virtualisation.vfio.hook is read here, but vfio-patch has no such option',
      'configuration.nix:6 specialisation.games.configuration.virtualisation.vfio.deviceDomains = [ "0000:01:00.0" ]; | virtualisation.vfio.deviceDomains is set here, but vfio-patch has no such option'
    ])
    // An unused option can't be lost.
    expect(obstacles({ 'configuration.nix': using(''), 'vfio.nix': more })).toEqual([])
  })

  it('refuses because of unknown options inside known ones', () => {
    const files = {
      'configuration.nix':
        '{ imports = [ ./virtualisation.nix ]; virtualisation.sharedMemoryFiles.lg.size = 32; }',
      'virtualisation.nix': OLD_VIRTUALISATION
    }
    expect(obstacles(files)).toEqual([
      'configuration.nix:1 virtualisation.sharedMemoryFiles.lg.size = 32; | virtualisation.sharedMemoryFiles.lg.size is set here, but vfio-patch has no such option'
    ])
  })

  it('refuses because of values that the options do not accept', () => {
    const configuration = text`
      {
        imports = [ ./vfio.nix ./libvirt.nix ./virtualisation.nix ];
        virtualisation = {
          vfio.IOMMUType = "both";
          vfio.devices = [ "10de:1b8" ];
          libvirtd.deviceACL = [ "dev/null" ];
          sharedMemoryFiles.lg.mode = "rw";
          hugepages.pageSize = "64K";
        };
      }
      `
    expect(obstacles({ 'configuration.nix': configuration, ...OLD_MODULES })).toEqual([
      'configuration.nix:4 "both" | IOMMUType must be "intel" or "amd"',
      'configuration.nix:5 "10de:1b8" | "10de:1b8" is not a PCI ID',
      'configuration.nix:6 "dev/null" | "dev/null" is not a device node',
      `configuration.nix:7 "rw" | "rw" can't be the mode of a file in /dev/shm`,
      'configuration.nix:8 "64K" | there are no huge pages of 64K'
    ])
  })

  it.each([
    [
      '',
      'let card = [ "1002:747e" ]; in ',
      '"1002:747e" | this module also hard-codes "1002:747e"'
    ],
    [
      'options.virtualisation.vfio.ignoreMSRs = lib.mkOption { default = true; };',
      '',
      'lib.mkOption { default = true; } | this module also enables virtualisation.vfio.ignoreMSRs by default'
    ],
    [
      'config.boot.kernelPackages = pkgs.linuxPackages_zen;',
      '',
      'pkgs.linuxPackages_zen | this module also sets boot.kernelPackages'
    ],
    [
      'config.boot.kernelParams = [ "amd_iommu=on" "pcie_aspm=off" ];',
      '',
      '[ "amd_iommu=on" "pcie_aspm=off" ] | this module also adds pcie_aspm=off to boot.kernelParams'
    ],
    [
      'config.boot.kernelModules = [ "vfio_pci" "kvmgt" ];',
      '',
      '[ "vfio_pci" "kvmgt" ] | this module also adds kvmgt to boot.kernelModules'
    ],
    [
      'config.boot.kernelPatches = [ { name = "mine"; patch = ./mine.patch; } ];',
      '',
      '[ { name = "mine"; patch = ./mine.patch; } ] | this module also sets boot.kernelPatches'
    ],
    [
      'config.boot.kernelPatches = [ { name = "acs"; } { name = "mine"; } ];',
      '',
      '[ { name = "acs"; } { name = "mine"; } ] | this module also adds mine to boot.kernelPatches'
    ],
    [
      'config.boot.extraModulePackages = [ config.boot.kernelPackages.v4l2loopback ];',
      '',
      '[ config.boot.kernelPackages.v4l2loopback ] | this module also sets boot.extraModulePackages'
    ],
    [
      'config.programs.virt-manager.enable = true;',
      '',
      'true | this module also sets programs.virt-manager.enable'
    ],
    [
      `config.virtualisation.libvirtd.qemu.verbatimConfig = ''namespaces = []\n  user = "alice"'';`,
      '',
      `''namespaces = [] | this module also adds user = "alice" to virtualisation.libvirtd.qemu.verbatimConfig`
    ],
    [
      'config.users.users.qemu-libvirtd.extraGroups = [ "kvm" "video" ];',
      '',
      '[ "kvm" "video" ] | this module also adds video to users.users.qemu-libvirtd.extraGroups'
    ]
  ])('refuses because of the first other effect of a module: %s%s', (code, before, obstacle) => {
    const module = `{ lib, pkgs, config, ... }: ${before}{ options.virtualisation.vfio.enable = lib.mkOption { }; ${code} }`
    expect(obstacles({ 'configuration.nix': using(''), 'vfio.nix': module })).toEqual([
      `vfio.nix:1 ${obstacle}`
    ])
  })

  it("refuses because of a replaced module's import, unless another file imports it too", () => {
    const files = {
      'configuration.nix': using(''),
      'vfio.nix': OLD_VFIO.replace(
        'options.virtualisation.vfio',
        'imports = [ ./screens.nix ]; options.virtualisation.vfio'
      ),
      'screens.nix': '{ services.x = 1; }'
    }
    expect(obstacles(files)).toEqual([
      'vfio.nix:12 ./screens.nix | this module also imports ./screens.nix'
    ])
    const both = using('').replace('./vfio.nix', './vfio.nix ./screens.nix')
    expect(obstacles({ ...files, 'configuration.nix': both })).toEqual([])
  })

  it('refuses because of an import in a file that another machine needs too', () => {
    const files = {
      'configuration.nix': '{ imports = [ ./common.nix ]; }',
      'common.nix': '{ imports = [ ./vfio.nix ]; time.timeZone = "UTC"; }',
      'laptop.nix': '{ imports = [ ./common.nix ]; }',
      'vfio.nix': OLD_VFIO
    }
    expect(obstacles(files)).toEqual([
      'common.nix:1 ./vfio.nix | this file imports ./vfio.nix, but /etc/nixos/laptop.nix needs this file, too'
    ])
  })

  it('refuses because of modules that a flake lists together with the configuration', () => {
    const flake = text`
      {
        outputs = { nixpkgs, nixos-vfio, ... }: {
          nixosConfigurations.pc = nixpkgs.lib.nixosSystem {
            modules = [ ./configuration.nix ./vfio.nix nixos-vfio.nixosModules.vfio ];
          };
          nixosConfigurations.laptop = nixpkgs.lib.nixosSystem {
            modules = [ ./laptop.nix nixos-vfio.nixosModules.vfio ];
          };
        };
      }
      `
    const files = { 'configuration.nix': '{ }', 'vfio.nix': OLD_VFIO, 'flake.nix': flake }
    expect(obstacles(files)).toEqual([
      'flake.nix:4 ./vfio.nix | the flake lists ./vfio.nix, which declares options of vfio-patch',
      'flake.nix:4 nixos-vfio.nixosModules.vfio | the flake lists nixos-vfio.nixosModules.vfio, which declares options of vfio-patch'
    ])
  })

  it('refuses because of options of nixos-vfio that vfio-patch lacks', () => {
    const configuration = text`
      { inputs, ... }:
      {
        imports = [ inputs.nixos-vfio.nixosModules.vfio ];
        virtualisation.libvirtd.scopedHooks.qemu.pin.script = "true";
        virtualisation.kvmfr.shm.size = 64;
      }
      `
    expect(obstacles({ 'configuration.nix': configuration })).toEqual([
      'configuration.nix:4 virtualisation.libvirtd.scopedHooks.qemu.pin.script = "true"; | virtualisation.libvirtd.scopedHooks is set here, but vfio-patch has no such option',
      'configuration.nix:5 virtualisation.kvmfr.shm.size = 64; | virtualisation.kvmfr.shm.size is set here, but vfio-patch has no such option'
    ])
  })
})

describeWithOracle('a configuration with replaced modules', oracle => {
  // Options in the configuration that the stub of NixOS lacks.
  const rest = `{ lib, ... }: {
    options.system.stateVersion = lib.mkOption { };
    options.virtualisation.libvirtd.onBoot = lib.mkOption { };
    options.users.users = lib.mkOption {
      type = lib.types.attrsOf (lib.types.submodule {
        options.extraGroups = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      });
    };
  }`
  const stateAfter = (configuration: string) => {
    const body = configuration.replace(/imports = \[[^\]]*\];/, '')
    const modules = [withNixos('partsParams = true;'), vfioModules, rest, body]
    return evalNix(configExpression(oracle, stateOf, { modules }))
  }

  it('evaluates to the same settings after the modules are replaced', () => {
    const { files } = afterTakeOver({ 'configuration.nix': OLD_USAGE, ...OLD_MODULES })
    const acl = qemuConf(
      '/dev/input/by-id/usb-Keyboard-event-kbd',
      '/dev/vfio/vfio',
      '/dev/shm/scream',
      '/dev/shm/looking-glass'
    )
    expect(stateAfter(files['configuration.nix'] ?? '')).toEqual({
      ok: true,
      value: {
        ...withOneCard,
        kernelParams: [
          'iommu=pt',
          'vfio-pci.ids=10de:1b80,10de:10f0',
          'initcall_blacklist=sysfb_init',
          'kvm.ignore_msrs=1',
          'kvm.report_ignored_msrs=0'
        ],
        blacklistedKernelModules: [
          'nvidia',
          'nvidia_drm',
          'nvidia_modeset',
          'nvidia_uvm',
          'nvidiafb',
          'nouveau',
          'nova_core',
          'nova_drm'
        ],
        extraModprobeConfig: softdeps,
        initrdKernelModules: ['vfio', 'vfio_iommu_type1', 'vfio_pci'],
        tmpfiles: [
          'f /dev/shm/looking-glass 666 alice qemu-libvirtd -',
          'f /dev/shm/scream 666 alice qemu-libvirtd -'
        ],
        users: ['qemu-libvirtd'],
        libvirtd: {
          ...untouched.libvirtd,
          enable: true,
          onShutdown: 'shutdown',
          qemuConf: `${acl}clear_emulation_capabilities = 0\n`
        }
      }
    })
  })

  it('evaluates to valid huge pages with the same total instead of 1M', () => {
    const { files } = afterTakeOver({
      'configuration.nix': text`
        {
          imports = [ ./virtualisation.nix ];
          virtualisation.hugepages = { enable = true; defaultPageSize = "1M"; pageSize = "1M"; numPages = 16384; };
        }
        `,
      'virtualisation.nix': OLD_VIRTUALISATION
    })
    expect(stateAfter(files['configuration.nix'] ?? '')).toEqual({
      ok: true,
      value: {
        ...untouched,
        kernelParams: ['default_hugepagesz=2M', 'hugepagesz=2M', 'hugepages=8192']
      }
    })
  })
})
