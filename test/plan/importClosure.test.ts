import { describe, expect, it } from 'vitest'
import { followImports, type ReadModule, walkImports } from '../../src/configuration/imports.ts'
import { stamp } from '../../src/configuration/stamp.ts'

const read =
  (files: Record<string, string>): ReadModule =>
  path => {
    const found = [path, `${path}/default.nix`].find(it => it in files)
    return found === undefined ? undefined : { path: found, text: files[found] ?? '' }
  }
const follow = (text: string, files: Record<string, string>) =>
  followImports({ path: '/etc/nixos/configuration.nix', text }, read(files), [
    ['virtualisation', 'vfio'],
    ['virtualisation', 'kvmfr']
  ])

describe('followImports', () => {
  it('finds the folder of ours by the stamp on its default.nix', () => {
    const files = { '/etc/nixos/modules/gpu/default.nix': stamp('1.0.0', '{ }\n') }
    expect(follow('{ imports = [ ./modules/gpu ]; }', files)).toEqual({
      ours: [{ path: '/etc/nixos/modules/gpu', importer: '/etc/nixos/configuration.nix' }],
      foreign: undefined
    })
  })

  it('finds a declaration of our options elsewhere, through other imports', () => {
    const files = {
      '/etc/nixos/hosts/pc.nix': '{ imports = [ ../lib/vfio.nix ]; }',
      '/etc/nixos/lib/vfio.nix':
        '{ lib, ... }: with lib; { options.virtualisation.vfio = { enable = mkEnableOption "x"; }; config = { }; }'
    }
    expect(follow('{ imports = [ ./hosts/pc.nix ]; }', files).foreign).toEqual({
      path: '/etc/nixos/lib/vfio.nix',
      importer: './hosts/pc.nix',
      option: 'virtualisation.vfio'
    })
  })

  it('takes the use of an option for no declaration, and follows loops once', () => {
    const files = {
      '/etc/nixos/a.nix': '{ imports = [ ./b.nix ]; virtualisation.vfio.enable = true; }',
      '/etc/nixos/b.nix': '{ imports = [ ./a.nix ./missing.nix ]; }'
    }
    expect(follow('{ imports = [ ./a.nix <nixpkgs/x> ]; }', files)).toEqual({
      ours: [],
      foreign: undefined
    })
  })
})

describe('walkImports', () => {
  it('names the imports that it did not follow, but for modules of NixOS itself', () => {
    const text = `{ inputs, lib, modulesPath, ... }: {
      imports = [
        ./here.nix
        ./gone.nix
        <nixos-hardware/lenovo>
        <nixpkgs/nixos/modules/installer/scan/not-detected.nix>
        (modulesPath + "/installer/scan/not-detected.nix")
        "\${modulesPath}/profiles/qemu-guest.nix"
        inputs.home-manager.nixosModules.default
      ];
    }`
    const files = {
      '/etc/nixos/here.nix': '{ imports = import ./list.nix; }'
    }
    const { unread } = walkImports({ path: '/etc/nixos/configuration.nix', text }, read(files))
    expect(unread.map(it => [it.importer, it.spelling, it.path])).toEqual([
      ['/etc/nixos/configuration.nix', '<nixos-hardware/lenovo>', undefined],
      ['/etc/nixos/configuration.nix', 'inputs.home-manager.nixosModules.default', undefined],
      ['/etc/nixos/configuration.nix', './gone.nix', '/etc/nixos/gone.nix'],
      ['/etc/nixos/here.nix', 'import ./list.nix', undefined]
    ])
  })
})
