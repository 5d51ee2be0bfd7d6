import { describe, expect, it } from 'vitest'
import { applyEdits, type Edit, parseDocument } from '../../src/nix/index.ts'
import { everyCase, everyModule, everyPlan } from './support/cases.ts'
import { planOf } from './support/edits.ts'
import { commentsAndStrings, type Token } from './support/lexer.ts'

describe('for every module and every edit', () => {
  it('the module parses and is printed unchanged', async () => {
    await everyModule(1000, ({ text }) => {
      const doc = parseDocument(text)
      expect(doc.errors.map(it => it.render())).toEqual([])
      expect(String(doc)).toBe(text)
    })
  })

  it('an empty edit changes nothing', async () => {
    await everyModule(200, ({ text }) => {
      const plan = parseDocument(text).edit().plan()
      if (plan.ok)
        expect(plan.value).toMatchObject({ edits: [], inverse: [], changed: false, text })
    })
  })

  it('a refusal is never a failed verification', async () => {
    await everyCase(3000, ({ module, requests }) => {
      const plan = planOf(parseDocument(module.text), requests)
      if (plan.ok) return
      expect(plan.error.render()).not.toContain('VERIFICATION_FAILED')
      const { start, end } = plan.error.range
      expect(start).toBeGreaterThanOrEqual(0)
      expect(end).toBeGreaterThanOrEqual(start)
      expect(end).toBeLessThanOrEqual(module.text.length)
    })
  })

  it('the edits are sorted, do not overlap, are inside the text, give the result, and each changes something', async () => {
    await everyPlan(2000, ({ module, plan: { edits, text, changed } }) => {
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

  it('the inverse restores the bytes', async () => {
    await everyPlan(1000, ({ module, plan: { inverse, text } }) => {
      expect(applyEdits(text, inverse)).toBe(module.text)
    })
  })

  it('the same requests for the result change nothing', async () => {
    await everyPlan(2000, ({ requests, plan: { text } }) => {
      const renamed = requests.some(it => it.kind === 'rename')
      if (renamed) return
      const again = planOf(parseDocument(text), requests)
      expect(again.ok ? again.value.text : again.error.render()).toBe(text)
    })
  })

  it('no edit begins or ends inside a comment, or inside a string unless lines are edited', async () => {
    await everyPlan(2000, ({ module, requests, plan: { edits } }) => {
      const editsLines = requests.some(it => 'items' in it)
      for (const token of commentsAndStrings(module.text)) {
        if (token.kind === 'string' && editsLines) continue
        for (const edit of edits)
          expect(cuts(edit, token), JSON.stringify({ edit, token })).toBe(false)
      }
    })
  })

  it('one transaction and one transaction per edit give the same text, except for layout', async () => {
    await everyCase(1500, ({ module, requests }) => {
      const plan = planOf(parseDocument(module.text), requests)
      let text = module.text
      for (const it of requests) {
        const step = planOf(parseDocument(text), [it])
        if (!step.ok) {
          expect(plan.ok ? plan.value.text : plan.error.code).toBe(step.error.code)
          return
        }
        text = step.value.text
      }
      // With one transaction per edit, an edit may change the style of the file for the next edit.
      expect(plan.ok ? withoutBlanks(plan.value.text) : plan.error.render()).toBe(
        withoutBlanks(text)
      )
    })
  })
})

const withoutBlanks = (text: string) => text.replace(/\s+/g, '')

/** Whether an edit splits a token or removes a part of it, but not the whole token. */
function cuts({ offset, length }: Edit, { start, end }: Token): boolean {
  const until = offset + length
  if (length === 0) return offset > start && offset < end
  const isWhole = offset <= start && until >= end
  return !isWhole && offset < end && until > start
}
