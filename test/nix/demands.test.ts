// What a tool that reads and sets options of a configuration needs from the toolkit.

import { describe, expect, it } from 'vitest'
import { expr, formatPath, parseDocument } from '../../src/nix/index.ts'
import { edited, nix, refusalOf } from './support.ts'

/** A configuration that combines common styles. */
const pc = nix`
  # My machine.
  { config, pkgs, ... }:

  {
    imports = [
      ./hardware-configuration.nix
    ];

    boot.loader.systemd-boot.enable = true;
    boot.loader.efi.canTouchEfiVariables = true; # asked for by the installer

    networking = {
      hostName = "pc"; # the old one was "laptop"
      firewall = {
        enable = true;
        allowedTCPPorts = [ 22 80 443 ];
      };
      "extra.hosts" = "none";
    };

    users.users."ann.b" = {
      isNormalUser = true;
      extraGroups = [ "wheel" "video" ];
    };

    environment.systemPackages = with pkgs; [
      vim
      (python3.withPackages (it: [ it.requests ]))
      git # for the configuration
    ];

    system.stateVersion = "26.05";
  }
`

/** The source of an option's value; undefined if it is not set. */
function read(text: string, path: string | string[]): string | undefined {
  return parseDocument(text).getIn(path)[0]?.source
}

/** The sources of all values below a path, by the rest of the path. */
function readSet(text: string, path: string): Record<string, string> {
  const doc = parseDocument(text)
  const depth = path.split('.').length
  return Object.fromEntries(
    doc
      .getBelow(path)
      .map(it => [it.path.slice(depth).map(name => name ?? '${…}'), it.source] as const)
      .map(([names, source]) => [formatPath(names), source])
  )
}

/** The paths of all options that a file sets. */
function pathsOf(text: string): string[] {
  const leaves = parseDocument(text).leaves()
  return leaves.map(it => formatPath(it.path.map(name => name ?? '${…}')))
}

/** The text with one piece replaced, which must occur once. */
function withPiece(text: string, piece: string, by: string): string {
  expect(text.split(piece)).toHaveLength(2)
  return text.replace(piece, () => by)
}

describe('reading an option', () => {
  it('reads a dotted option', () => {
    expect(read(pc, 'boot.loader.systemd-boot.enable')).toBe('true')
    expect(read(pc, 'system.stateVersion')).toBe('"26.05"')
  })

  it('reads a nested option', () => {
    expect(read(pc, 'networking.hostName')).toBe('"pc"')
    expect(read(pc, 'networking.firewall.allowedTCPPorts')).toBe('[ 22 80 443 ]')
  })

  it('reads an option that is nested in dotted names and sets', () => {
    const given = '{ a.b = { c.d = { e = { f.g = 1; }; }; }; }'
    expect(read(given, 'a.b.c.d.e.f.g')).toBe('1')
  })

  it('returns undefined for an option that is not set', () => {
    expect(read(pc, 'networking.domain')).toBeUndefined()
    expect(read(pc, 'networking.hostName.x')).toBeUndefined()
  })

  it('finds an option by quoted names, however they are quoted', () => {
    expect(read(pc, 'networking."extra.hosts"')).toBe('"none"')
    expect(read(pc, ['networking', 'extra.hosts'])).toBe('"none"')
    expect(read(pc, '"networking"."hostName"')).toBe('"pc"')
    expect(read(pc, 'networking.extra.hosts')).toBeUndefined()
    expect(read(pc, 'users.users."ann.b".isNormalUser')).toBe('true')
  })

  it('reads an option whose value is a set', () => {
    expect(read(pc, 'networking.firewall')).toBe(
      '{\n      enable = true;\n      allowedTCPPorts = [ 22 80 443 ];\n    }'
    )
  })

  it('reads the items of a list, also under with', () => {
    const doc = parseDocument(pc)
    expect(doc.itemsIn('networking.firewall.allowedTCPPorts')).toEqual([22, 80, 443])
    expect(doc.itemsIn('users.users."ann.b".extraGroups')).toEqual(['wheel', 'video'])
    expect(doc.itemsIn('environment.systemPackages')).toEqual([
      expr('vim'),
      expr('python3.withPackages (it: [ it.requests ])'),
      expr('git')
    ])
  })

  it('reads a list with comments inside another expression', () => {
    expect(read(pc, 'environment.systemPackages')).toBe(
      nix`
        with pkgs; [
            vim
            (python3.withPackages (it: [ it.requests ]))
            git # for the configuration
          ]
      `.trimEnd()
    )
  })

  it('reads an option that the module sets below config', () => {
    expect(read('{ options.a = 1; config = { b.c = 2; }; }', 'b.c')).toBe('2')
  })
})

