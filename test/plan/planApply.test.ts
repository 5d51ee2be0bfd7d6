import { describe, expect, it } from 'vitest'
import { stamp } from '../../src/configuration/stamp.ts'
import { type ApplyInput, planApply } from '../../src/plan/apply.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { nix } from '../nix/support.ts'
import { configurationFrom, listingOf, shippedWith } from '../support/configuration.ts'
import { inputFor } from './support/input.ts'

const shipped = new Map([['default.nix', stamp('1.0.0', '{ }\n')]])

function plan(text: string, settings: Settings, more: Partial<ApplyInput> = {}) {
  return planApply(
    inputFor('/etc/nixos/configuration.nix', text, settings, {
      listing: listingOf(shipped),
      modules: shippedWith(shipped),
      names: new Map([['10de:1b80', 'NVIDIA GP104 [GeForce GTX 1080]']]),
      ...more
    })
  )
}

/** The configuration after `apply` with the settings. A second run must change nothing. */
function applied(text: string, settings: Settings): string {
  const first = plan(text, settings)
  if (!first.ok) throw new Error(JSON.stringify(first.error))
  const after = first.value.configuration.text
  const second = plan(after, settings)
  expect(second.ok && second.value.files).toEqual([])
  return after
}

function refusal(text: string, settings: Settings, more: Partial<ApplyInput> = {}): string {
  const result = plan(text, settings, more)
  if (result.ok) return 'not refused'
  return result.error.code === 'NIX' ? result.error.error.code : result.error.code
}

const set = nix`
  { ... }:
  {
    imports = [ ./vfio ];

    virtualisation.vfio = {
      enable = false; # for now
      devices = [
        "10de:1b80" # the card
        "10de:10f0" # its sound
      ];
      ignoreMSRs = true;
    };
  }
`

describe('apply, in a configuration that is not set up', () => {
  it('writes the modules first, then one import and one block per option set', () => {
    const given = nix`
      { pkgs, ... }:
      {
        imports = [ ./hardware-configuration.nix ];

        networking.hostName = "pc";
      }
    `
    const settings: Settings = {
      devices: ['10de:1b80', '10de:10f0'],
      IOMMUType: 'amd',
      users: ['alice'],
      sharedMemoryFiles: [{ name: 'scream' }, { name: 'looking-glass', user: 'bob', mode: '0600' }],
      hugepages: { pageSize: '1G', numPages: 8 },
      deviceACL: ['/dev/kvmfr0'],
      clearEmulationCapabilities: false
    }
    expect(applied(given, settings)).toBe(nix`
      { pkgs, ... }:
      {
        imports = [ ./hardware-configuration.nix ./vfio ];

        networking.hostName = "pc";

        virtualisation.vfio = {
          enable = true;
          IOMMUType = "amd";
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0"
          ];
          users = [ "alice" ];
        };

        virtualisation.sharedMemoryFiles = {
          scream = { user = "alice"; group = "kvm"; mode = "0660"; };
          looking-glass = { user = "bob"; group = "kvm"; mode = "0600"; };
        };

        virtualisation.hugepages = {
          enable = true;
          defaultPageSize = "1G";
          pageSize = "1G";
          numPages = 8;
        };

        virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" ];
        virtualisation.libvirtd.clearEmulationCapabilities = false;
      }
    `)
    const result = plan(given, settings, { listing: 'absent' })
    expect(result.ok && result.value.files.map(it => it.path)).toEqual([
      '/etc/nixos/vfio/default.nix',
      '/etc/nixos/configuration.nix'
    ])
  })

  it('keeps the IOMMU settings in the kernel parameters', () => {
    const given = '{ imports = [ ]; boot.kernelParams = [ "iommu.passthrough=0" ]; }'
    expect(applied(given, { ignoreMSRs: true })).toContain('passthroughDMA = false;')
    expect(applied(given.replace('.passthrough=0', '=pt'), { ignoreMSRs: true })).not.toContain(
      'passthroughDMA'
    )
  })

  it('is refused without settings', () => {
    expect(refusal('{ imports = [ ]; }', {})).toBe('NOTHING_CHOSEN')
  })
})

