import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEdits, type Edit, invertEdits } from '../../src/nix/index.ts'
import { composeEdits } from '../../src/nix/text/edits.ts'
import { seed } from '../support/seed.ts'

/** A text and a valid list of edits of it. */
function editsOf(text: string): fc.Arbitrary<Edit[]> {
  const edit = fc.record({
    offset: fc.nat(text.length),
    length: fc.nat(4),
    content: fc.string({ maxLength: 3 })
  })
  return fc.array(edit, { maxLength: 4 }).map(all => {
    const sorted = all
      .map(it => ({ ...it, length: Math.min(it.length, text.length - it.offset) }))
      .sort((a, b) => a.offset - b.offset)
    let end = -1
    return sorted.filter(it => {
      const same = text.slice(it.offset, it.offset + it.length) === it.content
      if (same || it.offset <= end) return false
      end = it.offset + it.length
      return true
    })
  })
}

const textAndEdits = fc
  .string({ maxLength: 20 })
  .chain(text => fc.tuple(fc.constant(text), editsOf(text)))

describe('a list of edits', () => {
  it('the offsets of edits refer to the text before all edits', () => {
    const edits = [
      { offset: 0, length: 0, content: '>' },
      { offset: 2, length: 1, content: '' },
      { offset: 4, length: 0, content: '<' }
    ]
    expect(applyEdits('abcd', edits)).toBe('>abd<')
  })

  it('applyEdits rejects edits that overlap, are not sorted, or are outside the text', () => {
    const at = (offset: number, length = 0) => ({ offset, length, content: 'x' })
    for (const edits of [
      [at(2), at(1)],
      [at(1, 2), at(2)],
      [at(1), at(1)],
      [at(5)],
      [at(3, 2)],
      [at(1, -1)]
    ]) {
      expect(() => applyEdits('abcd', edits)).toThrow(RangeError)
    }
  })

  it('the inverse of a list of edits undoes it', () => {
    fc.assert(
      fc.property(textAndEdits, ([text, edits]) => {
        const after = applyEdits(text, edits)
        expect(applyEdits(after, invertEdits(text, edits))).toBe(text)
      }),
      { seed }
    )
  })

  it('composing two lists of edits gives one list with the effect of both', () => {
    const twice = textAndEdits.chain(([text, first]) =>
      fc.tuple(fc.constant(text), fc.constant(first), editsOf(applyEdits(text, first)))
    )
    fc.assert(
      fc.property(twice, ([text, first, second]) => {
        const composed = composeEdits(text, first, second)
        expect(applyEdits(text, composed)).toBe(applyEdits(applyEdits(text, first), second))
      }),
      { seed }
    )
  })
})
