import { describe, expect, it } from 'vitest'
import { edited, nix, refusalOf } from './support.ts'

describe('removeIn of lines of a string', () => {
  const cases: [string, string, string][] = [
    [
      'of an indented string',
      "{\n  l = ''\n    a\n    b\n  '';\n}",
      "{\n  l = ''\n    a\n  '';\n}"
    ],
    ['of a quoted string', '{ l = "a\\nb"; }', '{ l = "a"; }'],
    ['after CRLF', '{ l = "a\r\nb"; }\r\n', '{ l = "a"; }\r\n'],
    ['after an escaped line ending', "{ l = ''a''\\\nb''; }", "{ l = ''a''; }"],
    ['before an escaped line ending', "{ l = ''b''\\\na''; }", "{ l = ''a''; }"],
    ['after \\n in an indented string', "{ l = ''\n  a''\\n  b\n''; }", "{ l = ''\n  a''\\n''; }"]
  ]
  it.each(cases)('removes a line %s', (_, given, then) =>
    expect(edited(given, it => it.removeIn('l', ['b']))).toBe(then)
  )

  it('refuses if other lines would lose indentation', () => {
    const given = "{\n  l = ''\n    b\n      c\n    d\n  '';\n}"
    expect(edited(given, it => it.removeIn('l', ['b']))).toBe(given.replace('    b\n', ''))
    expect(refusalOf(given, it => it.removeIn('l', ['b', 'd']))).toBe('CONFLICT')
  })

  it('refuses if Nix keeps the CR of the line ending', () => {
    const given = "{\r\n  l = ''\r\n    a\r\n    b\r\n  '';\r\n}\r\n"
    expect(refusalOf(given, it => it.removeIn('l', ['b']))).toBe('CONFLICT')
    expect(edited(given, it => it.removeIn('l', ['c']))).toBe(given)
  })
})

