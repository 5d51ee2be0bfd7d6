// Text that is safe to print on a terminal.

import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shellWord } from '../../src/cli/message.ts'
import { visible, visibleJson, visibleLine } from '../../src/nix/text/visible.ts'
import { areAvailable } from '../support/needing.ts'

const SHOWN = (text: string) => !/(?!\u200c|\u200d|[\t\n])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)
const texts = fc.string({ unit: 'binary', maxLength: 20 })
const controls = fc
  .array(
    fc.oneof(
      texts,
      fc.constantFrom(
        '\r',
        '\n',
        '\r\n',
        '\x1b',
        '\x9b',
        '\u202e',
        '\u{e0041}',
        '\ud800',
        "'",
        '\\'
      )
    )
  )
  .map(it => it.join(''))

test.each<[string, string]>([
  ['plain text, also ümläute and 日本語', 'plain text, also ümläute and 日本語'],
  ['\tline\r\nline\n', '\tline\r\nline\n'],
  ['a\rb', 'a\\u{d}b'],
  ['\x1b[2J\x07\x7f', '\\u{1b}[2J\\u{7}\\u{7f}'],
  ['\x80\x9b\x9f\xa0', '\\u{80}\\u{9b}\\u{9f}\xa0'],
  [
    '\u061c\u200e\u200f\u202a\u202e\u2066\u2069',
    '\\u{61c}\\u{200e}\\u{200f}\\u{202a}\\u{202e}\\u{2066}\\u{2069}'
  ],
  [
    '\u2028\u2029\u200b\ufeff\xad\u{e0041}',
    '\\u{2028}\\u{2029}\\u{200b}\\u{feff}\\u{ad}\\u{e0041}'
  ],
  ['a\ud800b\udc00', 'a\\u{d800}b\\u{dc00}'],
  // Emoji and Persian need these.
  ['👩\u200d🔧 نمی\u200cخواهم \u0601', '👩\u200d🔧 نمی\u200cخواهم \u0601']
])('shows %j without control characters', (given, shown) => {
  expect(visible(given)).toBe(shown)
})

test('escapes line endings in a text that must be one line', () => {
  expect(visibleLine('a\r\nb\nc\td')).toBe('a\\u{d}\\u{a}b\\u{a}c\td')
})

test('escapes all control characters, and changes nothing in an escaped text', () => {
  fc.assert(
    fc.property(controls, text => {
      const shown = visible(text)
      expect(SHOWN(shown.replaceAll('\r\n', ''))).toBe(true)
      expect(visible(shown)).toBe(shown)
      expect(SHOWN(visibleLine(text))).toBe(true)
    })
  )
})

test('escapes JSON without changing its value', () => {
  fc.assert(
    fc.property(controls, text => {
      const json = visibleJson(JSON.stringify({ [text]: [text] }, null, 2))
      expect(SHOWN(json)).toBe(true)
      expect(JSON.parse(json)).toEqual({ [text]: [text] })
    })
  )
})

test.skipIf(!areAvailable('words of a call', 'bash'))(
  'escapes words of a call so that bash reads them back',
  () => {
    const words = fc.sample(controls, 100).map(it => it.replace(/\0|\p{Cs}/gu, ''))
    const spelled = words.map(shellWord)
    for (const it of spelled) expect(SHOWN(it) && !/[\n\t]/.test(it)).toBe(true)
    const script = spelled.map(it => `printf '%s\\0' ${it}`).join('\n')
    const { stdout } = spawnSync('bash', [], { input: script, encoding: 'utf8' })
    expect(stdout.split('\0').slice(0, -1)).toEqual(words)
  }
)
