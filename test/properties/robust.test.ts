import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  annotated,
  expr,
  type NixDocument,
  type NixValue,
  parseDocument,
  type Transaction
} from '../../src/nix/index.ts'
import { visible } from '../../src/nix/text/visible.ts'
import { built, every } from './support/choices.ts'
import { moduleOf } from './support/modules.ts'

const EXPRESSIONS = [
  'pkgs.hello',
  '[ 1 ] ++ [ 2 ]',
  '{ a = 1; } // { b = 2; }',
  '(f) (x)',
  '-1',
  '{ a }: { b = a; }',
  'x: x',
  'with a; b',
  '1 # note',
  "''\n  a\n''",
  '"${x}"',
  '[',
  '',
  'a; b = 1',
  '/* */',
  'if a then b else c',
  '{ a = 1; a = 2; }',
  '1 |> f'
]

const names = fc.oneof(
  fc.constantFrom('boot', 'kernelParams', 'config', 'options', 'imports', 'or', '__proto__', ''),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ maxLength: 8 })
)
const paths = fc.oneof(
  fc.array(names, { maxLength: 4 }),
  fc.array(names, { maxLength: 4 }).map(it => it.join('.')),
  fc.constantFrom('boot.kernelParams', 'a."b c".d', '"${x}"', 'a..b', 'a.', '"', ' a . b '),
  fc.string({ unit: 'binary', maxLength: 20 })
)
const values: fc.Arbitrary<NixValue> = fc.letrec<{ value: NixValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<NixValue>(null, true, 0, -0, -1, 1.5, 1e21, 1e-7, 2 ** 63, NaN, Infinity),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(...EXPRESSIONS).map(expr),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(names, tie('value'), { maxKeys: 3 }),
    fc.tuple(tie('value'), fc.string({ unit: 'binary' })).map(([it, note]) => annotated(it, note))
  )
})).value

/** Text that is almost Nix: tokens in any order, and modules with inserted text. */
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  '=',
  ';',
  '"',
  "''",
  '${',
  '/*',
  '*/',
  '#',
  '\n',
  '\r\n',
  '\r',
  ' ',
  '.',
  ',',
  ':',
  '@',
  '//',
  '++',
  '|>',
  'a',
  'imports',
  'config',
  'rec',
  'let',
  'in',
  'inherit',
  'with',
  'if',
  '...',
  '1',
  '\\',
  '$',
  '\0',
  '\ufeff',
  '🎉',
  '\ud800'
]
const texts = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map(it => it.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
  built(c => {
    const { text } = moduleOf(c)
    const at = c.count(text.length)
    const end = at + c.pick(0, 1, 5, 50)
    return text.slice(0, at) + c.pick('', ...PIECES) + text.slice(end)
  })
)

const steps = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), path: paths, value: values }),
  fc.record({
    kind: fc.constant('add' as const),
    path: paths,
    items: fc.array(values, { maxLength: 3 })
  }),
  fc.record({
    kind: fc.constant('remove' as const),
    path: paths,
    items: fc.option(fc.array(values, { maxLength: 3 }), { nil: undefined })
  }),
  fc.record({ kind: fc.constant('rename' as const), path: paths, to: paths }),
  fc.record({
    kind: fc.constant('import' as const),
    path: fc.oneof(fc.constantFrom('./a', '../b c', '/', './${x}'), fc.string({ unit: 'binary' }))
  })
)
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never

function take(edit: Transaction, step: Step): Transaction {
  if (step.kind === 'set') return edit.setIn(step.path, step.value)
  if (step.kind === 'add') return edit.addIn(step.path, step.items)
  if (step.kind === 'remove') return edit.removeIn(step.path, step.items)
  if (step.kind === 'rename') return edit.renameIn(step.path, step.to)
  return edit.import(step.path)
}

const isWellFormed = (text: string) => Buffer.from(text).toString() === text

/** The allowed results of any edit: a plan that parses, or an error with a place. */
function expectOutcome(doc: NixDocument, all: readonly Step[]) {
  const plan = all.reduce(take, doc.edit()).plan()
  if (plan.ok) {
    expect(parseDocument(plan.value.text).errors).toEqual([])
    // A text written to a file as UTF-8 must be read back unchanged.
    const { text } = plan.value
    if (isWellFormed(doc.text)) expect(isWellFormed(text)).toBe(true)
    return
  }
  expect(plan.error.code).toMatch(/^[A-Z_]+$/)
  expect(plan.error.code, plan.error.render()).not.toBe('VERIFICATION_FAILED')
  expect(plan.error.render()).toContain(visible(plan.error.message))
}

