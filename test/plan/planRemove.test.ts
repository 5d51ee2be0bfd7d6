import { describe, expect, it } from 'vitest'
import { sourceFile } from '../../src/configuration/files.ts'
import { exclusiveOptions, shippedModules } from '../../src/configuration/modules.ts'
import { stamp } from '../../src/configuration/stamp.ts'
import { applyEdits, formatPath } from '../../src/nix/index.ts'
import type { RemoveProblem } from '../../src/plan/problem.ts'
import { planRemove, type RemoveInput } from '../../src/plan/remove.ts'
import { nix } from '../nix/support.ts'
import { configurationFrom, listingOf } from '../support/configuration.ts'

const PATH = '/etc/nixos/configuration.nix'
const shipped = shippedModules('1.0.0')
const { exclusive } = shipped

/** The plan for a configuration that imports ./vfio and other modules. */
function plan(text: string, more: Partial<RemoveInput> = {}, others: Record<string, string> = {}) {
  const files = Object.entries(others).map(([path, it]) => sourceFile(path, it))
  const configuration = {
    ...configurationFrom({ [PATH]: text }),
    installed: [
      {
        ...{ importer: PATH, spelling: './vfio', path: '/etc/nixos/vfio/default.nix' },
        isConditional: false
      }
    ]
  }
  return planRemove({
    configuration: {
      ...configuration,
      files: [configuration.target, ...files.map(it => ({ ...it, importedAs: './x.nix' }))]
    },
    defaultFolder: '/etc/nixos/vfio',
    folders: new Map([['/etc/nixos/vfio', listingOf(shipped.texts)]]),
    exclusive,
    others: [],
    ...more
  })
}

/** The configuration after the removal. */
function removed(text: string, more: Partial<RemoveInput> = {}): string {
  const result = plan(text, more)
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  const { configuration } = result.value
  expect(applyEdits(text, configuration.edits)).toBe(configuration.text)
  expect(applyEdits(configuration.text, configuration.inverse)).toBe(text)
  return configuration.text
}

/** The code of the refusal, with the text at each place. */
function refusal(
  text: string,
  more: Partial<RemoveInput> = {},
  others: Record<string, string> = {}
): string[] {
  const result = plan(text, more, others)
  if (result.ok) return ['not refused', result.value.configuration.text]
  return wordsOf(result.error)
}

function wordsOf(error: RemoveProblem): string[] {
  if (error.code === 'NIX') return [error.error.code, error.path]
  if (!('uses' in error)) return [error.code]
  const places = error.uses.map(it => `${it.path}: ${it.text.slice(it.range.start, it.range.end)}`)
  return [error.code, ...places]
}

describe('the options that only the shipped modules declare', () => {
  it('the exclusive options are read from the shipped modules', () => {
    expect(exclusive.map(formatPath)).toEqual([
      'virtualisation.vfio',
      'virtualisation.libvirtd.deviceACL',
      'virtualisation.libvirtd.clearEmulationCapabilities',
      'virtualisation.sharedMemoryFiles',
      'virtualisation.hugepages',
      'virtualisation.kvmfr'
    ])
  })

  it('an exclusive option is a whole set unless the modules define an undeclared option in it', () => {
    const module = nix`
      { lib, ... }:
      {
        options.a = { b.c = lib.mkOption { }; b.d = lib.mkOption { }; e.f = lib.mkOption { }; };
        config = lib.mkIf true { a.b.g = 1; a.e.f = 2; };
      }
    `
    expect(exclusiveOptions([sourceFile('a.nix', module)]).map(formatPath)).toEqual([
      'a.b.c',
      'a.b.d',
      'a.e'
    ])
  })
})

