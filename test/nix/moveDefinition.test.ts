// Moves of a definition between two files: both texts afterwards, or why it is refused.

import { describe, expect, it } from 'vitest'
import { applyEdits, type MoveOptions, moveDefinition, parseDocument } from '../../src/nix/index.ts'
import { expectNixParses } from '../support/nix.ts'
import { nix } from './support.ts'

/** Both texts after a move. Also checks that it can be undone and that nothing is moved twice. */
function moved(from: string, option: string, to: string, options?: MoveOptions): [string, string] {
  const move = moveDefinition(parseDocument(from), option, parseDocument(to), options)
  if (!move.ok) throw new Error(move.error.render())
  const plans = [move.value.from, move.value.to] as const
  for (const [i, before] of [from, to].entries()) {
    const plan = plans[i] as (typeof plans)[0]
    expect(applyEdits(before, plan.edits)).toBe(plan.text)
    expect(applyEdits(plan.text, plan.inverse)).toBe(before)
    expectNixParses(plan.text, before)
  }
  const [left, arrived] = plans.map(it => it.text) as [string, string]
  const again = moveDefinition(parseDocument(left), option, parseDocument(arrived), options)
  expect(again.ok && [again.value.from.changed, again.value.to.changed]).toEqual([false, false])
  return [left, arrived]
}

function refused(from: string, option: string, to: string, options?: MoveOptions): string {
  const move = moveDefinition(parseDocument(from), option, parseDocument(to), options)
  return move.ok ? move.value.to.text : `${move.error.document}: ${move.error.code}`
}

