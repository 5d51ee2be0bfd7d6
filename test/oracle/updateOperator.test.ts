import { describe, expect, it } from 'vitest'
import { refusalOf } from '../nix/support.ts'
import { describeEdits } from './evaluatedEdits.ts'

const head = '{ lib, c, base, ... }: '
const value = (source: string) => `${head}{ s = ${source}; }`

describeEdits('edits of operands of //', [
  {
    title: 'set and add in a chain of two',
    given: value('{ a = 1; } // { b = 2; }'),
    edit: it => it.setIn('s.a', 5).setIn('s.b', 6).setIn('s.n', 7).setIn('s.m.k', 8),
    after: value('{ a = 5; } // { b = 6; n = 7; m.k = 8; }'),
    off: { s: { a: 5, b: 6, n: 7, m: { k: 8 }, l: [] } }
  },
  {
    title: 'set the operand that takes effect',
    given: value('{ a = 1; } // { a = 2; } // { b = 3; }'),
    edit: it => it.setIn('s.a', 5),
    after: value('{ a = 1; } // { a = 5; } // { b = 3; }'),
    off: { s: { a: 5, b: 3, l: [] } }
  },
  {
    title: 'remove from all operands',
    given: value('{ a = 1; d = 4; } // { a = 2; } // { b = 3; }'),
    edit: it => it.removeIn('s.a').removeIn('s.b'),
    after: value('{ d = 4; } // { } // { }'),
    off: { s: { d: 4, l: [] } }
  },
  {
    title: 'set and add on the left of optionalAttrs',
    given: value('{ a = 1; } // lib.optionalAttrs c { b = 2; }'),
    edit: it => it.setIn('s.a', 5).setIn('s.n', 7),
    after: value('{ a = 5; n = 7; } // lib.optionalAttrs c { b = 2; }'),
    off: { s: { a: 5, n: 7, l: [] } },
    on: { s: { a: 5, n: 7, b: 2, l: [] } }
  },
  {
    title: 'set and add on the right of optionalAttrs',
    given: value('lib.optionalAttrs c { b = 2; } // { a = 1; }'),
    edit: it => it.setIn('s.a', 5).setIn('s.n', 7),
    after: value('lib.optionalAttrs c { b = 2; } // { a = 5; n = 7; }'),
    off: { s: { a: 5, n: 7, l: [] } },
    on: { s: { a: 5, n: 7, b: 2, l: [] } }
  },
  {
    title: 'remove under a condition, and beside it',
    given: value('{ a = 1; d = 4; } // lib.optionalAttrs c { b = 2; a = 3; }'),
    edit: it => it.removeIn('s.a'),
    after: value('{ d = 4; } // lib.optionalAttrs c { b = 2; }'),
    off: { s: { d: 4, l: [] } },
    on: { s: { d: 4, b: 2, l: [] } }
  },
  {
    title: 'add a new name to the set beside a variable',
    given: value('base // { b = 2; }'),
    edit: it => it.setIn('s.n', 7).setIn('s.b', 3),
    after: value('base // { b = 3; n = 7; }'),
    off: { s: { z: 0, b: 3, n: 7, l: [] } }
  },
  {
    title: 'add below a name that overrides the variable',
    given: value('base // { b.x = 2; }'),
    edit: it => it.setIn('s.b.y', 3),
    after: value('base // { b.x = 2; b.y = 3; }'),
    off: { s: { z: 0, b: { x: 2, y: 3 }, l: [] } }
  },
  {
    title: 'add items and remove them',
    given: value('{ l = [ 1 2 ]; } // { b = 2; } // lib.optionalAttrs c { d = 3; }'),
    edit: it => it.addIn('s.l', [3]).removeIn('s.l', [1]),
    after: value('{ l = [ 2 3 ]; } // { b = 2; } // lib.optionalAttrs c { d = 3; }'),
    off: { s: { l: [2, 3], b: 2 } },
    on: { s: { l: [2, 3], b: 2, d: 3 } }
  },
  {
    title: 'both branches of an if',
    given: value('(if c then { b = 2; } else { d = 1; }) // { a = 1; }'),
    edit: it => it.setIn('s.a', 5).setIn('s.n', 7),
    after: value('(if c then { b = 2; } else { d = 1; }) // { a = 5; n = 7; }'),
    off: { s: { d: 1, a: 5, n: 7, l: [] } },
    on: { s: { b: 2, a: 5, n: 7, l: [] } }
  },
  {
    title: 'the module itself, beside optionalAttrs',
    given: `${head}{ a.x = 1; } // lib.optionalAttrs c { b.y = 2; }`,
    edit: it => it.setIn('a.x', 5).setIn('a.z', 7).setIn('q', 2),
    after: `${head}{ a.x = 5; a.z = 7; q = 2; } // lib.optionalAttrs c { b.y = 2; }`,
    off: { a: { x: 5, z: 7 }, q: 2 },
    on: { a: { x: 5, z: 7 }, q: 2, b: { y: 2 } }
  },
  {
    title: 'the module itself, on the right of optionalAttrs',
    given: `${head}lib.optionalAttrs c { b.y = 2; } // { a.x = 1; }`,
    edit: it => it.setIn('a.x', 5).setIn('q', 2).removeIn('b.y'),
    after: `${head}lib.optionalAttrs c { } // { a.x = 5; q = 2; }`,
    off: { a: { x: 5 }, q: 2 }
  },
  {
    title: 'the module itself, of three operands',
    given: `${head}{ a = 1; } // { a = 2; d = 3; } // { e = 4; }`,
    edit: it => it.removeIn('a').setIn('d', 5).setIn('n', 6),
    after: `${head}{ } // { d = 5; } // { e = 4; n = 6; }`,
    off: { d: 5, e: 4, n: 6 }
  }
])

describe('what is not certain is refused', () => {
  it.each([
    ['a condition on the right', '{ a = 1; } // lib.optionalAttrs c { b.x = 2; }', 's.b.y'],
    ['a condition on the left', 'lib.optionalAttrs c { b.x = 2; } // { a = 1; }', 's.b.y'],
    ['below a name that a variable may have', 'base // { b = 2; }', 's.n.k'],
    ['on the left of a variable', '{ a = 1; } // base', 's.n'],
    ['beside mkIf, whose result is not its argument', 'lib.mkIf c { b = 2; } // { a = 1; }', 's.n']
  ])('%s', (_, source, path) =>
    expect(refusalOf(value(source), it => it.setIn(path, 1))).toBe('UPDATE_OPERATOR')
  )

  it('a new list that a variable may have, too', () =>
    expect(refusalOf(value('base // { b = 2; }'), it => it.addIn('s.n', [1]))).toBe(
      'UPDATE_OPERATOR'
    ))

  it('the removal of what overrides another definition', () => {
    expect(refusalOf(value('base // { b = 2; }'), it => it.removeIn('s.b'))).toBe('UPDATE_OPERATOR')
    const given = '{ a.x = 1; } // { a.y = 2; a.z = 1; }'
    const both = refusalOf(given, it => it.removeIn('a.y').removeIn('a.z'))
    expect(both).toBe('UPDATE_OPERATOR')
  })

  it('a new option beside a variable as the module', () => {
    const given = `${head}base // { a.x = 1; }`
    expect(refusalOf(given, it => it.setIn('q.b', 1))).toBe('UPDATE_OPERATOR')
    expect(refusalOf(given, it => it.import('./x.nix'))).toBe('UPDATE_OPERATOR')
  })
})
