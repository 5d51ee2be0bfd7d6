import { describe, expect, it } from 'vitest'
import { edited, refusalOf } from '../nix/support.ts'
import { describeEdits } from './evaluatedEdits.ts'

const value = (source: string) => `{ lib, c, ... }: {\n  text = ${source};\n}\n`

describeEdits('lines beside other text', [
  {
    title: 'after computed text',
    given: value("lib.concatLines [ \"x\" ] + ''\n    A\n  ''"),
    edit: it => it.addIn('text', ['B', 'A']),
    after: value("lib.concatLines [ \"x\" ] + ''\n    A\n    B\n  ''"),
    off: { text: 'x\nA\nB\n' }
  },
  {
    title: 'before computed text',
    given: value("''\n    A\n  '' + lib.optionalString c \"x\""),
    edit: it => it.addIn('text', ['B']),
    after: value("''\n    A\n    B\n  '' + lib.optionalString c \"x\""),
    off: { text: 'A\nB\n' },
    on: { text: 'A\nB\nx' }
  },
  {
    title: 'after text under a condition',
    given: value('lib.optionalString c "B\\n" + "A\\n"'),
    edit: it => it.addIn('text', ['X']).removeIn('text', ['A']),
    after: value('lib.optionalString c "B\\n" + "X\\n"'),
    off: { text: 'X\n' },
    on: { text: 'B\nX\n' }
  },
  {
    title: 'a line under a condition is removed',
    given: value('lib.optionalString c "B\\n" + "A\\n"'),
    edit: it => it.removeIn('text', ['B']),
    after: value('lib.optionalString c "" + "A\\n"'),
    off: { text: 'A\n' }
  },
  {
    title: 'a new attribute beside the one in a mkForce',
    given: '{ lib, c, ... }: { s = lib.mkForce { port = if c then 1 else 2; }; }',
    edit: it => it.setIn('s.b', 5),
    after: '{ lib, c, ... }: { s = lib.mkForce { port = if c then 1 else 2; b = 5; }; }',
    off: { s: { port: 2, b: 5, l: [] } },
    on: { s: { port: 1, b: 5, l: [] } }
  }
])

describe('text that may not consist of lines is refused', () => {
  it.each([
    ['a literal that the next one continues', '"B" + "A\\n"', 'COMPUTED_VALUE'],
    ['a path', './r + "/a"', 'NOT_A_LIST'],
    ['a function that joins words', 'lib.concatStringsSep " " [ ]', 'CALL'],
    ['a single word', 'lib.fileContents ./r + "A"', 'NOT_A_LIST']
  ])('%s', (_, source, code) =>
    expect(refusalOf(value(source), it => it.addIn('text', ['X']))).toBe(code)
  )

  it('a set in a mkDefault, beside which another may apply', () => {
    const given = '{ lib, ... }: { s = lib.mkDefault { a = 1; }; }'
    expect(refusalOf(given, it => it.setIn('s.b', 1))).toBe('CALL')
    expect(edited(given, it => it.setIn('s.a', 2))).toBe(given.replace('1', '2'))
  })
})
