import { describe, expect, it } from 'vitest'
import { annotated, expr } from '../../src/nix/index.ts'
import { edited, nix, refusalOf, refused } from './support.ts'

describe('setIn of a defined option', () => {
  it('replaces only the value', () => {
    const given = nix`
      { config, pkgs, ... }:
      {
        # who we are
        networking.hostName = "old"; # short
        services.openssh.enable = false;
      }
    `
    expect(edited(given, it => it.setIn('networking.hostName', 'new'))).toBe(nix`
      { config, pkgs, ... }:
      {
        # who we are
        networking.hostName = "new"; # short
        services.openssh.enable = false;
      }
    `)
  })

  it('finds an option that is nested, dotted, quoted, in config, or in let, with, assert or parentheses', () => {
    const given = nix`
      { config, lib, ... }:
      let name = "x"; in
      assert true;
      with lib;
      ({
        config = {
          services = { "openssh" = { enable = false; }; };
        };
      })
    `
    expect(edited(given, it => it.setIn('services.openssh.enable', true))).toBe(
      given.replace('enable = false', 'enable = true')
    )
  })

  it('changes nothing if the option has the value, however it is written', () => {
    const given = `{ a = ''x''; b = [ 1 (2) ]; c = { d.e = null; }; }\n`
    expect(
      edited(given, it =>
        it
          .setIn('a', 'x')
          .setIn('b', [1, 2])
          .setIn('c', { d: { e: null } })
      )
    ).toBe(given)
  })

  it('replaces a mkDefault, and the value inside a mkForce', () => {
    const given = `{ lib, ... }: { a = lib.mkDefault 1; b = lib.mkForce 1; c = lib.mkOverride 40 1; }\n`
    expect(edited(given, it => it.setIn('a', 2).setIn('b', 2).setIn('c', 2))).toBe(
      `{ lib, ... }: { a = 2; b = lib.mkForce 2; c = lib.mkOverride 40 2; }\n`
    )
  })

  it('parenthesizes an expression inside mkForce, and replaces the mkForce if the new value has its own priority', () => {
    const given = '{ lib, f, ... }: { a = lib.mkForce 1; b = [ 1 ]; c = lib.mkForce 1; }'
    expect(
      edited(given, it =>
        it
          .setIn('a', expr('f 2'))
          .setIn('b', expr('lib.mkForce [ 2 ]'))
          .setIn('c', expr('lib.mkDefault 2'))
      )
    ).toBe(
      '{ lib, f, ... }: { a = lib.mkForce (f 2); b = lib.mkForce [ 2 ]; c = lib.mkDefault 2; }'
    )
  })

  it('refuses a definition that it cannot change without changing others', () => {
    expect(refusalOf(`{ a.b = 1; a.c = 2; }`, it => it.setIn('a', 1))).toBe('CONFLICT')
    expect(refusalOf(`{ a = { b = 1; }; a.c = 2; }`, it => it.setIn('a', 1))).toBe('CONFLICT')
    expect(
      refusalOf(`{ lib, ... }: { config = lib.mkMerge [ { a = 1; } { a = 1; } ]; }`, it =>
        it.setIn('a', 2)
      )
    ).toBe('AMBIGUOUS_TARGET')
    expect(
      refusalOf(
        `{ lib, ... }: { config = lib.mkMerge [ { b = 1; } (lib.mkIf true { a = 1; }) ]; }`,
        it => it.setIn('a', 2)
      )
    ).toBe('CONDITIONAL')
  })
})

