// Which things of a configuration are active, with their verdicts, from one boot to the next.

import { describe, expect, it } from 'vitest'
import type { SettingStatus } from '../../src/check/state.ts'
import { comparisonOf, machineWith, pathOf, system, systems, type Tree } from './support.ts'

const CONFIGURATION = `{
  virtualisation.vfio = {
    enable = true;
    IOMMUType = "amd";
    devices = [ "10de:1b80" "10de:10f0" ];
  };
  virtualisation.hugepages = { enable = true; pageSize = "1G"; numPages = 8; };
}`
const PARAMS =
  'iommu=pt vfio-pci.ids=10de:1b80,10de:10f0 default_hugepagesz=2M hugepagesz=1G hugepages=8'
const CARD = '/sys/bus/pci/devices/0000:01:00'

/** A card that is bound to vfio-pci. */
const BOUND: Tree = {
  [`${CARD}.0/driver`]: '-> ../../../../bus/pci/drivers/vfio-pci',
  [`${CARD}.1/driver`]: '-> ../../../../bus/pci/drivers/vfio-pci'
}

function things(tree: Tree, configuration = CONFIGURATION): string[] {
  return comparisonOf(configuration, machineWith('x570-two-makers', tree)).things.map(inShort)
}

function inShort({ name, verdict, because }: SettingStatus): string {
  return `${name}: ${verdict}${because === undefined ? '' : ` (${because})`}`
}

describe('from the file to the machine', () => {
  it('shows new settings as not built before the build', () => {
    const tree = systems('quiet', 'quiet', { '/proc/modules': 'nvidia 1 0 - Live 0x0\n' })
    expect(things(tree)).toEqual([
      'the latest build: active',
      'IOMMU: active (14 groups)',
      'iommu=pt: not-built',
      'vfio-pci.ids=10de:1b80,10de:10f0: not-built',
      'vfio_pci: not-built',
      '0000:01:00.0: not-built (nvidia has it)',
      '0000:01:00.1: not-built (snd_hda_intel has it)',
      '8 huge pages of 1G: not-built (0 are reserved)'
    ])
  })

  it('shows built settings as waiting for a reboot', () => {
    const tree = systems('quiet', `quiet ${PARAMS}`, { '/proc/modules': 'nvidia 1 0 - Live 0x0\n' })
    expect(things(tree)).toEqual([
      'the latest build: after-reboot',
      'IOMMU: active (14 groups)',
      'iommu=pt: after-reboot',
      'vfio-pci.ids=10de:1b80,10de:10f0: after-reboot',
      'vfio_pci: after-reboot',
      '0000:01:00.0: after-reboot (nvidia has it)',
      '0000:01:00.1: after-reboot (snd_hda_intel has it)',
      '8 huge pages of 1G: after-reboot (0 are reserved)'
    ])
  })

  it('shows settings as active after the reboot', () => {
    const tree = systems(PARAMS, PARAMS, {
      ...BOUND,
      '/proc/modules': 'vfio_pci 1 0 - Live 0x0\n',
      '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '8\n'
    })
    expect(things(tree)).toEqual([
      'the latest build: active',
      'IOMMU: active (14 groups)',
      'iommu=pt: active',
      'vfio-pci.ids=10de:1b80,10de:10f0: active',
      'vfio_pci: active',
      '0000:01:00.0: active (vfio-pci has it)',
      '0000:01:00.1: active (vfio-pci has it)',
      '8 huge pages of 1G: active (8 are reserved)'
    ])
  })

  it('shows settings without effect as not active after the reboot', () => {
    const tree = systems(PARAMS, PARAMS, {
      '/proc/modules': 'nvidia 1 0 - Live 0x0\n',
      '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '5\n'
    })
    expect(things(tree).slice(4)).toEqual([
      'vfio_pci: not-active (it is not loaded)',
      '0000:01:00.0: not-active (nvidia has it)',
      '0000:01:00.1: not-active (snd_hda_intel has it)',
      '8 huge pages of 1G: not-active (only 5 are reserved)'
    ])
  })

  it('uses only the running kernel on a system other than NixOS', () => {
    expect(things({ '/proc/cmdline': 'iommu=pt\n' }).slice(0, 3)).toEqual([
      'IOMMU: active (14 groups)',
      'iommu=pt: active',
      'vfio-pci.ids=10de:1b80,10de:10f0: not-built'
    ])
  })
})

