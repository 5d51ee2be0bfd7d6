import { describe, expect, it } from 'vitest'
import { expr, parseDocument } from '../../src/nix/index.ts'
import { edited, refusalOf } from './support.ts'

const around = (value: string) => `{ config, lib, pkgs, ... }: { l = ${value}; }`
const vim = expr('pkgs.vim')

describe('below a `with`, a name is the same item as its path', () => {
  // The value of the list, and the value without pkgs.vim.
  const equal: [string, string][] = [
    ['with pkgs; [ vim git ]', 'with pkgs; [ git ]'],
    ['with pkgs; [ pkgs.vim git ]', 'with pkgs; [ git ]'],
    ['with pkgs; [ vim pkgs.vim ]', 'with pkgs; [ ]'],
    ['with lib; with pkgs; [ vim ]', 'with lib; with pkgs; [ ]'],
    ['with pkgs; [ git ] ++ [ vim ]', 'with pkgs; [ git ]'],
    ['(with pkgs; [ git vim ]) ++ [ config.a ]', '(with pkgs; [ git ]) ++ [ config.a ]'],
    ['lib.mkForce (with pkgs; [ vim git ])', 'lib.mkForce (with pkgs; [ git ])'],
    ['let git = 1; in with pkgs; [ vim git ]', 'let git = 1; in with pkgs; [ git ]'],
    ['with (pkgs); [ vim git ]', 'with (pkgs); [ git ]'],
    ['[ pkgs."vim" pkgs.git ]', '[ pkgs.git ]']
  ]
  it.each(equal)('in %s', (given, without) => {
    expect(edited(around(given), it => it.addIn('l', [vim]))).toBe(around(given))
    expect(edited(around(given), it => it.removeIn('l', [vim]))).toBe(around(without))
  })

  it('in a module below a `with`', () => {
    const given = `{ pkgs, ... }: with pkgs; { l = [ vim pkgs.git ]; }`
    expect(edited(given, it => it.addIn('l', [vim, expr('git')]))).toBe(given)
    expect(edited(given, it => it.removeIn('l', [vim, expr('git')]))).toBe(
      `{ pkgs, ... }: with pkgs; { l = [ ]; }`
    )
  })

  it('for longer paths', () => {
    const numpy = expr('pkgs.python3Packages.numpy')
    for (const given of [
      'with pkgs; [ python3Packages.numpy ]',
      'with pkgs.python3Packages; [ numpy ]',
      'with pkgs; with python3Packages; [ numpy ]',
      'with pkgs; [ (python3Packages.numpy) ]'
    ]) {
      const text = around(given)
      expect(edited(text, it => it.addIn('l', [numpy]))).toBe(text)
      expect(edited(text, it => it.removeIn('l', [numpy]))).toBe(text.replace(/\[.*\]/, '[ ]'))
    }
  })

  it('inside an item that is a call, a list or a set', () => {
    const item = expr('pkgs.python3.withPackages (ps: [ ps.numpy pkgs.vim ])')
    const given = around('with pkgs; [ (python3.withPackages (ps: [ ps.numpy vim ])) vim ]')
    expect(edited(given, it => it.addIn('l', [item]))).toBe(given)
    expect(edited(given, it => it.removeIn('l', [item]))).toBe(around('with pkgs; [ vim ]'))
    const nested = around('with pkgs; [ [ vim ] { a = vim; } ]')
    expect(edited(nested, it => it.removeIn('l', [[vim], { a: vim }]))).toBe(
      around('with pkgs; [ ]')
    )
  })

  it('for the item that a position names', () => {
    const given = around('with pkgs; [ git vim ]')
    expect(edited(given, it => it.addIn('l', [expr('pkgs.htop')], { at: { before: vim } }))).toBe(
      around('with pkgs; [ git htop vim ]')
    )
    expect(edited(given, it => it.addIn('l', [1], { at: { after: expr('pkgs.git') } }))).toBe(
      around('with pkgs; [ git 1 vim ]')
    )
  })

  it('in each list of the option, whatever `with` it is below', () => {
    const given = around('with pkgs; [ vim ] ++ (with lib; [ vim ]) ++ (with config; [ a ])')
    expect(edited(given, it => it.removeIn('l', [vim]))).toBe(
      around('with pkgs; [ ] ++ (with lib; [ vim ]) ++ (with config; [ a ])')
    )
    expect(edited(given, it => it.removeIn('l', [expr('lib.vim'), expr('config.a')]))).toBe(
      around('with pkgs; [ vim ] ++ (with lib; [ ]) ++ (with config; [ ])')
    )
  })

  it('adds the same item once', () => {
    const given = around('with pkgs; [ git ]')
    expect(edited(given, it => it.addIn('l', [vim, expr('vim')]))).toBe(
      around('with pkgs; [ git vim ]')
    )
  })
})

