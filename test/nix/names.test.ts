import { describe, expect, it } from 'vitest'
import { type Definition, expr, parseDocument, type Transaction } from '../../src/nix/index.ts'
import { edited, refusalOf, refused } from './support.ts'

describe('an edit of a rec set', () => {
  it('only removes or renames attributes that no other attribute uses', () => {
    const given = '{ x = rec { a = 1; b = a; c = { inherit a; }; d = 2; }; }'
    expect(refused(given, it => it.removeIn('x.a'))).toBe(
      [
        '1:24: CONFLICT: "a" is used as a variable in this "rec" set, and the edit would change its meaning or leave it undefined',
        '1 | { x = rec { a = 1; b = a; c = { inherit a; }; d = 2; }; }',
        '                           ^',
        'hint: change its uses first'
      ].join('\n')
    )
    expect(refusalOf(given, it => it.renameIn('x.a', 'x.e'))).toBe('CONFLICT')
    expect(edited(given, it => it.removeIn('x.d'))).toBe(
      '{ x = rec { a = 1; b = a; c = { inherit a; }; }; }'
    )
    expect(edited(given, it => it.removeIn('x.b').removeIn('x.c').removeIn('x.a'))).toBe(
      '{ x = rec { d = 2; }; }'
    )
  })

  it('refuses to remove an attribute that another attribute reads', () => {
    const given = (use: string) => `rec { a.b = 1; a.c = 2; d = ${use}; }`
    expect(edited(given('a.c'), it => it.removeIn('a.b'))).toBe('rec { a.c = 2; d = a.c; }')
    expect(edited(given('a.c'), it => it.renameIn('a.b', 'a.e'))).toBe(
      'rec { a.e = 1; a.c = 2; d = a.c; }'
    )
    expect(edited(given('a.c'), it => it.setIn('a.b', 3))).toBe(
      'rec { a.b = 3; a.c = 2; d = a.c; }'
    )
    for (const use of ['a', 'a.b', 'a.${x}', 'with a; b', '{ inherit (a) b; }']) {
      expect(refusalOf(given(use), it => it.removeIn('a.b'))).toBe('CONFLICT')
      expect(refusalOf(given(use), it => it.renameIn('a.b', 'a.e'))).toBe('CONFLICT')
      expect(refusalOf(given(use), it => it.setIn('a.b', 3))).toBe('SHARED_BINDING')
    }
    const nested = 'rec { a = { b = 1; c = 2; }; d = a.b; }'
    expect(refusalOf(nested, it => it.removeIn('a.b'))).toBe('CONFLICT')
    expect(edited(nested, it => it.removeIn('a.c'))).toBe('rec { a = { b = 1; }; d = a.b; }')
  })

  it('refuses a new name that shadows a variable of its attributes', () => {
    const given = 'let n = 1; in { x = rec { a = n; b = 2; c = { inherit n; }; }; }'
    expect(refusalOf(given, it => it.setIn('x.n', 2))).toBe('CONFLICT')
    expect(refusalOf(given, it => it.renameIn('x.b', 'x.n'))).toBe('CONFLICT')
    expect(refusalOf('let n = 1; in rec { c = { inherit n; }; }', it => it.setIn('n', 2))).toBe(
      'CONFLICT'
    )
  })

  it('accepts a new name that its attributes bind themselves', () => {
    expect(edited('rec { f = n: n; g = let n = 1; in n; }', it => it.setIn('n', 2))).toBe(
      'rec { f = n: n; g = let n = 1; in n; n = 2; }'
    )
    expect(edited('let n = 1; in rec { inherit (n) x; }', it => it.setIn('y', 2))).toBe(
      'let n = 1; in rec { inherit (n) x; y = 2; }'
    )
  })
})