describe('setIn of an option that is not defined', () => {
  it('adds a definition after its nearest relatives, in their notation', () => {
    const given = nix`
      { ... }:
      {
        boot.loader.systemd-boot.enable = true;
        boot.kernelParams = [ "quiet" ];

        services = {
          openssh.enable = true;
        };

        networking.hostName = "pc";
      }
    `
    expect(
      edited(given, it =>
        it
          .setIn('boot.loader.timeout', 3)
          .setIn('services.fwupd.enable', true)
          .setIn('boot.tmp.useTmpfs', true)
      )
    ).toBe(nix`
      { ... }:
      {
        boot.loader.systemd-boot.enable = true;
        boot.loader.timeout = 3;
        boot.kernelParams = [ "quiet" ];
        boot.tmp.useTmpfs = true;

        services = {
          openssh.enable = true;
          fwupd.enable = true;
        };

        networking.hostName = "pc";
      }
    `)
  })

  it('adds a definition of several lines before a final system.stateVersion and its comment', () => {
    const given = nix`
      {
        networking.hostName = "pc";

        # Leave this as it is.
        # Really.
        system.stateVersion = "26.05"; # Did you read the comment?
      }
    `
    expect(
      edited(given, it => it.setIn('virtualisation.vfio', { enable: true, users: ['alice'] }))
    ).toBe(nix`
      {
        networking.hostName = "pc";

        virtualisation.vfio = {
          enable = true;
          users = [ "alice" ];
        };

        # Leave this as it is.
        # Really.
        system.stateVersion = "26.05"; # Did you read the comment?
      }
    `)
  })

  it('adds a definition after the last binding and the comments below it', () => {
    const given = nix`
      {
        a = 1; # one
        # b = 2;
        /* c = 3; */
      }
    `
    expect(edited(given, it => it.setIn('d.e', 4))).toBe(nix`
      {
        a = 1; # one
        # b = 2;
        /* c = 3; */

        d.e = 4;
      }
    `)
  })

  it('moves code after the new binding to a new line if a comment would include it', () => {
    const given = '{\n  a = 1; system.stateVersion = "26.05";\n}\n'
    expect(edited(given, it => it.setIn('b', 2))).toBe(
      '{\n  a = 1; b = 2; system.stateVersion = "26.05";\n}\n'
    )
    expect(edited(given, it => it.setIn('b', annotated(2, 'two')))).toBe(
      '{\n  a = 1; b = 2; # two\n  system.stateVersion = "26.05";\n}\n'
    )
  })

  it('keeps a brace on the line of the last binding', () => {
    expect(edited('{ a = {\n  b = 1;\n}; }\n', it => it.setIn('c.d', 4))).toBe(
      '{ a = {\n  b = 1;\n};\n\n  c.d = 4; }\n'
    )
    const noted = annotated(4, 'It ends;')
    expect(edited('{ a = {\n  b = 1;\n}; }\n', it => it.setIn('c.d', noted))).toBe(
      '{ a = {\n  b = 1;\n};\n\n  c.d = 4; # It ends;\n }\n'
    )
  })

  it('adds no blank lines to a file without any', () => {
    const given = nix`
      {
        a = 1;
        b = {
          c = 2;
        };
        d = 3;
      }
    `
    expect(edited(given, it => it.setIn('e', { f: 1 }))).toBe(nix`
      {
        a = 1;
        b = {
          c = 2;
        };
        d = 3;
        e = {
          f = 1;
        };
      }
    `)
  })

  it('adds a definition to an empty set', () => {
    expect(edited('{ }', it => it.setIn('a', 1))).toBe('{\n  a = 1;\n}')
    expect(edited('{}\n', it => it.setIn('a', 1))).toBe('{\n  a = 1;\n}\n')
    expect(edited('{\n}\n', it => it.setIn('a', 1))).toBe('{\n  a = 1;\n}\n')
    expect(edited('{\n  # nothing yet\n}\n', it => it.setIn('a', 1))).toBe(
      '{\n  # nothing yet\n\n  a = 1;\n}\n'
    )
    expect(edited('{ ... }: { # here\n}\n', it => it.setIn('a', 1))).toBe(
      '{ ... }: { # here\n\n  a = 1;\n}\n'
    )
  })

  it('adds a definition to a one-line set on the same line', () => {
    expect(edited('{ ... }: { a = 1; }', it => it.setIn('b', [1, 'x']))).toBe(
      '{ ... }: { a = 1; b = [ 1 "x" ]; }'
    )
    expect(edited('{ ... }:\n{\n  a = { b = 1; };\n}\n', it => it.setIn('a.c', 2))).toBe(
      '{ ... }:\n{\n  a = { b = 1; c = 2; };\n}\n'
    )
  })

  it('fills an empty set inside a one-line set on the same line', () => {
    expect(edited('{\n  a = { b = {}; };\n}\n', it => it.setIn('a.b.c', 1))).toBe(
      '{\n  a = { b = { c = 1; }; };\n}\n'
    )
  })

  it('keeps a comment between rec and its brace', () => {
    expect(edited('{ a = rec /* why */ { }; }', it => it.setIn('a.b', 1))).toBe(
      '{ a = rec /* why */ { b = 1; }; }'
    )
  })

  it('writes a space between a function and its new argument', () => {
    const given = '{ lib, ... }: { a = lib.mkForce(1); b = lib.mkForce[ 1 ]; }'
    expect(edited(given, it => it.setIn('a', true).setIn('b', true))).toBe(
      '{ lib, ... }: { a = lib.mkForce true; b = lib.mkForce true; }'
    )
  })

  it('adds a definition of several lines to an empty set', () => {
    const given = '{\n  options.a = 1;\n\n  config = { };\n}\n'
    expect(edited(given, it => it.setIn('services.x', { a: 1, b: [2, 3] }))).toBe(nix`
      {
        options.a = 1;

        config = {
          services.x = {
            a = 1;
            b = [ 2 3 ];
          };
        };
      }
    `)
  })

  it('adds a definition of several lines after a one-line set, not inside it', () => {
    const given = '{\n  virtualisation = { docker.enable = true; };\n}\n'
    expect(edited(given, it => it.setIn('virtualisation.vfio', { enable: true }))).toBe(nix`
      {
        virtualisation = { docker.enable = true; };
        virtualisation.vfio = { enable = true; };
      }
    `)
  })

  it('adds a set with a comment on several lines, so that the comment is kept', () => {
    const given = '{\n  virtualisation = { docker.enable = true; };\n}\n'
    const vfio = { devices: [annotated('10de:1b80', 'a card')] }
    expect(edited(given, it => it.setIn('virtualisation.vfio', vfio))).toBe(nix`
      {
        virtualisation = { docker.enable = true; };

        virtualisation.vfio = {
          devices = [
            "10de:1b80" # a card
          ];
        };
      }
    `)
  })

  it('defines options inside config if there is one', () => {
    const given = nix`
      { config, lib, ... }:
      {
        options.mine = lib.mkOption { };
        config = {
          a.b = 1;
        };
      }
    `
    expect(edited(given, it => it.setIn('a.c', 2))).toBe(
      given.replace('a.b = 1;\n', 'a.b = 1;\n    a.c = 2;\n')
    )
    expect(edited(`{ options = { };\n  config.a = 1;\n}\n`, it => it.setIn('b', 2))).toBe(
      `{ options = { };\n  config.a = 1;\n  config.b = 2;\n}\n`
    )
  })

  it('adds a plain set to a mkMerge without one', () => {
    const set = (given: string) => edited(given, it => it.setIn('a.b', 1).setIn('a.c', [2]))
    expect(set('{ lib, on, ... }: { config = lib.mkMerge [ (lib.mkIf on { d = 1; }) ]; }')).toBe(
      '{ lib, on, ... }: { config = lib.mkMerge [ (lib.mkIf on { d = 1; }) { a.b = 1; a.c = [ 2 ]; } ]; }'
    )
    expect(
      set(nix`
        { lib, on, ... }:
        {
          a = lib.mkMerge [
            # one day
            (lib.mkIf on {
              d = 1;
            })
          ];
        }
      `)
    ).toBe(nix`
        { lib, on, ... }:
        {
          a = lib.mkMerge [
            # one day
            (lib.mkIf on {
              d = 1;
            })
            { b = 1; c = [ 2 ]; }
          ];
        }
      `)
  })

  it('adds a plain set to a mkMerge on several lines if the added definition has several lines itself', () => {
    const given = nix`
      { lib, on, ... }:
      {
        config = lib.mkMerge [
          (lib.mkIf on { d = 1; })
        ];
      }
    `
    const vfio = { enable: true, devices: [annotated('10de:1b80', 'a card')] }
    const then = edited(given, it => it.setIn('virtualisation.vfio', vfio).setIn('e', 1))
    expect(then).toBe(nix`
      { lib, on, ... }:
      {
        config = lib.mkMerge [
          (lib.mkIf on { d = 1; })
          {
            virtualisation.vfio = {
              enable = true;
              devices = [
                "10de:1b80" # a card
              ];
            };

            e = 1;
          }
        ];
      }
    `)
    expect(edited(then, it => it.removeIn('virtualisation.vfio').removeIn('e'))).toBe(given)
  })

  it('adds a definition to the plain set of a mkMerge', () => {
    const given = nix`
      { lib, ... }:
      {
        config = lib.mkMerge [
          (lib.mkIf true { a = 1; })
          {
            b = 2;
          }
        ];
      }
    `
    expect(edited(given, it => it.setIn('b2', 3))).toBe(
      given.replace('b = 2;\n', 'b = 2;\n\n      b2 = 3;\n')
    )
  })

  it('adds a definition to the operand of // that takes effect', () => {
    const given = '{ a.b = 1; c = 2; } // { a.d = 3; }'
    expect(edited(given, it => it.setIn('a.e', 4).setIn('c', 5).setIn('f', 6))).toBe(
      '{ a.b = 1; c = 5; } // { a.d = 3; a.e = 4; f = 6; }'
    )
  })

  it('recognizes a computed name that a let defines', () => {
    const given = 'let user = "ann"; in { users.users.${user} = { uid = 1; }; }'
    expect(
      edited(given, it => it.setIn('users.users.ann.uid', 2).setIn('users.users.ann.shell', 'x'))
    ).toBe('let user = "ann"; in { users.users.${user} = { uid = 2; shell = "x"; }; }')
    expect(edited(given, it => it.setIn('users.users.bob.uid', 2))).toBe(
      given.replace('; }; }', '; }; users.users.bob.uid = 2; }')
    )
    expect(refusalOf('let u = "ann"; in { a.${u}.b = 1; }', it => it.setIn('a.ann.c', 2))).toBe(
      'DYNAMIC_ATTRIBUTE'
    )
  })

  it('refuses if the definition would not always apply, or Nix rejects a second binding', () => {
    expect(
      refused(`{ lib, ... }:\n{\n  boot = lib.mkIf true { a = 1; };\n}\n`, it =>
        it.setIn('boot.b', 1)
      )
    ).toBe(
      [
        '3:3: CONDITIONAL: boot is the result of lib.mkIf here, so a definition added inside would not always apply',
        '3 |   boot = lib.mkIf true { a = 1; };',
        '      ^^^^',
        'hint: pass { conditional: true } to add it inside, or define the options in another module and import that module'
      ].join('\n')
    )
    expect(refusalOf(`{ boot = import ./boot.nix; }`, it => it.setIn('boot.b', 1))).toBe('CALL')
    expect(refusalOf(`{ lib, ... }: { inherit (lib) boot; }`, it => it.setIn('boot.b', 1))).toBe(
      'INHERITED'
    )
    expect(
      refusalOf(`{ user, ... }: { users.users.\${user}.uid = 1; }`, it =>
        it.setIn('users.users.bob.uid', 2)
      )
    ).toBe('DYNAMIC_ATTRIBUTE')
    expect(refusalOf(`let b = 1; in { a = rec { c = b; }; }`, it => it.setIn('a.b', 2))).toBe(
      'CONFLICT'
    )
    expect(refusalOf(`{ lib, ... }: lib.mkIf true { }`, it => it.setIn('a', 2))).toBe('NO_TARGET')
    expect(refusalOf(`{ x, ... }: { a = 1; } // x`, it => it.setIn('a', 2))).toBe('UPDATE_OPERATOR')
    expect(refusalOf(`{ stdenv, fetchurl }: stdenv.mkDerivation { }`, it => it.setIn('a', 2))).toBe(
      'NOT_A_MODULE'
    )
    expect(refusalOf(`{ pkgs }: { a = 1; }`, it => it.setIn('a', 2))).toBe('NOT_A_MODULE')
  })
})