describe('single things', () => {
  it('requires a reboot for a new initrd', () => {
    const tree = { ...systems('quiet', 'quiet '), ...system('2', 'quiet ', '3') }
    expect(things(tree, '{ boot.kernelModules = [ "vfio_pci" ]; }')).toEqual([
      'the latest build: after-reboot',
      'IOMMU: active (14 groups)'
    ])
  })

  it('finds whether a device is reserved by address from its driver_override', () => {
    const byAddress = `{ virtualisation.vfio = {
      enable = true; IOMMUType = "amd"; addresses = [ "0000:01:00.0" ];
    }; }`
    const device = (tree: Tree) => things(systems('iommu=pt', 'iommu=pt', tree), byAddress).at(-1)
    const reserved = { [`${CARD}.0/driver_override`]: 'vfio-pci\n' }
    expect(device({})).toBe('0000:01:00.0: not-built (nvidia has it)')
    expect(device(reserved)).toBe('0000:01:00.0: not-active (nvidia has it)')
    expect(device({ ...reserved, ...BOUND })).toBe('0000:01:00.0: active (vfio-pci has it)')
  })

  it('shows devices that are bound when a guest starts as active', () => {
    const later = CONFIGURATION.replace('enable = true;', 'enable = true; bindAtBoot = false;')
    expect(things(systems('iommu=pt', 'iommu=pt'), later)).toEqual([
      'the latest build: active',
      'IOMMU: active (14 groups)',
      'iommu=pt: active',
      '0000:01:00.0: active (nvidia has it until a guest starts)',
      '0000:01:00.1: active (snd_hda_intel has it until a guest starts)',
      '8 huge pages of 1G: not-built (0 are reserved)'
    ])
  })

  it('shows why the IOMMU is not active', () => {
    const iommu = (configuration: string, tree: Tree = {}) =>
      comparisonOf(configuration, machineWith('iommu-off', tree))
        .things.map(inShort)
        .find(it => it.startsWith('IOMMU'))
    const on = '{ boot.kernelParams = [ "intel_iommu=on" ]; boot.kernelModules = [ "vfio_pci" ]; }'
    const off = '{ boot.kernelModules = [ "vfio_pci" ]; }'
    expect(iommu(off)).toBe(
      'IOMMU: not-active (the configuration does not turn it on with intel_iommu=on)'
    )
    expect(iommu(on)).toBe('IOMMU: not-built')
    expect(iommu(on, systems('quiet', 'intel_iommu=on'))).toBe('IOMMU: after-reboot')
    expect(iommu(on, { '/proc/cmdline': 'intel_iommu=on\n' })).toBe(
      'IOMMU: not-active (the kernel created no groups)'
    )
    expect(iommu(on, { '/sys/firmware/acpi/tables/DMAR': null })).toBe(
      'IOMMU: not-active (the firmware does not offer it)'
    )
  })

  it('finds the ACS override patch in the kernel log', () => {
    const param = 'pcie_acs_override=downstream'
    const acs = (log: Tree) =>
      things(
        systems(param, param, log),
        `{ boot.kernelParams = [ "${param}" ]; boot.kernelModules = [ "vfio_pci" ]; }`
      ).find(it => it.startsWith('ACS'))
    const start = '5,0,0,-;Linux version 6.18.2 (nixbld@localhost)\n'
    const enabled = '4,9,0,-;Warning: PCIe ACS overrides enabled; This may allow non-IOMMU\n'
    expect(acs({})).toBe(
      'ACS override: unknown (this is visible only in the kernel log, which only root may read)'
    )
    expect(acs({ '/dev/kmsg': start + enabled })).toBe('ACS override: active')
    expect(acs({ '/dev/kmsg': start })).toBe(
      'ACS override: not-active (the running kernel lacks the patch for it)'
    )
    expect(acs({ '/dev/kmsg': '6,9999,0,-;usb 1-1: new device\n' })).toBe(
      'ACS override: unknown (the start of the kernel log, which would show this, is lost)'
    )
  })
})