describe('reading all options below a path', () => {
  it('returns one set for options in several places', () => {
    const given = nix`
      {
        networking.firewall.enable = true;
        networking = {
          firewall.allowedTCPPorts = [ 22 ];
          firewall."my rules".log = true;
        };
      }
    `
    expect(readSet(given, 'networking.firewall')).toEqual({
      enable: 'true',
      allowedTCPPorts: '[ 22 ]',
      '"my rules".log': 'true'
    })
  })

  it('returns names that need quotes', () => {
    expect(readSet(pc, 'users.users')).toEqual({
      '"ann.b"': '{\n    isNormalUser = true;\n    extraGroups = [ "wheel" "video" ];\n  }'
    })
  })

  it('returns an empty set for a path without options', () => {
    expect(readSet(pc, 'hardware')).toEqual({})
    expect(readSet(pc, 'networking.hostName')).toEqual({})
  })
})

describe('changing an option that is set', () => {
  it('changes a dotted option and keeps the comment after it', () => {
    expect(edited(pc, it => it.setIn('boot.loader.efi.canTouchEfiVariables', false))).toBe(
      withPiece(pc, 'canTouchEfiVariables = true', 'canTouchEfiVariables = false')
    )
  })

  it('changes a nested option and keeps the comment after it', () => {
    expect(edited(pc, it => it.setIn('networking.hostName', 'tower'))).toBe(
      withPiece(pc, 'hostName = "pc"', 'hostName = "tower"')
    )
  })

  it('changes an option with a quoted name', () => {
    expect(edited(pc, it => it.setIn(['networking', 'extra.hosts'], 'some'))).toBe(
      withPiece(pc, '"extra.hosts" = "none"', '"extra.hosts" = "some"')
    )
  })

  it('replaces a value with a value of another kind, or with an expression', () => {
    expect(
      edited('{ config, ... }: { a = 1; b = "x"; }', it =>
        it.setIn('a', [true, null]).setIn('b', expr('config.networking.hostName'))
      )
    ).toBe('{ config, ... }: { a = [ true null ]; b = config.networking.hostName; }')
  })

  it('replaces a whole list', () => {
    expect(edited(pc, it => it.setIn('networking.firewall.allowedTCPPorts', [22]))).toBe(
      withPiece(pc, '[ 22 80 443 ]', '[ 22 ]')
    )
  })

  it('changes an option in either of two parts of a set', () => {
    const given = nix`
      {
        services.openssh = { enable = false; };
        services.openssh.ports = [ 22 ];
      }
    `
    expect(
      edited(given, it =>
        it.setIn('services.openssh.enable', true).setIn('services.openssh.ports', [2222])
      )
    ).toBe(nix`
      {
        services.openssh = { enable = true; };
        services.openssh.ports = [ 2222 ];
      }
    `)
    expect(refusalOf(given, it => it.setIn('services.openssh', {}))).toBe('CONFLICT')
  })

  it('refuses an option with two definitions that Nix would merge', () => {
    const given = '{ lib, ... }: { config = lib.mkMerge [ { a = 1; } { a = 2; } ]; }'
    expect(refusalOf(given, it => it.setIn('a', 3))).toBe('AMBIGUOUS_TARGET')
    const [, second] = parseDocument(given).getIn('a')
    if (!second) throw new Error('the second definition is not found')
    const plan = parseDocument(given).edit().setIn(second, 3).plan()
    expect(plan.ok && plan.value.text).toBe(given.replace('a = 2', 'a = 3'))
  })
})

