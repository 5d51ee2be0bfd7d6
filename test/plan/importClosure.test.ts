import { describe, expect, it } from 'vitest'
import { stamp } from '../../src/configuration/stamp.ts'
import { configurationFrom } from '../support/configuration.ts'

const TARGET = '/etc/nixos/configuration.nix'
const load = (text: string, files: Record<string, string>) =>
  configurationFrom({ [TARGET]: text, ...files })

describe('loadConfiguration', () => {
  it('finds the folder of installed modules by the stamp of its default.nix', () => {
    const files = { '/etc/nixos/modules/gpu/default.nix': stamp('1.0.0', '{ }\n') }
    expect(load('{ imports = [ ./modules/gpu ]; }', files)).toMatchObject({
      installedFolders: [{ path: '/etc/nixos/modules/gpu', importer: TARGET }],
      foreignDeclaration: undefined
    })
  })

  it('finds declarations of the options in indirect imports', () => {
    const files = {
      '/etc/nixos/hosts/pc.nix': '{ imports = [ ../lib/vfio.nix ]; }',
      '/etc/nixos/lib/vfio.nix':
        '{ lib, ... }: with lib; { options.virtualisation.vfio = { enable = mkEnableOption "x"; }; config = { }; }'
    }
    expect(load('{ imports = [ ./hosts/pc.nix ]; }', files).foreignDeclaration).toEqual({
      path: '/etc/nixos/lib/vfio.nix',
      importedAs: './hosts/pc.nix',
      option: 'virtualisation.vfio'
    })
  })

  it('does not mistake definitions for declarations, and follows import loops once', () => {
    const files = {
      '/etc/nixos/a.nix': '{ imports = [ ./b.nix ]; virtualisation.vfio.enable = true; }',
      '/etc/nixos/b.nix': '{ imports = [ ./a.nix ./missing.nix ]; }'
    }
    const { files: found, ...rest } = load('{ imports = [ ./a.nix <nixpkgs/x> ]; }', files)
    expect(rest).toMatchObject({ installedFolders: [], foreignDeclaration: undefined })
    expect(found.map(it => it.path)).toEqual([TARGET, ...Object.keys(files)])
  })
})

describe('walkImports', () => {
  it('lists the imports that it did not follow, except those of NixOS modules', () => {
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
    const { unread } = load(text, files)
    expect(unread.map(it => [it.importer, it.spelling, it.path])).toEqual([
      ['/etc/nixos/configuration.nix', '<nixos-hardware/lenovo>', undefined],
      ['/etc/nixos/configuration.nix', 'inputs.home-manager.nixosModules.default', undefined],
      ['/etc/nixos/configuration.nix', './gone.nix', '/etc/nixos/gone.nix'],
      ['/etc/nixos/here.nix', 'import ./list.nix', undefined]
    ])
  })
})