describe('boot entries', () => {
  const configuration = `{
    specialisation.guest.configuration.virtualisation.vfio = {
      enable = true; IOMMUType = "amd"; devices = [ "10de:1b80" "10de:10f0" ];
    };
  }`
  const ids = 'iommu=pt vfio-pci.ids=10de:1b80,10de:10f0'
  const built: Tree = {
    ...system('5', ids),
    [`${pathOf('1')}/specialisation/guest`]: `-> ${pathOf('5')}`
  }

  it('compares a specialisation that does not run', () => {
    expect(things(systems('quiet', 'quiet', built), configuration)).toEqual([
      'the latest build: after-reboot (the boot entry "guest" does not run)',
      'IOMMU: active (14 groups)',
      'iommu=pt: after-reboot',
      'vfio-pci.ids=10de:1b80,10de:10f0: after-reboot',
      '0000:01:00.0: after-reboot (nvidia has it)',
      '0000:01:00.1: after-reboot (snd_hda_intel has it)'
    ])
  })

  it('compares a running specialisation', () => {
    const tree = {
      ...systems('quiet', 'quiet', { ...built, ...BOUND }),
      '/run/booted-system': `-> ${pathOf('5')}`,
      '/proc/cmdline': ids
    }
    expect(things(tree, configuration)).toEqual([
      'the latest build: active',
      'IOMMU: active (14 groups)',
      'iommu=pt: active',
      'vfio-pci.ids=10de:1b80,10de:10f0: active',
      'vfio_pci: active',
      '0000:01:00.0: active (vfio-pci has it)',
      '0000:01:00.1: active (vfio-pci has it)'
    ])
    expect(comparisonOf(configuration, machineWith('x570-two-makers', tree)).entry).toBe('guest')
  })

  it('compares a running specialisation of an older generation', () => {
    const old = 'iommu=pt vfio-pci.ids=10de:1b80'
    const tree = {
      ...systems('quiet', 'quiet', { ...built, ...BOUND }),
      ...system('4', 'quiet'),
      ...system('6', old),
      ...system('7', 'splash'),
      [`${pathOf('4')}/specialisation/guest`]: `-> ${pathOf('6')}`,
      [`${pathOf('4')}/specialisation/games`]: `-> ${pathOf('7')}`,
      '/nix/var/nix/profiles/system-12-link': `-> ${pathOf('1')}`,
      '/nix/var/nix/profiles/system-9-link': `-> ${pathOf('4')}`,
      '/nix/var/nix/profiles/per-user': null,
      '/run/booted-system': `-> ${pathOf('6')}`,
      '/proc/cmdline': old
    }
    expect(things(tree, configuration)).toEqual([
      'the latest build: after-reboot',
      'IOMMU: active (14 groups)',
      'iommu=pt: active',
      'vfio-pci.ids=10de:1b80,10de:10f0: after-reboot',
      'vfio_pci: active',
      '0000:01:00.0: active (vfio-pci has it)',
      '0000:01:00.1: active (vfio-pci has it)'
    ])
    const entryOf = (digit: string) =>
      machineWith('x570-two-makers', { ...tree, '/run/booted-system': `-> ${pathOf(digit)}` })
        .systems?.entry
    expect(['6', '7', '4', '1', '5', '8'].map(entryOf)).toEqual([
      ...['guest', 'games', '', '', 'guest'],
      undefined
    ])
  })
})
