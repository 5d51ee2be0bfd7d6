// Edits inside of other sets than the module itself, as Nix and the module system see them.

import { expect, it } from 'vitest'
import { expr, type NixDocument, parseDocument, type Transaction } from '../../src/nix/index.ts'
import { describeWithOracle, evalConfigs, evalNix } from './evalModules.ts'

function edited(text: string, edit: (doc: NixDocument) => Transaction): string {
  const plan = edit(parseDocument(text)).plan()
  if (!plan.ok) throw new Error(plan.error.render())
  return plan.value.text
}

const OPTIONS = `{ lib, ... }: {
  options = {
    name = lib.mkOption { type = lib.types.str; };
    params = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
    on = lib.mkOption { type = lib.types.bool; };
    users = lib.mkOption {
      default = { };
      type = lib.types.attrsOf (lib.types.submodule {
        options.git = lib.mkOption { type = lib.types.bool; default = false; };
        options.tools = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
        options.label = lib.mkOption { type = lib.types.str; default = ""; };
      });
    };
  };
}`

describeWithOracle('an edit of a module inside another one', oracle => {
  const configOf = (text: string, on: boolean) => {
    const base = `{ lib, ... }: { on = ${on}; name = lib.mkDefault ""; }`
    const [outcome] = evalConfigs(oracle, 'c: { inherit (c) name params users; }', [
      { modules: [OPTIONS, base, text] }
    ])
    return outcome?.value
  }

  const INLINE = `{ lib, config, ... }: {
  imports = [
    { name = "a"; }
    ({ ... }: { imports = [ { params = [ "inner" ]; } ]; })
  ];
  config = lib.mkIf config.on { params = [ "on" ]; };
}`

  it('changes the option that a module in imports defines, instead of defining it twice', () => {
    const after = edited(INLINE, doc => doc.edit().setIn('name', 'b').addIn('params', ['new']))
    expect(configOf(INLINE, false)).toEqual({ name: 'a', params: ['inner'], users: {} })
    expect(configOf(after, false)).toEqual({ name: 'b', params: ['inner', 'new'], users: {} })
    expect(configOf(after, true)).toEqual({ name: 'b', params: ['inner', 'new', 'on'], users: {} })
  })

  it('changes and adds options of a submodule that is a function', () => {
    const given = `{ lib, ... }: {
  users.ann = { name, ... }: { git = true; tools = [ name ]; };
}`
    const after = edited(given, doc =>
      doc
        .edit()
        .setIn('users.ann.git', false)
        .addIn('users.ann.tools', ['vim'])
        .setIn('users.ann.label', expr('lib.toUpper name'))
        .setIn('users.bob.git', true)
    )
    const bob = { git: true, label: '', tools: [] }
    expect(configOf(after, true)).toEqual({
      name: '',
      params: [],
      users: { ann: { git: false, label: 'ANN', tools: ['ann', 'vim'] }, bob }
    })
  })

  it('makes an argument of the module available to a new definition', () => {
    const given = '{ ... }: { name = "a"; }'
    const after = edited(given, doc =>
      doc.edit().addFormal('lib').setIn('name', expr('lib.toUpper "b"'))
    )
    expect(configOf(after, false)).toEqual({ name: 'B', params: [], users: {} })
  })
})

describeWithOracle('an edit of another attribute set', () => {
  const evaluated = (text: string) => {
    const result = evalNix(text)
    if (!result.ok) throw new Error(result.error)
    return result.value
  }

  it('of a package changes the source that follows its version', () => {
    const given = `let
  fetchFromGitHub = set: "\${set.repo}/\${set.rev}#\${set.hash}";
  stdenv.mkDerivation = set: removeAttrs set [ "meta" ];
in
stdenv.mkDerivation rec {
  version = "1";
  src = fetchFromGitHub { repo = "r"; rev = "v\${version}"; hash = "A"; };
  meta = { };
}`
    const bumped = edited(given, doc =>
      doc.edit({ in: doc.callsOf('mkDerivation')[0]?.args[0] as never }).setIn('version', '2')
    )
    const after = edited(bumped, doc =>
      doc.edit({ in: doc.callsOf('fetchFromGitHub')[0]?.args[0] as never }).setIn('hash', 'B')
    )
    expect(evaluated(given)).toEqual({ src: 'r/v1#A', version: '1' })
    expect(evaluated(after)).toEqual({ src: 'r/v2#B', version: '2' })
  })

  it('of a let changes what its body uses', () => {
    const given = 'let a = 1; b = a + 1; in { inherit a b; }'
    const after = edited(given, doc =>
      doc
        .edit({ in: doc.root.field('expression') as never })
        .setIn('a', 5)
        .setIn('c', expr('b'))
    )
    expect(evaluated(after)).toEqual({ a: 5, b: 6 })
  })

  it('of the inputs of a flake leaves outputs that Nix can call with all of them', () => {
    const given = '{ inputs.a.url = "path:a"; outputs = { self, a }: { ok = a; }; }'
    const after = edited(given, doc => doc.edit().setIn('inputs.b.url', 'path:b'))
    const call = (text: string) =>
      evaluated(`let flake = ${text}; inputs = builtins.mapAttrs (name: _: name) flake.inputs;
        in (flake.outputs (inputs // { self = 1; })).ok`)
    expect(call(given)).toBe('a')
    expect(call(after)).toBe('a')
    const removed = edited(after, doc => doc.edit().removeIn('inputs.b'))
    expect(removed).toBe(given)
  })
})
