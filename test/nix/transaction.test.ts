import { expect, it } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { type EditOf, edited, nix } from './support.ts'

/** The text after all edits in one transaction. It must equal the text after one transaction per edit. */
function together(text: string, edits: readonly EditOf[]): string {
  const all = edited(text, start => edits.reduce((so, edit) => edit(so), start))
  expect(all).toBe(edits.reduce(edited, text))
  return all
}

it('combines unrelated edits', () => {
  const given = nix`
    { pkgs, ... }:
    {
      imports = [ ./hardware-configuration.nix ];
      boot.kernelParams = [ "quiet" ]; # less to read
      networking.hostName = "pc";
      environment.systemPackages = [ pkgs.vim ];
    }
  `
  const edits: EditOf[] = [
    it => it.setIn('networking.hostName', 'desk'),
    it => it.addIn('boot.kernelParams', ['iommu=pt']),
    it => it.import('./vfio'),
    it => it.removeIn('environment.systemPackages'),
    it => it.setIn('boot.loader.timeout', 3)
  ]
  expect(together(given, edits)).toBe(nix`
    { pkgs, ... }:
    {
      imports = [ ./hardware-configuration.nix ./vfio ];
      boot.kernelParams = [ "quiet" "iommu=pt" ]; # less to read
      boot.loader.timeout = 3;
      networking.hostName = "desk";
    }
  `)
})

it('plans each edit on the result of the previous ones', () => {
  const given = '{\n  a.b = 1;\n}\n'
  const edits: EditOf[] = [
    it => it.addIn('a.c', [1]),
    it => it.addIn('a.c', [2], { at: 'start' }),
    it => it.removeIn('a.b'),
    it => it.setIn('a.d', 4),
    it => it.addIn('a.c', [3], { at: { after: 2 } })
  ]
  expect(together(given, edits)).toBe('{\n  a.c = [ 2 3 1 ];\n  a.d = 4;\n}\n')
})

it('adds new definitions in order, each after its nearest relative', () => {
  const given = nix`
    {
      boot.loader.timeout = 3;

      services.openssh = {
        enable = true;
      };
    }
  `
  const edits: EditOf[] = [
    it => it.setIn('services.openssh.ports', [22]),
    it => it.setIn('boot.kernel.sysctl."vm.swappiness"', 10),
    it => it.setIn('services.openssh.startWhenNeeded', true),
    it => it.setIn('boot.kernel.sysctl."vm.nr_hugepages"', 8),
    it => it.setIn('boot.tmp.useTmpfs', true)
  ]
  expect(together(given, edits)).toBe(nix`
    {
      boot.loader.timeout = 3;
      boot.kernel.sysctl."vm.swappiness" = 10;
      boot.kernel.sysctl."vm.nr_hugepages" = 8;
      boot.tmp.useTmpfs = true;

      services.openssh = {
        enable = true;
        ports = [ 22 ];
        startWhenNeeded = true;
      };
    }
  `)
})

it('adds a definition after a block that an earlier edit added after a one-line set', () => {
  const given = '{\n  virtualisation = { docker.enable = true; };\n}\n'
  const edits: EditOf[] = [
    it => it.setIn('virtualisation.vfio', { enable: true }),
    it => it.setIn('virtualisation.libvirtd.enable', true)
  ]
  expect(together(given, edits)).toBe(nix`
    {
      virtualisation = { docker.enable = true; };
      virtualisation.vfio = { enable = true; };
      virtualisation.libvirtd.enable = true;
    }
  `)
})

it('adds a block to a set that an earlier edit broke into several lines', () => {
  const given = '{\n  virtualisation = { libvirtd = { /* soon */ }; };\n}\n'
  const edits: EditOf[] = [
    it => it.setIn('virtualisation.libvirtd.enable', true),
    it => it.setIn('virtualisation.vfio', { enable: true, devices: ['10de:1b80'] })
  ]
  together(given, edits)
})

