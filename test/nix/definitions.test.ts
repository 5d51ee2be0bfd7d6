import { describe, expect, it } from 'vitest'
import { type Definition, expr, parseDocument } from '../../src/nix/index.ts'
import { nix } from './support.ts'

const given = nix`
  { config, lib, user, ... }:
  {
    boot.kernelParams = [ "a" ];
    "boot".initrd = { kernelModules = [ "b" ]; };
    boot.loader = lib.mkIf config.x { grub.enable = lib.mkForce true; };
    users.users = {
      ${'$'}{user}.uid = 1;
      ann = { uid = 2; };
    };
    services = lib.mkMerge [
      { a = 1; }
      (lib.mkIf (1 == 1) { b = 2; })
    ];
    inherit (config) time;
    nix = { settings = { c = 3; }; } // lib.optionalAttrs config.y { gc = 4; };
    fonts = if config.z then { d = 5; } else { d = 6; };
  }
`

function shown(all: Definition[]): string[] {
  return all.map(it => {
    const names = it.path.map(name => name ?? '${…}').join('.')
    const when = it.conditions.length > 0 ? ` if ${it.conditions.join(' and ')}` : ''
    const how = it.inherited ? 'inherited' : it.source
    return `${it.at.line}:${it.at.column} ${names} = ${how}${when}`
  })
}

describe('getIn finds the definitions of an option', () => {
  const doc = parseDocument(given)
  const cases: [string, string[]][] = [
    ['boot.kernelParams', ['3:3 boot.kernelParams = [ "a" ]']],
    ['boot."initrd".kernelModules', ['4:21 boot.initrd.kernelModules = [ "b" ]']],
    ['boot.loader.grub.enable', ['5:37 boot.loader.grub.enable = lib.mkForce true if config.x']],
    ['users.users.ann.uid', ['8:13 users.users.ann.uid = 2']],
    ['services.a', ['11:7 services.a = 1']],
    ['services.b', ['12:26 services.b = 2 if (1 == 1)']],
    ['time', ['14:20 time = inherited']],
    ['nix.settings.c', ['15:24 nix.settings.c = 3']],
    ['nix.gc', ['15:68 nix.gc = 4 if config.y']],
    ['fonts.d', ['16:30 fonts.d = 5 if config.z', '16:46 fonts.d = 6 if !(config.z)']],
    ['boot', []],
    ['nothing', []],
    ['not a path', []]
  ]
  it.each(cases)('finds the definitions of %s', (path, then) =>
    expect(shown(doc.getIn(path))).toEqual(then)
  )

  it('finds the definitions below a path', () => {
    expect(shown(doc.getBelow('boot'))).toEqual([
      '3:3 boot.kernelParams = [ "a" ]',
      '4:3 boot.initrd = { kernelModules = [ "b" ]; }',
      '5:3 boot.loader = lib.mkIf config.x { grub.enable = lib.mkForce true; }'
    ])
  })

  it('finds options inside config, and imports and options next to config', () => {
    const module = parseDocument(
      '{ imports = [ ./a ]; options.o = 1; config.a.b = 2; config.c = 3; }'
    )
    expect(shown(module.getIn('a.b'))).toEqual(['1:37 a.b = 2'])
    expect(shown(module.getIn('imports'))).toEqual(['1:3 imports = [ ./a ]'])
    expect(shown(module.getIn('options.o'))).toEqual(['1:22 options.o = 1'])
    expect(shown(module.getIn('o'))).toEqual([])
  })

  it('reports conditions and priorities around a value', () => {
    const [definition] = doc.getIn('boot.loader.grub.enable')
    expect(definition?.conditions).toEqual(['config.x'])
    expect(definition?.inherited).toBe(false)
    const forced = parseDocument('{ lib, ... }: { a = lib.mkForce { b = 1; }; }').getIn('a.b')
    expect(forced[0]?.priorities).toEqual(['lib.mkForce'])
  })
})

describe('itemsIn', () => {
  it('returns the items of all lists as values', () => {
    const doc = parseDocument(
      `{ lib, pkgs, ... }: { l = [ "a" ''b'' 1 true null ./c { d = 2; } (f x) pkgs.e ] ++ lib.optional true [ "an item that is a list" ] ++ lib.optionals true [ "g" ]; }`
    )
    expect(doc.itemsIn('l')).toEqual([
      'a',
      'b',
      1,
      true,
      null,
      expr('./c'),
      { d: 2 },
      expr('f x'),
      expr('pkgs.e'),
      ['an item that is a list'],
      'g'
    ])
  })
})

it('getters return nothing, and do not throw, if values have tens of thousands of levels', () => {
  const deep = (open: string, close: string) => open.repeat(50_000) + close.repeat(50_000)
  for (const value of [deep('[', ']'), `[ ] ${'++ [ ] '.repeat(50_000)}`, deep('(f ', ')')]) {
    const doc = parseDocument(`{ a = ${value}; }`)
    expect(Array.isArray(doc.itemsIn('a'))).toBe(true)
    expect(doc.getIn('a.b')).toEqual([])
    expect(Array.isArray(doc.leaves())).toBe(true)
  }
})