describe('the values that setIn writes', () => {
  it('writes every kind of value', () => {
    expect(
      edited('{ pkgs, f, x, ... }: { }', it =>
        it.setIn('a', {
          string: 'say "hi" \\ ${x} $y\n\ttab',
          int: 1,
          negative: -2,
          float: 0.5,
          yes: true,
          nothing: null,
          package: expr('pkgs.hello'),
          list: ['a', 1, -1, expr('./x'), expr('f x'), []],
          'my name': {},
          or: 1,
          deep: { er: { still: 1 } }
        })
      )
    ).toBe(
      nix`
      { pkgs, f, x, ... }: {
        a = {
          string = "say \"hi\" \\ \${x} $y\n\ttab";
          int = 1;
          negative = -2;
          float = 0.5;
          yes = true;
          nothing = null;
          package = pkgs.hello;
          list = [ "a" 1 (-1) ./x (f x) [ ] ];
          "my name" = { };
          "or" = 1;
          deep.er.still = 1;
        };
      }`.trimEnd()
    )
  })

  it('writes a long list, and a list with comments, on several lines', () => {
    const long = Array.from({ length: 9 }, (_, i) => `element-${i}`)
    expect(edited('{\n}\n', it => it.setIn('a', long))).toContain(
      'a = [\n    "element-0"\n    "element-1"\n'
    )
    expect(edited('{\n}\n', it => it.setIn('a', [annotated('10de:1b80', 'a card'), 'x']))).toBe(nix`
      {
        a = [
          "10de:1b80" # a card
          "x"
        ];
      }
    `)
  })

  it('uses the indentation of a set whose first binding is on a new line', () => {
    const given = '{ a = [\n    "x"\n  ];\n  users = { m = 1;\n  };\n  n = {\n    o = 1;\n  };\n}\n'
    expect(edited(given, it => it.setIn('z', { a: { b: [1], c: { d: [2] } } }))).toContain(
      '  z = {\n    a = {\n      b = [ 1 ];'
    )
  })

  it('uses the indentation, line endings and list style of the file', () => {
    const tabs = '{\r\n\ta = ["x"];\r\n\tb = {\r\n\t\tc = 1;\r\n\t};\r\n}\r\n'
    expect(edited(tabs, it => it.setIn('d', { e: ['y'] }))).toBe(
      '{\r\n\ta = ["x"];\r\n\tb = {\r\n\t\tc = 1;\r\n\t};\r\n\td = {\r\n\t\te = ["y"];\r\n\t};\r\n}\r\n'
    )
  })

  it('refuses values with too many levels', () => {
    const deep = `{ a = ${'['.repeat(30_000)}${']'.repeat(30_000)}; b = 1; }`
    expect(refusalOf(deep, it => it.setIn('a', [1]))).toBe('TOO_DEEP')
    expect(
      refusalOf('{ }', it => it.setIn('a', expr('['.repeat(30_000) + ']'.repeat(30_000))))
    ).toBe('TOO_DEEP')
  })

  it('refuses invalid values and paths', () => {
    expect(refusalOf('{ }', it => it.setIn('a', Number.NaN))).toBe('BAD_VALUE')
    expect(refusalOf('{ }', it => it.setIn('a', 5e-324))).toBe('BAD_VALUE')
    expect(refusalOf('{ }', it => it.setIn('a', annotated(1, 'a\0b')))).toBe('BAD_VALUE')
    expect(refusalOf('{ }', it => it.setIn('a', Array(2) as null[]))).toBe('BAD_VALUE')
    for (const odd of [new Date(0), new Map([['a', 1]])]) {
      expect(refusalOf('{ }', it => it.setIn('a', odd as unknown as null))).toBe('BAD_VALUE')
    }
    expect(refusalOf('{ }', it => it.setIn('a', expr('1; b = 2')))).toBe('BAD_VALUE')
    expect(refusalOf('{ }', it => it.setIn('a', expr('')))).toBe('BAD_VALUE')
    for (const path of ['', 'a..b', '.a', 'a.', 'a b', '${x}', 'a."b', '"${x}"', []]) {
      expect(refusalOf('{ }', it => it.setIn(path, 1))).toBe('BAD_PATH')
    }
  })

  it('refuses paths below imports, which is a list', () => {
    const path = ['imports', 'a']
    expect(refusalOf('{ }', it => it.setIn(path, 1))).toBe('BAD_PATH')
    expect(refusalOf('{ }', it => it.addIn(path, [1]))).toBe('BAD_PATH')
    expect(refusalOf('{ b = 1; }', it => it.renameIn('b', path))).toBe('BAD_PATH')
    expect(refusalOf('{ imports.a = 1; }', it => it.import('./x.nix'))).toBe('NOT_A_LIST')
  })
})

describe('setIn refuses text that may not be a plain module', () => {
  const cases: [string, string, string][] = [
    ['an inherited config', 'let config = { }; in { inherit config; }', 'INHERITED'],
    [
      'a computed name on the right of //',
      '{ x, ... }: { a = 1; } // { ${x} = 2; }',
      'DYNAMIC_ATTRIBUTE'
    ],
    ['a set that is a function', '{ __functor = self: { ... }: { a = 1; }; }', 'COMPUTED_MODULE'],
    [
      'a module from another file',
      '{ pkgs, ... }: import ./x.nix { inherit pkgs; }',
      'COMPUTED_MODULE'
    ],
    ['a module by name', 'let m = { a = 1; }; in m', 'COMPUTED_MODULE'],
    ['a module that depends', '{ c, ... }: if c then { a = 1; } else { a = 2; }', 'COMPUTED_MODULE']
  ]
  it.each(cases)('refuses %s', (_, given, code) =>
    expect(refusalOf(given, it => it.setIn('a', 3))).toBe(code)
  )

  it('removeIn refuses a path that begins with config', () => {
    const given = '{ config.l = [ 1 ]; }'
    expect(refusalOf(given, it => it.removeIn('config.l', [1]))).toBe('BAD_PATH')
  })
})
