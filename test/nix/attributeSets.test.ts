import { describe, expect, it } from 'vitest'
import { expr, type NixDocument, parseDocument, type SyntaxNode } from '../../src/nix/index.ts'
import { type EditOf, editedIn, nix, refusedIn } from './support.ts'

const PACKAGE = nix`
  { lib, stdenv, fetchFromGitHub }:

  stdenv.mkDerivation rec {
    pname = "viewer";
    version = "1.0"; # keep in sync

    src = fetchFromGitHub {
      owner = "someone";
      repo = pname;
      rev = version;
      hash = "sha256-AAAA";
    };

    meta = {
      license = lib.licenses.mit;
    };
  }
`

const argumentOf = (name: string) => (doc: NixDocument) =>
  doc.callsOf(name)[0]?.args.at(-1) as SyntaxNode

const wholeFile = (doc: NixDocument) => doc.root.field('expression') as SyntaxNode

describe('arguments of a call', () => {
  it('sets attributes, and adds new ones before meta', () => {
    const edit: EditOf = it =>
      it.setIn('version', '1.1').setIn('doCheck', false).setIn('meta.homepage', 'https://a.example')
    expect(editedIn(PACKAGE, argumentOf('mkDerivation'), edit)).toBe(
      PACKAGE.replace('"1.0"', '"1.1"')
        .replace('  meta', '  doCheck = false;\n\n  meta')
        .replace('mit;\n', 'mit;\n    homepage = "https://a.example";\n')
    )
  })

  it('changes an attribute of a rec set although other attributes use its value', () => {
    expect(editedIn(PACKAGE, argumentOf('mkDerivation'), it => it.setIn('pname', 'reader'))).toBe(
      PACKAGE.replace('"viewer"', '"reader"')
    )
  })

  it('sets an attribute of a call inside another call', () => {
    expect(
      editedIn(PACKAGE, argumentOf('fetchFromGitHub'), it =>
        it.setIn('hash', 'sha256-BBBB').setIn('fetchSubmodules', true)
      )
    ).toBe(PACKAGE.replace('"sha256-AAAA";', '"sha256-BBBB";\n    fetchSubmodules = true;'))
  })

  it('refuses to remove or capture a name that the set uses', () => {
    expect(refusedIn(PACKAGE, argumentOf('mkDerivation'), it => it.removeIn('version'))).toBe(
      nix`
        10:11: CONFLICT: "version" is used as a variable in this "rec" set, and the edit would change its meaning or leave it undefined
        10 |     rev = version;
                       ^^^^^^^
        hint: change its uses first
      `.trimEnd()
    )
    expect(refusedIn('x: f rec { a = x; }', argumentOf('f'), it => it.setIn('x', 1))).toMatch(
      /^1:16: CONFLICT: "x" is used as a variable in this "rec" set, and defining it here/
    )
  })

  it('treats config, imports and options as plain names', () => {
    expect(
      editedIn('f { config = { }; }', argumentOf('f'), it =>
        it.setIn('config.a', 1).setIn('options', 2).addIn('imports', [3])
      )
    ).toBe('f { config = { a = 1; }; options = 2; imports = [ 3 ]; }')
  })

  it('edits the set that a function in the argument returns', () => {
    expect(
      editedIn('mkDerivation (finalAttrs: { a = 1; })', argumentOf('mkDerivation'), it =>
        it.setIn('b', expr('finalAttrs.a'))
      )
    ).toBe('mkDerivation (finalAttrs: { a = 1; b = finalAttrs.a; })')
  })
})

describe('bindings of a let', () => {
  const LET = nix`
    let
      port = 80;
      url = toString port;
    in
    {
      inherit port url;
    }
  `

  it('sets, adds and removes bindings before the in', () => {
    expect(
      editedIn(LET, wholeFile, it => it.setIn('port', 81).setIn('hosts', ['a']).removeIn('name'))
    ).toBe(LET.replace('80', '81').replace('port;\n', 'port;\n  hosts = [ "a" ];\n'))
    const spare = LET.replace('  url', '  spare = 1; # unused\n  url')
    expect(editedIn(spare, wholeFile, it => it.removeIn('spare'))).toBe(LET)
  })

  it('fills an empty let, on one line and on two', () => {
    expect(editedIn('let in 1', wholeFile, it => it.setIn('a', 1))).toBe('let\n  a = 1;\nin 1')
    expect(editedIn('let\nin\n1', wholeFile, it => it.setIn('a', 1))).toBe('let\n  a = 1;\nin\n1')
  })

  it('adds to a let on one line', () => {
    expect(editedIn('let a = 1; in a', wholeFile, it => it.setIn('b', expr('a')))).toBe(
      'let a = 1; b = a; in a'
    )
  })

  it('edits the set in its body if that is the node', () => {
    const body = (doc: NixDocument) => wholeFile(doc).field('body') as SyntaxNode
    expect(editedIn(LET, body, it => it.setIn('x', expr('port')))).toBe(
      LET.replace('url;\n}', 'url;\n  x = port;\n}')
    )
  })

  it('refuses to remove a binding that is used', () => {
    expect(refusedIn(LET, wholeFile, it => it.removeIn('port'))).toMatch(
      /^3:18: CONFLICT: "port" is used as a variable in this "let", and/
    )
  })

  it('refuses a name that would capture a variable of the body', () => {
    expect(refusedIn('let a = 1; in map', wholeFile, it => it.setIn('map', 1))).toMatch(
      /^1:15: CONFLICT: "map" is used as a variable in this "let", and defining it here/
    )
  })
})

