import { describe, expect, it } from 'vitest'
import { annotated, expr } from '../../src/nix/index.ts'
import { type EditOf, edited, nix, refusalOf, refused } from './support.ts'

const addX: EditOf = it => it.addIn('l', ['X'])

describe('addIn, by how the list is written', () => {
  const cases: [string, string, string][] = [
    ['one line', '{ l = [ "a" ]; }', '{ l = [ "a" "X" ]; }'],
    ['one line, tight', '{ l = ["a"]; }', '{ l = ["a" "X"]; }'],
    ['empty', '{ l = [ ]; }', '{ l = [ "X" ]; }'],
    ['empty, tight', '{ l = []; m = ["a"]; }', '{ l = ["X"]; m = ["a"]; }'],
    ['empty over two lines', '{\n  l = [\n  ];\n}', '{\n  l = [\n    "X"\n  ];\n}'],
    ['a path before the bracket', '{ l = [./a.nix]; }', '{ l = [./a.nix "X"]; }'],
    ['many lines', '{\n  l = [\n    "a"\n  ];\n}', '{\n  l = [\n    "a"\n    "X"\n  ];\n}'],
    [
      'bracket on the last line',
      '{\n  l = [ "a"\n        "b" ];\n}',
      '{\n  l = [ "a"\n        "b"\n        "X" ];\n}'
    ],
    [
      'rows',
      '{\n  l = [ "a" "b"\n        "c" "d" ];\n}',
      '{\n  l = [ "a" "b"\n        "c" "d" "X" ];\n}'
    ],
    [
      'rows, bracket below',
      '{\n  l = [\n    "a" "b"\n  ];\n}',
      '{\n  l = [\n    "a" "b"\n    "X"\n  ];\n}'
    ],
    [
      'deep indentation',
      '{\n    l =\n      [\n          "a"\n      ];\n}',
      '{\n    l =\n      [\n          "a"\n          "X"\n      ];\n}'
    ],
    ['tabs', '{\n\tl = [\n\t\t"a"\n\t];\n}', '{\n\tl = [\n\t\t"a"\n\t\t"X"\n\t];\n}'],
    [
      'CRLF',
      '{\r\n  l = [\r\n    "a" # n\r\n  ];\r\n}\r\n',
      '{\r\n  l = [\r\n    "a" # n\r\n    "X"\r\n  ];\r\n}\r\n'
    ]
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))
})

describe('addIn beside comments', () => {
  const cases: [string, string, string][] = [
    [
      'behind the last item: it stays with it',
      '{\n  l = [\n    "a" # note\n  ];\n}',
      '{\n  l = [\n    "a" # note\n    "X"\n  ];\n}'
    ],
    [
      'on the bracket line',
      '{\n  l = [ "a" # keep\n  ];\n}',
      '{\n  l = [ "a" # keep\n    "X"\n  ];\n}'
    ],
    ['only comments', '{\n  l = [\n    # "a"\n  ];\n}', '{\n  l = [\n    # "a"\n    "X"\n  ];\n}'],
    [
      'a commented item at the end',
      '{\n  l = [\n    "a"\n    # "b"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "X"\n    # "b"\n  ];\n}'
    ],
    ['a block comment', '{ l = [ "a" /* n */ ]; }', '{ l = [ "a" /* n */ "X" ]; }'],
    ['a comment in an empty list', '{ l = [ /* n */ ]; }', '{ l = [ /* n */ "X" ]; }'],
    ['a comment behind the bracket', '{\n  l = [ # n\n  ];\n}', '{\n  l = [ # n\n    "X"\n  ];\n}']
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))
})

describe('addIn, by what the list is part of', () => {
  const cases: [string, string, string][] = [
    [
      '++: the first that always counts',
      '{ c, lib, ... }: { l = [ "a" ] ++ lib.optionals c [ "b" ]; }',
      '{ c, lib, ... }: { l = [ "a" "X" ] ++ lib.optionals c [ "b" ]; }'
    ],
    [
      '++ with the literal behind',
      '{ c, lib, ... }: { l = lib.optionals c [ "b" ] ++ [ "a" ]; }',
      '{ c, lib, ... }: { l = lib.optionals c [ "b" ] ++ [ "a" "X" ]; }'
    ],
    [
      'mkForce',
      '{ lib, ... }: { l = lib.mkForce [ "a" ]; }',
      '{ lib, ... }: { l = lib.mkForce [ "a" "X" ]; }'
    ],
    [
      'mkDefault',
      '{ lib, ... }: { l = lib.mkDefault [ "a" ]; }',
      '{ lib, ... }: { l = lib.mkDefault [ "a" "X" ]; }'
    ],
    [
      'mkAfter',
      '{ lib, ... }: { l = lib.mkAfter [ "a" ]; }',
      '{ lib, ... }: { l = lib.mkAfter [ "a" "X" ]; }'
    ],
    [
      'mkMerge: the inner list',
      '{ lib, ... }: { l = lib.mkMerge [ [ "a" ] (lib.mkIf true [ "b" ]) ]; }',
      '{ lib, ... }: { l = lib.mkMerge [ [ "a" "X" ] (lib.mkIf true [ "b" ]) ]; }'
    ],
    [
      'with',
      '{ pkgs, ... }: { l = with pkgs; [ "a" ]; }',
      '{ pkgs, ... }: { l = with pkgs; [ "a" "X" ]; }'
    ],
    [
      'let and parentheses',
      '{ l = let a = "a"; in ([ a ]); }',
      '{ l = let a = "a"; in ([ a "X" ]); }'
    ]
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))

  it('writes a definition where there is none', () => {
    const given = nix`
      {
        boot = {
          initrd.kernelModules = [ "nvme" ];
        };
      }
    `
    expect(edited(given, it => it.addIn('boot.kernelParams', ['quiet']))).toBe(nix`
      {
        boot = {
          initrd.kernelModules = [ "nvme" ];
          kernelParams = [ "quiet" ];
        };
      }
    `)
  })

  it('takes no option text elsewhere for the option', () => {
    const given = nix`
      {
        # l = [ "old" ];
        specialisation.vm.configuration = { l = [ "a" ]; };
        imports = [ ({ ... }: { l = [ "b" ]; }) ];
        x = ''
          l = [ "c" ];
        '';
      }
    `
    expect(edited(given, addX)).toBe(given.replace("'';\n", `'';\n  l = [ "X" ];\n`))
  })
})

