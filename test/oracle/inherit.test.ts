import { describe, expect, it } from 'vitest'
import { expr } from '../../src/nix/index.ts'
import { edited, nix, refusalOf } from '../nix/support.ts'
import { describeEdits } from './evaluatedEdits.ts'

const head = '{ lib, c, base, ... }: '

describeEdits('edits of an inherited attribute', [
  {
    title: 'a binding in place of the only name',
    given: `${head}let x = 1; in { inherit x; b = c; }`,
    edit: it => it.setIn('x', 5),
    after: `${head}let x = 1; in { x = 5; b = c; }`,
    off: { x: 5, b: false },
    on: { x: 5, b: true }
  },
  {
    title: 'a binding after the other names',
    given: `${head}{ s = { inherit (base) z; inherit c; }; inherit (base) z; }`,
    edit: it => it.setIn('s.z', 7).setIn('s.c', 8),
    after: `${head}{ s = { z = 7; c = 8; }; inherit (base) z; }`,
    off: { s: { z: 7, c: 8, l: [] }, z: 0 }
  },
  {
    title: 'the removal of one of two names, and of the last one',
    given: `${head}let x = 1; y = 2; in { inherit x y; inherit (base) z; }`,
    edit: it => it.removeIn('x').removeIn('z'),
    after: `${head}let x = 1; y = 2; in { inherit y; }`,
    off: { x: undefined, y: 2, z: undefined }
  },
  {
    title: 'items beside a list that a let defines',
    given: `${head}let l = [ 1 2 ] ++ lib.optional c 3; in { inherit l; }`,
    edit: it => it.addIn('l', [4]),
    after: `${head}let l = [ 1 2 ] ++ lib.optional c 3; in { l = l ++ [ 4 ]; }`,
    off: { l: [1, 2, 4] },
    on: { l: [1, 2, 3, 4] }
  },
  {
    title: 'an inherited name on the right of //',
    given: `${head}{ s = { z = 1; } // { inherit (base) z; }; }`,
    edit: it => it.removeIn('s.z').setIn('s.n', 1),
    after: `${head}{ s = { } // { n = 1; }; }`,
    off: { s: { n: 1, l: [] } }
  }
])

describe('the text around an inherited attribute', () => {
  const given = nix`
    { base, ... }: {
      # about both
      inherit (base)
        x # ex
        y
        z; # end
      a = 1;
    }
  `

  it('keeps the comments of the other names', () => {
    expect(edited(given, it => it.setIn('y', { b: [1] }))).toBe(nix`
      { base, ... }: {
        # about both
        inherit (base)
          x # ex
          z; # end
        y = {
          b = [ 1 ];
        };
        a = 1;
      }
    `)
    expect(edited(given, it => it.removeIn('x').removeIn('y'))).toBe(nix`
      { base, ... }: {
        # about both
        inherit (base)
          z; # end
        a = 1;
      }
    `)
    expect(edited(given, it => it.removeIn('x').removeIn('z').removeIn('y'))).toBe(nix`
      { base, ... }: {
        # about both
        a = 1;
      }
    `)
  })

  it('does nothing if the inherited value is the requested one', () => {
    expect(edited(given, it => it.setIn('x', expr('base.x')))).toBe(given)
    expect(edited('{ x, ... }: { inherit x; }', it => it.setIn('x', expr('x')))).toBe(
      '{ x, ... }: { inherit x; }'
    )
  })
})

describe('what is not certain is refused', () => {
  it('a value that others in the rec set use', () => {
    const given = '{ e, ... }: rec { inherit (e) x; y = x; }'
    expect(refusalOf(given, it => it.setIn('x', 1))).toBe('SHARED_BINDING')
    expect(refusalOf(given, it => it.removeIn('x'))).toBe('CONFLICT')
  })

  it('items beside a value that may be anything, and attributes of an inherited set', () => {
    expect(refusalOf('{ x, ... }: { inherit x; }', it => it.addIn('x', [1]))).toBe('INHERITED')
    expect(refusalOf('{ x, ... }: { inherit x; }', it => it.setIn('x.y', 1))).toBe('INHERITED')
    expect(refusalOf('{ x, ... }: { inherit x; }', it => it.renameIn('x', 'y'))).toBe('INHERITED')
  })

  it('a comment that would be lost', () =>
    expect(refusalOf('{ x, ... }: { inherit /* why */ x; }', it => it.setIn('x', 1))).toBe(
      'CONFLICT'
    ))
})
