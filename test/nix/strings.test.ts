import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { linesOf } from '../../src/nix/module/lineStrings.ts'
import { stringValue } from '../../src/nix/syntax/strings.ts'
import { areAvailable } from '../support/needing.ts'
import { seed } from '../support/seed.ts'

function valueIn(literal: string): string | undefined {
  const node = parseDocument(literal).root.field('expression')
  return node && stringValue(node)
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
    ["''\n    a''\\\n  b\n''", 'a\nb\n'],
    ["''a''\\\n  ''", 'a\n  '],
    ['"a ${b}"', undefined]
  ]
  it.each(cases)('reads %j as Nix does', (literal, then) => expect(valueIn(literal)).toBe(then))

  const line = fc.string({
    // biome-ignore format: one line for the kinds of a thing
    unit: fc.constantFrom(' ', '  ', 'a', '\t', '\r', "'", '$', '\\', "''$", "'''", "''\\n", "''\\\n"),
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
    .sample(fc.oneof(indented, quoted), { seed, numRuns: 2000 })
    .filter(it => parseDocument(it).errors.length === 0)
    .filter(it => /string/.test(parseDocument(it).root.field('expression')?.type ?? ''))

  it('the value of a literal consists of the values of its lines', () => {
    const written = (lines: string[]) => lines.filter(it => it.trim() !== '')
    for (const literal of literals) {
      const node = parseDocument(literal).root.field('expression')
      const lines = node ? linesOf(node) : []
      expect(written(lines), literal).toEqual(written((valueIn(literal) ?? '').split('\n')))
    }
  })

  const hasNix = areAvailable('strings', 'nix-instantiate')
  it.skipIf(!hasNix)('reads literals as nix-instantiate does (skipped without it)', () => {
    expect(literals.length).toBeGreaterThan(1000)
    const run = spawnSync('nix-instantiate', ['--eval', '--strict', '--json', '-'], {
      input: `[\n(${literals.join(')\n(')})\n]`,
      encoding: 'utf8'
    })
    expect(run.status, run.stderr).toBe(0)
    const printed: string[] = JSON.parse(run.stdout)
    expect(literals.map(it => [it, valueIn(it)])).toEqual(literals.map((it, i) => [it, printed[i]]))
  })
})
