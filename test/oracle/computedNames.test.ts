import { describe, expect, it } from 'vitest'
import { edited, refusalOf } from '../nix/support.ts'
import { describeEdits } from './evaluatedEdits.ts'

const head = '{ lib, c, base, ... }: let n = if c then "m" else "k"; in '

describeEdits('edits beside a computed name', [
  {
    title: 'a name that ends otherwise',
    given: `${head}{ u."\${n}-a".x = 1; }`,
    edit: it => it.setIn('u.other.x', 2).setIn('u.x-b.y', 3),
    after: `${head}{ u."\${n}-a".x = 1; u.other.x = 2; u.x-b.y = 3; }`,
    off: { u: { 'k-a': { x: 1 }, other: { x: 2 }, 'x-b': { y: 3 } } },
    on: { u: { 'm-a': { x: 1 }, other: { x: 2 }, 'x-b': { y: 3 } } }
  },
  {
    title: 'a name with parts in another order',
    given: `${head}{ s."a\${n}b\${n}c" = 1; }`,
    edit: it => it.setIn('s.abd', 2).setIn('s.acb', 3),
    after: `${head}{ s."a\${n}b\${n}c" = 1; s.abd = 2; s.acb = 3; }`,
    off: { s: { akbkc: 1, abd: 2, acb: 3, l: [] } },
    on: { s: { ambmc: 1, abd: 2, acb: 3, l: [] } }
  },
  {
    title: 'a literal in an interpolation',
    given: `${head}{ u."\${"alice"}".x = 1; }`,
    edit: it => it.setIn('u.bob.x', 2).setIn('u.alice.x', 3),
    after: `${head}{ u."\${"alice"}".x = 3; u.bob.x = 2; }`,
    off: { u: { alice: { x: 3 }, bob: { x: 2 } } }
  },
  {
    title: 'a name that a let computes',
    given: `${head}let k = "web-\${n}"; in { s.\${k} = 1; }`,
    edit: it => it.setIn('s.db', 2).addIn('l', [1]),
    after: `${head}let k = "web-\${n}"; in { s.\${k} = 1; s.db = 2; l = [ 1 ]; }`,
    off: { s: { 'web-k': 1, db: 2, l: [] }, l: [1] },
    on: { s: { 'web-m': 1, db: 2, l: [] }, l: [1] }
  }
])

describe('a name that may be the computed one is refused', () => {
  it.each([
    ['the same end', 's."${n}-a" = 1;', 's.x-a'],
    ['any name', 's.${n} = 1;', 's.x'],
    ['the same parts', 's."a${n}b${n}c" = 1;', 's.axbxc'],
    ['an empty part', 's."a${n}" = 1;', 's.a']
  ])('%s', (_, binding, path) =>
    expect(refusalOf(`{ n, ... }: { ${binding} }`, it => it.setIn(path, 1))).toBe(
      'DYNAMIC_ATTRIBUTE'
    )
  )

  it('an attribute below it, if Nix does not merge the two', () =>
    expect(refusalOf('{ s."${"a"}".x = 1; }', it => it.setIn('s.a.y', 1))).toBe(
      'DYNAMIC_ATTRIBUTE'
    ))
})

describeEdits('a whole value with a pipe operator', [
  {
    title: 'is replaced',
    given: '{ lib, c, ... }: { a = [ 1 ] |> map (x: x); b = if c then 1 else 2; }',
    edit: it => it.setIn('a', [2]),
    after: '{ lib, c, ... }: { a = [ 2 ]; b = if c then 1 else 2; }',
    off: { a: [2], b: 2 },
    on: { a: [2], b: 1 }
  },
  {
    title: 'is replaced inside mkForce',
    given: '{ lib, c, ... }: { a = lib.mkForce (c |> toString); }',
    edit: it => it.setIn('a', 2),
    after: '{ lib, c, ... }: { a = lib.mkForce 2; }',
    off: { a: 2 }
  },
  {
    title: 'is replaced with its mkForce',
    given: '{ lib, c, ... }: { a = lib.mkForce c |> toString; }',
    edit: it => it.setIn('a', 2),
    after: '{ lib, c, ... }: { a = 2; }',
    off: { a: 2 }
  }
])

describe('a value with a pipe operator', () => {
  it('is the same after an edit of another one', () => {
    const given = '{ f, ... }: {\n  a = if f 1 then 1 else 2 |> f;\n  b = 1 |> f;\n}\n'
    expect(edited(given, it => it.setIn('b', 2))).toBe(given.replace('1 |> f;\n}', '2;\n}'))
  })

  it('gets no new item', () =>
    expect(refusalOf('{ f, ... }: { a = [ 1 ] |> f; }', it => it.addIn('a', [2]))).toBe(
      'PIPE_OPERATOR'
    ))
})
