import { describe, expect, it } from 'vitest'
import { annotated, expr, type Position, parseDocument } from '../../src/nix/index.ts'
import { type EditOf, edited, nix, refusalOf, refused } from './support.ts'

const addX: EditOf = it => it.addIn('l', ['X'])

describe('addIn keeps the layout of a list', () => {
  const cases: [string, string, string][] = [
    ['on one line', '{ l = [ "a" ]; }', '{ l = [ "a" "X" ]; }'],
    ['on one line without spaces in the brackets', '{ l = ["a"]; }', '{ l = ["a" "X"]; }'],
    ['that is empty', '{ l = [ ]; }', '{ l = [ "X" ]; }'],
    [
      'that is empty, if other lists have no spaces in the brackets',
      '{ l = []; m = ["a"]; }',
      '{ l = ["X"]; m = ["a"]; }'
    ],
    ['that is empty and on two lines', '{\n  l = [\n  ];\n}', '{\n  l = [\n    "X"\n  ];\n}'],
    ['with a path directly before the bracket', '{ l = [./a.nix]; }', '{ l = [./a.nix "X"]; }'],
    [
      'with one item per line',
      '{\n  l = [\n    "a"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "X"\n  ];\n}'
    ],
    [
      'with the bracket on the line of the last item',
      '{\n  l = [ "a"\n        "b" ];\n}',
      '{\n  l = [ "a"\n        "b"\n        "X" ];\n}'
    ],
    [
      'with several items per line',
      '{\n  l = [ "a" "b"\n        "c" "d" ];\n}',
      '{\n  l = [ "a" "b"\n        "c" "d" "X" ];\n}'
    ],
    [
      'with several items per line and the bracket below',
      '{\n  l = [\n    "a" "b"\n  ];\n}',
      '{\n  l = [\n    "a" "b"\n    "X"\n  ];\n}'
    ],
    [
      'with deep indentation',
      '{\n    l =\n      [\n          "a"\n      ];\n}',
      '{\n    l =\n      [\n          "a"\n          "X"\n      ];\n}'
    ],
    ['with tabs', '{\n\tl = [\n\t\t"a"\n\t];\n}', '{\n\tl = [\n\t\t"a"\n\t\t"X"\n\t];\n}'],
    [
      'with CRLF line endings',
      '{\r\n  l = [\r\n    "a" # n\r\n  ];\r\n}\r\n',
      '{\r\n  l = [\r\n    "a" # n\r\n    "X"\r\n  ];\r\n}\r\n'
    ]
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))
})

describe('addIn keeps comments', () => {
  const cases: [string, string, string][] = [
    [
      'after the last item',
      '{\n  l = [\n    "a" # note\n  ];\n}',
      '{\n  l = [\n    "a" # note\n    "X"\n  ];\n}'
    ],
    [
      'after an item on the line of the bracket',
      '{\n  l = [ "a" # keep\n  ];\n}',
      '{\n  l = [ "a" # keep\n    "X"\n  ];\n}'
    ],
    [
      'in a list without items',
      '{\n  l = [\n    # "a"\n  ];\n}',
      '{\n  l = [\n    # "a"\n    "X"\n  ];\n}'
    ],
    [
      'that comment out an item at the end',
      '{\n  l = [\n    "a"\n    # "b"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "X"\n    # "b"\n  ];\n}'
    ],
    ['between /* and */', '{ l = [ "a" /* n */ ]; }', '{ l = [ "a" /* n */ "X" ]; }'],
    ['in an empty list on one line', '{ l = [ /* n */ ]; }', '{ l = [ /* n */ "X" ]; }'],
    ['after the opening bracket', '{\n  l = [ # n\n  ];\n}', '{\n  l = [ # n\n    "X"\n  ];\n}']
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))
})

