// `escapeString` writes any string as Nix source, and Nix reads the same string back.

import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeString, parseDocument, toJS } from '../../src/nix/index.ts'
import { areAvailable } from '../support/needing.ts'
import { seed } from '../support/seed.ts'

describe('escapeString', () => {
  it('writes a string on one line', () => {
    expect(escapeString('a "b"\n\\ ${c} $d\t')).toBe('"a \\"b\\"\\n\\\\ \\${c} $d\\t"')
  })

  it('writes a string over several lines', () => {
    const source = escapeString("set -e\n\n  echo ''${x}'' $y\n", { indented: true, indent: '  ' })
    expect(`{\n  script = ${source};\n}\n`).toBe(
      ['{', "  script = ''", '    set -e', '', "      echo '''''${x}''' $y", "  '';", '}', ''].join(
        '\n'
      )
    )
  })

  it('keeps what Nix would remove from an indented string', () => {
    expect(escapeString('  a\n   b\n', { indented: true })).toBe("''\n  ''\\  a\n  ''\\   b\n''")
    expect(escapeString('a\n  ', { indented: true })).toBe("''\n  a\n  ''\\  ''")
    expect(escapeString("it's '", { indented: true })).toBe("''\n  it's ''\\'''")
    expect(escapeString('a\rb\r\n', { indented: true })).toBe("''\n  a''\\rb''\\r\n''")
  })

  it('writes "…" if the indentation is not of spaces', () => {
    expect(escapeString('a\n', { indented: true, indent: '\t' })).toBe('"a\\n"')
  })

  it('refuses what no Nix file can contain', () => {
    expect(() => escapeString('\0')).toThrow(RangeError)
    expect(() => escapeString('\ud800')).toThrow(RangeError)
  })

  const texts = fc.sample(
    fc.string({
      unit: fc.constantFrom(
        ' ',
        '  ',
        '\n',
        'a',
        '\t',
        '\r',
        "'",
        '$',
        '{',
        '}',
        '\\',
        '"',
        'é',
        '😀'
      ),
      maxLength: 10
    }),
    { seed, numRuns: 2000 }
  )
  const sources = texts.flatMap(it => [
    [it, escapeString(it)] as const,
    [it, escapeString(it, { indented: true })] as const,
    [it, escapeString(it, { indented: true, indent: '    ' })] as const
  ])

  it('is read back by toJS', () => {
    for (const [text, source] of sources) {
      const doc = parseDocument(source)
      expect(doc.errors, source).toEqual([])
      const found = toJS(doc)
      expect(found.ok && found.value, source).toBe(text)
    }
  })

  const hasNix = areAvailable('escapeString', 'nix-instantiate')
  it.skipIf(!hasNix)('is read back by Nix (skipped without it)', () => {
    const list = `[ ${sources.map(it => it[1]).join('\n')} ]`
    const args = ['--store', 'dummy://', '--eval', '--strict', '--json', '-']
    const run = spawnSync('nix-instantiate', args, {
      encoding: 'utf8',
      input: list,
      maxBuffer: 2 ** 30
    })
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual(sources.map(it => it[0]))
  })
})
