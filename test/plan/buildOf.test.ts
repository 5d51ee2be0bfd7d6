// Finds the system that has to be built so that a change to a file takes effect.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Build, buildOf } from '../../src/configuration/build.ts'
import { openFiles } from '../../src/configuration/files.ts'

const tops: string[] = []
afterAll(() => {
  for (const it of tops) rmSync(it, { recursive: true, force: true })
})

/** A folder with these files. A text that starts with `-> ` makes a symlink. */
function folder(files: Record<string, string>): string {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-build-')))
  tops.push(top)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, name)), { recursive: true })
    if (text.startsWith('-> ')) symlinkSync(text.slice(3), join(top, name))
    else writeFileSync(join(top, name), text)
  }
  return top
}

/** The build of a file, with paths relative to the folder. */
function build(
  files: Record<string, string>,
  name: string,
  { root = false, config }: { root?: boolean; config?: string } = {}
): Build {
  const top = folder(files)
  const env = config === undefined ? {} : { NIXOS_CONFIG: join(top, config) }
  const found = buildOf(join(top, name), openFiles(root ? top : '/'), env)
  return JSON.parse(JSON.stringify(found).replaceAll(top, '')) as Build
}

const MODULE = '{ boot.loader.timeout = 1; }\n'
const SYSTEM = '{ system.stateVersion = "26.05"; }\n'

describe('without a flake', () => {
  it('builds the default system for /etc/nixos/configuration.nix and its imports', () => {
    const files = {
      'etc/nixos/configuration.nix': '{ imports = [ ./gpu ]; }',
      'etc/nixos/gpu/default.nix': '{ imports = [ ./vfio.nix ]; }',
      'etc/nixos/gpu/vfio.nix': MODULE
    }
    for (const name of Object.keys(files)) {
      expect(build(files, name, { root: true })).toEqual({ kind: 'default' })
    }
  })

  it('follows a symlink at /etc/nixos/configuration.nix', () => {
    const files = {
      'etc/nixos/configuration.nix': '-> ../../home/alice/nixos/pc.nix',
      'home/alice/nixos/pc.nix': MODULE
    }
    expect(build(files, 'home/alice/nixos/pc.nix', { root: true })).toEqual({ kind: 'default' })
  })

  it('recognizes a configuration elsewhere by its name or by system.stateVersion', () => {
    expect(build({ 'a/configuration.nix': MODULE }, 'a/configuration.nix')).toEqual({
      kind: 'file',
      path: '/a/configuration.nix'
    })
    expect(build({ 'a/pc.nix': SYSTEM }, 'a/pc.nix')).toEqual({ kind: 'file', path: '/a/pc.nix' })
  })

  it('builds $NIXOS_CONFIG for that file and its imports', () => {
    const files = { 'a/pc.nix': '{ imports = [ ./vfio.nix ]; }', 'a/vfio.nix': MODULE }
    for (const name of Object.keys(files)) {
      expect(build(files, name, { config: 'a/pc.nix' })).toEqual({
        kind: 'file',
        path: '/a/pc.nix'
      })
    }
  })

  it('returns no system for a module that nothing imports', () => {
    expect(build({ 'a/vfio.nix': MODULE }, 'a/vfio.nix')).toEqual({
      kind: 'part',
      path: '/a/vfio.nix'
    })
  })

  it('ignores flakes without NixOS systems and flakes outside the repository', () => {
    const shell = '{ outputs = { nixpkgs, ... }: { devShells = { }; }; }'
    const files = { 'a/flake.nix': shell, 'a/configuration.nix': MODULE }
    expect(build(files, 'a/configuration.nix').kind).toBe('file')
    const outer = {
      'flake.nix': '{ outputs = _: { nixosConfigurations.pc = 1; }; }',
      'a/.git/HEAD': '',
      'a/configuration.nix': MODULE
    }
    expect(build(outer, 'a/configuration.nix').kind).toBe('file')
  })
})

describe('in a flake', () => {
  const flake = (outputs: string) => `{ outputs = { nixpkgs, ... }@inputs: { ${outputs} }; }`
  const host = (outputs: string, files: Record<string, string>, name: string) => {
    const found = build({ 'f/flake.nix': flake(outputs), ...files }, name)
    return found.kind === 'flake' ? [found.folder, found.host, found.hosts] : found
  }
  const two = (a: string, b: string) => `nixosConfigurations = {
    laptop = nixpkgs.lib.nixosSystem { modules = [ ${a} ]; };
    desktop = nixpkgs.lib.nixosSystem { modules = [ ${b} ]; };
  };`
  const pc = { 'f/configuration.nix': MODULE }

  it.each([
    ['a path', 'nixosConfigurations.pc = nixpkgs.lib.nixosSystem { };'],
    ['a quoted name', 'nixosConfigurations."pc" = nixpkgs.lib.nixosSystem { };'],
    ['a set', 'nixosConfigurations = { pc = nixpkgs.lib.nixosSystem { }; };'],
    ['a flake of flake-parts', 'flake.nixosConfigurations.pc = 1;']
  ])('finds the only system of a flake: %s', (_, outputs) => {
    expect(host(outputs, pc, 'f/configuration.nix')).toEqual(['/f', 'pc', ['pc']])
  })

  it('builds the system that lists the file or a module that imports it', () => {
    const files = {
      'f/laptop.nix': '{ imports = [ ./gpu ]; }',
      'f/gpu/default.nix': MODULE,
      'f/desktop/default.nix': MODULE
    }
    const outputs = two('./laptop.nix', './desktop inputs.x.nixosModules.y')
    const hosts = ['laptop', 'desktop']
    expect(host(outputs, files, 'f/laptop.nix')).toEqual(['/f', 'laptop', hosts])
    expect(host(outputs, files, 'f/gpu/default.nix')).toEqual(['/f', 'laptop', hosts])
    expect(host(outputs, files, 'f/desktop/default.nix')).toEqual(['/f', 'desktop', hosts])
  })

  it('chooses by networking.hostName if several systems use the file', () => {
    const outputs = two('./configuration.nix', './configuration.nix')
    const named = { 'f/configuration.nix': '{ networking.hostName = "desktop"; }' }
    const hosts = ['laptop', 'desktop']
    expect(host(outputs, named, 'f/configuration.nix')).toEqual(['/f', 'desktop', hosts])
    expect(host(outputs, pc, 'f/configuration.nix')).toEqual(['/f', undefined, hosts])
    const other = { 'f/configuration.nix': '{ networking.hostName = "server"; }' }
    expect(host(outputs, other, 'f/configuration.nix')).toEqual(['/f', undefined, hosts])
  })

  it('returns no system if the names of the systems are computed', () => {
    const outputs = 'nixosConfigurations = nixpkgs.lib.genAttrs [ "pc" ] (name: { });'
    expect(host(outputs, pc, 'f/configuration.nix')).toEqual(['/f', undefined, []])
    const more = 'nixosConfigurations.pc = 1; nixosConfigurations.${x} = 2;'
    expect(host(more, pc, 'f/configuration.nix')).toEqual(['/f', undefined, ['pc']])
  })

  it('uses the flake in /etc/nixos even if it has no known systems', () => {
    const files = { 'etc/nixos/flake.nix': '{ }', 'etc/nixos/configuration.nix': MODULE }
    expect(build(files, 'etc/nixos/configuration.nix', { root: true })).toEqual({
      kind: 'flake',
      folder: '/etc/nixos',
      hosts: []
    })
  })
})
