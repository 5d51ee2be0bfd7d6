// What `toJS` returns for an expression: plain data, or a code and the innermost expression at fault.

import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PlainValue, parseDocument, toJS } from '../../src/nix/index.ts'
import { areAvailable } from '../support/needing.ts'
import { seed } from '../support/seed.ts'
import { nix } from './support.ts'

/** The value of a whole file, or the code and the source of the expression at fault. */
function dataOf(text: string): unknown {
  const found = toJS(parseDocument(text))
  return found.ok ? found.value : `${found.error.code} ${found.error.node.text}`
}

/** Files that are plain data, with the value that Nix gives them as well. */
const DATA: [string, unknown][] = [
  ['null', null],
  ['[ true false 1 (-2) 1.5 (-0.5) ]', [true, false, 1, -2, 1.5, -0.5]],
  ['"a\\n${"b"}$${c}"', 'a\nb$${c}'],
  ["''\n  a\n    b\n''", 'a\n  b\n'],
  ['{ }', {}],
  [
    '{ a.b = 1; a.c = [ ]; a.d = { e = "x"; }; "f g" = null; }',
    { a: { b: 1, c: [], d: { e: 'x' } }, 'f g': null }
  ],
  ['{ a = { b = 1; }; a.c = 2; }', { a: { b: 1, c: 2 } }],
  ['{ ${"a"} = 1; __proto__ = 2; }', JSON.parse('{"a": 1, "__proto__": 2}')],
  [
    'let version = "1.2"; in { inherit version; url = "a/${version}.tar"; }',
    { version: '1.2', url: 'a/1.2.tar' }
  ],
  ['rec { version = "1"; rev = "v${version}"; }', { version: '1', rev: 'v1' }],
  ['let a = 1; in let b = a; in (let c = b; in [ a b c ])', [1, 1, 1]],
  ["let x = \"a\n  b\"; in { s = ''\n    ${x}\n      c\n  ''; }", { s: 'a\n  b\n  c\n' }],
  ['let true = 1; in true', 1],
  ['with { x = 1; }; [ true ]', [true]],
  ['assert true; 9007199254740991', 9007199254740991],
  ['rec { a = rec { b = c; c = 2; }; d = a2; a2 = "x"; }', { a: { b: 2, c: 2 }, d: 'x', a2: 'x' }],
  ['{ x = -1; y = -1.5; z = -0; }', { x: -1, y: -1.5, z: 0 }]
]

/** Files that are not plain data, with the code and the source at fault. */
const OTHERS: [string, string][] = [
  ['{ a = [ pkgs.vim ]; }', 'VARIABLE pkgs.vim'],
  ['{ lib, ... }: { }', 'FUNCTION { lib, ... }: { }'],
  ['{ a = x: x; }', 'FUNCTION x: x'],
  ['{ a = lib.mkForce true; }', 'CALL lib.mkForce true'],
  ['{ a = [ 1 ] ++ [ 2 ]; }', 'COMPUTED_VALUE [ 1 ] ++ [ 2 ]'],
  ['{ a = if true then 1 else 2; }', 'COMPUTED_VALUE if true then 1 else 2'],
  ['{ a = { b = 1; } // { c = 2; }; }', 'COMPUTED_VALUE { b = 1; } // { c = 2; }'],
  ['let { body = 1; }', 'COMPUTED_VALUE let { body = 1; }'],
  ['{ a = "x-${y}"; }', 'INTERPOLATION ${y}'],
  ['let y = 1; in { a = "x-${y}"; }', 'INTERPOLATION ${y}'],
  ['[ ./a ]', 'PATH ./a'],
  ['[ ~/a ]', 'PATH ~/a'],
  ['[ <nixpkgs> ]', 'PATH <nixpkgs>'],
  ['[ 9007199254740993 ]', 'NUMBER 9007199254740993'],
  ['{ a = -9223372036854775808; }', 'NUMBER 9223372036854775808'],
  ['{ a = -x; }', 'COMPUTED_VALUE -x'],
  ['x: { ${x} = 1; }', 'FUNCTION x: { ${x} = 1; }'],
  ['{ a = { ${x} = 1; }; }', 'DYNAMIC_ATTRIBUTE ${x}'],
  ['let s = { x = 1; }; in { inherit (s) x; }', 'INHERITED x'],
  ['let inherit (s) x; in [ x ]', 'INHERITED x'],
  ['{ inherit x; }', 'VARIABLE x'],
  ['with s; [ x ]', 'VARIABLE x'],
  ['let a.b = 1; in a', 'VARIABLE a'],
  ['let a = { b = 1; }; in a.b', 'VARIABLE a.b'],
  ['let a = b; b = [ a ]; in a', 'RECURSION a'],
  ['rec { a = a; }', 'RECURSION a'],
  // Nix reads z inside the rec set.
  ['let y = 2; in { a = rec { y = 1; }; a.z = y; }', 'COMPUTED_VALUE y'],
  ['let y = 2; in { a.z = y; a = rec { y = 1; }; }', 'COMPUTED_VALUE rec { y = 1; }'],
  ['{ a = 1; a = 2; }', 'DUPLICATE_ATTRIBUTE a = 2;'],
  ['{ a = 1; a.b = 2; }', 'DUPLICATE_ATTRIBUTE a.b = 2;'],
  ['{ a = ; }', 'SYNTAX { a = ; }'],
  ['(x: { a = x; })', 'FUNCTION x: { a = x; }']
]