describe('removeIn of items', () => {
  const cases: [string, string, string][] = [
    ['an item in the middle', '{ l = [ "a" "b" "c" ]; }', '{ l = [ "a" "c" ]; }'],
    ['the first item', '{ l = [ "b" "a" ]; }', '{ l = [ "a" ]; }'],
    ['the last item', '{ l = [ "a" "b" ]; }', '{ l = [ "a" ]; }'],
    ['the only item', '{ l = [ "b" ]; }', '{ l = [ ]; }'],
    ['the only item of a list without spaces in the brackets', '{ l = ["b"]; }', '{ l = []; }'],
    ['an item that the list has twice', '{ l = [ "b" "a" "b" ]; }', '{ l = [ "a" ]; }'],
    ['two equal items next to each other', '{ l = [ "a" "b" "b" "c" ]; }', '{ l = [ "a" "c" ]; }'],
    [
      'an item with its line and its comment',
      '{\n  l = [\n    "a"\n    "b" # why\n    "c"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "c"\n  ];\n}'
    ],
    [
      'an item, but not the comment above it',
      '{\n  l = [\n    # what follows\n    "b"\n    "c"\n  ];\n}',
      '{\n  l = [\n    # what follows\n    "c"\n  ];\n}'
    ],
    ['the only item, on its own line', '{\n  l = [\n    "b"\n  ];\n}', '{\n  l = [\n  ];\n}'],
    [
      'an item after another on the same line',
      '{\n  l = [\n    "a" "b"\n    "c"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "c"\n  ];\n}'
    ],
    [
      'an item before another on the same line',
      '{\n  l = [\n    "b" "a"\n    "c"\n  ];\n}',
      '{\n  l = [\n    "a"\n    "c"\n  ];\n}'
    ],
    [
      'an item from all lists of the option',
      '{ c, lib, ... }: { l = [ "b" ] ++ lib.optionals c [ "a" "b" ]; }',
      '{ c, lib, ... }: { l = [ ] ++ lib.optionals c [ "a" ]; }'
    ],
    [
      'an item from a file with CRLF line endings',
      '{\r\n  l = [\r\n    "a"\r\n    "b" # why\r\n  ];\r\n}\r\n',
      '{\r\n  l = [\r\n    "a"\r\n  ];\r\n}\r\n'
    ],
    [
      'an item without spaces around it',
      '{ x, ... }: { l = [ x"b"x ]; }',
      '{ x, ... }: { l = [ x x ]; }'
    ],
    [
      'the last item, but not its list, next to a comment',
      '{ x, ... }: { l = x /* y */ ++ [ "b" ]; }',
      '{ x, ... }: { l = x /* y */ ++ [ ]; }'
    ],
    ['nothing if the list does not contain the item', '{ l = [ "a" ]; }', '{ l = [ "a" ]; }']
  ]
  it.each(cases)('removes %s', (_, given, then) =>
    expect(edited(given, it => it.removeIn('l', ['b']))).toBe(then)
  )

  it('removes a list after ++ that becomes empty', () => {
    expect(edited('{ x, ... }: { l = x ++ [ "b" ]; }', it => it.removeIn('l', ['b']))).toBe(
      '{ x, ... }: { l = x; }'
    )
    expect(edited('{ x, ... }: { l = x ++ [ "b" ] ++ x; }', it => it.removeIn('l', ['b']))).toBe(
      '{ x, ... }: { l = x ++ [ ] ++ x; }'
    )
  })

  it('keeps the empty list after ++ if another list loses only some items', () => {
    const removed = (list: string) =>
      edited(`{ x, ... }: { l = ${list}; }`, it => it.removeIn('l', ['b']))
    expect(removed('[ "b" ] ++ [ "b" ]')).toBe('{ x, ... }: { l = [ ] ++ [ ]; }')
    expect(removed('[ "b" "c" ] ++ [ "b" ]')).toBe('{ x, ... }: { l = [ "c" ] ++ [ ]; }')
    expect(removed('x ++ [ "b" ] ++ [ "b" ]')).toBe('{ x, ... }: { l = x ++ [ ] ++ [ ]; }')
  })

  it('removes several items before the bracket, which moves to the item above', () => {
    expect(
      edited('{\n  l = [\n    "a"\n    "b"\n    "c" ];\n}', it => it.removeIn('l', ['b', 'c']))
    ).toBe('{\n  l = [\n    "a" ];\n}')
  })

  it('removes an item before the bracket, which moves to the item above', () => {
    expect(edited('{\n  l = [\n    "a"\n    "b" ];\n}', it => it.removeIn('l', ['b']))).toBe(
      '{\n  l = [\n    "a" ];\n}'
    )
    expect(edited('{\n\ta = {\n\t\tb = [\n\t\t\t1\n\t\t]; };\n}', it => it.removeIn('a.b'))).toBe(
      '{\n\ta = { };\n}'
    )
    expect(edited('{\n  l = [\n    "a" # n\n    "b" ];\n}', it => it.removeIn('l', ['b']))).toBe(
      '{\n  l = [\n    "a" # n\n  ];\n}'
    )
  })

  it('compares items by value', () => {
    expect(edited(`{ l = [ "a" ''b'' ]; }`, it => it.removeIn('l', ['b']))).toBe('{ l = [ "a" ]; }')
  })
})