describe('addIn compares items by value', () => {
  it('adds nothing that is there, in any spelling, and nothing twice', () => {
    const given = `{ pkgs, ... }: { l = [ ''a'' ("b") (pkgs.x /* c */ 1) { c = 1; } ]; }`
    const items = ['a', 'b', expr('pkgs.x 1'), { c: 1 }]
    expect(edited(given, it => it.addIn('l', items))).toBe(given)
    expect(edited(given, it => it.addIn('l', ['a', 'n', 'n']))).toBe(
      given.replace(' ];', ' "n" ];')
    )
  })

  it('does not count an item that is there under a condition only', () => {
    const given = `{ c, lib, ... }: { l = [ ] ++ lib.optional c "X"; }`
    expect(edited(given, addX)).toBe(`{ c, lib, ... }: { l = [ "X" ] ++ lib.optional c "X"; }`)
  })

  it('writes the comment of an item only where it has a line of its own', () => {
    const item = annotated('10de:1b80', 'a card')
    expect(edited('{\n  l = [\n    "a"\n  ];\n}', it => it.addIn('l', [item]))).toBe(
      '{\n  l = [\n    "a"\n    "10de:1b80" # a card\n  ];\n}'
    )
    expect(edited('{ l = [ "a" ]; }', it => it.addIn('l', [item]))).toBe(
      '{ l = [ "a" "10de:1b80" ]; }'
    )
    expect(edited('{\n  l = [ "a"\n    "b" ];\n}', it => it.addIn('l', [item]))).toBe(
      '{\n  l = [ "a"\n    "b"\n    "10de:1b80" # a card\n  ];\n}'
    )
  })
})

describe('addIn refuses', () => {
  it('what counts under a condition only', () => {
    expect(refused('{ c, lib, ... }:\n{\n  l = lib.optionals c [ "a" ];\n}\n', addX)).toBe(
      [
        '3:7: NO_TARGET: the list counts only under a condition, so what is added to it could be lost',
        '3 |   l = lib.optionals c [ "a" ];',
        '          ^^^^^^^^^^^^^^^^^^^^^^^',
        'hint: add a list that always counts:  … ++ [ ]'
      ].join('\n')
    )
    expect(refusalOf('{ c, lib, ... }: { l = lib.mkIf c [ "a" ]; }', addX)).toBe('NO_TARGET')
    expect(refusalOf('{ c, ... }: { l = if c then [ "a" ] else [ ]; }', addX)).toBe('NO_TARGET')
    expect(
      refusalOf(
        '{ c, lib, ... }: { config = lib.mkMerge [ { } (lib.mkIf c { l = [ ]; }) ]; }',
        addX
      )
    ).toBe('NO_TARGET')
  })

  it('what is no list, or written elsewhere', () => {
    expect(refusalOf('{ l = 1; }', addX)).toBe('NOT_A_LIST')
    expect(refusalOf('{ l.m = 1; }', addX)).toBe('NOT_A_LIST')
    expect(refusalOf('let p = [ ]; in { l = p; }', addX)).toBe('SHARED_BINDING')
    expect(refusalOf('{ p, ... }: { l = map p [ ]; }', addX)).toBe('SHARED_BINDING')
    expect(refusalOf('{ l, ... }: { inherit l; }', addX)).toBe('INHERITED')
  })

  it('what a pipe operator stands around', () => {
    expect(refusalOf('{ f, ... }: { l = [ "a" ] |> f; }', addX)).toBe('NO_TARGET')
    expect(refusalOf('{ f, ... }: f <| { l = [ "a" ]; }', addX)).toBe('NOT_A_MODULE')
    expect(edited('{ f, ... }: { a = 1 |> f; l = [ "a" ]; }', addX)).toBe(
      '{ f, ... }: { a = 1 |> f; l = [ "a" "X" ]; }'
    )
  })
})
