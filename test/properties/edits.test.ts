import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  applyEdits,
  type Edit,
  type NixDocument,
  type Plan,
  parseDocument
} from '../../src/nix/index.ts'
import { type Case, cases } from './support/cases.ts'
import { runs } from './support/choices.ts'
import { planOf } from './support/edits.ts'
import { commentsAndStrings, type Token } from './support/lexer.ts'

/** Runs a check on every case that can be planned. */
function planned(numRuns: number, check: (plan: Plan, it: Case, doc: NixDocument) => void) {
  fc.assert(
    fc.property(cases, it => {
      const doc = parseDocument(it.module.text)
      const plan = planOf(doc, it.asked)
      if (!plan.ok) return
      check(plan.value, it, doc)
    }),
    runs(numRuns)
  )
}

describe('for every module and every edit', () => {
  it('the module parses, and its print is its text', () => {
    fc.assert(
      fc.property(cases, ({ module }) => {
        const doc = parseDocument(module.text)
        expect(doc.errors.map(it => it.render())).toEqual([])
        expect(String(doc)).toBe(module.text)
      }),
      runs(1000)
    )
  })

  it('an edit that asks for nothing changes nothing', () => {
    fc.assert(
      fc.property(cases, ({ module }) => {
        const plan = parseDocument(module.text).edit().plan()
        if (plan.ok)
          expect(plan.value).toMatchObject({
            edits: [],
            inverse: [],
            changed: false,
            text: module.text
          })
      }),
      runs(200)
    )
  })

  it('the refusals are refusals, and never a failed verification', () => {
    fc.assert(
      fc.property(cases, ({ module, asked }) => {
        const plan = planOf(parseDocument(module.text), asked)
        if (plan.ok) return
        expect(plan.error.render()).not.toContain('VERIFICATION_FAILED')
        const { start, end } = plan.error.range
        expect(start).toBeGreaterThanOrEqual(0)
        expect(end).toBeGreaterThanOrEqual(start)
        expect(end).toBeLessThanOrEqual(module.text.length)
      }),
      runs(3000)
    )
  })

  it('the edits are sorted and disjoint, lie inside the text, make its result, and each changes something', () => {
    planned(2000, ({ edits, text, changed }, { module }) => {
      let end = -1
      for (const { offset, length, content } of edits) {
        expect(offset).toBeGreaterThan(end)
        expect(module.text.slice(offset, offset + length)).not.toBe(content)
        end = offset + length
      }
      expect(end).toBeLessThanOrEqual(module.text.length)
      expect(applyEdits(module.text, edits)).toBe(text)
      expect(changed).toBe(text !== module.text)
    })
  })

  it('the inverse restores the bytes', () => {
    planned(1000, ({ inverse, text }, { module }) => {
      expect(applyEdits(text, inverse)).toBe(module.text)
    })
  })

  it('planned again on the result, there is nothing to do', () => {
    planned(2000, ({ text }, { asked }) => {
      const renamed = asked.some(it => it.kind === 'rename')
      if (renamed) return
      const again = planOf(parseDocument(text), asked)
      expect(again.ok ? again.value.text : again.error.render()).toBe(text)
    })
  })

  it('no edit begins or ends inside a comment, or inside a string that was not asked for', () => {
    planned(2000, ({ edits }, { module, asked }) => {
      const editsLines = asked.some(it => 'items' in it)
      for (const token of commentsAndStrings(module.text)) {
        if (token.kind === 'string' && editsLines) continue
        for (const edit of edits)
          expect(cuts(edit, token), JSON.stringify({ edit, token })).toBe(false)
      }
    })
  })

  it('in a file with tabs the result is that for blanks with tabs', () => {
    const tabs = (text: string) =>
      text.replace(/^(?: {2})+/gm, blanks => '\t'.repeat(blanks.length / 2))
    fc.assert(
      fc.property(cases, ({ module, asked }) => {
        // In an indented string, tabs count; and with nothing indented, a step is two blanks.
        if (/''\n|^\t|^ {4}[^ ]/m.test(module.text) || !/^ {2}\S/m.test(module.text)) return
        if (asked.some(it => it.kind === 'set' && typeof it.value === 'object')) return
        const plan = planOf(parseDocument(module.text), asked)
        const other = planOf(parseDocument(tabs(module.text)), asked)
        if (plan.ok)
          expect(other.ok ? other.value.text : other.error.render()).toBe(tabs(plan.value.text))
        else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
      }),
      runs(2000)
    )
  })
})

/** Whether an edit takes a part of a token away or breaks it; taking it whole does not. */
function cuts({ offset, length }: Edit, { start, end }: Token): boolean {
  const until = offset + length
  if (length === 0) return offset > start && offset < end
  const isWhole = offset <= start && until >= end
  return !isWhole && offset < end && until > start
}