describe('removeIn of an option', () => {
  it('removes the definition with the comment after it, its line, and the blank line above it', () => {
    const given = nix`
      {
        a = 1;

        # b's own
        b = {
          c = 2;
        }; # end of b

        d = 3;
      }
    `
    expect(edited(given, it => it.removeIn('d'))).toBe(given.replace('\n  d = 3;\n', ''))
    expect(edited(given, it => it.removeIn('b.c'))).toBe(given.replace('\n    c = 2;\n  ', ' '))
    expect(edited(given, it => it.removeIn('b'))).toBe(
      given.replace('  b = {\n    c = 2;\n  }; # end of b\n', '')
    )
  })

  it('removes consecutive definitions together', () => {
    const given = nix`
      {
        boot.tmp.useTmpfs = true;

        services.a.enable = true; # one
        services.b.enable = true;

        users.mutableUsers = false; services.c = 1; services.d = 2; # two
      }
    `
    expect(edited(given, it => it.removeIn('services'))).toBe(nix`
      {
        boot.tmp.useTmpfs = true;

        users.mutableUsers = false;
      }
    `)
    const first = '{\n  a.b = 1;\n\n  a.c = 2;\n\n  d = 3; a.e = 4;\n}\n'
    expect(edited(first, it => it.removeIn('a'))).toBe('{\n  d = 3;\n}\n')
    const commented = '{\n  a.b = 1;\n  # about c\n  a.c = 2;\n  d = 3;\n}\n'
    expect(edited(commented, it => it.removeIn('a'))).toBe('{\n  # about c\n  d = 3;\n}\n')
  })

  it('leaves `{ }` of a set that loses everything but comments', () => {
    const given = '{\n  a = {\n    b = 1; # one\n    c = 2;\n  };\n}\n'
    expect(edited(given, it => it.removeIn('a.b').removeIn('a.c'))).toBe('{\n  a = { };\n}\n')
    const noted = given.replace('    b', '    # mine\n    b')
    expect(edited(noted, it => it.removeIn('a.b').removeIn('a.c'))).toBe(
      '{\n  a = {\n    # mine\n  };\n}\n'
    )
    expect(edited('{\n  a = 1;\n}\n', it => it.removeIn('a'))).toBe('{ }\n')
  })

  it('removes a mkMerge element that becomes empty, unless it has a comment', () => {
    const given = nix`
      { lib, on, ... }:
      {
        config = lib.mkMerge [
          (lib.mkIf on { a = 1; })
          { b = 2; c.d = 3; }
        ];
      }
    `
    const part = '    { b = 2; c.d = 3; }\n'
    expect(edited(given, it => it.removeIn('b'))).toBe(given.replace('b = 2; ', ''))
    expect(edited(given, it => it.removeIn('b').removeIn('c'))).toBe(given.replace(part, ''))
    const noted = given.replace(part, '    {\n      # mine\n      b = 2;\n    }\n')
    expect(edited(noted, it => it.removeIn('b'))).toBe(noted.replace('      b = 2;\n', ''))
  })

  it('removes everything below the path', () => {
    expect(edited('{ a.b = 1; c = 2; a.d.e = 3; }', it => it.removeIn('a'))).toBe('{ c = 2; }')
    expect(edited('{ a = { b = 1; }; }', it => it.removeIn('a.b'))).toBe('{ a = { }; }')
    expect(edited('{ a = 1; }', it => it.removeIn('a'))).toBe('{ }')
    expect(edited('{ a = 1; }', it => it.removeIn('b'))).toBe('{ a = 1; }')
  })

  it('restores the text before setIn', () => {
    const given = nix`
      {
        a = 1;

        # the last
        b = 2;
      }
    `
    const texts = [
      given,
      '{ ... }:\n{ }\n',
      '{\n  config = { };\n}\n',
      '{ boot = {\n  a = 1;\n}; }\n',
      '{ lib, ... }:\n{\n  config = lib.mkMerge [\n    (lib.mkIf true { a = 1; })\n  ];\n}\n'
    ]
    for (const text of texts) {
      const doubled = edited(text, it => it.setIn('c', { d: 1 }))
      expect(edited(doubled, it => it.removeIn('c'))).toBe(text)
    }
  })
})

describe('removeIn next to comments', () => {
  it('removes the comment after an element of a mkMerge', () => {
    const given =
      '{ lib, ... }: {\n  a = lib.mkMerge [\n    { b = 1; } # why\n    { c = 2; }\n  ];\n}\n'
    expect(edited(given, it => it.removeIn('a.b'))).toBe(
      '{ lib, ... }: {\n  a = lib.mkMerge [\n    { c = 2; }\n  ];\n}\n'
    )
  })

  it('removes many definitions in linear time', () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `  a.x${i} = 0; # ${i}\n`).join('')
    const remarks = '/* 1 */ '.repeat(60)
    const start = performance.now()
    expect(edited(`{\n${lines}}\n`, it => it.removeIn('a'))).toBe('{ }\n')
    const given = `{\n  a.x = 1; ${remarks}\n  a.y = 2; # c\n  b = 1;\n}\n`
    expect(edited(given, it => it.removeIn('a'))).toBe('{\n  b = 1;\n}\n')
    expect(performance.now() - start).toBeLessThan(10_000)
  })

  it('refuses a name of an inherit if a comment there may be about another one', () => {
    for (const text of [
      '{ inherit (s) a /* b */ b; }',
      '{ inherit (s /* s */) a b; }',
      '{ inherit (s)\n  # a\n  a\n  b; }',
      '{ inherit (s)\n  b\n  a # a\n  ; }'
    ]) {
      expect(refusalOf(text, it => it.removeIn('a'))).toBe('CONFLICT')
    }
    expect(edited('{ inherit (s)\n  a # a\n  b; }', it => it.removeIn('a'))).toBe(
      '{ inherit (s)\n  b; }'
    )
  })
})