describe('apply, in a configuration with the options', () => {
  it('keeps values for which there is no flag', () => {
    expect(applied(set, { blacklistNvidia: true, ignoreMSRs: false })).toBe(
      set.replace('ignoreMSRs = true;\n', 'ignoreMSRs = false;\n    blacklistNvidia = true;\n')
    )
  })

  it('writes exactly the requested devices, and keeps the comments of those that remain', () => {
    expect(applied(set, { devices: ['10de:1b80', '10de:10f1'] })).toBe(
      set.replace('"10de:10f0" # its sound', '"10de:10f1"')
    )
    expect(applied(set, { addresses: ['0000:01:00.0'] })).toBe(
      set
        .replace(/ {4}devices[^\]]*\];\n/, '')
        .replace(
          'ignoreMSRs = true;\n',
          'ignoreMSRs = true;\n    addresses = [ "0000:01:00.0" ];\n'
        )
    )
  })

  it('replaces a computed list with a literal one', () => {
    const given =
      'let ids = [ "x" ]; in { imports = [ ./vfio ]; virtualisation.vfio.devices = ids; }'
    expect(applied(given, { devices: ['10de:10f0'] })).toContain('vfio.devices = [ "10de:10f0" ];')
  })

  it('adds items to lists other than devices', () => {
    const given = set.replace('ignoreMSRs = true;', 'users = [ "bob" ];')
    expect(applied(given, { users: ['alice', 'bob'] })).toBe(
      given.replace('[ "bob" ]', '[ "bob" "alice" ]')
    )
    expect(applied(given, { sharedMemoryFiles: [{ name: 'scream' }] })).toContain(
      'scream = { user = "bob"; group = "kvm"; mode = "0660"; };'
    )
  })

  it('keeps the options of a shared memory file except requested options', () => {
    const given = '{ imports = [ ./vfio ]; virtualisation.sharedMemoryFiles.scream.user = "x"; }'
    expect(applied(given, { sharedMemoryFiles: [{ name: 'scream', mode: '0600' }] })).toBe(
      '{ imports = [ ./vfio ]; virtualisation.sharedMemoryFiles.scream.user = "x"; virtualisation.sharedMemoryFiles.scream.group = "kvm"; virtualisation.sharedMemoryFiles.scream.mode = "0600"; virtualisation.vfio = { enable = true; }; }'
    )
  })

  it('changes nothing without settings, and is refused if the import is missing too', () => {
    expect(applied(set, {})).toBe(set)
    expect(refusal(set.replace('[ ./vfio ]', '[ ]'), {})).toBe('NOTHING_CHOSEN')
  })
})

describe('planApply refuses', () => {
  it('files that are not NixOS modules, and files with errors', () => {
    expect(refusal('{ outputs = x: x; }', { ignoreMSRs: true })).toBe('WRONG_KIND')
    expect(refusal('{ a = ; }', { ignoreMSRs: true })).toBe('SYNTAX')
    expect(refusal('{ stdenv }: stdenv.mkDerivation { }', { ignoreMSRs: true })).toBe(
      'NOT_A_MODULE'
    )
    expect(refusal('{ lib, ... }: { config = lib.mkIf true { }; }', { ignoreMSRs: true })).toBe(
      'CONDITIONAL'
    )
  })

  it('a second declaration of an option', () => {
    const configuration = configurationFrom({
      '/etc/nixos/configuration.nix': '{ imports = [ ./x.nix ]; }',
      '/etc/nixos/x.nix': '{ options.virtualisation.vfio.enable = 1; }'
    })
    expect(refusal('', { ignoreMSRs: true }, { configuration })).toBe('DECLARED_ELSEWHERE')
  })
})
