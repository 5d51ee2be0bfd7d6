// Virtual functions in a configuration, on the machine that has them.

import { nix } from '../nix/support.ts'
import type { MachineCase } from './cases.ts'

const machine = 'virtual-functions'
const whole = nix`
  { virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.1" ]; }; }
`

export const VIRTUAL_CASES: readonly MachineCase[] = [
  {
    code: 'VIRTUAL_FUNCTION',
    title: 'by address, including one that does not exist now',
    machine,
    bad: nix`
      {
        virtualisation.vfio = {
          enable = true;
          addresses = [
            "0000:00:02.1"
            { address = "0000:01:10.2"; id = "8086:10ca"; }
            "0000:01:10.3"
            "0000:01:00.1"
          ];
        };
      }
    `,
    found: [
      'VIRTUAL_FUNCTION: "0000:00:02.1"',
      'VIRTUAL_FUNCTION: { address = "0000:01:10.2"; id = "8086:10ca"; }',
      'VIRTUAL_FUNCTION: "0000:01:10.3"'
    ],
    fixed: nix`
      {
        virtualisation.vfio = {
          enable = true;
          addresses = [
            "0000:01:00.1"
          ];
        };
      }
    `,
    gives: { kernelParams: ['intel_iommu=on', 'iommu=pt'], failures: [] },
    good: whole
  },
  {
    code: 'VIRTUAL_FUNCTION',
    title: "by an ID that their physical function, the host's card, also has",
    machine,
    bad: nix`
      { virtualisation.vfio = { enable = true; devices = [ "8086:4692" ]; }; }
    `,
    found: ['VIRTUAL_FUNCTION: 8086:4692', 'LOCKS_OUT: 8086:4692'],
    good: whole
  },
  {
    code: 'VIRTUAL_FUNCTION',
    title: 'by an ID that only virtual functions have',
    machine,
    bad: nix`
      { boot.kernelParams = [ "intel_iommu=on" "vfio-pci.ids=8086:10ca" ]; }
    `,
    found: ['VIRTUAL_FUNCTION (note): 8086:10ca'],
    good: whole
  },
  {
    code: 'VIRTUAL_FUNCTION',
    title: 'by an ID that only virtual functions have, while none exist',
    machine,
    tree: {
      '/sys/bus/pci/devices/0000:01:10.0': null,
      '/sys/bus/pci/devices/0000:01:10.2': null,
      '/sys/class/net/enp1s0f0v0': null
    },
    bad: nix`
      { boot.kernelParams = [ "intel_iommu=on" "vfio-pci.ids=8086:10ca" ]; }
    `,
    found: ['VIRTUAL_FUNCTION (note): 8086:10ca'],
    good: whole
  },
  {
    code: 'VIRTUAL_FUNCTION',
    title: 'that are lost because their device is passed through',
    machine,
    bad: nix`
      { virtualisation.vfio = { enable = true; addresses = [ "0000:01:00.0" ]; }; }
    `,
    found: ['VIRTUAL_FUNCTION (note): "0000:01:00.0"'],
    good: nix`
      {
        specialisation.vfio.configuration.virtualisation.vfio = {
          enable = true;
          addresses = [ "0000:01:00.0" ];
        };
      }
    `
  }
]
