// Half of a surrogate pair: a JavaScript string can contain it, a file can't.

import { describe, expect, it } from 'vitest'
import {
  annotated,
  canonicalOfValue,
  decode,
  escapeString,
  expr,
  parseDocument,
  parsePath,
  type Transaction
} from '../../src/nix/index.ts'

const HALF = '\ud83d'
const WHOLE = '\u{1f600}'

describe('half of a surrogate pair', () => {
  it('half of a surrogate pair in a text is a fault, so nothing can be edited', () => {
    const doc = parseDocument(`{\n  a = "${HALF}";\n}\n`)
    expect(doc.errors.map(it => it.render())).toEqual([
      [
        '2:8: ENCODING: this is half of a surrogate pair, which no file can contain',
        '2 |   a = "\\u{d83d}";',
        '           ^^^^^^^^',
        'hint: use decode(bytes), or TextDecoder, to read the bytes of a file'
      ].join('\n')
    ])
    const plan = doc.edit().setIn('b', 1).plan()
    expect(plan.ok ? '' : plan.error.code).toBe('ENCODING')
    expect(String(doc)).toContain(HALF)
  })

  const refused: [string, string, (edit: Transaction) => Transaction][] = [
    ['a string', 'BAD_VALUE', it => it.setIn('b', `x${HALF}`)],
    ['an item', 'BAD_VALUE', it => it.addIn('b', [HALF])],
    ['a name', 'BAD_VALUE', it => it.setIn('b', { [HALF]: 1 })],
    ['an expression', 'BAD_VALUE', it => it.setIn('b', expr(`"${HALF}"`))],
    ['a comment', 'BAD_VALUE', it => it.setIn('b', annotated(1, HALF))],
    ['a path', 'BAD_PATH', it => it.setIn(`b."${HALF}"`, 1)],
    ['names', 'BAD_PATH', it => it.setIn(['b', HALF], 1)],
    ['a new name', 'BAD_PATH', it => it.renameIn('a', ['b', HALF])],
    ['an import', 'BAD_VALUE', it => it.import(`./${HALF}`)],
    ['a formal', 'BAD_VALUE', it => it.addFormal(`a${HALF}`)]
  ]
  it.each(refused)('half of a surrogate pair in %s is refused with %s', (_, code, edit) => {
    const plan = edit(parseDocument('{ lib, ... }: { a = 1; }').edit()).plan()
    expect(plan.ok ? plan.value.text : plan.error.code).toBe(code)
  })

  it('half of a surrogate pair is refused by the functions without a document', () => {
    const path = parsePath([HALF])
    expect(path.ok ? '' : path.error.code).toBe('BAD_PATH')
    expect(canonicalOfValue(HALF)).toBeUndefined()
    expect(() => escapeString(HALF)).toThrow(RangeError)
  })

  it('decode never returns half of a surrogate pair', () => {
    expect(decode(Buffer.from(`"${HALF}"`))).toEqual({ ok: true, value: '"\ufffd"' })
  })

  it('a whole surrogate pair is accepted, and counts as two units', () => {
    const doc = parseDocument(`{ a = "${WHOLE}"; }`)
    expect(doc.errors).toEqual([])
    const plan = doc.edit().setIn('b', WHOLE).plan()
    expect(plan.ok && plan.value.text).toBe(`{ a = "${WHOLE}"; b = "${WHOLE}"; }`)
    const [a] = doc.getIn('a')
    expect(a && a.value.end - a.value.start).toBe(4)
  })
})
