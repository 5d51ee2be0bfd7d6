// For each code that needs a machine a configuration with the finding, and one without.

import type { LintCode } from '../../src/lints/index.ts'
import { nix } from '../nix/support.ts'
import type { State } from '../oracle/machines.ts'
import { systems, type Tree } from './support.ts'
import { VIRTUAL_CASES } from './virtualCases.ts'

export interface MachineCase {
  code: LintCode
  /** Its number in docs/lints.md, if it has one. */
  number?: number
  title: string
  machine: string
  /** Files that differ on that machine. */
  tree?: Tree
  bad: string
  /** The findings, as `inShort` prints them. */
  found: string[]
  /** The file after its fixes; absent if no edit is certain to fix it. */
  fixed?: string
  /** How Nix evaluates that file with the shipped modules. */
  gives?: Partial<State>
  good: string
}

const bound = 'iommu=pt vfio-pci.ids=10de:1b80,10de:10f0'
const both = nix`
  { boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80,10de:10f0" ]; }
`
const card = '/sys/bus/pci/devices/0000:01:00.0'

export const CASES: readonly MachineCase[] = [
  {
    code: 'MISSING_FUNCTION',
    number: 3,
    title: 'by parameter',
    machine: 'x570-two-makers',
    bad: nix`
      {
        boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80" "quiet" ];
      }
    `,
    found: ['MISSING_FUNCTION: 10de:1b80'],
    fixed: nix`
      {
        boot.kernelParams = [ "iommu=pt" "quiet" "vfio-pci.ids=10de:1b80,10de:10f0" ];
      }
    `,
    gives: { kernelParams: ['iommu=pt', 'quiet', 'vfio-pci.ids=10de:1b80,10de:10f0'] },
    good: both
  },
  {
    code: 'MISSING_FUNCTION',
    number: 3,
    title: 'by option, bound since an earlier boot',
    machine: 'already-bound',
    bad: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [ "10de:1b80" ];
        };
      }
    `,
    found: ['MISSING_FUNCTION: 10de:1b80'],
    fixed: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [ "10de:1b80" "10de:10f0" ];
        };
      }
    `,
    gives: { kernelParams: ['iommu=pt', 'vfio-pci.ids=10de:1b80,10de:10f0'], failures: [] },
    good: both
  },
  {
    code: 'MISSING_FUNCTION',
    number: 3,
    title: 'with an ID that the host needs',
    machine: 'shared-audio-id',
    bad: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.IOMMUType = "amd";
        virtualisation.vfio.devices = [ "1002:73bf" "1002:73a6" "1002:73a4" ];
      }
    `,
    found: ['MISSING_FUNCTION (note): 1002:73bf'],
    fixed: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.IOMMUType = "amd";
        virtualisation.vfio.devices = [ "1002:73bf" "1002:73a6" "1002:73a4" ];
        virtualisation.vfio.addresses = [
          { address = "0000:03:00.1"; id = "1002:ab28"; }
        ];
      }
    `,
    gives: {
      kernelParams: ['iommu=pt', 'vfio-pci.ids=1002:73bf,1002:73a6,1002:73a4'],
      failures: []
    },
    good: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.addresses =
          [ "0000:03:00.0" "0000:03:00.1" "0000:03:00.2" "0000:03:00.3" ];
      }
    `
  },
  {
    code: 'MISSING_FUNCTION',
    number: 3,
    title: 'of two cards in one parameter',
    machine: 'three-cards',
    bad: nix`
      { boot.kernelParams = [ "vfio-pci.ids=10de:1b80,10de:2504" "iommu=pt" ]; }
    `,
    found: ['MISSING_FUNCTION: 10de:1b80', 'MISSING_FUNCTION: 10de:2504'],
    fixed: nix`
      { boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:1b80,10de:2504,10de:10f0,10de:228e" ]; }
    `,
    gives: {
      kernelParams: ['iommu=pt', 'vfio-pci.ids=10de:1b80,10de:2504,10de:10f0,10de:228e']
    },
    good: both
  },
  {
    code: 'SHARED_ID',
    number: 4,
    title: 'two identical cards',
    machine: 'two-identical',
    bad: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [ "10de:2484" "10de:228b" ];
        };
      }
    `,
    found: ['SHARED_ID: 10de:2484', 'SHARED_ID: 10de:228b'],
    fixed: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [ ];
          addresses = [ { address = "0000:0a:00.0"; id = "10de:2484"; } { address = "0000:0a:00.1"; id = "10de:228b"; } ];
        };
      }
    `,
    gives: { kernelParams: ['iommu=pt'], failures: [] },
    good: nix`
      {
        virtualisation.vfio = {
          enable = true;
          addresses = [ "0000:0a:00.0" "0000:0a:00.1" ];
        };
      }
    `
  },
  {
    code: 'SHARED_ID',
    number: 4,
    title: 'audio of two cards by one vendor, by parameter',
    machine: 'shared-audio-id',
    bad: nix`
      { boot.kernelParams = [ "vfio-pci.ids=1002:73bf,1002:ab28,1002:73a6,1002:73a4" ]; }
    `,
    found: ['SHARED_ID: 1002:ab28'],
    good: nix`
      { boot.kernelParams = [ "amdgpu.dc=1" "iommu=pt" ]; boot.kernelModules = [ "vfio_pci" ]; }
    `
  },
  {
    code: 'IOMMU_OFF',
    number: 14,
    title: 'because the firmware offers none',
    machine: 'x570-two-makers',
    tree: { '/sys/kernel/iommu_groups': null, '/sys/firmware/acpi/tables/IVRS': null },
    bad: both,
    found: ['IOMMU_OFF: 10de:1b80'],
    good: '{ boot.kernelParams = [ "quiet" ]; boot.kernelModules = [ "kvm-amd" ]; }'
  },
  {
    code: 'IOMMU_OFF',
    number: 14,
    title: 'because nothing turns it on',
    machine: 'iommu-off',
    bad: nix`
      { boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:2504,10de:228e" ]; }
    `,
    found: ['IOMMU_OFF: 10de:2504'],
    fixed: nix`
      { boot.kernelParams = [ "iommu=pt" "vfio-pci.ids=10de:2504,10de:228e" "intel_iommu=on" ]; }
    `,
    gives: { kernelParams: ['iommu=pt', 'vfio-pci.ids=10de:2504,10de:228e', 'intel_iommu=on'] },
    good: nix`
      { virtualisation.vfio = { enable = true; devices = [ "10de:2504" "10de:228e" ]; }; }
    `
  },
  {
    code: 'IOMMU_OFF',
    number: 14,
    title: 'after the next boot, turned off by a parameter',
    machine: 'x570-two-makers',
    bad: nix`
      { boot.kernelParams = [ "amd_iommu=fullflush,off" "vfio-pci.ids=10de:1b80,10de:10f0" ]; }
    `,
    found: ['IOMMU_OFF: "amd_iommu=fullflush,off"'],
    fixed: nix`
      { boot.kernelParams = [ "vfio-pci.ids=10de:1b80,10de:10f0" "amd_iommu=fullflush" ]; }
    `,
    gives: { kernelParams: ['vfio-pci.ids=10de:1b80,10de:10f0', 'amd_iommu=fullflush'] },
    good: both
  },
  {
    code: 'IOMMU_OFF',
    number: 14,
    title: 'because IOMMUType names another vendor',
    machine: 'iommu-off',
    bad: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.IOMMUType = "amd";
        virtualisation.vfio.devices = [ "10de:2504" "10de:228e" ];
      }
    `,
    found: ['IOMMU_OFF: "amd"'],
    fixed: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.IOMMUType = "intel";
        virtualisation.vfio.devices = [ "10de:2504" "10de:228e" ];
      }
    `,
    gives: {
      kernelParams: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=10de:2504,10de:228e'],
      failures: []
    },
    good: nix`
      { virtualisation.vfio = { enable = true; devices = [ "10de:2504" "10de:228e" ]; }; }
    `
  },
  {
    code: 'SHARED_GROUP',
    number: 15,
    title: 'with the disks and the network',
    machine: 'dirty-group',
    bad: nix`
      { boot.kernelParams = [ "vfio-pci.ids=1002:67df,1002:aaf0" ]; }
    `,
    found: ['SHARED_GROUP: 1002:67df', 'NO_RESET (note): 1002:67df'],
    // A kernel that splits groups separates the card from the host's devices.
    good: nix`
      {
        virtualisation.vfio = {
          enable = true;
          applyACSpatch = true;
          devices = [ "1002:67df" "1002:aaf0" ];
        };
      }
    `
  },
  {
    code: 'LOCKS_OUT',
    number: 15,
    title: 'if a whole group with disk and network is passed through',
    machine: 'dirty-group',
    bad: nix`
      {
        boot.kernelParams =
          [ "vfio-pci.ids=10de:1b80,10de:10f0,1022:43c8,10ec:8168" "pcie_acs_override=downstream" ];
      }
    `,
    found: ['LOCKS_OUT: 1022:43c8', 'LOCKS_OUT: 10ec:8168', 'LOCKS_OUT (note): 10de:1b80'],
    good: '{ boot.kernelParams = [ "iommu=pt" ]; boot.kernelModules = [ "vfio-pci" ]; }'
  },
  {
    code: 'LOCKS_OUT',
    number: 15,
    title: 'if the only graphics card is passed through',
    machine: 'single-gpu',
    bad: both,
    found: ['LOCKS_OUT: 10de:1b80'],
    good: nix`
      {
        virtualisation.vfio = { enable = true; devices = [ "10de:1b80" "10de:10f0" ]; bindAtBoot = false; };
      }
    `
  },
  {
    code: 'NO_SUCH_DEVICE',
    number: 16,
    title: 'by ID and by address',
    machine: 'x570-two-makers',
    bad: nix`
      {
        boot.kernelParams = [ "vfio-pci.ids=10de:1b80,10de:10f0,10de:1b06" ];
        virtualisation.vfio = { enable = true; addresses = [ "0000:2f:00.0" ]; };
      }
    `,
    found: ['NO_SUCH_DEVICE (note): 10de:1b06', 'NO_SUCH_DEVICE (note): "0000:2f:00.0"'],
    good: both
  },
  {
    code: 'ACS_NOT_ACTIVE',
    number: 18,
    title: 'according to the kernel log',
    machine: 'dirty-group',
    tree: {
      ...systems(
        'pcie_acs_override=downstream,multifunction',
        'pcie_acs_override=downstream,multifunction'
      ),
      '/dev/kmsg': '5,0,0,-;Linux version 6.18.2\n'
    },
    bad: nix`
      {
        boot.kernelParams = [ "pcie_acs_override=downstream,multifunction" ];
        boot.kernelModules = [ "vfio_pci" ];
      }
    `,
    found: ['ACS_NOT_ACTIVE: "pcie_acs_override=downstream,multifunction"'],
    good: '{ boot.kernelParams = [ "iommu=pt" ]; boot.kernelModules = [ "vfio_pci" ]; }'
  },
  {
    code: 'HUGEPAGES_TOO_MANY',
    number: 20,
    title: 'more than the memory',
    machine: 'x570-two-makers',
    bad: nix`
      {
        boot.kernelParams = [ "default_hugepagesz=1G" "hugepagesz=1G" "hugepages=30" ];
        boot.kernelModules = [ "vfio-pci" ];
      }
    `,
    found: ['HUGEPAGES_TOO_MANY: "hugepages=30"'],
    good: nix`
      {
        boot.kernelParams = [ "default_hugepagesz=1G" "hugepagesz=1G" "hugepages=16" ];
        boot.kernelModules = [ "vfio-pci" ];
      }
    `
  },
  {
    code: 'HUGEPAGES_TOO_MANY',
    number: 20,
    title: 'of which the kernel reserved only a part',
    machine: 'x570-two-makers',
    tree: {
      ...systems('hugepagesz=2M hugepages=8192', 'hugepagesz=2M hugepages=8192'),
      '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '7000\n'
    },
    bad: nix`
      {
        virtualisation.vfio = { enable = true; devices = [ "10de:1b80" "10de:10f0" ]; };
        virtualisation.hugepages = { enable = true; numPages = 8192; };
      }
    `,
    found: ['HUGEPAGES_TOO_MANY: 8192'],
    good: nix`
      {
        virtualisation.vfio = { enable = true; devices = [ "10de:1b80" "10de:10f0" ]; };
        boot.kernel.sysctl."vm.nr_hugepages" = 6000;
      }
    `
  },
  {
    code: 'NEEDS_REBOOT',
    number: 26,
    title: 'after nixos-rebuild switch',
    machine: 'x570-two-makers',
    tree: systems('quiet', `quiet ${bound}`),
    bad: both,
    found: ['NEEDS_REBOOT (note): 10de:1b80'],
    // A configuration that is not built needs a build first.
    good: nix`
      { boot.kernelParams = [ "vfio-pci.ids=10DE:1b80,10de:10f0" "kvm.ignore_msrs=1" ]; }
    `.replace('10DE:1b80,10de:10f0', '10de:1b80,10de:10f0,1022:149c')
  },
  {
    code: 'MOVED_DEVICE',
    number: 27,
    title: 'by option',
    machine: 'x570-two-makers',
    bad: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          addresses = [
            { address = "0000:04:00.0"; id = "10de:1b80"; }
            { address = "0000:04:00.1"; id = "10de:10f0"; }
          ];
        };
      }
    `,
    found: [
      'MOVED_DEVICE: { address = "0000:04:00.0"; id = "10de:1b80"; }',
      'MOVED_DEVICE: { address = "0000:04:00.1"; id = "10de:10f0"; }'
    ],
    fixed: nix`
      {
        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          addresses = [
            { address = "0000:01:00.0"; id = "10de:1b80"; }
            { address = "0000:01:00.1"; id = "10de:10f0"; }
          ];
        };
      }
    `,
    gives: { kernelParams: ['iommu=pt'], failures: [] },
    good: nix`
      {
        virtualisation.vfio.enable = true;
        virtualisation.vfio.addresses = [
          { address = "0000:01:00.0"; id = "10DE:1b80"; }
          "0000:01:00.1"
        ];
      }
    `
  },
  {
    code: 'NO_RESET',
    number: 29,
    title: 'of a family with reset problems',
    machine: 'amd-reset',
    bad: nix`
      {
        specialisation.guest.configuration = {
          boot.kernelParams = [ "vfio-pci.ids=1002:67df,1002:aaf0" "intel_iommu=on" ];
        };
      }
    `,
    found: ['NO_RESET (note): 1002:67df'],
    good: nix`
      { config, ... }:
      {
        boot.extraModulePackages = [ config.boot.kernelPackages.vendor-reset ];
        specialisation.guest.configuration = {
          boot.kernelParams = [ "vfio-pci.ids=1002:67df,1002:aaf0" "intel_iommu=on" ];
        };
      }
    `
  },
  {
    code: 'NO_RESET',
    number: 29,
    title: 'without a reset method',
    machine: 'x570-two-makers',
    tree: { [`${card}/reset_method`]: '\n' },
    bad: both,
    found: ['NO_RESET (note): 10de:1b80'],
    good: '{ boot.kernelParams = [ "iommu=pt" ]; boot.kernelModules = [ "vfio_pci" ]; }'
  },
  {
    code: 'DRIVER_WON',
    number: 2,
    title: 'according to the device',
    machine: 'x570-two-makers',
    tree: systems(bound, bound),
    bad: both,
    found: ['DRIVER_WON: 10de:1b80', 'DRIVER_WON: 10de:10f0'],
    good: nix`
      { virtualisation.vfio = { enable = true; bindAtBoot = false; devices = [ "10de:1b80" "10de:10f0" ]; }; }
    `
  },
  {
    code: 'BOOT_FRAMEBUFFER',
    number: 10,
    title: 'according to /proc/iomem',
    machine: 'x570-two-makers',
    tree: {
      '/proc/iomem': [
        '00000000-00000000 : PCI Bus 0000:00',
        '  00000000-00000000 : PCI Bus 0000:01',
        '    00000000-00000000 : 0000:01:00.0',
        '      00000000-00000000 : BOOTFB',
        '    00000000-00000000 : 0000:01:00.1',
        ''
      ].join('\n')
    },
    bad: both,
    found: ['BOOT_FRAMEBUFFER (note): 10de:1b80'],
    good: nix`
      {
        virtualisation.vfio = {
          enable = true;
          disableEFIfb = true;
          devices = [ "10de:1b80" "10de:10f0" ];
        };
      }
    `
  },
  ...VIRTUAL_CASES
]
