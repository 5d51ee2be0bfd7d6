import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { stringValue } from '../../src/nix/syntax/strings.ts'
import { isThere } from '../support/needing.ts'

function valueIn(literal: string): string | undefined {
  const node = parseDocument(literal).root.field('expression')
  return node && stringValue(literal, node)
}

describe('the value of a string literal', () => {
  const cases: [string, string | undefined][] = [
    ['"a\\n\\t\\"\\\\\\${x} $y $$"', 'a\n\t"\\${x} $y $$'],
    ['"a\r\nb"', 'a\nb'],
    ["''\n    a\n      b\n  ''", 'a\n  b\n'],
    ["''  a\n   b''", 'a\n b'],
    ["''\n  ''", ''],
    ["''\n\n   x\n     \n  ''", '\nx\n  \n'],
    ["''\n\ttab\n  sp''", '\ttab\n  sp'],
    ["''a ''$ b ''' c ''\\n d $$ ''\\t''", "a $ b '' c \n d $$ \t"],
    ["''\r\n  a\r\n''", '\r\n  a\r\n'],
    ['"a ${b}"', undefined]
  ]
  it.each(cases)('%j', (literal, then) => expect(valueIn(literal)).toBe(then))

  const hasNix = isThere('strings', 'nix-instantiate')
  it.skipIf(!hasNix)('is what nix-instantiate prints (skipped without it)', () => {
    const line = fc.string({
      unit: fc.constantFrom(' ', '  ', 'a', '\t', "'", '$', '\\', "''$", "'''"),
      maxLength: 8
    })
    const indented = fc.array(line, { maxLength: 5 }).map(lines => `''${lines.join('\n')}''`)
    const quoted = fc
      .string({
        unit: fc.constantFrom(' ', 'a', '\\n', '\\"', '\\\\', '$', '\n', '\\$', "'"),
        maxLength: 8
      })
      .map(body => `"${body}"`)
    const literals = fc
      .sample(fc.oneof(indented, quoted), 400)
      .filter(it => parseDocument(it).errors.length === 0)
      .filter(it => /string/.test(parseDocument(it).root.field('expression')?.type ?? ''))
    expect(literals.length).toBeGreaterThan(200)
    const run = spawnSync('nix-instantiate', ['--eval', '--strict', '--json', '-'], {
      input: `[\n(${literals.join(')\n(')})\n]`,
      encoding: 'utf8'
    })
    expect(run.stderr).toBe('')
    expect(literals.map(valueIn)).toEqual(JSON.parse(run.stdout))
  })
})