it('adds a definition where an earlier edit removed a final system.stateVersion', () => {
  const given = '{\n  a = 1;\n\n  # As it was.\n  system.stateVersion = "26.05";\n}\n'
  const edits: EditOf[] = [
    it => it.removeIn('system.stateVersion'),
    it => it.setIn('virtualisation.vfio', { enable: true })
  ]
  expect(together(given, edits)).toBe(nix`
    {
      a = 1;

      # As it was.

      virtualisation.vfio = {
        enable = true;
      };
    }
  `)
})

it('adds a definition after the comments of a last definition that an earlier edit removed', () => {
  const given = '{\n  users.a = 1;\n  b = 2;\n\n  # c = 3;\n}\n'
  const edits: EditOf[] = [it => it.removeIn('b'), it => it.setIn('users.d', 4)]
  expect(together(given, edits)).toBe('{\n  users.a = 1;\n\n  # c = 3;\n\n  users.d = 4;\n}\n')
})

it('plans no edit if one edit is refused', () => {
  const plan = parseDocument('{\n  a = 1;\n  b.c = 2;\n}\n')
    .edit()
    .setIn('a', 5)
    .setIn('b', { d: 3 })
    .plan()
  expect(plan.ok ? plan.value.text : plan.error.code).toBe('CONFLICT')
})

it('removes neighbors together', () => {
  const given = nix`
    {
      a = 1;

      b.c = 2;
      b.d = 3;

      e = 4;
    }
  `
  const edits: EditOf[] = [it => it.removeIn('b.c'), it => it.removeIn('b.d')]
  expect(together(given, edits)).toBe('{\n  a = 1;\n\n  e = 4;\n}\n')
  const last: EditOf[] = [it => it.removeIn('e'), it => it.removeIn('b')]
  expect(together(given, last)).toBe('{\n  a = 1;\n}\n')
})

it('renames a definition next to definitions that it removes, sets and renames', () => {
  const given = nix`
    {
      services.a.enable = true;
      services.b.enable = true;
      services.c.enable = true;
      services.d = { };
    }
  `
  const edits: EditOf[] = [
    it => it.renameIn('services.a', 'services.x'),
    it => it.renameIn('services.b.enable', 'services.b.on'),
    it => it.removeIn('services.c'),
    it => it.setIn('services.x.enable', false),
    it => it.renameIn('services.d', 'programs.d')
  ]
  expect(together(given, edits)).toBe(nix`
    {
      services.x.enable = false;
      services.b.on = true;
      programs.d = { };
    }
  `)
})

it('plans removals together, and refuses a definition that an earlier edit removed', () => {
  const given = 'rec {\n  a = 1;\n  b = a;\n  c = 2;\n}\n'
  const both: EditOf[] = [it => it.removeIn('b'), it => it.removeIn('a')]
  expect(together(given, both)).toBe('rec {\n  c = 2;\n}\n')
  const wrong = parseDocument(given).edit().removeIn('a').removeIn('b').plan()
  expect(wrong.ok ? '' : wrong.error.code).toBe('CONFLICT')
})

it('reads the module again if `options` is removed', () => {
  const given = '{\n  options.a = 1;\n  b = 2;\n}\n'
  const edits: EditOf[] = [it => it.removeIn('options.a'), it => it.setIn('b', 3)]
  expect(together(given, edits)).toBe('{\n  b = 3;\n}\n')
})

it('shows a refusal in the original text, also after an edit that inserts text before it', () => {
  const refused = parseDocument('{ virtualisation.libvirtd.enable = true; }\n')
    .edit()
    .setIn('virtualisation.libvirtd.enable', { a: 1 })
    .import('./a.nix')
    .setIn('virtualisation.libvirtd', [])
    .plan()
  expect(!refused.ok && refused.error.render()).toMatchInlineSnapshot(`
    "1:3: CONFLICT: virtualisation.libvirtd can't be set as a whole: virtualisation.libvirtd.enable is already defined here
    1 | { virtualisation.libvirtd.enable = true; }
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: set the options below it one by one"
  `)
})
