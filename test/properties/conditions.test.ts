import { describe, expect, it } from 'vitest'
import {
  applyEdits,
  type NixError,
  type Plan,
  parseDocument,
  type Result
} from '../../src/nix/index.ts'
import { everyCase } from './support/cases.ts'
import type { EditRequest } from './support/edits.ts'

type Choice = { conditional?: boolean; all?: boolean }

/** Plans one request with a choice; undefined for a kind of edit that takes none. */
function planWith(
  text: string,
  it: EditRequest,
  choice: Choice
): Result<Plan, NixError> | undefined {
  const edit = parseDocument(text).edit()
  if (it.kind === 'set') return edit.setIn(it.path, it.value, choice).plan()
  return it.kind === 'add' ? edit.addIn(it.path, it.items, choice).plan() : undefined
}

describe.each([{ conditional: true }, { all: true }])(
  'for every module and edit with %j',
  choice => {
    it('the result is verified, can be undone, and a second run changes nothing', async () => {
      await everyCase(1500, ({ module, requests: [request] }) => {
        const plan = request && planWith(module.text, request, choice)
        if (!request || !plan) return
        if (!plan.ok) {
          expect(plan.error.code).not.toBe('VERIFICATION_FAILED')
          return
        }
        const { text, inverse } = plan.value
        expect(applyEdits(text, inverse)).toBe(module.text)
        const again = planWith(text, request, choice)
        expect(again?.ok ? again.value.edits : again?.error.render()).toEqual([])
      })
    })

    it('only CONDITIONAL and AMBIGUOUS_TARGET make a difference', async () => {
      await everyCase(1500, ({ module, requests: [request] }) => {
        const plain = request && planWith(module.text, request, {})
        const chosen = request && planWith(module.text, request, choice)
        if (!plain || !chosen || plain.ok || request.kind === 'add') return
        const isAboutChoice = /^(?:CONDITIONAL|AMBIGUOUS_TARGET)$/.test(plain.error.code)
        if (!isAboutChoice) expect(chosen.ok ? 'ok' : chosen.error.code).toBe(plain.error.code)
      })
    })
  }
)
