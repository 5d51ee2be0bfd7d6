// For each code a configuration with the finding and its place, and one without.

import type { LintCode, SystemFacts } from '../../src/lints/index.ts'
import { nix } from '../nix/support.ts'
import { type State, untouched } from '../oracle/machines.ts'
import type { Files } from './support.ts'

export interface LintCase {
  code: LintCode
  /** Its number in docs/lints.md. */
  number: number | undefined
  bad: Files
  /** The findings, as `inShort` prints them. */
  found: string[]
  /** The file after its fixes; absent if no edit is certain to fix it. */
  fixed?: string
  /** How Nix evaluates that file. */
  gives?: Partial<State>
  good: Files
  facts?: Partial<SystemFacts>
}

const passing = '"vfio-pci.ids=10de:1b80,10de:10f0"'

export const CASES: readonly LintCase[] = [
  {
    code: 'VIRQFD',
    number: 1,
    bad: nix`
      {
        boot.initrd.kernelModules = [ "vfio_pci" "vfio_virqfd" ];
        boot.kernelModules = [ "kvm-amd" "vfio_virqfd" ];
      }
    `,
    found: ['VIRQFD: "vfio_virqfd"', 'VIRQFD: "vfio_virqfd"'],
    fixed: nix`
      {
        boot.initrd.kernelModules = [ "vfio_pci" ];
        boot.kernelModules = [ "kvm-amd" ];
      }
    `,
    gives: { initrdKernelModules: ['vfio_pci'], kernelModules: ['kvm-amd'] },
    good: nix`
      { pkgs, ... }:
      {
        boot.kernelPackages = pkgs.linuxPackages_6_1;
        boot.initrd.kernelModules = [ "vfio_pci" "vfio_virqfd" ];
      }
    `
  },
  {
    code: 'LOAD_ORDER',
    number: 2,
    bad: nix`
      {
        boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" ];
        boot.kernelParams = [ "vfio-pci.ids=1002:73bf,1002:ab28" ];
      }
    `,
    found: ['LOAD_ORDER: "amdgpu"'],
    fixed: nix`
      {
        boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" ];
        boot.kernelParams = [ "vfio-pci.ids=1002:73bf,1002:ab28" ];
        boot.extraModprobeConfig = "softdep amdgpu pre: vfio-pci";
      }
    `,
    gives: {
      initrdKernelModules: ['amdgpu', 'vfio_pci'],
      kernelParams: ['vfio-pci.ids=1002:73bf,1002:ab28'],
      extraModprobeConfig: 'softdep amdgpu pre: vfio-pci'
    },
    // amdgpu does not support NVIDIA cards, and the softdep makes nouveau wait.
    good: nix`
      {
        boot.initrd.kernelModules = [ "vfio_pci" "amdgpu" "nouveau" ];
        boot.extraModprobeConfig = "softdep nouveau pre: vfio-pci";
        boot.kernelParams = [ ${passing} ];
      }
    `
  },
  {
    code: 'PRE_DEVICE_COMMANDS',
    number: 5,
    bad: nix`
      {
        boot.initrd.preDeviceCommands = "echo vfio-pci > /sys/bus/pci/devices/0000:0b:00.0/driver_override";
      }
    `,
    found: [
      'PRE_DEVICE_COMMANDS: "echo vfio-pci > /sys/bus/pci/devices/0000:0b:00.0/driver_override"'
    ],
    good: nix`
      {
        boot.initrd.systemd.enable = false;
        boot.initrd.preDeviceCommands = "modprobe -i vfio-pci";
      }
    `
  },
  {
    code: 'OVMF_OPTION',
    number: 6,
    bad: nix`
      {
        virtualisation.libvirtd = {
          enable = true;
          qemu = {
            runAsRoot = false;
            ovmf = { enable = true; packages = [ ]; };
          };
        };
      }
    `,
    found: ['OVMF_OPTION: true'],
    fixed: nix`
      {
        virtualisation.libvirtd = {
          enable = true;
          qemu = {
            runAsRoot = false;
          };
        };
      }
    `,
    gives: { libvirtd: { ...untouched.libvirtd, enable: true } },
    good: nix`
      { virtualisation.libvirtd.qemu.swtpm.enable = true; }
    `
  },
  {
    code: 'OVMF_FILE',
    number: 7,
    bad: nix`
      { environment.etc."win10.xml".text = "<loader>/run/libvirt/nix-ovmf/OVMF_CODE.fd</loader>"; }
    `,
    found: ['OVMF_FILE: /run/libvirt/nix-ovmf/OVMF_CODE.fd'],
    good: nix`
      # once it was /run/libvirt/nix-ovmf/OVMF_CODE.fd
      { environment.etc."win10.xml".text = "<os firmware='efi'/>"; }
    `
  },
  {
    code: 'STORE_PATH',
    number: 7,
    bad: nix`
      { x = "<emulator>/nix/store/abc-qemu/bin/qemu-system-x86_64</emulator>"; }
    `,
    found: ['STORE_PATH: /nix/store/abc-qemu/bin/qemu-system-x86_64'],
    good: nix`
      { pkgs, ... }:
      { x = "<emulator>\${pkgs.qemu}/bin/qemu-system-x86_64</emulator>"; }
    `
  },
  {
    code: 'ACL_INCOMPLETE',
    number: 8,
    bad: nix`
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          namespaces = []
          cgroup_device_acl = [
            "/dev/kvmfr0", "/dev/kvm"
          ]
        '';
      }
    `,
    found: ['ACL_INCOMPLETE: cgroup_device_acl'],
    fixed: nix`
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          namespaces = []
          cgroup_device_acl = [
            "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/full", "/dev/random", "/dev/userfaultfd",
            "/dev/kvmfr0", "/dev/kvm"
          ]
        '';
      }
    `,
    gives: {
      libvirtd: {
        ...untouched.libvirtd,
        qemuConf: [
          'namespaces = []',
          'cgroup_device_acl = [',
          '  "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/full", "/dev/random", "/dev/userfaultfd",',
          '  "/dev/kvmfr0", "/dev/kvm"',
          ']',
          ''
        ].join('\n')
      }
    },
    good: nix`
      { lib, ... }:
      let
        devices = [ "/dev/null" "/dev/full" "/dev/zero" "/dev/random" "/dev/urandom" "/dev/ptmx" "/dev/kvm" ];
      in
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          namespaces = []
          cgroup_device_acl = [ \${lib.concatStringsSep "," devices} ]
        '';
      }
    `
  },
  {
    code: 'ACL_INCOMPLETE',
    number: 8,
    bad: nix`
      { lib, ... }:
      {
        virtualisation.libvirtd.qemu.verbatimConfig = lib.mkForce ''
          namespaces = []
          cgroup_device_acl = ["/dev/null", "/dev/full", "/dev/zero", "/dev/random", "/dev/ptmx", "/dev/kvm"]
        '';
      }
    `,
    found: ['ACL_INCOMPLETE: cgroup_device_acl'],
    fixed: nix`
      { lib, ... }:
      {
        virtualisation.libvirtd.qemu.verbatimConfig = lib.mkForce ''
          namespaces = []
          cgroup_device_acl = [ "/dev/urandom", "/dev/userfaultfd","/dev/null", "/dev/full", "/dev/zero", "/dev/random", "/dev/ptmx", "/dev/kvm"]
        '';
      }
    `,
    gives: {
      libvirtd: {
        ...untouched.libvirtd,
        qemuConf:
          'namespaces = []\ncgroup_device_acl = [ "/dev/urandom", "/dev/userfaultfd","/dev/null", "/dev/full", "/dev/zero", "/dev/random", "/dev/ptmx", "/dev/kvm"]\n'
      }
    },
    good: '{ }'
  },
  {
    code: 'ACL_INCOMPLETE',
    number: 8,
    bad: nix`
      { lib, ... }:
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          namespaces = []
          cgroup_device_acl = [ \${lib.concatStringsSep "," [ "/dev/kvm" ]} ]
        '';
      }
    `,
    found: ['ACL_INCOMPLETE: cgroup_device_acl'],
    good: '{ }'
  },
  {
    code: 'NAMESPACES',
    number: 9,
    bad: nix`
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          user = "alice"
        '';
      }
    `,
    found: [`NAMESPACES: '' user = "alice" ''`],
    fixed: nix`
      {
        virtualisation.libvirtd.qemu.verbatimConfig = ''
          user = "alice"
          namespaces = []
        '';
      }
    `,
    gives: {
      libvirtd: { ...untouched.libvirtd, qemuConf: 'user = "alice"\nnamespaces = []\n' }
    },
    good: {
      'configuration.nix':
        '{ virtualisation.libvirtd.qemu.verbatimConfig = "user = \\"alice\\""; }\n',
      'other.nix': '{ virtualisation.libvirtd.qemu.verbatimConfig = "namespaces = []"; }\n'
    }
  },
  {
    code: 'EFIFB_OFF',
    number: 10,
    bad: nix`
      { boot.kernelParams = [ "video=efifb:off,vesafb:off" "quiet" ]; }
    `,
    found: ['EFIFB_OFF: "video=efifb:off,vesafb:off"'],
    fixed: nix`
      { boot.kernelParams = [ "quiet" ]; }
    `,
    gives: { kernelParams: ['quiet'] },
    good: nix`
      { pkgs, ... }:
      {
        boot.kernelPackages = pkgs.linuxPackages_5_10;
        boot.kernelParams = [ "video=efifb:off" "video=DP-1:1920x1080" ];
      }
    `
  },
  {
    code: 'DARK_PASSPHRASE',
    number: 11,
    bad: {
      'configuration.nix': '{ boot.kernelParams = [ "initcall_blacklist=sysfb_init" ]; }\n',
      'hardware-configuration.nix':
        '{ boot.initrd.luks.devices.root.device = "/dev/disk/by-uuid/1"; }\n'
    },
    found: ['DARK_PASSPHRASE: "initcall_blacklist=sysfb_init"'],
    good: nix`
      {
        boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];
        boot.initrd.luks.devices.root.device = "/dev/disk/by-uuid/1";
        boot.initrd.kernelModules = [ "i915" ];
      }
    `
  },
  {
    code: 'DARK_PASSPHRASE',
    number: 11,
    bad: nix`
      {
        boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];
        boot.initrd.luks.devices.root.device = "/dev/disk/by-uuid/1";
        services.xserver.videoDrivers = [ "amdgpu" ];
      }
    `,
    found: ['DARK_PASSPHRASE: "initcall_blacklist=sysfb_init"'],
    fixed: nix`
      {
        boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];
        boot.initrd.luks.devices.root.device = "/dev/disk/by-uuid/1";
        boot.initrd.kernelModules = [ "amdgpu" ];
        services.xserver.videoDrivers = [ "amdgpu" ];
      }
    `,
    gives: {
      initrdKernelModules: ['amdgpu'],
      kernelParams: ['initcall_blacklist=sysfb_init']
    },
    good: nix`
      {
        boot.kernelParams = [ "initcall_blacklist=sysfb_init" ];
        fileSystems."/" = { device = "rpool/root"; fsType = "zfs"; };
        boot.zfs.requestEncryptionCredentials = [ "rpool" ];
        boot.initrd.availableKernelModules = [ "i915" ];
      }
    `
  },
  {
    code: 'BLACKLISTS_HOST',
    number: 12,
    bad: nix`
      {
        services.xserver.videoDrivers = [ "amdgpu" "nvidia" ];
        boot.blacklistedKernelModules = [ "nouveau" "nvidia" ];
      }
    `,
    found: ['BLACKLISTS_HOST: "nvidia"'],
    good: nix`
      { config, lib, ... }:
      {
        services.xserver.videoDrivers = lib.mkIf (!config.my.vfio) [ "nvidia" ];
        boot.blacklistedKernelModules = [ "nouveau" ] ++ lib.optionals config.my.vfio [ "nvidia" ];
      }
    `
  },
  {
    code: 'AMD_IOMMU_ON',
    number: 13,
    bad: nix`
      { boot.kernelParams = [ "amd_iommu=on" "iommu=pt" ]; }
    `,
    found: ['AMD_IOMMU_ON (note): "amd_iommu=on"'],
    good: nix`
      { boot.kernelParams = [ "intel_iommu=on" "amd_iommu=force_enable" ]; }
    `
  },
  {
    code: 'AMD_IOMMU_PT',
    number: 13,
    bad: nix`
      { boot.kernelParams = [ "amd_iommu=pt" ]; }
    `,
    found: ['AMD_IOMMU_PT: "amd_iommu=pt"'],
    fixed: nix`
      { boot.kernelParams = [ "iommu=pt" ]; }
    `,
    gives: { kernelParams: ['iommu=pt'] },
    good: nix`
      { boot.kernelParams = [ "iommu=pt" ]; }
    `
  },
  {
    code: 'BAD_ID',
    number: 16,
    bad: nix`
      { lib, ... }:
      let
        gpuIDs = [ "10de:1b80" "1-de:10f12" ];
      in
      {
        boot.kernelParams = [ ("vfio-pci.ids=" + lib.concatStringsSep "," gpuIDs) ];
        virtualisation.vfio.addresses = [ "01:00.0" ];
      }
    `,
    found: ['BAD_ID: 1-de:10f12', 'BAD_ID: "01:00.0"'],
    good: nix`
      { lib, ... }:
      {
        boot.kernelParams = [ "vfio-pci.ids=10DE:1b80,1002:67df:1da2:e366,10de:ffffffff:ffffffff:ffffffff:00030000:ffff00ff" ];
        virtualisation.vfio.addresses = [ "0000:01:00.0" ];
      }
    `
  },
  {
    code: 'IDS_TWICE',
    number: 17,
    bad: nix`
      {
        boot.kernelParams = [ "vfio-pci.ids=10de:1b80" ];
        boot.extraModprobeConfig = ''
          options kvm ignore_msrs=1
          options vfio-pci disable_vga=1 ids=10de:10f0
        '';
      }
    `,
    found: ['IDS_TWICE: options vfio-pci disable_vga=1 ids=10de:10f0'],
    good: nix`
      { config, lib, ... }:
      {
        boot.kernelParams =
          if config.my.both then [ "vfio-pci.ids=10de:1b80,10de:10f0" ] else [ "vfio-pci.ids=10de:1b80" ];
        boot.extraModprobeConfig = "options vfio-pci disable_vga=1";
      }
    `
  },
  {
    code: 'ACS_WITHOUT_PATCH',
    number: 18,
    bad: nix`
      { pkgs, ... }:
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        boot.kernelParams = [ "pcie_acs_override=downstream,multifunction" ];
      }
    `,
    found: ['ACS_WITHOUT_PATCH: "pcie_acs_override=downstream,multifunction"'],
    good: nix`
      { pkgs, ... }:
      {
        boot.kernelPackages = pkgs.linuxPackages_zen;
        boot.kernelParams = [ "pcie_acs_override=downstream,multifunction" ];
      }
    `
  },
  {
    code: 'PCI_NOMSI',
    number: 19,
    bad: nix`
      { boot.kernelParams = [ "pci=nomsi" ]; }
    `,
    found: ['PCI_NOMSI: "pci=nomsi"'],
    fixed: nix`
      { boot.kernelParams = [ ]; }
    `,
    gives: { kernelParams: [] },
    good: nix`
      { boot.kernelParams = [ "pci=noaer" "pci=realloc=off" ]; }
    `
  },
  {
    code: 'HUGEPAGES_1M',
    number: 20,
    bad: nix`
      {
        boot.kernelParams = [ "default_hugepagesz=1M" "hugepagesz=1M" "hugepages=16384" "quiet" ];
      }
    `,
    found: ['HUGEPAGES_1M: "default_hugepagesz=1M"', 'HUGEPAGES_1M: "hugepagesz=1M"'],
    fixed: nix`
      {
        boot.kernelParams = [ "quiet" "default_hugepagesz=2M" "hugepagesz=2M" "hugepages=8192" ];
      }
    `,
    gives: { kernelParams: ['quiet', 'default_hugepagesz=2M', 'hugepagesz=2M', 'hugepages=8192'] },
    good: nix`
      {
        boot.kernelParams = [ "default_hugepagesz=1G" "hugepagesz=2M" "hugepages=16" ];
        virtualisation.hugepages = { enable = true; pageSize = "1G"; numPages = 16; };
      }
    `
  },
  {
    code: 'FRAGILE_MODULE',
    number: 21,
    bad: nix`
      { config, pkgs, ... }:
      {
        boot.kernelPackages = pkgs.linuxPackages_latest;
        boot.extraModulePackages = [ config.boot.kernelPackages.vendor-reset ];
      }
    `,
    found: ['FRAGILE_MODULE (note): config.boot.kernelPackages.vendor-reset'],
    good: nix`
      { config, pkgs, ... }:
      {
        boot.extraModulePackages = with config.boot.kernelPackages; [ vendor-reset kvmfr ];
      }
    `
  },
  {
    code: 'HOOK_PLACE',
    number: 22,
    bad: nix`
      { environment.etc."libvirt/hooks/qemu" = { mode = "0755"; source = ./qemu; }; }
    `,
    found: ['HOOK_PLACE: ./qemu'],
    good: nix`
      { virtualisation.libvirtd.hooks.qemu.win10 = ./qemu; }
    `
  },
  {
    code: 'HOOK_CALLS_VIRSH',
    number: 22,
    bad: nix`
      { pkgs, ... }:
      {
        virtualisation.libvirtd.hooks.qemu.win10 = pkgs.writeShellScript "win10" ''
          # virsh is bad
          \${pkgs.libvirt}/bin/virsh nodedev-detach pci_0000_01_00_0
        '';
      }
    `,
    found: ['HOOK_CALLS_VIRSH: virsh'],
    good: nix`
      { pkgs, ... }:
      {
        virtualisation.libvirtd.hooks.qemu.win10 = pkgs.writeShellScript "win10" ''
          # not virsh nodedev-detach
          systemctl stop display-manager
        '';
        environment.shellAliases.list = "virsh list --all";
      }
    `
  },
  {
    code: 'HOOK_SHELL',
    number: 22,
    bad: nix`
      { pkgs, ... }:
      {
        virtualisation.libvirtd.hooks.qemu.win10 = pkgs.writeScript "win10" ''
          #!/bin/bash
          echo hello
        '';
      }
    `,
    found: ['HOOK_SHELL: #!/bin/bash'],
    good: nix`
      { pkgs, ... }:
      {
        virtualisation.libvirtd.hooks.qemu.win10 = pkgs.writeScript "win10" ''
          #!\${pkgs.bash}/bin/bash
          echo hello
        '';
        virtualisation.libvirtd.hooks.qemu.win11 = pkgs.writeShellScript "win11" ''
          #!/bin/bash
        '';
      }
    `
  },
  {
    code: 'GUEST_NETWORK',
    number: 24,
    bad: nix`
      {
        virtualisation.libvirtd.enable = true;
        networking.nftables.enable = true;
        fileSystems."/".device = "/dev/sda1";
        system.stateVersion = "26.05";
      }
    `,
    found: ['GUEST_NETWORK (note): true'],
    good: nix`
      {
        virtualisation.libvirtd.enable = true;
        networking.nftables.enable = true;
        networking.firewall.trustedInterfaces = [ "virbr0" ];
        fileSystems."/".device = "/dev/sda1";
        system.stateVersion = "26.05";
      }
    `
  },
  {
    code: 'SHUTDOWN_SUSPENDS',
    number: 25,
    bad: nix`
      {
        boot.kernelParams = [ ${passing} ];
        virtualisation.libvirtd = {
          enable = true;
          onShutdown = "suspend";
        };
      }
    `,
    found: ['SHUTDOWN_SUSPENDS: "suspend"'],
    fixed: nix`
      {
        boot.kernelParams = [ ${passing} ];
        virtualisation.libvirtd = {
          enable = true;
          onShutdown = "shutdown";
        };
      }
    `,
    gives: {
      kernelParams: ['vfio-pci.ids=10de:1b80,10de:10f0'],
      libvirtd: { ...untouched.libvirtd, enable: true, onShutdown: 'shutdown' }
    },
    good: nix`
      { virtualisation.libvirtd = { enable = true; onShutdown = "suspend"; }; }
    `
  },
  {
    code: 'IMAGE_IN_HOME',
    number: 28,
    bad: nix`
      {
        virtualisation.libvirtd.qemu.runAsRoot = false;
        virtualisation.vfio.guests.win10.domain.devices.disk = [
          { device = "disk"; source.file = "/home/alice/win10.qcow2"; }
          { device = "disk"; source = { file = "/root/data.img"; }; }
        ];
        environment.etc."win11.xml".text = ''
          <source file='/home/alice/vms/win11.qcow2'/>
        '';
      }
    `,
    found: [
      'IMAGE_IN_HOME (note): "/home/alice/win10.qcow2"',
      'IMAGE_IN_HOME (note): "/root/data.img"',
      'IMAGE_IN_HOME (note): /home/alice/vms/win11.qcow2'
    ],
    // Root may read all folders, and not every file is a guest's disk.
    good: nix`
      {
        virtualisation.libvirtd.qemu.runAsRoot = true;
        virtualisation.vfio.guests.win10.domain.devices.disk.source.file = "/home/alice/win10.qcow2";
        specialisation.user.configuration.home.file = "/home/alice/.profile";
      }
    `
  },
  {
    code: 'DECLARED_TWICE',
    number: 30,
    facts: { importsModules: true },
    bad: {
      'configuration.nix': '{ imports = [ ./a.nix ./b.nix ]; }\n',
      'a.nix': '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkEnableOption "one"; }\n',
      'b.nix': '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkEnableOption "two"; }\n'
    },
    found: ['DECLARED_TWICE: lib.mkEnableOption "two"'],
    good: {
      'a.nix': '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkEnableOption "one"; }\n',
      'b.nix': '{ lib, ... }: { options.virtualisation.vfio.more = lib.mkEnableOption "two"; }\n'
    }
  },
  {
    code: 'PARAMETERS_IN_ONE',
    number: 31,
    bad: nix`
      { boot.kernelParams = [ "intel_iommu=on iommu=pt" "quiet" ]; }
    `,
    found: ['PARAMETERS_IN_ONE: "intel_iommu=on iommu=pt"'],
    fixed: nix`
      { boot.kernelParams = [ "quiet" "intel_iommu=on" "iommu=pt" ]; }
    `,
    gives: { kernelParams: ['quiet', 'intel_iommu=on', 'iommu=pt'] },
    good: nix`
      { boot.kernelParams = [ "intel_iommu=on" "dyndbg=\\"file drivers/pci/* +p\\"" ]; }
    `
  },
  {
    code: 'PRIME_GUEST',
    number: 32,
    bad: nix`
      {
        boot.kernelParams = [ ${passing} ];
        hardware.nvidia.prime = { nvidiaBusId = "PCI:1:0:0"; intelBusId = "PCI:0:2:0"; };
      }
    `,
    found: ['PRIME_GUEST: "PCI:1:0:0"'],
    good: nix`
      {
        hardware.nvidia.prime = { nvidiaBusId = "PCI:1:0:0"; intelBusId = "PCI:0:2:0"; };
        specialisation.host.configuration.boot.kernelParams = [ "quiet" ];
      }
    `
  },
  {
    code: 'NVIDIA_HOLDS',
    number: 32,
    bad: nix`
      {
        virtualisation.vfio = { enable = true; bindAtBoot = false; };
        boot.kernelParams = [ "nvidia-drm.fbdev=1" ];
        hardware.nvidia.nvidiaPersistenced = true;
      }
    `,
    found: ['NVIDIA_HOLDS: "nvidia-drm.fbdev=1"', 'NVIDIA_HOLDS: true'],
    good: nix`
      {
        virtualisation.vfio = { enable = true; bindAtBoot = false; };
        boot.kernelParams = [ "nvidia-drm.fbdev=1" "nvidia-drm.fbdev=0" ];
      }
    `
  },
  {
    code: 'REMOVED_OPTION',
    number: undefined,
    bad: nix`
      {
        boot.vesa = false;
        virtualisation.libvirtd.enableKVM = true;
      }
    `,
    found: ['REMOVED_OPTION: false', 'REMOVED_OPTION: true'],
    fixed: nix`
      { }
    `,
    gives: {},
    good: nix`
      { boot.kernelModules = [ "kvm-intel" ]; }
    `
  },
  {
    code: 'OLD_MODULE',
    number: undefined,
    bad: {
      'configuration.nix': nix`
        {
          imports = [ ./old.nix ];
          virtualisation.vfio.devices = [ "10de:1b80" ];
        }
      `,
      // The parameter that it sets from the option is not another place for IDs.
      'old.nix': nix`
        { lib, config, ... }:
        {
          options.virtualisation.vfio.devices = lib.mkOption { };
          config.boot.kernelParams = [
            ("vfio-pci.ids=" + lib.concatStringsSep "," config.virtualisation.vfio.devices)
          ];
        }
      `
    },
    found: ['OLD_MODULE (note): lib.mkOption { }'],
    good: '{ lib, ... }: { options.virtualisation.vfio.enable = lib.mkEnableOption "a module"; }\n'
  },
  {
    code: 'SOFTDEP_DRM',
    number: undefined,
    bad: nix`
      { boot.extraModprobeConfig = "softdep drm pre: vfio-pci"; }
    `,
    found: ['SOFTDEP_DRM: softdep drm pre: vfio-pci'],
    good: nix`
      { boot.extraModprobeConfig = "softdep drm_kms_helper pre: vfio-pci"; }
    `
  },
  {
    code: 'RENAMED_OPTION',
    number: undefined,
    bad: nix`
      { virtualisation.libvirtd.qemuRunAsRoot = false; }
    `,
    found: ['RENAMED_OPTION (note): false'],
    fixed: nix`
      { virtualisation.libvirtd.qemu.runAsRoot = false; }
    `,
    gives: { libvirtd: untouched.libvirtd },
    good: nix`
      { virtualisation.libvirtd.qemu.runAsRoot = false; }
    `
  }
]