describe('moveDefinition', () => {
  it('moves the value with the comments above, inside and after it', () => {
    const from = nix`
      { ... }:
      {
        # The loader.
        /* EFI */
        boot.loader = {
          timeout = 5; # seconds
        }; # mine

        networking.hostName = "pc";
      }
    `
    const to = nix`
      { ... }:
      {
        services.x.enable = true;
      }
    `
    expect(moved(from, 'boot.loader', to)).toEqual([
      nix`
        { ... }:
        {
          networking.hostName = "pc";
        }
      `,
      nix`
        { ... }:
        {
          services.x.enable = true;

          # The loader.
          /* EFI */
          boot.loader = {
            timeout = 5; # seconds
          }; # mine
        }
      `
    ])
  })

  it('leaves a comment above if it may be about the next definition too', () => {
    const from = '{\n  # Network\n  a.b = 1; # b\n  a.c = 2;\n}\n'
    expect(moved(from, 'a.b', '{\n  x = 1;\n}\n')).toEqual([
      '{\n  # Network\n  a.c = 2;\n}\n',
      '{\n  x = 1;\n\n  a.b = 1; # b\n}\n'
    ])
  })

  it('moves a comment between the name and the value', () => {
    const from = '{\n  a = # why\n    1;\n  b = 2;\n}\n'
    expect(moved(from, 'a', '{\n  x = 1;\n}\n')).toEqual([
      '{\n  b = 2;\n}\n',
      '{\n  x = 1;\n\n  # why\n  a = 1;\n}\n'
    ])
  })

  it('moves all parts of an option to another path', () => {
    const from = '{\n  a.b.c = 1;\n  z = 0;\n  a = { b.d = 2; e = 3; };\n}\n'
    expect(moved(from, 'a.b', '{\n  x = 1;\n}\n', { as: 'y' })).toEqual([
      '{\n  z = 0;\n  a = { e = 3; };\n}\n',
      '{\n  x = 1;\n\n  y.c = 1;\n  y.d = 2;\n}\n'
    ])
  })

  it('empties a set with its last definition and the comments about that', () => {
    const from = '{\n  a = {\n    # b\n    b = 1;\n  };\n}\n'
    expect(moved(from, 'a.b', '{\n  x = 1;\n}\n')).toEqual([
      '{\n  a = { };\n}\n',
      '{\n  x = 1;\n\n  # b\n  a.b = 1;\n}\n'
    ])
  })

  it('adds the arguments that the value uses, if asked', () => {
    const from = '{ lib, pkgs, ... }:\n{\n  a = with pkgs; [ vim ];\n  b = lib.mkForce (x: x);\n}\n'
    const to = '{ lib, ... }:\n{\n  x = 1;\n}\n'
    expect(refused(from, 'a', to)).toBe('to: BAD_VALUE')
    expect(moved(from, 'a', to, { addFormals: true })[1]).toBe(
      '{ lib, pkgs, ... }:\n{\n  x = 1;\n\n  a = with pkgs; [ vim ];\n}\n'
    )
    expect(moved(from, 'b', to)[1]).toBe(
      '{ lib, ... }:\n{\n  x = 1;\n\n  b = lib.mkForce (x: x);\n}\n'
    )
    expect(refused(from, 'a', '{ }', { addFormals: true })).toBe('to: NO_FORMALS')
  })

  it('moves between sets in two documents', () => {
    const from = parseDocument('{ a = f { x = 1; y = 2; }; }')
    const to = parseDocument('{ b = g { z = 3; }; }')
    const argument = (doc: typeof from, name: string) => {
      const node = doc.callsOf(name)[0]?.args[0]
      if (!node) throw new Error('no call')
      return doc.at(node)
    }
    const move = moveDefinition(argument(from, 'f'), 'x', argument(to, 'g'))
    expect(move.ok && [move.value.from.text, move.value.to.text]).toEqual([
      '{ a = f { y = 2; }; }',
      '{ b = g { z = 3; x = 1; }; }'
    ])
  })

  it('notes comments for which a one-line set has no place', () => {
    const move = moveDefinition(
      parseDocument('{\n  a = 1; # one\n}\n'),
      'a',
      parseDocument('{ b = 2; }')
    )
    expect(move.ok && move.value.to.notes.map(it => it.code)).toEqual(['COMMENT_DROPPED'])
  })

  it('keeps the line endings of each file', () => {
    const from =
      '{\r\n  /* a\r\n   */\r\n  a = {\r\n    b = 1; # one\r\n  };\r\n\r\n  b = 2;\r\n}\r\n'
    expect(moved(from, 'a', '{\n  x = 1;\n}\n')).toEqual([
      '{\r\n  b = 2;\r\n}\r\n',
      '{\n  x = 1;\n\n  /* a\n   */\n  a = {\n    b = 1; # one\n  };\n}\n'
    ])
    const text = "{\r\n  a = ''\r\n    x\r\n  '';\r\n}\r\n"
    expect(moved(text, 'a', '{\n  x = 1;\n}\n')[1]).toContain("''\r\n    x\r\n  ''")
  })

  const plain = '{ lib, pkgs, ... }: { x = 1; }'
  const refusals: [string, string, string, string, string][] = [
    ['the option is defined there', '{ a.b = 1; }', 'a.b', '{ a.b = 2; }', 'to: CONFLICT'],
    [
      'an option below it is defined there',
      '{ a.b = { c = 1; }; }',
      'a.b',
      '{ a.b.d = 2; }',
      'to: CONFLICT'
    ],
    ['a variable is of a let', 'let p = 1; in { a = p; }', 'a', plain, 'to: BAD_VALUE'],
    [
      'a let there has the same name',
      'let p = 1; in { a = p; }',
      'a',
      'let p = 2; in { x = p; }',
      'from: BAD_VALUE'
    ],
    [
      'a let there hides an argument',
      '{ pkgs, ... }: { a = pkgs.vim; }',
      'a',
      '{ ... }: let pkgs = 1; in { x = 1; }',
      'from: BAD_VALUE'
    ],
    [
      'a let there hides a global',
      '{ a = map; }',
      'a',
      'let map = 1; in { x = 1; }',
      'from: BAD_VALUE'
    ],
    [
      'the with around it is missing',
      '{ lib, ... }: with lib; { a = mkForce 1; }',
      'a',
      plain,
      'to: BAD_VALUE'
    ],
    [
      'another with is there',
      '{ lib, ... }: with lib; { a = id 1; }',
      'a',
      '{ pkgs, ... }: with pkgs; { x = 1; }',
      'from: BAD_VALUE'
    ],
    [
      'an argument has a default',
      '{ a ? 1, ... }: { b = a; }',
      'b',
      '{ a, ... }: { x = 1; }',
      'from: BAD_VALUE'
    ],
    ['it has a relative path', '{ a = ./b; }', 'a', plain, 'from: BAD_VALUE'],
    ['a string has a relative path', '{ a = "${../b}/c"; }', 'a', plain, 'from: BAD_VALUE'],
    [
      'it has a condition',
      '{ lib, c, ... }: { a = lib.mkIf c { b = 1; }; }',
      'a.b',
      plain,
      'from: NO_TARGET'
    ],
    [
      'it has a priority',
      '{ lib, ... }: { a = lib.mkForce { b = 1; }; }',
      'a.b',
      plain,
      'from: NO_TARGET'
    ],
    [
      'it is in a module of its own',
      '{ u = { pkgs, ... }: { b = pkgs.x; }; }',
      'u.b',
      plain,
      'from: NO_TARGET'
    ],
    ['it is inherited', '{ lib, ... }: { inherit (lib) a; }', 'a', plain, 'from: INHERITED'],
    ['its name is computed', '{ n, ... }: { a.${n} = 1; }', 'a', plain, 'from: DYNAMIC_ATTRIBUTE'],
    [
      'it is defined twice',
      '{ lib, ... }: { config = lib.mkMerge [ { a = [ 1 ]; } { a = [ 2 ]; } ]; }',
      'a',
      plain,
      'from: AMBIGUOUS_TARGET'
    ],
    ['a rec set uses it', 'rec { a = 1; b = a; }', 'a', plain, 'from: CONFLICT'],
    ['the path is none', '{ a = 1; }', 'a..b', plain, 'from: BAD_PATH'],
    ['the text is not Nix', '{ a = ; }', 'a', plain, 'from: SYNTAX'],
    ['the other text is not Nix', '{ a = 1; }', 'a', '{ b = ; }', 'to: SYNTAX']
  ]
  it.each(refusals)('refuses to move a definition if %s', (_, from, option, to, code) => {
    expect(refused(from, option, to)).toBe(code)
  })

  it('moves a value under the same with, and relative paths in one folder', () => {
    const head = '{ lib, ... }: with lib;\n'
    expect(
      moved(`${head}{\n  a = mkForce ./x;\n}\n`, 'a', `${head}{\n  x = 1;\n}\n`, {
        sameFolder: true
      })
    ).toEqual([`${head}{ }\n`, `${head}{\n  x = 1;\n\n  a = mkForce ./x;\n}\n`])
  })

  it('does nothing for an option that is not defined', () => {
    expect(moved('{ a = 1; }', 'b', '{ c = 1; }')).toEqual(['{ a = 1; }', '{ c = 1; }'])
  })
})