describe('a module that is the value of an attribute', () => {
  const FLAKE = nix`
    {
      flake.modules.nixos.pc = { pkgs, ... }: {
        networking.hostName = "pc";
      };
    }
  `

  it('edits a module by its definition, with imports and formals', () => {
    const find = (doc: NixDocument) => doc.getIn('flake.modules.nixos.pc')[0] as never
    expect(
      editedIn(FLAKE, find, it =>
        it
          .import('./vfio')
          .setIn('networking.hostName', 'tower')
          .addFormal('config')
          .setIn('a', expr('config.b'))
      )
    ).toBe(nix`
      {
        flake.modules.nixos.pc = { pkgs, config, ... }: {
          imports = [ ./vfio ];

          networking.hostName = "tower";

          a = config.b;
        };
      }
    `)
  })

  it('reads and edits a module with config in imports', () => {
    const text = '{ imports = [ ({ ... }: { options = { }; config.a = 1; }) ]; }'
    const find = (doc: NixDocument) => doc.importItems()[0]?.node as SyntaxNode
    const doc = parseDocument(text)
    expect(
      doc
        .at(find(doc))
        .getIn('a')
        .map(it => it.source)
    ).toEqual(['1'])
    expect(editedIn(text, find, it => it.setIn('a', 2))).toBe(text.replace('1', '2'))
  })
})

describe('at', () => {
  it('has the same getters as a document', () => {
    const doc = parseDocument('f { a.b = 1; l = [ 1 "x" ]; }')
    const set = doc.at(argumentOf('f')(doc))
    expect(set.getBelow('a').map(it => it.path)).toEqual([['a', 'b']])
    expect(set.itemsIn('l')).toEqual([1, 'x'])
    expect(set.leaves().map(it => it.path.join('.'))).toEqual(['a.b', 'l'])
    expect(doc.getIn('a.b')).toEqual([])
  })

  it('refuses an expression that is not a set', () => {
    expect(
      refusedIn(
        '{ a = [ ]; }',
        doc => doc.getIn('a')[0] as never,
        it => it
      )
    ).toBe(
      nix`
        1:7: NOT_A_SET: this is not an attribute set, nor a function that returns one
        1 | { a = [ ]; }
                  ^^^
        hint: pass a set { … }, a function with such a result, or a let
      `.trimEnd()
    )
  })

  it('refuses a node of another document', () => {
    const other = argumentOf('f')(parseDocument('f { }'))
    const plan = parseDocument('g { a = 1; }').edit({ in: other }).setIn('a', 2).plan()
    expect(plan.ok || plan.error.code).toBe('STALE')
  })

  it('finds the set again after edits before it, among sets that begin at the same place', () => {
    const text = '{ a = { b = 1; }.c { d = 2; }; }'
    const find = (doc: NixDocument) => doc.getIn('a')[0]?.value.children[1] as SyntaxNode
    expect(editedIn(text, find, it => it.setIn('d', 3).setIn('e', 4).removeIn('d'))).toBe(
      '{ a = { b = 1; }.c { e = 4; }; }'
    )
  })
})

describe('callsOf', () => {
  it('returns the calls by the last name of the function, with all arguments', () => {
    const doc = parseDocument('[ (pkgs.fetchurl { a = 1; }) (f 1 2) (f 3) (g (f 4)) ]')
    expect(doc.callsOf('fetchurl').map(it => it.callee)).toEqual(['pkgs.fetchurl'])
    expect(doc.callsOf('f').map(it => it.args.map(arg => arg.text))).toEqual([
      ['1', '2'],
      ['3'],
      ['4']
    ])
  })
})