describe('toJS', () => {
  it.each(DATA)('reads %j', (text, value) => expect(dataOf(text)).toEqual(value))
  it.each(OTHERS)('says why %j is not plain data', (text, why) => expect(dataOf(text)).toBe(why))

  const hasNix = areAvailable('toJS', 'nix-instantiate')
  it.skipIf(!hasNix)('returns what Nix prints as JSON (skipped without it)', () => {
    const file = `[ ${DATA.map(([text]) => `(${text})`).join(' ')} ]`
    const run = spawnSync(
      'nix-instantiate',
      ['--store', 'dummy://', '--eval', '--strict', '--json', '-E', file],
      { encoding: 'utf8' }
    )
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual(DATA.map(([, value]) => value))
  })

  it('reads every value that setIn writes', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', '.', ' ', '"', '$', '{', 'é'),
      maxLength: 4
    })
    const scalar = fc.oneof(
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc
        .double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 })
        .map(it => it + 0.5),
      name,
      fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\t', "'", '$', '{', '\\'), maxLength: 8 })
    )
    const { value } = fc.letrec<{ value: PlainValue }>(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        scalar,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true })
      )
    }))
    const writtenAs = (it: PlainValue) => {
      const plan = parseDocument('{\n  b = 1;\n}\n').edit().setIn('a', it).plan()
      if (!plan.ok) throw new Error(plan.error.render())
      const [definition] = parseDocument(plan.value.text).getIn('a')
      return definition && toJS(definition)
    }
    fc.assert(
      fc.property(value, it => {
        expect(writtenAs(it)).toEqual({ ok: true, value: it })
      }),
      { seed, numRuns: 300 }
    )
  })

  it('reads a definition and a leaf, and a name in an inherit', () => {
    const doc = parseDocument('let p = 80; in { a.port = p; a.host = "h"; inherit p; }')
    const values = (path: string) => doc.getIn(path).map(it => toJS(it))
    expect(values('a.port')).toEqual([{ ok: true, value: 80 }])
    expect(values('p')).toEqual([{ ok: true, value: 80 }])
    expect(doc.leaves().map(it => toJS(it).ok)).toEqual([true, true, true])
  })

  it('keeps the order of the attributes', () => {
    const found = toJS(parseDocument('{ b = 1; a = 2; b2.x = 1; }'))
    expect(Object.keys(found.ok ? (found.value as object) : {})).toEqual(['b', 'a', 'b2'])
  })

  it('has the place and a sentence for what is not plain data', () => {
    const text = nix`
      {
        a = 1;
        b = [ (f x) ];
      }
    `
    const found = toJS(parseDocument(text))
    expect(found.ok ? undefined : found.error).toMatchObject({
      code: 'CALL',
      message: 'f x is the result of a function',
      at: { line: 3, column: 10 }
    })
  })

  it('does not take long for variables that multiply', () => {
    const names = Array.from({ length: 40 }, (_, i) => `v${i + 1} = [ v${i} v${i} ];`)
    const found = toJS(parseDocument(`let v0 = 1; ${names.join(' ')} in v40`))
    expect(found.ok).toBe(true)
    const texts = Array.from({ length: 60 }, (_, i) => `v${i + 1} = "\${v${i}}\${v${i}}";`)
    expect(dataOf(`let v0 = "x"; ${texts.join(' ')} in v60`)).toMatch(/^(?:TOO_DEEP|INTERPOLATION)/)
  })

  it('does not overflow the stack', () => {
    expect(dataOf(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)).toMatch(/^TOO_DEEP/)
  })
})