describe('a name is not the same item as a path', () => {
  const other: [string, string][] = [
    ['a `let` defines the name', 'with pkgs; let vim = 1; in [ vim ]'],
    ['a `let` inherits the name', 'let inherit (config) vim; in with pkgs; [ vim ]'],
    ['a function defines the name', 'with pkgs; ({ vim }: [ vim ]) config'],
    ['an inner `with` may have the name', 'with pkgs; with lib; [ vim ]'],
    ['the set of the inner `with` is computed', 'with pkgs; with config.f 1; [ vim ]'],
    ['the set of the `with` is another one', 'let p = pkgs; pkgs = 1; in with p; [ vim ]'],
    ['pkgs has another meaning at the list', 'with pkgs; let pkgs = config; in [ vim ]'],
    ['there is no `with`', 'let vim = 1; in [ vim ]']
  ]
  it.each(other)('if %s', (_, given) => {
    const text = around(given)
    expect(edited(text, it => it.removeIn('l', [vim]))).toBe(text)
  })

  it('if a `rec` set defines the name', () => {
    const text = '{ pkgs, ... }: with pkgs; rec { vim = 1; l = [ vim ]; }'
    expect(edited(text, it => it.removeIn('l', [vim]))).toBe(text)
    expect(edited(text, it => it.addIn('l', [vim]))).toBe(
      text.replace('[ vim ]', '[ vim pkgs.vim ]')
    )
  })

  it('if the name is a global of Nix', () => {
    const text = around('with pkgs; [ map ]')
    expect(edited(text, it => it.removeIn('l', [expr('pkgs.map')]))).toBe(text)
  })
})

describe('new items have the style of the items around them', () => {
  const cases: [string, string, string][] = [
    ['among names', 'with pkgs; [ git ]', 'with pkgs; [ git vim ]'],
    ['in an empty list', 'with pkgs; [ ]', 'with pkgs; [ vim ]'],
    ['among paths', 'with pkgs; [ pkgs.git ]', 'with pkgs; [ pkgs.git pkgs.vim ]'],
    ['without a `with`', '[ pkgs.git ]', '[ pkgs.git pkgs.vim ]'],
    ['below an inner `with`', 'with pkgs; with lib; [ a ]', 'with pkgs; with lib; [ a pkgs.vim ]'],
    [
      'if the name has another meaning',
      'with pkgs; let vim = 1; in [ git ]',
      'with pkgs; let vim = 1; in [ git pkgs.vim ]'
    ],
    [
      'in a list after a computed one',
      'with pkgs; lib.optional config.c git',
      'with pkgs; lib.optional config.c git ++ [ vim ]'
    ],
    [
      'outside the `with`',
      'lib.mkIf config.c (with pkgs; [ git ])',
      'lib.mkMerge [ (lib.mkIf config.c (with pkgs; [ git ])) [ pkgs.vim ] ]'
    ]
  ]
  it.each(cases)('%s', (_, given, then) =>
    expect(edited(around(given), it => it.addIn('l', [vim]))).toBe(around(then))
  )

  it('never a name where nothing defines it', () => {
    expect(refusalOf(around('[ pkgs.git ]'), it => it.addIn('l', [expr('vim')]))).toBe('BAD_VALUE')
    const below = '{ pkgs, ... }: with pkgs; { l = [ ]; m = [ git ]; }'
    expect(edited(below, it => it.addIn('l', [vim]).addIn('m', [vim]))).toBe(
      '{ pkgs, ... }: with pkgs; { l = [ pkgs.vim ]; m = [ git vim ]; }'
    )
  })
})