describe('adding an option that is not set', () => {
  it('adds an option next to dotted relatives', () => {
    expect(edited(pc, it => it.setIn('boot.loader.timeout', 3))).toBe(
      withPiece(
        pc,
        'canTouchEfiVariables = true; # asked for by the installer\n',
        'canTouchEfiVariables = true; # asked for by the installer\n  boot.loader.timeout = 3;\n'
      )
    )
  })

  it('adds an option inside the set of its nested relatives', () => {
    expect(edited(pc, it => it.setIn('networking.firewall.allowPing', false))).toBe(
      withPiece(
        pc,
        '      allowedTCPPorts = [ 22 80 443 ];\n',
        '      allowedTCPPorts = [ 22 80 443 ];\n      allowPing = false;\n'
      )
    )
  })

  it('adds an option without relatives before the final system.stateVersion', () => {
    expect(edited(pc, it => it.setIn('time.timeZone', 'Europe/Berlin'))).toBe(
      withPiece(
        pc,
        '  system.stateVersion',
        '  time.timeZone = "Europe/Berlin";\n\n  system.stateVersion'
      )
    )
  })

  it('adds an option to a file that sets nothing yet', () => {
    expect(edited('{ ... }:\n{\n}\n', it => it.setIn('users.users."c.d".uid', 1001))).toBe(
      '{ ... }:\n{\n  users.users."c.d".uid = 1001;\n}\n'
    )
  })

  it('adds an option whose value is a set', () => {
    expect(
      edited('{\n  a = 1;\n}\n', it => it.setIn('services.x', { enable: true, 'a b': [] }))
    ).toBe(nix`
      {
        a = 1;

        services.x = {
          enable = true;
          "a b" = [ ];
        };
      }
    `)
  })
})

describe('changing a list', () => {
  it('adds an item at the end and keeps the comments of the others', () => {
    expect(edited(pc, it => it.addIn('environment.systemPackages', [expr('htop')]))).toBe(
      withPiece(
        pc,
        '    git # for the configuration\n',
        '    git # for the configuration\n    htop\n'
      )
    )
  })

  it('adds an item on the same line', () => {
    expect(edited(pc, it => it.addIn('users.users."ann.b".extraGroups', ['libvirtd']))).toBe(
      withPiece(pc, '[ "wheel" "video" ]', '[ "wheel" "video" "libvirtd" ]')
    )
  })

  it('adds a list that is missing', () => {
    expect(edited(pc, it => it.addIn('networking.firewall.allowedUDPPorts', [53]))).toBe(
      withPiece(
        pc,
        '      allowedTCPPorts = [ 22 80 443 ];\n',
        '      allowedTCPPorts = [ 22 80 443 ];\n      allowedUDPPorts = [ 53 ];\n'
      )
    )
  })

  it('does not add an item twice', () => {
    expect(edited(pc, it => it.addIn('networking.firewall.allowedTCPPorts', [443, 80]))).toBe(pc)
  })

  it('removes an item in the middle', () => {
    expect(edited(pc, it => it.removeIn('networking.firewall.allowedTCPPorts', [80]))).toBe(
      withPiece(pc, '[ 22 80 443 ]', '[ 22 443 ]')
    )
    expect(
      edited(pc, it =>
        it.removeIn('environment.systemPackages', [
          expr('(python3.withPackages (it: [ it.requests ]))')
        ])
      )
    ).toBe(withPiece(pc, '    (python3.withPackages (it: [ it.requests ]))\n', ''))
  })

  it('removes the first and the last item with the comments after them', () => {
    expect(
      edited(pc, it => it.removeIn('environment.systemPackages', [expr('vim'), expr('git')]))
    ).toBe(withPiece(withPiece(pc, '    vim\n', ''), '    git # for the configuration\n', ''))
  })

  it('keeps an empty list if all items are removed', () => {
    expect(
      edited(pc, it => it.removeIn('users.users."ann.b".extraGroups', ['video', 'wheel']))
    ).toBe(withPiece(pc, '[ "wheel" "video" ]', '[ ]'))
  })
})

