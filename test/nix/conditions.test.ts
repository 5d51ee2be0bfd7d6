import { describe, expect, it } from 'vitest'
import { type Definition, expr, parseDocument } from '../../src/nix/index.ts'
import { KINDS } from './conditionKinds.ts'
import { type EditOf, edited, nix, refusalOf } from './support.ts'

function errorOf(text: string, edit: EditOf) {
  const plan = edit(parseDocument(text).edit()).plan()
  if (plan.ok) throw new Error(`not refused:\n${plan.value.text}`)
  return plan.error
}

const facts = (all: readonly Definition[] | undefined) =>
  all?.map(it => [it.source, it.conditions, it.priorities])

const ALONE = '{ c, lib, ... }: { x = lib.mkIf c "a"; }'
const BOTH = '{ c, lib, ... }: { x = lib.mkMerge [ (lib.mkIf c "a") (lib.mkIf (!c) "b") ]; }'
const AROUND = '{ c, lib, ... }: { config = lib.mkIf c { x = "a"; }; }'

describe('an option that is defined under a condition', () => {
  // test/oracle/conditions.test.ts evaluates the same results.
  it.each(KINDS)('$name', ({ given, edit, after }) => {
    expect(edited(given, edit)).toBe(after)
  })

  it('is refused with its definitions, wherever the condition is', () => {
    for (const given of [ALONE, AROUND]) {
      const error = errorOf(given, it => it.setIn('x', 'n'))
      expect(error.code).toBe('CONDITIONAL')
      expect(facts(error.definitions)).toEqual([['"a"', ['c'], []]])
    }
    const error = errorOf(BOTH, it => it.setIn('x', 'n'))
    expect(error.code).toBe('CONDITIONAL')
    expect(facts(error.definitions)).toEqual([
      ['"a"', ['c'], []],
      ['"b"', ['(!c)'], []]
    ])
    expect(error.message).toBe('x is defined only under conditions (line 1)')
  })

  it('is set in the definition that the error carries', () => {
    const doc = parseDocument(BOTH)
    const refused = doc.edit().setIn('x', 'n').plan()
    const [, second] = refused.ok ? [] : (refused.error.definitions ?? [])
    if (!second) throw new Error('no definitions')
    const plan = doc.edit().setIn('x', 'm', { all: true }).setIn(second, 'n').plan()
    expect(plan.ok && plan.value.text).toBe(BOTH.replace('"a"', '"m"').replace('"b"', '"n"'))
  })

  it('is refused with conditional if several definitions are possible', () => {
    const error = errorOf(BOTH, it => it.setIn('x', 'n', { conditional: true }))
    expect(error.code).toBe('AMBIGUOUS_TARGET')
    expect(error.definitions).toHaveLength(2)
    const [whole] = parseDocument(BOTH).getIn('x')
    if (!whole) throw new Error('no definition')
    const plan = parseDocument(BOTH).edit().setIn(whole, 'n').plan()
    expect(plan.ok ? '' : plan.error.code).toBe('AMBIGUOUS_TARGET')
  })

  it('is replaced with its condition by a value that has one', () => {
    const value = expr('lib.mkIf (!c) "n"')
    expect(edited(ALONE, it => it.setIn('x', value))).toBe(ALONE.replace('c "a"', '(!c) "n"'))
  })

  it('is set by a definition that was chosen, under its condition', () => {
    const doc = parseDocument(ALONE)
    const [chosen] = doc.getIn('x')
    if (!chosen) throw new Error('no definition')
    const plan = doc.edit().setIn(chosen, 'n').plan()
    expect(plan.ok && plan.value.text).toBe(ALONE.replace('"a"', '"n"'))
  })

  it('is refused if a definition that applies in any case is possible, too', () => {
    const given = '{ c, lib, ... }: { x = lib.mkMerge [ "a" (lib.mkIf c "b") ]; }'
    expect(refusalOf(given, it => it.setIn('x', 'n'))).toBe('AMBIGUOUS_TARGET')
    expect(edited(given, it => it.setIn('x', 'n', { all: true }))).toBe(
      given.replace('"a"', '"n"').replace('"b"', '"n"')
    )
  })

  it('has its definitions at their places in the original text, after other edits', () => {
    const error = errorOf(AROUND, it => it.setIn('y', 1, { conditional: true }).setIn('x', 'n'))
    const [definition] = error.definitions ?? []
    expect(definition?.binding.documentText).toBe(AROUND)
    expect(definition?.source).toBe('"a"')
  })

  it('keeps the rest of the error plain data', () => {
    const error = errorOf(AROUND, it => it.setIn('x', 'n'))
    expect(Object.keys(error)).not.toContain('definitions')
    expect(JSON.parse(JSON.stringify(error)).code).toBe('CONDITIONAL')
  })
})

describe('a new option in a set that applies only under a condition', () => {
  it('is refused with the place where it could be added', () => {
    const error = errorOf(AROUND, it => it.setIn('y', 1))
    expect(error.code).toBe('CONDITIONAL')
    expect(error.places?.map(it => [it.node.text, it.at.column, it.conditions])).toEqual([
      ['{ x = "a"; }', 40, ['c']]
    ])
    expect(refusalOf(AROUND, it => it.addIn('l', ['X']))).toBe('CONDITIONAL')
  })

  it('is added there with conditional, also below several conditions', () => {
    const given = '{ c, d, lib, ... }: { config = lib.mkIf c { a = lib.mkIf d { x = 1; }; }; }'
    const after = given.replace('x = 1;', 'x = 1; y = 2;')
    expect(edited(given, it => it.setIn('a.y', 2, { conditional: true }))).toBe(after)
    const error = errorOf(given, it => it.setIn('a.y', 2))
    expect(error.places?.map(it => it.conditions)).toEqual([['c', 'd']])
  })

  it('is refused without a place if the set is computed', () => {
    const error = errorOf('{ c, lib, p, ... }: { a = lib.mkIf c p; }', it => it.setIn('a.y', 2))
    expect([error.code, error.places]).toEqual(['CONDITIONAL', []])
  })
})

describe('the lines of a value that becomes a part of a mkMerge', () => {
  it('are indented, but not those of comments and of a string whose value would change', () => {
    const given = nix`
      { c, lib, ... }:
      {
        a = lib.mkIf c {
          l = [ "a" ];
          /* on
             two lines */
          s = ''first
            second'';
          t = "one
        two";

          u = ''
            ${'$'}{''
              inner
            ''}
          '';
        };
      }
    `
    expect(edited(given, it => it.addIn('a.l', ['X']))).toBe(nix`
      { c, lib, ... }:
      {
        a = lib.mkMerge [
          (lib.mkIf c {
            l = [ "a" ];
            /* on
             two lines */
            s = ''first
            second'';
            t = "one
        two";

            u = ''
              ${'$'}{''
                inner
              ''}
            '';
          })
          {
            l = [ "X" ];
          }
        ];
      }
    `)
  })
})
