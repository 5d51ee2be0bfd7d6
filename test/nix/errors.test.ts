import { describe, expect, it } from 'vitest'
import { nixError } from '../../src/nix/errors.ts'
import { parseDocument } from '../../src/nix/index.ts'

/** A rendered error about the first occurrence of a piece of the text. */
function rendered(text: string, piece: string, options = {}): string {
  const start = text.indexOf(piece)
  const range = { start, end: start + piece.length }
  return nixError(text, { code: 'CONFLICT', message: 'no', range }).render(options)
}

describe('a rendered error', () => {
  it('shows place, line, caret and hint', () => {
    const error = nixError('{\n  a = 1;\n}\n', {
      code: 'CONFLICT',
      message: 'two of them',
      range: { start: 4, end: 10 },
      hint: 'take one'
    })
    expect(error.at).toEqual({ line: 2, column: 3 })
    expect(error.render({ file: 'x.nix' })).toBe(
      ['x.nix:2:3: CONFLICT: two of them', '2 |   a = 1;', '      ^^^^^^', 'hint: take one'].join(
        '\n'
      )
    )
  })

  it('shows tabs as two spaces', () => {
    expect(rendered('\ta = 1;\t# b', 'b')).toBe(
      ['1:11: CONFLICT: no', '1 |   a = 1;  # b', '                ^'].join('\n')
    )
  })

  it('aligns the caret as if wide characters took two columns', () => {
    expect(rendered('{ a = "日本"; b = 1; }', 'b = 1')).toBe(
      ['1:13: CONFLICT: no', '1 | { a = "日本"; b = 1; }', '                  ^^^^^'].join('\n')
    )
    expect(rendered('{ a = "👩‍👩‍👧"; b = 1; }', 'b = 1').split('\n').slice(1)).toEqual([
      '1 | { a = "👩‍👩‍👧"; b = 1; }',
      '                ^^^^^'
    ])
  })

  it('shows only the part of a long line around the caret', () => {
    const text = `{ ${'a = 1; '.repeat(40)}here = 2; ${'b = 3; '.repeat(40)}}`
    const lines = rendered(text, 'here', { width: 60 }).split('\n')
    const [, source = '', caret = ''] = lines
    expect(source).toMatch(/^1 \| ….*here = 2;.*…$/)
    expect(source.length).toBeLessThanOrEqual(60 + 6)
    expect(source.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('here')
  })

  it('shows carets only up to the end of the first line', () => {
    expect(rendered('{\n  a = {\n    b = 1;\n  };\n}', 'a = {\n    b = 1;\n  };')).toBe(
      ['2:3: CONFLICT: no', '2 |   a = {', '      ^^^^^'].join('\n')
    )
  })

  it('shows a place at the end of the text, and a line with CRLF', () => {
    const text = '{ a = 1;\r\n'
    const range = { start: text.length, end: text.length }
    expect(nixError(text, { code: 'SYNTAX', message: 'no', range }).render()).toBe(
      ['2:1: SYNTAX: no', '2 | ', '    ^'].join('\n')
    )
    expect(rendered('{ a = 1;\r\n  b = 2; }\r\n', 'a = 1;')).toBe(
      ['1:3: CONFLICT: no', '1 | { a = 1;', '      ^^^^^^'].join('\n')
    )
  })

  it('is in color on request', () => {
    expect(rendered('a', 'a', { color: true })).toBe(
      '1:1: \x1b[1;31mCONFLICT\x1b[0m: no\n\x1b[2m1 | \x1b[0ma\n    \x1b[1;31m^\x1b[0m'
    )
  })
})

describe('a text that is not Nix', () => {
  const cases: [string, string, string[]][] = [
    ['a missing semicolon', '{\n  a = 1\n  b = 2;\n}', ['3:5: SYNTAX: unexpected "="']],
    ['an unclosed brace', '{\n  a = 1;\n', ['2:9: SYNTAX: "}" is missing here']],
    ['an unmatched closing brace', '{ a = 1; } }', ['1:12: SYNTAX: unexpected "}"']],
    ['an empty text', '', ['1:1: SYNTAX: an expression is missing here']],
    ['only a comment', '# nothing\n', ['1:10: SYNTAX: an expression is missing here']],
    [
      'a // without spaces',
      '{ a = b //c; }',
      ['1:9: SYNTAX: put spaces around "//": without them it can be read as a path']
    ]
  ]
  it.each(cases)('has an error with its place: %s', (_, text, then) => {
    const doc = parseDocument(text)
    expect(doc.errors.map(it => it.render().split('\n')[0])).toEqual(then)
    expect(String(doc)).toBe(text)
    const plan = doc.edit().setIn('a', 1).plan()
    expect(plan.ok ? '' : plan.error.code).toBe('SYNTAX')
  })
})

it('errors are plain data', () => {
  const plan = parseDocument('{ x, ... }: { inherit (x) a; }').edit().setIn('a.b', 3).plan()
  expect(plan.ok).toBe(false)
  expect(JSON.parse(JSON.stringify(plan))).toMatchObject({
    error: { code: 'INHERITED', range: { start: 26, end: 27 } }
  })
})

it('a hint about the library has a remedy code, also after an edit that moves its place', () => {
  const text = '{ lib, on, ... }: { config = lib.mkMerge [ { b = 1; } (lib.mkIf on { a = 1; }) ]; }'
  const edits = [parseDocument(text).edit(), parseDocument(text).edit().setIn('b', 1000)]
  const remedies = edits.map(it => {
    const plan = it.setIn('a', 2).plan()
    return plan.ok ? undefined : plan.error.remedy
  })
  expect(remedies).toEqual(['CHOOSE', 'CHOOSE'])
})

it('parseDocument throws for a value that is not a string, and recommends decode', () => {
  const bytes = Buffer.from('{ }\n')
  expect(() => parseDocument(bytes as unknown as string)).toThrow(
    new TypeError('parseDocument expects a string; use decode(bytes) for the bytes of a file')
  )
})