describe('removing an option', () => {
  it('removes a dotted option with the comment on its line', () => {
    expect(edited(pc, it => it.removeIn('boot.loader.efi.canTouchEfiVariables'))).toBe(
      withPiece(
        pc,
        '  boot.loader.efi.canTouchEfiVariables = true; # asked for by the installer\n',
        ''
      )
    )
  })

  it('removes a nested option', () => {
    expect(edited(pc, it => it.removeIn('networking.firewall.enable'))).toBe(
      withPiece(pc, '      enable = true;\n', '')
    )
  })

  it('removes an option with everything below it', () => {
    const given = nix`
      {
        a = 1;
        boot.loader.timeout = 3;
        b = 2;
        boot = {
          loader.grub.enable = true;
          tmp.useTmpfs = true;
        };
      }
    `
    expect(edited(given, it => it.removeIn('boot.loader'))).toBe(nix`
      {
        a = 1;
        b = 2;
        boot = {
          tmp.useTmpfs = true;
        };
      }
    `)
  })

  it('changes nothing for an option that is not set', () => {
    expect(edited(pc, it => it.removeIn('services.openssh'))).toBe(pc)
  })

  it('restores the file by removing an option that was added', () => {
    const set = edited(pc, it => it.setIn('time.timeZone', 'UTC').setIn('boot.tmp.useTmpfs', true))
    expect(edited(set, it => it.removeIn('time.timeZone').removeIn('boot.tmp.useTmpfs'))).toBe(pc)
  })
})

describe('listing all paths of a file', () => {
  it('lists paths in source order', () => {
    expect(pathsOf(pc)).toEqual([
      'imports',
      'boot.loader.systemd-boot.enable',
      'boot.loader.efi.canTouchEfiVariables',
      'networking.hostName',
      'networking.firewall.enable',
      'networking.firewall.allowedTCPPorts',
      'networking."extra.hosts"',
      'users.users."ann.b".isNormalUser',
      'users.users."ann.b".extraGroups',
      'environment.systemPackages',
      'system.stateVersion'
    ])
  })

  it('lists only the paths of definitions that can be read', () => {
    expect(pathsOf(pc).map(path => read(pc, path) !== undefined)).not.toContain(false)
  })
})

describe('comments', () => {
  it('edits of every kind keep all comments', () => {
    const given = nix`
      /* Head. */
      { pkgs, ... }: # arguments
      {
        # Above.
        a.b = 1; # behind
        /* inside */ a.c = [ # bracket
          1 # one
          # two is missing
          3
        ]; # list

        # d = 4;
        e = /* value */ 5;
        # At the end.
      }
      # Foot.
    `
    expect(
      edited(given, it =>
        it.setIn('a.b', 2).addIn('a.c', [4]).setIn('e', 6).setIn('a.f', true).import('./x.nix')
      )
    ).toBe(nix`
      /* Head. */
      { pkgs, ... }: # arguments
      {
        imports = [ ./x.nix ];

        # Above.
        a.b = 2; # behind
        /* inside */ a.c = [ # bracket
          1 # one
          # two is missing
          3
          4
        ]; # list

        a.f = true;

        # d = 4;
        e = /* value */ 6;
        # At the end.
      }
      # Foot.
    `)
  })
})
