import { describe, expect, it } from 'vitest'
import { expr, parseDocument } from '../../src/nix/index.ts'
import { edited, nix, refusalOf } from './support.ts'

describe('functions that are values of options', () => {
  const HOME = nix`
    { inputs, ... }:
    {
      home-manager.users.alice = { pkgs, ... }: {
        programs.git.enable = true;
        home.packages = [ pkgs.vim ];
      };
    }
  `
  const alice = 'home-manager.users.alice'

  it('getIn and getBelow find the definitions inside, and mark them', () => {
    const doc = parseDocument(HOME)
    const [git] = doc.getIn(`${alice}.programs.git.enable`)
    expect(git?.source).toBe('true')
    expect(git?.path.join('.')).toBe(`${alice}.programs.git.enable`)
    expect(git?.modules.map(it => it.text.slice(0, 14))).toEqual(['{ pkgs, ... }:'])
    expect(doc.getBelow(alice).map(it => it.path.slice(3).join('.'))).toEqual([])
    expect(doc.getBelow(`${alice}.home`).map(it => it.source)).toEqual(['[ pkgs.vim ]'])
    expect(doc.getIn(alice)[0]?.modules).toEqual([])
  })

  it('edits definitions inside, and adds new ones there', () => {
    expect(
      edited(HOME, it =>
        it
          .setIn(`${alice}.programs.git.enable`, false)
          .setIn(`${alice}.programs.git.lfs.enable`, true)
          .addIn(`${alice}.home.packages`, [expr('pkgs.htop')])
      )
    ).toBe(
      HOME.replace('true;', 'false;\n    programs.git.lfs.enable = true;').replace(
        'pkgs.vim',
        'pkgs.vim pkgs.htop'
      )
    )
    expect(edited(HOME, it => it.removeIn(`${alice}.home.packages`))).toBe(
      HOME.replace('    home.packages = [ pkgs.vim ];\n', '')
    )
  })

  it('knows the names in scope inside the function', () => {
    expect(edited(HOME, it => it.setIn(`${alice}.x`, expr('inputs.y')))).toContain('x = inputs.y;')
    expect(refusalOf(HOME, it => it.setIn(`${alice}.x`, expr('config.y')))).toBe('BAD_VALUE')
    expect(refusalOf(HOME, it => it.setIn('x', expr('pkgs.y')))).toBe('BAD_VALUE')
  })

  it('refuses functions that do not return a readable set', () => {
    for (const value of ['self: super: { }', 'x: f x', 'x: { config = { }; }', 'f { }']) {
      expect(refusalOf(`f: { a = ${value}; }`, it => it.setIn('a.b', 1))).toMatch(
        /^(?:FUNCTION|CALL)$/
      )
    }
  })
})

describe('modules written in imports', () => {
  const INLINE = nix`
    { lib, config, ... }:
    {
      imports = [
        ./a.nix
        { networking.hostName = "a"; }
        (
          { ... }:
          {
            imports = [ { services.x.port = 1; } ];
            options.y = lib.mkOption { };
            config.boot.kernelParams = [ "quiet" ];
          }
        )
      ]
      ++ lib.optionals config.z.enable [ { z.color = "red"; } ];
    }
  `

  it('getIn finds their definitions, with the conditions of the import', () => {
    const doc = parseDocument(INLINE)
    const found = [
      'networking.hostName',
      'services.x.port',
      'boot.kernelParams',
      'z.color'
    ].flatMap(it => doc.getIn(it))
    expect(found.map(it => [it.source, it.modules.length, it.conditions])).toEqual([
      ['"a"', 1, []],
      ['1', 2, []],
      ['[ "quiet" ]', 1, []],
      ['"red"', 1, ['config.z.enable']]
    ])
  })

  it('changes the definition in an inner module instead of adding a conflicting one', () => {
    expect(
      edited(INLINE, it =>
        it
          .setIn('networking.hostName', 'b')
          .setIn('services.x.port', 2)
          .addIn('boot.kernelParams', ['splash'])
      )
    ).toBe(
      INLINE.replace('"a"', '"b"')
        .replace('port = 1', 'port = 2')
        .replace('"quiet"', '"quiet" "splash"')
    )
  })

  it('adds items to an inner module only if the module itself has no list', () => {
    const text = '{ imports = [ { l = [ "a" ]; } ]; l = [ "b" ]; }'
    expect(edited(text, it => it.addIn('l', ['a', 'c']))).toBe(text.replace('"b"', '"b" "c"'))
  })

  it('removes definitions in an inner module', () => {
    expect(edited(INLINE, it => it.removeIn('networking.hostName'))).toBe(
      INLINE.replace('{ networking.hostName = "a"; }', '{ }')
    )
  })

  it('removes a whole module, as an item of imports', () => {
    const two = '{ imports = [ { a = 1; } { b = 2; } ]; config = { }; }'
    const remove = [expr('{ b = 2; }')]
    expect(edited(two, it => it.removeIn('imports', remove))).toBe(two.replace(' { b = 2; }', ''))
  })

  it('refuses a definition that is imported under a condition, or defined twice', () => {
    expect(refusalOf(INLINE, it => it.setIn('z.color', 'blue'))).toBe('CONDITIONAL')
    const twice = INLINE.replace('  imports', '  networking.hostName = "c";\n  imports')
    expect(refusalOf(twice, it => it.setIn('networking.hostName', 'b'))).toBe('AMBIGUOUS_TARGET')
  })

  it('adds other options to the module itself', () => {
    expect(edited('{ imports = [ { a.b = 1; } ]; }', it => it.setIn('a.c', 2))).toBe(
      '{ imports = [ { a.b = 1; } ]; a.c = 2; }'
    )
  })
})