describe('a configuration that is set up', () => {
  const given = nix`
    { pkgs, ... }:
    {
      imports = [
        ./hardware-configuration.nix
        ./vfio
      ];

      virtualisation.vfio = {
        enable = true;
        devices = [
          "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
        ];
      };

      # for the virtual machines
      virtualisation.libvirtd = {
        enable = true;
        deviceACL = [ "/dev/kvmfr0" ];
        onBoot = "ignore";
      };

      virtualisation.sharedMemoryFiles = {
        scream = { user = "alice"; group = "kvm"; mode = "0660"; };
      };

      users.users.alice.extraGroups = [ "libvirtd" ];
    }
  `

  it('remove removes the import and the options, and keeps options of NixOS', () => {
    expect(removed(given)).toBe(nix`
      { pkgs, ... }:
      {
        imports = [
          ./hardware-configuration.nix
        ];

        # for the virtual machines
        virtualisation.libvirtd = {
          enable = true;
          onBoot = "ignore";
        };

        users.users.alice.extraGroups = [ "libvirtd" ];
      }
    `)
  })

  it('remove writes the configuration before it deletes the modules, default.nix first', () => {
    const result = plan(given)
    const files = result.ok ? result.value.files : []
    expect(files.map(({ path, after, emptied }) => [path, after === undefined, emptied])).toEqual([
      [PATH, false, undefined],
      ['/etc/nixos/vfio/default.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/vfio.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/binding.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/checks.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/guests.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/guestService.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/hooks.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/libvirt.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/virtualisation.nix', true, '/etc/nixos/vfio'],
      ['/etc/nixos/vfio/_lib/defineGuests.nix', true, '/etc/nixos/vfio/_lib'],
      ['/etc/nixos/vfio/_lib/domain.nix', true, '/etc/nixos/vfio/_lib'],
      ['/etc/nixos/vfio/_lib/domainTables.nix', true, '/etc/nixos/vfio/_lib']
    ])
  })

  it('remove keeps options that another module declares', () => {
    const other =
      '{ lib, ... }: { options.virtualisation.hugepages.enable = lib.mkEnableOption "x"; }'
    const text = '{ imports = [ ./x.nix ./vfio ]; virtualisation.hugepages.enable = true; }'
    const result = plan(text, {}, { '/etc/nixos/x.nix': other })
    expect(result.ok && result.value.configuration.text).toBe(
      '{ imports = [ ./x.nix ]; virtualisation.hugepages.enable = true; }'
    )
  })
})

describe('installed modules', () => {
  const text = '{ imports = [ ./vfio ]; }\n'
  const edited = `${shipped.texts.get('vfio.nix')}# mine\n`
  const folderWith = (more: Record<string, string | null>) => ({
    folders: new Map([
      ['/etc/nixos/vfio', listingOf(new Map([...shipped.texts, ...Object.entries(more)]))]
    ])
  })

  it('remove saves edited modules under another name', () => {
    const taken = { 'vfio.nix': edited, 'vfio.nix.edited': stamp('0.9.0', '{ }\n') }
    const result = plan(text, folderWith(taken))
    if (!result.ok) throw new Error(result.error.code)
    expect(result.value.files[0]).toEqual({
      path: '/etc/nixos/vfio/vfio.nix.edited.2',
      before: undefined,
      after: edited,
      ownershipFrom: '/etc/nixos/vfio/vfio.nix'
    })
    expect(result.value.kept).toEqual([
      { path: '/etc/nixos/vfio/vfio.nix', as: '/etc/nixos/vfio/vfio.nix.edited.2' }
    ])
    expect(result.value.files.filter(it => it.after === undefined).length).toBe(12)
  })

  it('remove deletes the modules and keeps other files in their folder', () => {
    const result = plan(text, folderWith({ 'mine.nix': '{ }\n', guests: null }))
    if (!result.ok) throw new Error(result.error.code)
    expect(result.value.otherFiles).toEqual(['/etc/nixos/vfio/mine.nix', '/etc/nixos/vfio/guests'])
    expect(result.value.files.map(it => it.path)).not.toContain('/etc/nixos/vfio/mine.nix')
  })

  it('remove keeps modules that another file of the repository imports', () => {
    const others = [
      sourceFile(
        '/etc/nixos/hosts/laptop.nix',
        '{ imports = [ ../vfio ]; virtualisation.vfio.enable = true; }'
      )
    ]
    const result = plan(text, { others })
    expect(result.ok && [result.value.files.map(it => it.path), result.value.keptFolders]).toEqual([
      [PATH],
      [{ folder: '/etc/nixos/vfio', importer: '/etc/nixos/hosts/laptop.nix' }]
    ])
  })
})

describe('without anything to remove', () => {
  const nothing = { folders: new Map([['/etc/nixos/vfio', 'absent' as const]]) }
  const of = (text: string) =>
    plan(text, { ...nothing, configuration: configurationFrom({ [PATH]: text }) })

  it('remove plans nothing, even if options have the same names', () => {
    for (const text of [
      '{ boot.loader.timeout = 1; }',
      '{ imports = [ ./other.nix ]; virtualisation.vfio.enable = true; }'
    ]) {
      const result = of(text)
      expect(result.ok && result.value.files).toEqual([])
    }
  })

  it('remove refuses files that are not modules', () => {
    const code = (text: string) => {
      const result = of(text)
      return result.ok ? 'not refused' : wordsOf(result.error)[0]
    }
    expect(code('{ outputs = x: x; }')).toBe('WRONG_KIND')
    expect(code('{ a = ; }')).toBe('SYNTAX')
    expect(code('{ stdenv }: stdenv.mkDerivation { }')).toBe('NOT_A_MODULE')
  })
})