describe('functions that return a list of one item', () => {
  const without: [string, string, string][] = [
    ['the last operand', '[ "a" ] ++ lib.optional config.c "X"', '[ "a" ]'],
    ['the first operand', 'lib.optional config.c "X" ++ [ "a" ]', '[ "a" ]'],
    [
      'an operand in the middle',
      '[ "a" ] ++ lib.optional config.c "X" ++ [ "b" ] ++ [ "c" ]',
      '[ "a" ] ++ [ "b" ] ++ [ "c" ]'
    ],
    ['in parentheses', '[ "a" ] ++ (lib.optional config.c "X") ++ [ "X" ]', '[ "a" ]'],
    ['the whole value', 'lib.optional config.c "X"', '[ ]'],
    ['an argument', 'lib.mkIf config.d (lib.optional config.c "X")', 'lib.mkIf config.d [ ]'],
    ['a single item', '[ "a" ] ++ lib.singleton "X"', '[ "a" ]'],
    ['all operands', 'lib.optional config.c "X" ++ lib.singleton "X"', '[ ]'],
    [
      'with items of lists',
      '[ "a" "X" ] ++ lib.optional config.c "X" ++ lib.optionals config.d [ "X" "b" ]',
      '[ "a" ] ++ lib.optionals config.d [ "b" ]'
    ],
    [
      'on a line with a comment',
      '[ "a" ] # one\n  ++ lib.optional config.c "X" # why\n  ++ [ "b" ]',
      '[ "a" ] # one\n  ++ [ "b" ]'
    ],
    [
      'between comments, which stay',
      '[ "a" ] /* x */ ++ /* y */ lib.optional config.c "X"',
      '[ "a" ] /* x */ ++ /* y */ [ ]'
    ],
    [
      'in an if',
      '[ "a" ] ++ (if config.c then [ "X" "b" ] else [ "X" ])',
      '[ "a" ] ++ (if config.c then [ "b" ] else [ ])'
    ],
    ['not an argument of map', 'map toString [ "X" ] ++ [ "a" ]', 'map toString [ "X" ] ++ [ "a" ]']
  ]
  it.each(without)('removeIn removes their item: %s', (_, given, then) =>
    expect(edited(around(given), it => it.removeIn('l', ['X']))).toBe(around(then))
  )

  it('addIn reads only a certain item as present', () => {
    const optional = around('[ "a" ] ++ lib.optional config.c "X"')
    expect(edited(optional, it => it.addIn('l', ['X']))).toBe(
      optional.replace('[ "a" ]', '[ "a" "X" ]')
    )
    const single = around('[ "a" ] ++ lib.singleton "X"')
    expect(edited(single, it => it.addIn('l', ['X']))).toBe(single)
    const second = around('[ "a" ] ++ [ "X" ]')
    expect(edited(second, it => it.addIn('l', ['X']))).toBe(second)
  })

  it('itemsIn and importItems contain their item', () => {
    const doc = parseDocument(
      '{ lib, c, ... }: { imports = [ ./a ] ++ lib.optional c ./b ++ lib.singleton ./c; }'
    )
    expect(doc.itemsIn('imports')).toEqual([expr('./a'), expr('./b'), expr('./c')])
    expect(doc.importItems().map(it => [it.path, it.isCertain])).toEqual([
      ['./a', true],
      ['./b', false],
      ['./c', true]
    ])
  })
})

describe('notes of a removal', () => {
  const notesOn = (value: string, item: string | ReturnType<typeof expr>) => {
    const plan = parseDocument(around(value)).edit().removeIn('l', [item]).plan()
    return plan.ok ? plan.value.notes.map(it => `${it.code}: ${it.message.split(' stays')[0]}`) : []
  }

  const left: [string, string, string | ReturnType<typeof expr>, string[]][] = [
    ['an argument of a function', 'map f [ "X" ] ++ [ "X" ]', 'X', ['COMPUTED: "X"']],
    ['a list in a variable', 'let p = [ "X" ]; in p ++ [ "a" ]', 'X', ['COMPUTED: "X"']],
    ['a string with other text', '[ "X" "a X=1" "Xb" ]', 'X', ['IN_STRING: "a X=1"']],
    ['a string that is computed', '[ "X=${config.a}" ]', 'X', ['IN_STRING: "X=${config.a}"']],
    ['a line with other text', '"options X=1\\nX"', 'X', ['IN_STRING: "options X=1"']],
    ['a name below two `with`s', 'with pkgs; with lib; [ vim ]', vim, ['OTHER_NAME: vim']],
    ['a name of a `let`', 'let inherit (pkgs) vim; in [ vim ]', vim, ['OTHER_NAME: vim']],
    [
      'a part of an item',
      '[ (pkgs.vim.override { }) pkgs.vim ]',
      vim,
      ['COMPUTED: pkgs.vim.override']
    ],
    ['an item of a filtered list', 'lib.filter f (with pkgs; [ vim ])', vim, ['OTHER_NAME: vim']]
  ]
  it.each(left)('name %s', (_, value, item, expected) =>
    expect(notesOn(value, item)).toEqual(expected)
  )

  it.each([
    ['items that were removed', '[ "X" ] ++ lib.optional config.c "X"', 'X'],
    [
      'conditions',
      'lib.optional (config.c == "X") "a" ++ (if config.c == "X" then [ ] else [ ])',
      'X'
    ],
    ['other items', '[ "Xb" "a-X" ]', 'X'],
    ['the set of a `with`', 'with pkgs.vim; [ a ]', vim]
  ])('do not name %s', (_, value, item) => expect(notesOn(value, item)).toEqual([]))

  it('have the place in the text before the edits', () => {
    const given = '{ c, ... }: {\n  a = [ "X" 1 ];\n  l = c "X";\n}\n'
    const plan = parseDocument(given).edit().removeIn('a', ['X']).removeIn('l', ['X']).plan()
    expect(plan.ok && plan.value.notes.map(it => it.at)).toEqual([{ line: 3, column: 9 }])
  })
})