describe('a variable in new text', () => {
  it('is refused if it is not in scope at its place', () => {
    expect(refused('{ a = 1; }', it => it.setIn('b', expr('lib.mkForce 1')))).toBe(
      'BAD_VALUE: "lib" is not in scope where it would be written, so Nix would reject the file\n' +
        'hint: if it is an argument of the module, add it at the top:  { lib, ... }:'
    )
    expect(refusalOf('{ a = [ ]; }', it => it.addIn('a', [expr('pkgs.hello')]))).toBe('BAD_VALUE')
    expect(refusalOf('{ a = 1; }', it => it.setIn('a', expr('{ inherit x; }')))).toBe('BAD_VALUE')
  })

  it('is refused in the head of a "with" if it is not in scope outside', () => {
    const given = '{ ... }:\n{\n  environment.systemPackages = [ ];\n}\n'
    const value = expr('with pkgs; [ vim ]')
    expect(refused(given, it => it.setIn('environment.systemPackages', value))).toBe(
      'BAD_VALUE: "pkgs" is not in scope where it would be written, so Nix would reject the file\n' +
        'hint: if it is an argument of the module, add it at the top:  { pkgs, ... }:'
    )
    const pkgs = '{ pkgs, ... }:\n{\n  environment.systemPackages = [ ];\n}\n'
    expect(edited(pkgs, it => it.setIn('environment.systemPackages', value))).toBe(
      '{ pkgs, ... }:\n{\n  environment.systemPackages = with pkgs; [ vim ];\n}\n'
    )
    for (const source of ['with { inherit q; }; q', 'with (with q; r); s', 'with q.r or { }; q']) {
      expect(refusalOf(pkgs, it => it.setIn('a', expr(source)))).toBe('BAD_VALUE')
    }
    expect(edited(pkgs, it => it.setIn('a', expr('with pkgs; with lib; x')))).toContain(
      'a = with pkgs; with lib; x;'
    )
  })

  it.each([
    ['an argument', '{ lib, ... }: { }', 'lib.mkForce 1'],
    ['the whole argument', 'args: { }', 'args.lib.mkForce 1'],
    ['a let', 'let x = 1; in { }', 'x'],
    ['a with', 'x: with x; { }', 'y'],
    ['a name of its own', '{ }', 'x: let y = x; in rec { a = y; b = a; inherit (a) c; }'],
    ['a name of Nix', '{ }', 'map toString [ true null builtins.currentSystem ]']
  ])('may be %s', (_, given, source) => {
    expect(edited(given, it => it.setIn('a', expr(source)))).toContain(`a = ${source};`)
  })
})

it('reports an existing duplicate as a fault of the text', () => {
  const given = '{ boot = with { }; { a = 1; }; boot.b = 2; }'
  expect(refusalOf(given, it => it.addIn('boot.z', ['n']))).toBe('DUPLICATE_ATTRIBUTE')
})

describe('an expression that defines a name twice', () => {
  it.each([
    '{ a = 1; a = 2; }',
    '[ { a.b = 1; a = 2; } ]',
    'let a = 1; a = 2; in a',
    '{ x, x }: x',
    'x@{ x, ... }: x'
  ])('is refused: %s', source => {
    expect(refusalOf('{ }', it => it.setIn('o', expr(source)))).toBe('BAD_VALUE')
    expect(refusalOf('{ }', it => it.setIn('o', { p: [expr(source)] }))).toBe('BAD_VALUE')
  })
})

it('puts parentheses around a function that is added to a list', () => {
  expect(edited('{ l = [ 1 ]; }', it => it.addIn('l', [expr('{ a }: { b = a; }')]))).toBe(
    '{ l = [ 1 ({ a }: { b = a; }) ]; }'
  )
})

it('compares an interpolation and a string with its source as different', () => {
  const given = '{ y, ... }: { a = "${y}"; l = [ "${y}" ]; }'
  expect(edited(given, it => it.setIn('a', '${y}').addIn('l', ['${y}']))).toBe(
    '{ y, ... }: { a = "\\${y}"; l = [ "${y}" "\\${y}" ]; }'
  )
})

it('refuses a cyclic value', () => {
  const value: { a: unknown } = { a: 1 }
  value.a = value
  expect(refusalOf('{ }', it => it.setIn('a', value as never))).toBe('BAD_VALUE')
})