describe('removal from a configuration that still needs the modules', () => {
  const reading = (it: string) => `{ config, lib, ... }: { imports = [ ./vfio ]; ${it} }`

  it.each([
    ['x = config.virtualisation.vfio.users;', 'config.virtualisation.vfio.users'],
    [
      'x = config.virtualisation."vfio".users or config.virtualisation.kvmfr;',
      'config.virtualisation.kvmfr'
    ],
    ['x = (config.virtualisation.vfio or { }).users;', '(config.virtualisation.vfio or { }).users'],
    ['x = let c = config.virtualisation; in c.docker || c.vfio.enable;', 'c.vfio.enable'],
    ['x = let cfg = config.virtualisation.vfio; in f cfg;', 'cfg'],
    ['x = let inherit (config.virtualisation) vfio; in vfio.enable;', 'vfio'],
    ['inherit (config.virtualisation) vfio;', 'vfio'],
    ['x = with config.virtualisation; vfio.enable;', 'vfio'],
    ['x = lib.getAttrFromPath [ "virtualisation" "vfio" ] config;', '[ "virtualisation" "vfio" ]'],
    ['x = import ./vfio/vfio.nix;', './vfio/vfio.nix'],
    ['disabledModules = [ "/etc/nixos/vfio" ];', '"/etc/nixos/vfio"']
  ])('is refused: %s', (code, place) => {
    expect(refusal(reading(code))).toEqual(['STILL_USED', `${PATH}: ${place}`])
  })

  it.each([
    'x = config.virtualisation.vfio.enable or false;',
    'x = config.virtualisation ? vfio;',
    'x = let cfg = config.virtualisation.vfio; in 1;',
    'x = lib.attrByPath [ "virtualisation" "vfio" "enable" ] false config;',
    'x = config.virtualisation.libvirtd.enable; /* config.virtualisation.vfio.enable */',
    'x = "config.virtualisation.vfio.enable";',
    'virtualisation.vfio.users = config.virtualisation.vfio.devices;'
  ])('remove accepts a text that works without the modules: %s', code => {
    expect(refusal(reading(code))[0]).toBe('not refused')
  })

  it('remove is refused if an imported file needs the modules', () => {
    const other = '{ config, ... }: { x = config.virtualisation.vfio.enable; }'
    expect(refusal('{ imports = [ ./vfio ./x.nix ]; }', {}, { '/etc/nixos/x.nix': other })).toEqual(
      ['STILL_USED', '/etc/nixos/x.nix: config.virtualisation.vfio.enable']
    )
  })

  it('remove is refused if another file of the repository sets their options', () => {
    const text = '{ virtualisation.vfio.enable = true; }'
    const others = [sourceFile('/etc/nixos/gpu.nix', text)]
    expect(refusal('{ imports = [ ./vfio ]; }', { others })).toEqual([
      'USED_ELSEWHERE',
      '/etc/nixos/gpu.nix: virtualisation.vfio.enable = true;'
    ])
  })

  it('remove accepts a file of the repository that declares the options itself', () => {
    const text = nix`
      { config, lib, ... }:
      {
        options.virtualisation.vfio.enable = lib.mkOption { };
        config.boot.kernelModules = lib.mkIf config.virtualisation.vfio.enable [ "vfio" ];
      }
    `
    const others = [sourceFile('/etc/nixos/old/vfio.nix', text)]
    expect(removed('{ imports = [ ./vfio ]; }', { others })).toBe('{ }')
  })

  it('remove removes the name of an inherited option', () => {
    const inherited =
      'let vfio = { enable = true; }; in { imports = [ ./vfio ]; virtualisation = { inherit vfio; }; }'
    expect(removed(inherited)).toBe('let vfio = { enable = true; }; in { virtualisation = { }; }')
  })

  it('remove is refused if a file cannot be edited', () => {
    const broken = { '/etc/nixos/x.nix': '{ virtualisation.vfio = ; }' }
    expect(refusal('{ imports = [ ./vfio ./x.nix ]; }', {}, broken)).toEqual([
      'SYNTAX',
      '/etc/nixos/x.nix'
    ])
    const unrelated = { '/etc/nixos/x.nix': '{ a = ; }' }
    expect(refusal('{ imports = [ ./vfio ./x.nix ]; }', {}, unrelated)[0]).toBe('not refused')
  })
})
