import { describe, expect, it } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { edited, nix, refusalOf } from './support.ts'

describe('renameIn', () => {
  it('replaces names of a binding, and keeps its value and comments', () => {
    const given = nix`
      {
        virtualisation.libvirtd = {
          qemuVerbatimConfig = ''
            a
          ''; # why
          qemuRunAsRoot = false;
        };
        a.b = 1;
        a.c.d = 2;
      }
    `
    expect(
      edited(given, it =>
        it
          .renameIn(
            'virtualisation.libvirtd.qemuVerbatimConfig',
            'virtualisation.libvirtd.qemu.verbatimConfig'
          )
          .renameIn('a', 'z."my name"')
      )
    ).toBe(
      given
        .replace('qemuVerbatimConfig', 'qemu.verbatimConfig')
        .replace('a.b = 1', 'z."my name".b = 1')
        .replace('a.c.d', 'z."my name".c.d')
    )
  })

  it('keeps "config" in the path of a binding', () => {
    expect(
      edited('{ config.a.b = 1; config.a.c.d = 2; }', it =>
        it.renameIn('a.c', 'a.e').renameIn('a.b', 'f')
      )
    ).toBe('{ config.f = 1; config.a.e.d = 2; }')
  })

  it('does nothing if the option is not defined', () => {
    expect(edited('{ a = 1; }', it => it.renameIn('b', 'c').renameIn('a', 'a'))).toBe('{ a = 1; }')
  })

  it('renames an option whose own definition follows definitions below it', () => {
    expect(edited('{ a.b = 1; a = { d = 1; }; }', it => it.renameIn('a', 'c'))).toBe(
      '{ c.b = 1; c = { d = 1; }; }'
    )
    expect(edited('{ a.b.x = 1; e = 2; a.b = { d = 1; }; }', it => it.renameIn('a.b', 'f'))).toBe(
      '{ f.x = 1; e = 2; f = { d = 1; }; }'
    )
  })

  it('renames a chosen definition, also under a condition', () => {
    const doc = parseDocument('{ c, lib, ... }: { config = lib.mkIf c { a.b = 1; d = 2; }; }')
    const [b] = doc.getIn('a.b')
    if (!b) throw new Error('no definition')
    const plan = doc.edit().renameIn(b, 'a.x').plan()
    expect(plan.ok && plan.value.text).toBe(
      '{ c, lib, ... }: { config = lib.mkIf c { a.x = 1; d = 2; }; }'
    )
  })

  it('refuses a new path that is defined, or that belongs to another set', () => {
    expect(refusalOf('{ a = 1; b = 2; }', it => it.renameIn('a', 'b'))).toBe('CONFLICT')
    expect(refusalOf('{ a = { b = 1; }; }', it => it.renameIn('a.b', 'c.d'))).toBe('NO_TARGET')
    expect(refusalOf('{ a, ... }: { inherit a; }', it => it.renameIn('a', 'b'))).toBe('INHERITED')
    expect(refusalOf('{ a = 1; }', it => it.renameIn('a', ''))).toBe('BAD_PATH')
  })

  it('refuses a new name that another operand of // defines', () => {
    const refusal = (given: string, from: string, to: string) =>
      refusalOf(given, it => it.renameIn(from, to))
    expect(refusal('{ boot.a = 1; } // { v.l = 3; }', 'v.l', 'boot.z')).toMatch(/UPDATE_OPERATOR/)
    expect(refusal('{ boot.a = 1; v.k = 1; } // { w.l = 3; }', 'boot.a', 'w.a')).toBe(
      'UPDATE_OPERATOR'
    )
    expect(refusal('let d = { }; in { a = { x.y = 1; } // d; }', 'a.x.y', 'a.z.y')).toBe(
      'UPDATE_OPERATOR'
    )
    expect(edited('{ boot.a = 1; } // { v.l = 3; }', it => it.renameIn('v.l', 'v.z'))).toBe(
      '{ boot.a = 1; } // { v.z = 3; }'
    )
  })

  it('refuses a new name that Nix does not merge with the existing definitions', () => {
    const given = '{ a.b = 1; c = { d = { e = 1; }; }; }'
    expect(refusalOf(given, it => it.renameIn('a.b', 'c.d.f'))).toBe('CONFLICT')
  })
})