describe('a definition that others depend on', () => {
  it('is not changed if a rec set uses it as a variable, unless the definition is chosen', () => {
    const given = 'rec { a = "x"; b = a; l = [ "m" ]; m = l ++ [ ]; s = { t = 1; }; u = s; }'
    expect(refusalOf(given, it => it.setIn('a', 'y'))).toBe('SHARED_BINDING')
    expect(refusalOf(given, it => it.addIn('l', ['n']))).toBe('SHARED_BINDING')
    expect(refusalOf(given, it => it.removeIn('l', ['m']))).toBe('SHARED_BINDING')
    expect(refusalOf(given, it => it.setIn('s.n', 1))).toBe('SHARED_BINDING')
    expect(edited(given, it => it.setIn('a', 'x').addIn('l', ['m']).setIn('b', 1))).toBe(
      given.replace('b = a', 'b = 1')
    )
    const chosen = (it: Transaction) => {
      const [definition] = parseDocument(given).getIn('a')
      return it.setIn(definition as Definition, 'y')
    }
    expect(chosen(parseDocument(given).edit()).plan()).toMatchObject({
      value: { text: given.replace('"x"', '"y"') }
    })
  })

  it('is not removed if the left side of a // would then apply', () => {
    const given = 'let d = { x = 1; }; in { a = d // { x = 2; y = 3; }; }'
    expect(refusalOf(given, it => it.removeIn('a.x'))).toBe('UPDATE_OPERATOR')
    expect(refusalOf(given, it => it.renameIn('a.x', 'a.z'))).toBe('UPDATE_OPERATOR')
    expect(edited('{ b = 1; } // { a = 2; c = 3; }', it => it.removeIn('a'))).toBe(
      '{ b = 1; } // { c = 3; }'
    )
  })
})

describe('paths that are not options', () => {
  it.each(['config', 'config.b'])('refuses %s', path => {
    expect(refusalOf('{ a = 1; }', it => it.setIn(path, 1))).toBe('BAD_PATH')
    expect(refusalOf('{ a = 1; }', it => it.renameIn('a', path))).toBe('BAD_PATH')
    expect(refusalOf('{ config.a = 1; }', it => it.addIn(path, [1]))).toBe('BAD_PATH')
  })

  it('declares options only in a module with its definitions in config', () => {
    expect(refusalOf('{ a = 1; }', it => it.setIn('options.b', 1))).toBe('CONFLICT')
    expect(refusalOf('{ a = 1; }', it => it.renameIn('a', 'imports'))).toBe('BAD_PATH')
    expect(edited('{ config.a = 1; }', it => it.setIn('options.b', 1))).toBe(
      '{ config.a = 1; options.b = 1; }'
    )
  })
})

describe('addIn with several priorities', () => {
  it.each([
    [
      'adds to the list that applies',
      '{ lib, ... }: { a = lib.mkMerge [ [ "e" ] (lib.mkForce [ ]) ]; }',
      '{ lib, ... }: { a = lib.mkMerge [ [ "e" ] (lib.mkForce [ "n" ]) ]; }'
    ],
    [
      'uses the number of mkOverride as the priority',
      '{ lib, ... }: { a = lib.mkMerge [ (lib.mkOverride 60 [ ]) (lib.mkOverride 40 [ ]) ]; }',
      '{ lib, ... }: { a = lib.mkMerge [ (lib.mkOverride 60 [ ]) (lib.mkOverride 40 [ "n" ]) ]; }'
    ]
  ])('%s', (_, given, then) => expect(edited(given, it => it.addIn('a', ['n']))).toBe(then))

  it('refuses if the new or the existing items would not always apply', () => {
    for (const value of [
      'lib.mkIf c (lib.mkDefault [ "e" ])',
      'lib.mkMerge [ [ "e" ] (lib.mkIf c (lib.mkForce [ ])) ]',
      'lib.mkOverride (f 1) (g 2)'
    ]) {
      expect(
        refusalOf(`{ c, f, g, lib, ... }: { a = ${value}; }`, it => it.addIn('a', ['n']))
      ).toMatch(/^(?:OTHER_PRIORITY|SHARED_BINDING)$/)
    }
  })
})

it('adds and removes expressions that need a workaround of the parser', () => {
  expect(edited('{ a = 1; f = { a, b, }: a; }', it => it.removeIn('f'))).toBe('{ a = 1; }')
  expect(edited('{ a = 1; }', it => it.setIn('f', expr('{ a, b, }: a')))).toBe(
    '{ a = 1; f = { a, b, }: a; }'
  )
  expect(refusalOf('{ a = 1; }', it => it.setIn('f', expr('1 |> toString')))).toBe('BAD_VALUE')
})

it('removes neighboring items together', () => {
  const drop = (given: string) => edited(given, it => it.removeIn('l', ['a', 'b']))
  expect(drop('{ l = [ "a" "b" "q" ]; }')).toBe('{ l = [ "q" ]; }')
  expect(drop('{ l = ["a" "b" "q"]; }')).toBe('{ l = ["q"]; }')
  expect(drop('{ l = [ "p" "a" "b" "q" ]; }')).toBe('{ l = [ "p" "q" ]; }')
  expect(drop('{ l = [ "a" /* a */ "b" /* b */ "q" ]; }')).toBe('{ l = [ "q" ]; }')
})
