import { describe, expect, it } from 'vitest'
import { expr, type NixDocument, type SyntaxNode } from '../../src/nix/index.ts'
import { edited, editedIn, nix, refusalOf, refusedIn } from './support.ts'

const wholeFile = (doc: NixDocument) => doc.root.field('expression') as SyntaxNode
const added = (text: string) => editedIn(text, wholeFile, it => it.addFormal('new'))
const removed = (text: string) => editedIn(text, wholeFile, it => it.removeFormal('x'))

describe('addFormal', () => {
  it.each([
    ['{ lib, ... }: { }', '{ lib, new, ... }: { }'],
    ['{ ... }: { }', '{ new, ... }: { }'],
    ['{ }: { }', '{ new }: { }'],
    ['{}: { }', '{ new }: { }'],
    ['{ lib }@args: { }', '{ lib, new }@args: { }'],
    ['{ lib, pkgs, }: { }', '{ lib, pkgs, new, }: { }'],
    ['{\n  lib,\n  pkgs,\n}: { }', '{\n  lib,\n  pkgs,\n  new,\n}: { }'],
    ['{\n  lib,\n  ...\n}: { }', '{\n  lib,\n  new,\n  ...\n}: { }'],
    ['{ lib\n, pkgs\n, ...\n}: { }', '{ lib\n, pkgs\n, new\n, ...\n}: { }'],
    ['{ lib\n, pkgs # c\n}: { }', '{ lib\n, pkgs # c\n, new\n}: { }']
  ])('follows the layout of %j', (given, result) => {
    expect(added(given)).toBe(result)
  })

  it.each([
    ['{\n  lib,\n  pkgs, # c\n}: { }', '{\n  lib,\n  pkgs, # c\n  new,\n}: { }'],
    ['{\n  lib,\n  pkgs # c\n}: { }', '{\n  lib,\n  pkgs, # c\n  new\n}: { }'],
    ['{ # none yet\n}: { }', '{ new  # none yet\n}: { }']
  ])('keeps the comment in %j with its formal', (given, result) => {
    expect(added(given)).toBe(result)
  })

  it('adds a default', () => {
    expect(editedIn('{ a }: { }', wholeFile, it => it.addFormal('b', { default: ['x'] }))).toBe(
      '{ a, b ? [ "x" ] }: { }'
    )
  })

  it('makes a name available to a later edit of the same transaction', () => {
    const text = '{ lib, ... }:\n{\n  a = 1;\n}\n'
    expect(edited(text, it => it.addFormal('pkgs').setIn('a', { b: 1 }).removeIn('c'))).toContain(
      '{ lib, pkgs, ... }:'
    )
  })

  it('does nothing if the formal, or an @-name, is there', () => {
    expect(added('{ new ? 1 }: { }')).toBe('{ new ? 1 }: { }')
    expect(added('{ a }@new: { }')).toBe('{ a }@new: { }')
  })

  it('gives an undefined variable a meaning, but changes none', () => {
    expect(added('{ a }: { b = new; }')).toBe('{ a, new }: { b = new; }')
    for (const text of [
      'new: { a }: { b = new; }',
      'with builtins; { c }: { b = new; }',
      '{ a }: with a; { b = new; }',
      'new: { a ? new }: { }'
    ]) {
      expect(refusedIn(text, wholeFile, it => it.addFormal('new'))).toMatch(
        /^1:\d+: CONFLICT: "new"/
      )
    }
  })

  it('refuses another default, a function without formals, and a name that is not one', () => {
    const refusal = (text: string, name: string, value?: number) =>
      refusedIn(text, wholeFile, it =>
        it.addFormal(name, value === undefined ? {} : { default: value })
      ).replace(/^(?:\d+:)*\s*(\w+):.*$/s, '$1')
    expect(refusal('{ a ? 1 }: { }', 'a', 2)).toBe('CONFLICT')
    expect(refusal('{ a }: { }', 'a', 2)).toBe('CONFLICT')
    expect(refusal('args: { }', 'a')).toBe('NO_FORMALS')
    expect(refusal('{ }', 'a')).toBe('NO_FORMALS')
    expect(refusal('{ }: { }', 'a b')).toBe('BAD_VALUE')
    expect(refusal('{ }: { }', 'if')).toBe('BAD_VALUE')
    expect(refusal('{ }: { }', 'a', Number.NaN)).toBe('BAD_VALUE')
  })
})