describe('addIn finds a list inside an expression', () => {
  const cases: [string, string, string][] = [
    [
      '++, the first list that always applies',
      '{ c, lib, ... }: { l = [ "a" ] ++ lib.optionals c [ "b" ]; }',
      '{ c, lib, ... }: { l = [ "a" "X" ] ++ lib.optionals c [ "b" ]; }'
    ],
    [
      '++ with the list literal on the right',
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
      'mkMerge, the first list that always applies',
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

  it('adds a definition if the option is not defined', () => {
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

  it('ignores text elsewhere that looks like the option', () => {
    const given = nix`
      {
        # l = [ "old" ];
        specialisation.vm.configuration = { l = [ "a" ]; };
        imports = [ ./l.nix ];
        x = ''
          l = [ "c" ];
        '';
      }
    `
    expect(edited(given, addX)).toBe(given.replace("'';\n", `'';\n  l = [ "X" ];\n`))
  })
})

describe('addIn compares items by value', () => {
  it('adds no item that the list has in another notation, and no item twice', () => {
    const given = `{ pkgs, ... }: { l = [ ''a'' ("b") (pkgs.x /* c */ 1) { c = 1; } ]; }`
    const items = ['a', 'b', expr('pkgs.x 1'), { c: 1 }]
    expect(edited(given, it => it.addIn('l', items))).toBe(given)
    expect(edited(given, it => it.addIn('l', ['a', 'n', 'n']))).toBe(
      given.replace(' ];', ' "n" ];')
    )
  })

  it('adds an item that the list has only under a condition', () => {
    const given = `{ c, lib, ... }: { l = [ ] ++ lib.optional c "X"; }`
    expect(edited(given, addX)).toBe(`{ c, lib, ... }: { l = [ "X" ] ++ lib.optional c "X"; }`)
  })

  it('writes the comment of an item only if the item is on its own line', () => {
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

describe('addIn adds a list that always applies to a value without one', () => {
  const cases: [string, string, string][] = [
    [
      'after a condition',
      '{ c, lib, ... }: { l = lib.optionals c [ "a" ]; }',
      '{ c, lib, ... }: { l = lib.optionals c [ "a" ] ++ [ "X" ]; }'
    ],
    [
      'after an if, in parentheses',
      '{ c, ... }: { l = if c then [ "a" ] else [ ]; }',
      '{ c, ... }: { l = (if c then [ "a" ] else [ ]) ++ [ "X" ]; }'
    ],
    [
      'after a variable that is a list',
      'let p = [ "a" ]; in { l = p; m = p; }',
      'let p = [ "a" ]; in { l = p ++ [ "X" ]; m = p; }'
    ],
    [
      'after a call that returns a list',
      '{ p, ... }: { l = map p [ "a" ]; }',
      '{ p, ... }: { l = map p [ "a" ] ++ [ "X" ]; }'
    ],
    [
      'after the value of another option',
      '{ config, ... }: { l = config.m; }',
      '{ config, ... }: { l = config.m ++ [ "X" ]; }'
    ],
    [
      'inside a with',
      '{ p, ... }: { l = with p; map a [ ]; }',
      '{ p, ... }: { l = with p; map a [ ] ++ [ "X" ]; }'
    ],
    [
      'next to a mkIf',
      '{ c, lib, ... }: { l = lib.mkIf c [ "a" ]; }',
      '{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c [ "a" ]) [ "X" ] ]; }'
    ],
    [
      'in a mkMerge',
      '{ c, lib, ... }: with lib; { l = mkMerge [ (mkIf c [ "a" ]) ]; }',
      '{ c, lib, ... }: with lib; { l = mkMerge [ (mkIf c [ "a" ]) [ "X" ] ]; }'
    ],
    [
      'inside a mkForce',
      '{ c, lib, ... }: { l = lib.mkForce (lib.optionals c [ ]); }',
      '{ c, lib, ... }: { l = lib.mkForce (lib.optionals c [ ] ++ [ "X" ]); }'
    ]
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))
})

describe('addIn at a position', () => {
  const list = nix`
    {
      l = [
        # the first
        "a" # note
        "b"
      ];
    }
  `
  it('adds at the start, above the comments of the first item', () => {
    expect(edited(list, it => it.addIn('l', ['X'], { at: 'start' }))).toBe(
      list.replace('    # the first', '    "X"\n    # the first')
    )
    expect(edited('{ l = [ "a" ]; }', it => it.addIn('l', ['X'], { at: 'start' }))).toBe(
      '{ l = [ "X" "a" ]; }'
    )
    expect(edited('{ l = [ ]; }', it => it.addIn('l', ['X'], { at: 'start' }))).toBe(
      '{ l = [ "X" ]; }'
    )
  })

  it('adds before and after an item', () => {
    expect(edited(list, it => it.addIn('l', ['X'], { at: { after: 'a' } }))).toBe(
      list.replace('# note', '# note\n    "X"')
    )
    expect(edited(list, it => it.addIn('l', ['X'], { at: { before: 'b' } }))).toBe(
      list.replace('"b"', '"X"\n    "b"')
    )
    expect(edited(list, it => it.addIn('l', ['X'], { at: { after: 'b' } }))).toBe(
      list.replace('"b"', '"b"\n    "X"')
    )
    const row = '{ l = [ "a" "b" ]; }'
    expect(edited(row, it => it.addIn('l', ['X'], { at: { after: 'a' } }))).toBe(
      '{ l = [ "a" "X" "b" ]; }'
    )
    expect(edited(row, it => it.addIn('l', ['X'], { at: { before: 'a' } }))).toBe(
      '{ l = [ "X" "a" "b" ]; }'
    )
  })

  it('refuses a position next to an item that the list does not contain', () => {
    expect(refusalOf(list, it => it.addIn('l', ['X'], { at: { after: 'z' } }))).toBe('CONFLICT')
  })
})

describe('addIn next to whitespace and other items', () => {
  const remarked = annotated('X', 'why')
  const cases: [string, string, string, { at?: Position }?][] = [
    [
      'after an item with trailing whitespace',
      '{\n  l = [\n    "a" \n  ];\n}',
      '{\n  l = [\n    "a" \n    "X" # why\n  ];\n}'
    ],
    [
      'between an item with trailing whitespace and the next',
      '{\n  l = [\n    "a" \n    "b"\n  ];\n}',
      '{\n  l = [\n    "a" \n    "X" # why\n    "b"\n  ];\n}',
      { at: { after: 'a' } }
    ],
    [
      'in an empty list with a space after the bracket',
      '{\n  l = [ \n  ];\n}',
      '{\n  l = [ \n    "X" # why\n  ];\n}'
    ],
    [
      'after an item without a space before the next',
      '{ l = ["a""b"]; }',
      '{ l = ["a" "X" "b"]; }',
      { at: { after: 'a' } }
    ],
    [
      'before an item without a space after the previous',
      '{ l = ["a""b"]; }',
      '{ l = ["a" "X" "b"]; }',
      { at: { before: 'b' } }
    ]
  ]
  it.each(cases)('%s', (_, given, then, options) =>
    expect(edited(given, it => it.addIn('l', [remarked], options))).toBe(then)
  )
})

describe('addIn among several priorities', () => {
  it('adds to the list with the highest priority, however its mkForce is written', () => {
    const given = (force: string) =>
      `{ lib, ... }: { a = lib.mkMerge [ { l = [ "b" ]; } (${force} { l = [ "c" ]; }) ]; }`
    for (const force of ['lib.mkForce /* mine */', 'lib.mkOverride (10)', 'lib.mkOverride\n  10']) {
      expect(edited(given(force), it => it.addIn('a.l', ['X']))).toBe(
        given(force).replace('"c"', '"c" "X"')
      )
    }
    const computed = given('lib.mkOverride (5 + 5)')
    expect(refusalOf(computed, it => it.addIn('a.l', ['X']))).toBe('OTHER_PRIORITY')
  })

  it('refuses if the list with the highest priority cannot be edited', () => {
    const given =
      '{ lib, ... }: let ys = [ ]; in { a = lib.mkMerge [ { l = [ ]; } (lib.mkForce { l = ys; }) ]; }'
    expect(refusalOf(given, it => it.addIn('a.l', ['X']))).toBe('OTHER_PRIORITY')
  })

  it('treats a call and its parts, and an integer and a float, as different items', () => {
    expect(edited('{ f, ... }: { l = [ f 1 ]; }', it => it.addIn('l', [expr('f 1')]))).toBe(
      '{ f, ... }: { l = [ f 1 (f 1) ]; }'
    )
    expect(edited('{ l = [ 1.0 ]; }', it => it.addIn('l', [1]))).toBe('{ l = [ 1.0 1 ]; }')
    expect(edited('{ l = [ 1.50 ]; }', it => it.addIn('l', [1.5]))).toBe('{ l = [ 1.50 ]; }')
  })

  it('refuses a list next to a pipe operator, but edits a list inside other brackets', () => {
    expect(refusalOf('{ x, f, ... }: { l = [ 1 ] ++ x |> map f; }', addX)).toBe('PIPE_OPERATOR')
    expect(refusalOf('{ f, ... }: { l = [ "X" ] |> map f; }', addX)).toBe('PIPE_OPERATOR')
    expect(edited('{ f, x, ... }: { l = [ (x |> f) ]; }', addX)).toBe(
      '{ f, x, ... }: { l = [ (x |> f) "X" ]; }'
    )
  })

  it('adds an item although lib.optional has the same item', () => {
    const given = '{ c, lib, ... }: { l = [ ] ++ lib.optional c [ "X" ]; }'
    expect(edited(given, it => it.removeIn('l', ['X']))).toBe(given)
  })
})

describe('addIn to a string that shows lines adds lines', () => {
  const cases: [string, string, string][] = [
    ['that is indented', "{\n  l = ''\n    a\n  '';\n}", "{\n  l = ''\n    a\n    X\n  '';\n}"],
    [
      'with deeper lines',
      "{\n  l = ''\n    a\n      b\n  '';\n}",
      "{\n  l = ''\n    a\n      b\n    X\n  '';\n}"
    ],
    ['that is indented and empty', "{\n  l = ''\n  '';\n}", "{\n  l = ''\n    X\n  '';\n}"],
    ['that is indented and on one line', "{ l = ''a''; }", "{ l = ''a''\\nX''; }"],
    ['with an escaped line ending', "{ l = ''a''\\\n  ''; }", "{ l = ''a''\\\n  ''\\nX''; }"],
    ['that is quoted and ends with a line ending', '{ l = "a\\n"; }', '{ l = "a\\nX\\n"; }'],
    ['that is quoted and empty', '{ l = ""; }', '{ l = "X"; }'],
    [
      'inside mkAfter',
      "{ lib, ... }: {\n  l = lib.mkAfter ''\n    a\n  '';\n}",
      "{ lib, ... }: {\n  l = lib.mkAfter ''\n    a\n    X\n  '';\n}"
    ],
    [
      'under a condition, in a new string next to it',
      "{ c, lib, ... }: {\n  l = lib.mkIf c ''\n    a\n  '';\n}",
      "{ c, lib, ... }: {\n  l = lib.mkMerge [\n    (lib.mkIf c ''\n      a\n    '')\n    \"X\"\n  ];\n}"
    ],
    [
      'in a mkMerge, the first that always applies',
      '{ c, lib, ... }: {\n  l = lib.mkMerge [ (lib.mkIf c "a\\n") "b" ];\n}',
      '{ c, lib, ... }: {\n  l = lib.mkMerge [ (lib.mkIf c "a\\n") "b\\nX" ];\n}'
    ],
    [
      'in a mkMerge where no string always applies, in a new one',
      '{ c, lib, ... }: {\n  l = lib.mkMerge [ (lib.mkIf c "a\\n") ];\n}',
      '{ c, lib, ... }: {\n  l = lib.mkMerge [ (lib.mkIf c "a\\n") "X" ];\n}'
    ],
    [
      'but not a line that another string has',
      '{ lib, ... }: { l = lib.mkMerge [ "a" "X" ]; }',
      '{ lib, ... }: { l = lib.mkMerge [ "a" "X" ]; }'
    ],
    [
      'but not a line that the string has',
      "{\n  l = ''\n    a\n    X\n  '';\n}",
      "{\n  l = ''\n    a\n    X\n  '';\n}"
    ]
  ]
  it.each(cases)('%s', (_, given, then) => expect(edited(given, addX)).toBe(then))

  it('adds several lines next to a conditional string as one string', () => {
    const given = "{ c, lib, ... }: { l = lib.mkIf c ''a''; }"
    expect(edited(given, it => it.addIn('l', ['X', 'Y']))).toBe(
      "{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c ''a'') \"X\\nY\" ]; }"
    )
  })

  it('escapes lines, keeps interpolations, and refuses items that are not lines', () => {
    const given = "{ x, ... }: {\n  l = ''\n    a ${x}\n  '';\n}"
    expect(edited(given, it => it.addIn('l', ["b ${c} ''d''"]))).toBe(
      "{ x, ... }: {\n  l = ''\n    a ${x}\n    b ''${c} '''d'''\n  '';\n}"
    )
    expect(edited('{ l = "a\\n"; }', it => it.addIn('l', ['b "${c}"']))).toBe(
      '{ l = "a\\nb \\"\\${c}\\"\\n"; }'
    )
    expect(edited("{ l = ''a''; }", it => it.addIn('l', ["b='c'", "''"]))).toBe(
      "{ l = ''a''\\nb='c''\\'''\\n'''''; }"
    )
    expect(edited("{\n  l = ''\n    a\n  '';\n}", it => it.addIn('l', ["'${b}'"]))).toBe(
      "{\n  l = ''\n    a\n    ''\\'''${b}'\n  '';\n}"
    )
    expect(edited("{\n  l = ''\n  '';\n}", it => it.addIn('l', ['  b']))).toBe(
      "{\n  l = ''\n    ''\\  b\n  '';\n}"
    )
    // Nix removes the common indentation also after an escaped line break.
    expect(edited("{\n  l = ''\n    a\n    b'';\n}", it => it.addIn('l', ['  c', 'd']))).toBe(
      "{\n  l = ''\n    a\n    b''\\n      c''\\nd'';\n}"
    )
    expect(refusalOf(given, it => it.addIn('l', ['b\nc']))).toBe('BAD_VALUE')
    expect(refusalOf(given, it => it.addIn('l', [1]))).toBe('BAD_VALUE')
  })

  it('refuses a computed string', () => {
    const given = '{ c, lib, ... }: { l = lib.optionalString c "a\\nb"; }'
    expect(refusalOf(given, addX)).toBe('CALL')
    expect(refusalOf("{ lib, ... }: { l = lib.mkIf true ''a''; }", it => it.addIn('l', [1]))).toBe(
      'BAD_VALUE'
    )
  })

  it('removeIn removes lines, also under a condition', () => {
    const merged = '{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c "X") "a\\nX" ]; }'
    expect(edited(merged, it => it.removeIn('l', ['X']))).toBe(
      '{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c "") "a" ]; }'
    )
    const optional = '{ c, lib, ... }: { l = lib.optionalString c "X\\na"; }'
    expect(edited(optional, it => it.removeIn('l', ['X']))).toBe(
      '{ c, lib, ... }: { l = lib.optionalString c "a"; }'
    )

    const given = "{\n  l = ''\n    a\n    X\n    b\n  '';\n}"
    expect(edited(given, it => it.removeIn('l', ['X']))).toBe("{\n  l = ''\n    a\n    b\n  '';\n}")
    expect(edited('{ l = "X\\na\\nX"; }', it => it.removeIn('l', ['X']))).toBe('{ l = "a"; }')
  })
})

describe('addIn to a string on one line', () => {
  const addLine: EditOf = it => it.addIn('l', ['X'], { lines: true })

  it('is refused, because the text does not show what separates the items', () => {
    const given =
      '{ ... }:\n{\n  nix.settings.experimental-features = "nix-command flakes";\n' +
      '  services.xserver.xkb.options = "a,b";\n}\n'
    expect(refused(given, it => it.addIn('nix.settings.experimental-features', ['X']))).toBe(
      [
        '3:40: NOT_A_LIST: this is a string, and its text does not show what separates its items',
        '3 |   nix.settings.experimental-features = "nix-command flakes";',
        '                                           ^^^^^^^^^^^^^^^^^^^^',
        'hint: set the whole string, or pass { lines: true } if its items are lines'
      ].join('\n')
    )
    expect(refusalOf(given, it => it.addIn('services.xserver.xkb.options', ['c']))).toBe(
      'NOT_A_LIST'
    )
    for (const value of [
      'lib.mkForce "a"',
      'lib.mkIf c "a"',
      'lib.mkMerge [ "a" "b" ]',
      'lib.optionalString c "a"',
      '"${c}"'
    ]) {
      expect(refusalOf(`{ c, lib, ... }: { l = ${value}; }`, addX)).toBe('NOT_A_LIST')
    }
  })

  it('changes nothing if the string is equal to the item', () => {
    expect(edited('{ l = "X"; }', addX)).toBe('{ l = "X"; }')
    expect(edited('{ l = ""; }', addX)).toBe('{ l = "X"; }')
  })

  it.each([
    ['a string on one line', '{ l = "a"; }', '{ l = "a\\nX"; }'],
    [
      'a string with an interpolation',
      '{ c, ... }: { l = "${c}"; }',
      '{ c, ... }: { l = "${c}\\nX"; }'
    ],
    [
      'a string under a condition',
      '{ c, lib, ... }: { l = lib.mkIf c "a"; }',
      '{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c "a") "X" ]; }'
    ],
    [
      'a computed string under a condition',
      '{ c, lib, ... }: { l = lib.mkIf c (c + "a"); }',
      '{ c, lib, ... }: { l = lib.mkMerge [ (lib.mkIf c (c + "a")) "X" ]; }'
    ],
    ['an option without a definition', '{ a = 1; }', '{ a = 1; l = "X"; }'],
    [
      'a string of several lines',
      "{\n  l = ''\n    a\n  '';\n}",
      "{\n  l = ''\n    a\n    X\n  '';\n}"
    ]
  ])('adds a line if lines are requested, to %s', (_, given, then) => {
    expect(edited(given, addLine)).toBe(then)
  })

  it('adds several lines to an option that is not defined', () => {
    const all: EditOf = it => it.addIn('l', ['X', 'Y', 'X'], { lines: true })
    expect(edited('{ a = 1; }', all)).toBe('{ a = 1; l = "X\\nY"; }')
    expect(refusalOf('{ a = 1; }', it => it.addIn('l', [1], { lines: true }))).toBe('BAD_VALUE')
  })

  it('does not join an addition of items and an addition of lines in one transaction', () => {
    const both: EditOf = it => it.addIn('l', ['X'], { lines: true }).addIn('l', ['Y'])
    expect(
      refusalOf('{ l = "a"; }', it => it.addIn('l', ['Y']).addIn('l', ['X'], { lines: true }))
    ).toBe('NOT_A_LIST')
    expect(edited('{ l = "a"; }', both)).toBe('{ l = "a\\nX\\nY"; }')
  })

  it('refuses to add lines to a list', () => {
    expect(refused('{ l = [ "a" ]; }', addLine)).toBe(
      [
        '1:7: CONFLICT: this is a list, and lines can be added only to a string',
        '1 | { l = [ "a" ]; }',
        '          ^^^^^^^',
        'hint: omit { lines: true } to add items to the list'
      ].join('\n')
    )
    for (const value of ['lib.optional c 1', 'if c then [ 1 ] else [ ]', 'config.m']) {
      expect(refusalOf(`{ c, config, lib, ... }: { l = ${value}; }`, addLine)).toBe('CONFLICT')
    }
  })
})

describe('addIn to a chosen definition', () => {
  it('edits a definition with computed names in its path, or under a condition', () => {
    const given = '{ lib, ... }: { config = lib.mkIf true { l = [ "a" ]; }; }'
    const plain = '{ user, ... }: { users.users.${user}.extraGroups = [ "wheel" ]; }'
    const doc = parseDocument(plain)
    const [groups] = doc.getBelow('users.users')
    if (!groups) throw new Error('no definition')
    const plan = doc.edit().setIn('a', 1).addIn(groups, ['libvirtd']).plan()
    expect(plan.ok && plan.value.text).toBe(
      '{ user, ... }: { users.users.${user}.extraGroups = [ "wheel" "libvirtd" ]; a = 1; }'
    )
    const module = parseDocument(given)
    const [l] = module.getIn('l')
    if (!l) throw new Error('no definition')
    const inside = module.edit().addIn(l, ['X']).plan()
    expect(inside.ok && inside.value.text).toBe(given.replace('[ "a" ]', '[ "a" "X" ]'))
  })

  it('edits a definition whose written path begins with config', () => {
    const doc = parseDocument('{ c, lib, ... }: { config.l = lib.optional c 1; }')
    const [l] = doc.getIn('l')
    if (!l) throw new Error('no definition')
    const plan = doc.edit().addIn(l, ['X']).plan()
    expect(plan.ok && plan.value.text).toBe(
      '{ c, lib, ... }: { config.l = lib.optional c 1 ++ [ "X" ]; }'
    )
  })

  it('refuses a definition of another document', () => {
    const [other] = parseDocument('{ a = 1; l = [ ]; }').getIn('l')
    if (!other) throw new Error('no definition')
    const plan = parseDocument('{ l = [ ]; }').edit().addIn(other, ['X']).plan()
    expect(plan.ok ? '' : plan.error.code).toBe('STALE')
  })
})

describe('addIn without a usable list', () => {
  it('refuses to call a mkMerge that is not in scope', () => {
    const given = '{ c, lib, ... }: let inherit (lib) mkIf; in { l = mkIf c [ "a" ]; }'
    expect(refusalOf(given, addX)).toBe('NO_TARGET')
    expect(edited(given.replace('mkIf;', 'mkIf mkMerge;'), addX)).toContain(
      'l = mkMerge [ (mkIf c [ "a" ]) [ "X" ] ];'
    )
  })

  it('refuses a value under a condition that is not a list', () => {
    const given = (value: string) =>
      `{ c, lib, p, ... }: { config = lib.mkIf c { l = ${value}; }; }`
    expect(refusalOf(given('true'), addX)).toBe('NOT_A_LIST')
    expect(refusalOf(given('p'), addX)).toBe('VARIABLE')
    expect(refusalOf(given('lib.mkForce [ ]'), addX)).toBe('OTHER_PRIORITY')
    for (const value of ['lib.mkIf c { inherit l; }', 'if c then { l = [ ]; } else { }']) {
      expect(refusalOf(`{ c, l, lib, ... }: { config = ${value}; }`, addX)).toBe('CONDITIONAL')
    }
  })

  it('refuses a value that is not a list, or is computed elsewhere', () => {
    expect(refusalOf('{ l = 1; }', addX)).toBe('NOT_A_LIST')
    expect(refusalOf('{ l.m = 1; }', addX)).toBe('NOT_A_LIST')
    expect(refusalOf('{ p, ... }: { l = p; }', addX)).toBe('VARIABLE')
    expect(refusalOf('let p = mkIf true [ ]; in { l = p; }', addX)).toBe('VARIABLE')
    expect(refusalOf('{ p, ... }: { l = p.f [ ]; }', addX)).toBe('CALL')
    expect(refusalOf('{ l, ... }: { inherit l; }', addX)).toBe('INHERITED')
  })

  it('refuses a list inside a pipe expression', () => {
    expect(refusalOf('{ f, ... }: { l = [ "a" ] |> f; }', addX)).toBe('PIPE_OPERATOR')
    expect(refusalOf('{ f, ... }: f <| { l = [ "a" ]; }', addX)).toBe('NOT_A_MODULE')
    expect(edited('{ f, ... }: { a = 1 |> f; l = [ "a" ]; }', addX)).toBe(
      '{ f, ... }: { a = 1 |> f; l = [ "a" "X" ]; }'
    )
  })
})
