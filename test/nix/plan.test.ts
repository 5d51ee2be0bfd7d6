// A plan is plain data, and says what it does besides what was asked.

import { describe, expect, it } from 'vitest'
import {
  annotated,
  applyEdits,
  type Plan,
  type PlanData,
  parseDocument,
  planFrom,
  type Transaction
} from '../../src/nix/index.ts'
import { nix } from './support.ts'

function planOf(text: string, edit: (edit: Transaction) => Transaction): Plan {
  const plan = edit(parseDocument(text).edit()).plan()
  if (!plan.ok) throw new Error(plan.error.render())
  return plan.value
}

const notesOf = (text: string, edit: (edit: Transaction) => Transaction) =>
  planOf(text, edit).notes.map(it => `${it.at.line}:${it.at.column}: ${it.code}: ${it.message}`)

describe('the notes of a plan', () => {
  it('are about a comment for which there is no place', () => {
    const dropped = (comment: string) =>
      `COMMENT_DROPPED: the comment "${comment}" is not written, because code follows on its line`
    expect(notesOf('{ a = [ 1 ]; }', it => it.addIn('a', [annotated(2, 'two')]))).toEqual([
      `1:10: ${dropped('two')}`
    ])
    expect(notesOf('{ a = 1; }', it => it.setIn('b', annotated(2, 'two')))).toEqual([
      `1:9: ${dropped('two')}`
    ])
    expect(notesOf('{\n  a = 1;\n}\n', it => it.setIn('a', annotated(2, 'two')))).toEqual([
      `2:7: ${dropped('two')}`
    ])
  })

  it('are not about a comment that is written, or whose item is there already', () => {
    const text = '{\n  a = [\n    1\n  ];\n}\n'
    expect(notesOf(text, it => it.setIn('b', annotated(2, 'two')))).toEqual([])
    expect(notesOf(text, it => it.addIn('a', [annotated(1, 'one'), 2]))).toEqual([])
    expect(notesOf(text, it => it.addIn('a', [annotated(2, 'two')]))).toEqual([])
    expect(notesOf(text, it => it.removeIn('a', [annotated(1, 'one')]))).toEqual([])
  })

  it('are about the formals of a flake that change with its inputs', () => {
    const text = nix`
      {
        inputs.a.url = "x";
        inputs.b.url = "y";
        outputs = { self, a, b }: { };
      }
    `
    expect(notesOf(text, it => it.setIn('inputs.c.url', 'z').removeIn('inputs.b'))).toEqual([
      '4:25: FORMAL_ADDED: "c" is added to the formals of outputs too: Nix calls outputs with every input',
      '4:24: FORMAL_REMOVED: "b" is removed from the formals of outputs too: Nix would look it up elsewhere'
    ])
    const open = text.replace('a, b', 'a, b, ...')
    expect(notesOf(open, it => it.setIn('inputs.c.url', 'z'))).toEqual([])
    expect(notesOf(text, it => it.setIn('inputs.a.url', 'z'))).toEqual([])
  })

  it('have the place in the text before all edits', () => {
    const text = '{\n  a = 1;\n  b = [ 1 ];\n}\n'
    const notes = notesOf(text, it =>
      it.setIn('a', 'a longer text').addIn('b', [annotated(2, 'two')])
    )
    expect(notes.map(it => it.slice(0, 5))).toEqual(['3:10:'])
  })
})

describe('a plan as data', () => {
  const before = '{\n  a = 1;\n  b = [ 1 ];\n}\n'
  const plan = planOf(before, it =>
    it
      .setIn('a', 2)
      .addIn('b', [annotated(2, 'two')])
      .setIn('c', 'é')
  )
  const copies: [string, PlanData][] = [
    ['JSON', JSON.parse(JSON.stringify(plan))],
    ['structuredClone', structuredClone(plan)]
  ]

  it.each(copies)('is applied, undone and shown after %s', (_, data) => {
    const copy = planFrom(data)
    expect(copy).toEqual(plan)
    expect(applyEdits(before, copy.edits)).toBe(plan.text)
    expect(applyEdits(copy.text, copy.inverse)).toBe(before)
    expect(copy.diff({ file: 'a.nix' })).toBe(plan.diff({ file: 'a.nix' }))
    expect(copy.notes).toEqual(plan.notes)
  })

  const data = JSON.parse(JSON.stringify(plan))
  const damaged: [string, unknown][] = [
    ['nothing', null],
    ['a text', 'x'],
    ['no edits', { ...data, edits: undefined }],
    ['edits of another kind', { ...data, edits: [{ offset: '1' }] }],
    ['another text', { ...data, text: data.text.slice(1) }],
    ['edits of another plan', { ...data, edits: [{ offset: 0, length: 0, content: 'x' }] }],
    ['edits outside the text', { ...data, inverse: [{ offset: 99, length: 0, content: 'x' }] }],
    ['no notes', { ...data, notes: undefined }]
  ]
  it.each(damaged)('is refused with %s', (_, it) => {
    expect(() => planFrom(it as PlanData)).toThrow(TypeError)
  })
})