describe('removeFormal', () => {
  it.each([
    ['{ x, ... }: { }', '{ ... }: { }'],
    ['{ x }: { }', '{ }: { }'],
    ['{ a, x }: { }', '{ a }: { }'],
    ['{ x, a }: { }', '{ a }: { }'],
    ['{ a, x ? 1, b }: { }', '{ a, b }: { }'],
    ['{ a, x, }: { }', '{ a, }: { }'],
    ['{\n  lib,\n  x,\n}: { }', '{\n  lib,\n}: { }'],
    ['{\n  lib,\n  x, # c\n}: { }', '{\n  lib,\n}: { }'],
    ['{\n  lib, # l\n  x, # c\n}: { }', '{\n  lib, # l\n}: { }'],
    ['{\n  lib, # l\n  x # c\n}: { }', '{\n  lib # l\n}: { }'],
    ['{\n  x,\n  ...\n}@args: { }', '{\n  ...\n}@args: { }'],
    ['{ lib\n, x\n, ...\n}: { }', '{ lib\n, ...\n}: { }'],
    ['{ x\n, lib # c\n}: { }', '{ lib # c\n}: { }'],
    ['{\n  a # b\n, x # y\n}: { }', '{\n  a # b\n}: { }']
  ])('keeps the layout of %j', (given, result) => {
    expect(removed(given)).toBe(result)
  })

  it('does nothing if there is no such formal', () => {
    expect(removed('{ a }: { }')).toBe('{ a }: { }')
  })

  it('removes the comments after it on its line, and keeps those about the next one', () => {
    expect(removed('{ a, # a\n  x, ... }: { }')).toBe('{ a, # a\n  ... }: { }')
    expect(removed('{ a, # a\n  x }: { }')).toBe('{ a # a\n  }: { }')
    expect(removed('{ x, # x\n  a }: { }')).toBe('{ a }: { }')
    expect(removed('{ a, x /* x */, ... }: { }')).toBe('{ a, ... }: { }')
    expect(removed('{ x, /* a */ a }: { }')).toBe('{ /* a */ a }: { }')
    expect(removed('{\n  a,\n  # x\n  x, ...\n}: { }')).toBe('{\n  a,\n  # x\n  ...\n}: { }')
    expect(refusedIn('{ x\n  # a\n, a }: { }', wholeFile, it => it.removeFormal('x'))).toMatch(
      /CONFLICT: there is a comment between this formal and its comma/
    )
  })

  it('refuses a set without a function', () => {
    for (const text of ['args: { }', '{ }']) {
      expect(refusedIn(text, wholeFile, it => it.removeFormal('x'))).toMatch(/^NO_FORMALS/)
    }
  })

  it('refuses to remove a formal that is used through the name of all arguments', () => {
    for (const body of ['args.x', 'args ? x', 'args.x or 1']) {
      const text = `{ x, ... }@args: { a = ${body}; }`
      expect(refusedIn(text, wholeFile, it => it.removeFormal('x'))).toMatch(
        /CONFLICT: "x" is used/
      )
    }
    const inherited = '{ x, ... }@args: { inherit (args) x; }'
    expect(refusedIn(inherited, wholeFile, it => it.removeFormal('x'))).toMatch(/CONFLICT/)
    expect(removed('{ x, ... }@args: { a = args.y; b = args; }')).toBe(
      '{ ... }@args: { a = args.y; b = args; }'
    )
  })

  it('refuses to remove a formal that is used, also by a default', () => {
    for (const text of ['{ x }: { a = x; }', '{ x, b ? x }: { }', '{ x }: { inherit x; }']) {
      expect(refusedIn(text, wholeFile, it => it.removeFormal('x'))).toMatch(
        /CONFLICT: "x" is used/
      )
    }
  })
})

describe('formals of the function of a package', () => {
  const PACKAGE = '{ lib, stdenv }:\nstdenv.mkDerivation { name = "a"; }\n'
  const argument = (doc: NixDocument) => doc.callsOf('mkDerivation')[0]?.args[0] as SyntaxNode

  it('change along with the arguments of a call', () => {
    expect(
      editedIn(PACKAGE, argument, it =>
        it
          .addFormal('openssl')
          .addIn('buildInputs', [expr('openssl')])
          .removeFormal('lib')
      )
    ).toBe('{ stdenv, openssl }:\nstdenv.mkDerivation { name = "a"; buildInputs = [ openssl ]; }\n')
    expect(refusedIn(PACKAGE, argument, it => it.removeFormal('stdenv'))).toMatch(
      /"stdenv" is used/
    )
  })
})

