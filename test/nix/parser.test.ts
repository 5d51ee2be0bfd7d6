import { describe, expect, it } from 'vitest'
import { decode, parseDocument, visit } from '../../src/nix/index.ts'
import { edited } from './support.ts'

describe('syntax that Nix accepts but the grammar does not', () => {
  const cases: [string, string, string[]][] = [
    ['a trailing comma in formals', '{ a, b, }: a', ['comma']],
    ['a trailing comma after one formal', 'b@{a,}: a', ['comma']],
    ['a trailing comma with comments after it', '{ a, # last\n /* , */ }: a', ['comma']],
    ['pipe operators', '{ a = 1 |> f; b = f <| 1; }', ['pipe', 'pipe']],
    ['an empty inherit', '{ inherit; a = 1; }', ['inherit']],
    ['an empty inherit with a source', '{ inherit (a b); a = 1; }', ['inherit']],
    ['a quote between interpolations', "''${a}'${b}''", ['quote']],
    [
      'a trailing comma and a quote between interpolations',
      "{ a, }: ''x${a}'${a}''",
      ['comma', 'quote']
    ]
  ]
  it.each(cases)('is parsed with a workaround: %s', (_, text, kinds) => {
    const doc = parseDocument(text)
    expect(doc.errors).toEqual([])
    expect(doc.workarounds.map(it => it.kind)).toEqual(kinds)
    expect(String(doc)).toBe(text)
    visit(doc, node => {
      expect(node.text).toBe(text.slice(node.start, node.end))
      return undefined
    })
  })

  it('is not replaced in strings and comments', () => {
    const text = `{ a, }: { # |> ,}\n  b = "|> ,} inherit;"; c = ''<| '\${a}''; }`
    const doc = parseDocument(text)
    expect(doc.errors).toEqual([])
    expect(doc.workarounds.map(it => it.kind)).toEqual(['comma', 'quote'])
  })

  it('does not prevent edits around it', () => {
    expect(edited('{ a, ... }: { inherit; b = [ 1 ]; }', it => it.addIn('b', [2]))).toBe(
      '{ a, ... }: { inherit; b = [ 1 2 ]; }'
    )
  })
})

describe('decode', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  const refusal = (input: Uint8Array) => {
    const result = decode(input)
    return result.ok
      ? result.value
      : `${result.error.at.line}:${result.error.at.column} ${result.error.message}`
  }

  it('keeps every character', () => {
    const text = '{ a = "äöü 日本 👋"; }\r\n'
    expect(decode(bytes(text))).toEqual({ ok: true, value: text })
  })

  it('refuses files that are not text', () => {
    expect(refusal(Buffer.from([0x7b, 0x0a, 0xff, 0x7d]))).toBe('2:1 this is not UTF-8 text')
    expect(refusal(Buffer.from('\0GITCRYPT\0\x01\x02', 'latin1'))).toBe(
      '1:1 the file is encrypted (git-crypt)'
    )
    expect(refusal(bytes('age-encryption.org/v1\n-> X25519'))).toBe(
      '1:1 the file is encrypted (age)'
    )
    expect(refusal(bytes('-----BEGIN PGP MESSAGE-----\n'))).toBe('1:1 the file is encrypted (PGP)')
  })

  it('refuses text that Nix and other programs read differently', () => {
    expect(refusal(bytes('\ufeff{ }'))).toBe(
      '1:1 the file begins with a byte order mark, which Nix rejects'
    )
    expect(refusal(bytes('{\n # a\rb = 1;\n}'))).toBe(
      '2:5 Nix reads this carriage return as a line ending, although no line feed follows it'
    )
    expect(refusal(bytes('{ a = "\0"; }'))).toBe(
      '1:8 the file contains a NUL character, so it is not a text file'
    )
    const plan = parseDocument('\ufeff{ }').edit().setIn('a', 1).plan()
    expect(plan.ok ? '' : plan.error.code).toBe('ENCODING')
  })
})
