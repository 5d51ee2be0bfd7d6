import { describe, expect, it } from 'vitest'
import { expr } from '../../src/nix/index.ts'
import { edited, refusalOf, refused } from './support.ts'

describe('a rec set', () => {
  it('loses or renames only what no neighbour uses', () => {
    const given = '{ x = rec { a = 1; b = a; c = { inherit a; }; d = 2; }; }'
    expect(refused(given, it => it.removeIn('x.a'))).toBe(
      [
        '1:24: CONFLICT: "a" is used as a variable in this "rec" set, and would mean something else or nothing',
        '1 | { x = rec { a = 1; b = a; c = { inherit a; }; d = 2; }; }',
        '                           ^',
        'hint: change what uses it first'
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

  it('keeps a name that another definition still gives', () => {
    const given = 'rec { a.b = 1; a.c = 2; d = a; }'
    expect(edited(given, it => it.removeIn('a.b'))).toBe('rec { a.c = 2; d = a; }')
    expect(edited(given, it => it.renameIn('a.b', 'a.e'))).toBe('rec { a.e = 1; a.c = 2; d = a; }')
  })

  it('gets no name that its neighbours take from outside', () => {
    const given = 'let n = 1; in { x = rec { a = n; b = 2; c = { inherit n; }; }; }'
    expect(refusalOf(given, it => it.setIn('x.n', 2))).toBe('CONFLICT')
    expect(refusalOf(given, it => it.renameIn('x.b', 'x.n'))).toBe('CONFLICT')
    expect(refusalOf('let n = 1; in rec { c = { inherit n; }; }', it => it.setIn('n', 2))).toBe(
      'CONFLICT'
    )
  })

  it('may get a name that its neighbours have of their own', () => {
    expect(edited('rec { f = n: n; g = let n = 1; in n; }', it => it.setIn('n', 2))).toBe(
      'rec { f = n: n; g = let n = 1; in n; n = 2; }'
    )
    expect(edited('let n = 1; in rec { inherit (n) x; }', it => it.setIn('y', 2))).toBe(
      'let n = 1; in rec { inherit (n) x; y = 2; }'
    )
  })
})

describe('a variable in what is written', () => {
  it('has to be in scope there', () => {
    expect(refused('{ a = 1; }', it => it.setIn('b', expr('lib.mkForce 1')))).toBe(
      'BAD_VALUE: "lib" is not in scope where it would be written, so Nix would reject the file\n' +
        'hint: if it is an argument of the module, name it at the top:  { lib, ... }:'
    )
    expect(refusalOf('{ a = [ ]; }', it => it.addIn('a', [expr('pkgs.hello')]))).toBe('BAD_VALUE')
    expect(refusalOf('{ a = 1; }', it => it.setIn('a', expr('{ inherit x; }')))).toBe('BAD_VALUE')
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

describe('an expression that names something twice', () => {
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

it('a function stands in parentheses in a list', () => {
  expect(edited('{ l = [ 1 ]; }', it => it.addIn('l', [expr('{ a }: { b = a; }')]))).toBe(
    '{ l = [ 1 ({ a }: { b = a; }) ]; }'
  )
})

it('an interpolation is no string that spells it', () => {
  const given = '{ y, ... }: { a = "${y}"; l = [ "${y}" ]; }'
  expect(edited(given, it => it.setIn('a', '${y}').addIn('l', ['${y}']))).toBe(
    '{ y, ... }: { a = "\\${y}"; l = [ "${y}" "\\${y}" ]; }'
  )
})

it('a value that contains itself is refused', () => {
  const value: { a: unknown } = { a: 1 }
  value.a = value
  expect(refusalOf('{ }', it => it.setIn('a', value as never))).toBe('BAD_VALUE')
})