describe('inputs of a flake', () => {
  const FLAKE = nix`
    {
      inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

      outputs = { self, nixpkgs }: {
        lib = nixpkgs.lib;
      };
    }
  `

  it('adds a formal for a new input to closed outputs', () => {
    expect(
      edited(FLAKE, it =>
        it
          .setIn('inputs.disko.url', 'github:nix-community/disko')
          .setIn('inputs.disko.inputs.nixpkgs.follows', 'nixpkgs')
          .setIn('inputs.self.submodules', true)
      )
    ).toBe(
      FLAKE.replace(
        'unstable";\n',
        'unstable";\n  inputs.disko.url = "github:nix-community/disko";\n  inputs.disko.inputs.nixpkgs.follows = "nixpkgs";\n  inputs.self.submodules = true;\n'
      ).replace('nixpkgs }:', 'nixpkgs, disko }:')
    )
  })

  it('adds the formals of several inputs at once', () => {
    const text = '{ outputs = { self }: { }; }'
    const value = { a: { url: 'path:a' }, b: { url: 'path:b' } }
    expect(edited(text, it => it.setIn('inputs', value))).toContain('outputs = { self, a, b }: { }')
  })

  it.each(['{ self, nixpkgs, ... }@inputs', 'inputs', 'inputs@{ ... }'])(
    'leaves outputs = %s: as it is',
    head => {
      const text = FLAKE.replace('{ self, nixpkgs }', head)
      expect(edited(text, it => it.setIn('inputs.a.url', 'path:a'))).toBe(
        text.replace('unstable";\n', 'unstable";\n  inputs.a.url = "path:a";\n')
      )
    }
  )

  it('removes the formal with the last definition of its input', () => {
    const text = FLAKE.replace('nixpkgs }', 'nixpkgs, a }').replace(
      '\n\n',
      '\n  inputs.a.url = "path:a";\n  inputs.a.flake = false;\n\n'
    )
    expect(edited(text, it => it.removeIn('inputs.a'))).toBe(FLAKE)
    const partly = edited(text, it => it.removeIn('inputs.a.flake'))
    expect(partly).toBe(text.replace('  inputs.a.flake = false;\n', ''))
    expect(edited(partly, it => it.removeIn('inputs.a.url'))).toBe(FLAKE)
  })

  it('renames the formal of an input that is not used in `outputs`', () => {
    const text = FLAKE.replace('nixpkgs }', 'nixpkgs, a }').replace(
      '\n\n',
      '\n  inputs.a.url = "path:a";\n\n'
    )
    expect(edited(text, it => it.renameIn('inputs.a', 'inputs.b'))).toBe(
      text.replace('nixpkgs, a }', 'nixpkgs, b }').replace('inputs.a', 'inputs.b')
    )
  })

  it.each(['inputs: { a = inputs.b; }', '{ self, b }@inputs: { a = inputs.b; }'])(
    'refuses to remove or rename an input that outputs = %s uses',
    outputs => {
      const text = `{ inputs.b.url = "x"; outputs = ${outputs}; }`
      expect(refusalOf(text, it => it.removeIn('inputs.b'))).toBe('CONFLICT')
      expect(refusalOf(text, it => it.renameIn('inputs.b', 'inputs.c'))).toBe('CONFLICT')
    }
  )

  it('refuses to remove an input that another one follows', () => {
    const text =
      '{ inputs.b.url = "x"; inputs.a.inputs.n.follows = "b"; outputs = { self, a, b }: { }; }'
    expect(refusalOf(text, it => it.removeIn('inputs.b'))).toBe('CONFLICT')
    expect(edited(text, it => it.removeIn('inputs.a').removeIn('inputs.b'))).toBe(
      '{ outputs = { self }: { }; }'
    )
  })

  it('keeps the place and the comment of the formal of a renamed input', () => {
    const text = nix`
      {
        inputs.a.url = "x"; # secrets
        inputs.b.url = "y";
        outputs =
          {
            self,
            a, # secrets
            b,
          }:
          { };
      }
    `
    expect(edited(text, it => it.renameIn('inputs.a', 'inputs.c'))).toBe(
      text.replace('inputs.a', 'inputs.c').replace('a, # secrets', 'c, # secrets')
    )
  })

  it('refuses to remove or rename an input that is used in `outputs`', () => {
    expect(refusalOf(FLAKE, it => it.removeIn('inputs.nixpkgs'))).toBe('CONFLICT')
    expect(refusalOf(FLAKE, it => it.renameIn('inputs.nixpkgs', 'inputs.pkgs'))).toBe('CONFLICT')
  })
})
