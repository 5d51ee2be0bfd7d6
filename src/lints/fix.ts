import type { NixDocument, NixError, Plan, Transaction } from '../nix/index.ts'
import type { Result } from '../nix/result.ts'
import type { Fix, FixStep } from './finding.ts'

/** What comes of the fixes for one file. */
export interface FixPlan {
  /** All fixes that can be carried out, as one proved plan; it has no edits where there are none. */
  plan: Plan
  /** The indices of those that can't, and why not. */
  refused: { index: number; error: NixError }[]
}

/**
 * Plans fixes of one document. One that the toolkit refuses keeps none of the others back. Refused is
 * only a document in which nothing can be edited.
 */
export function planFixes(doc: NixDocument, fixes: readonly Fix[]): Result<FixPlan, NixError> {
  const accepted: Fix[] = []
  const refused: FixPlan['refused'] = []
  let plan = planTogether(doc, [])
  for (const [index, fix] of fixes.entries()) {
    const next = planTogether(doc, [...accepted, fix])
    if (next.ok) {
      accepted.push(fix)
      plan = next
    } else refused.push({ index, error: next.error })
  }
  return plan.ok ? { ok: true, value: { plan: plan.value, refused } } : plan
}

function planTogether(doc: NixDocument, fixes: readonly Fix[]): Result<Plan, NixError> {
  const edit = doc.edit()
  const lines = new Map<string, { path: readonly string[]; lines: string[] }>()
  const done = new Set<string>()
  for (const step of fixes.flat()) {
    const key = JSON.stringify(step)
    if (done.has(key)) continue
    done.add(key)
    if (step.op === 'add-line') {
      const at = lines.get(step.path.join('\0')) ?? { path: step.path, lines: [] }
      at.lines.push(step.line)
      lines.set(step.path.join('\0'), at)
    } else addStep(edit, step)
  }
  for (const { path, lines: all } of lines.values()) {
    if (doc.getIn(path).length > 0) edit.addIn(path, all)
    else edit.setIn(path, all.join('\n'))
  }
  return edit.plan()
}

function addStep(edit: Transaction, step: Exclude<FixStep, { op: 'add-line' }>): void {
  switch (step.op) {
    case 'add':
      edit.addIn(step.path, step.items)
      return
    case 'remove':
      edit.removeIn(step.path, step.items)
      return
    case 'drop':
      edit.removeIn(step.path)
      return
    case 'set':
      edit.setIn(step.path, step.value)
      return
    case 'rename':
      edit.renameIn(step.path, step.to)
  }
}