describe('the toolkit never throws', () => {
  it('prints any text unchanged, and reports errors only at places inside it', async () => {
    await every(texts, 3000, text => {
      const doc = parseDocument(text)
      expect(String(doc)).toBe(text)
      for (const { range, at } of doc.errors) {
        expect(range.start).toBeLessThanOrEqual(text.length)
        expect(range.end).toBeGreaterThanOrEqual(range.start)
        expect(at.line).toBe(text.slice(0, range.start).split('\n').length)
      }
    })
  })

  it('returns a plan or an error for any request and any text', async () => {
    const cases = fc.tuple(texts, fc.array(steps, { minLength: 1, maxLength: 2 }))
    await every(cases, 3000, ([text, all]) => {
      expectOutcome(parseDocument(text), all)
    })
  })

  it('returns a plan or an error for any path and value in a module', async () => {
    const cases = fc.tuple(built(moduleOf), fc.array(steps, { minLength: 1, maxLength: 3 }))
    await every(cases, 3000, ([{ text }, all]) => {
      expectOutcome(parseDocument(text), all)
    })
  })

  it('reads any option', async () => {
    await every(fc.tuple(texts, paths), 1000, ([text, path]) => {
      const doc = parseDocument(text)
      for (const it of [...doc.getIn(path), ...doc.getBelow(path)]) {
        expect(text.slice(it.value.start, it.value.end)).toBe(it.source)
      }
      doc.itemsIn(path)
      doc.imports()
    })
  })

  const DEPTH = 20_000
  const nested: Record<string, string> = {
    lists: `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`,
    sets: `${'{ a = '.repeat(DEPTH)}1${'; }'.repeat(DEPTH)}`,
    parentheses: `${'('.repeat(DEPTH)}[ ]${')'.repeat(DEPTH)}`,
    '++': `[ 1 ]${' ++ [ 1 ]'.repeat(DEPTH)}`,
    ifs: `${'if b then [ ] else '.repeat(DEPTH)}[ ]`,
    mkIfs: `${'mkIf b ('.repeat(DEPTH)}[ ]${')'.repeat(DEPTH)}`,
    strings: `${'"${'.repeat(DEPTH)}x${'}"'.repeat(DEPTH)}`,
    functions: `${'x: '.repeat(DEPTH)}1`,
    calls: `f${' x'.repeat(DEPTH)}`
  }
  it.each(Object.keys(nested))(`edits a module with %s nested ${DEPTH} deep`, kind => {
    const doc = parseDocument(`{ a = ${nested[kind]}; imports = [ ]; }`)
    expect(doc.errors).toEqual([])
    const edits: ((edit: Transaction) => Transaction)[] = [
      it => it.setIn('a', 1),
      it => it.setIn('b.c', 1),
      it => it.addIn('a', ['N']),
      it => it.removeIn('a', ['N']),
      it => it.removeIn('a'),
      it => it.renameIn('a', 'b'),
      it =>
        it.setIn(
          Array.from({ length: 10 }, () => 'a'),
          1
        ),
      it => it.import('./v')
    ]
    for (const edit of edits) {
      const plan = edit(doc.edit()).plan()
      if (!plan.ok) expect(plan.error.code).not.toBe('VERIFICATION_FAILED')
    }
    doc.getIn('a')
    doc.itemsIn('a')
  })

  it('returns a plan or BAD_VALUE for a value that is deep or cyclic', () => {
    const ring: NixValue[] = []
    ring.push(ring)
    let deep: NixValue = 1
    for (let i = 0; i < DEPTH; i++) deep = [deep]
    for (const value of [ring, deep]) {
      for (const plan of [
        parseDocument('{ }').edit().setIn('a', value).plan(),
        parseDocument('{ a = [ 1 ]; }').edit().addIn('a', [value]).plan()
      ]) {
        if (!plan.ok) expect(plan.error.code).toBe('BAD_VALUE')
      }
    }
  })
})
