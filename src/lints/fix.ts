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
 * Plans fixes of one document, each after those before it, together with the edits that `begin` gives
 * for those of these indices. A fix that the toolkit refuses keeps none of the others back. The whole is
 * refused only where the edits of `begin` alone are.
 */
export function planFixes(
  doc: NixDocument,
  fixes: readonly Fix[],
  begin: (accepted: readonly number[]) => Transaction = () => doc.edit()
): Result<FixPlan, NixError> {
  const accepted: number[] = []
  const refused: FixPlan['refused'] = []
  const planTogether = (indices: readonly number[]) =>
    planSteps(
      begin(indices),
      indices.flatMap(it => fixes[it] ?? [])
    )
  let plan = planTogether([])
  for (const index of fixes.keys()) {
    const next = planTogether([...accepted, index])
    if (next.ok) {
      accepted.push(index)
      plan = next
    } else refused.push({ index, error: next.error })
  }
  return plan.ok ? { ok: true, value: { plan: plan.value, refused } } : plan
}

function planSteps(edit: Transaction, steps: readonly FixStep[]): Result<Plan, NixError> {
  // Lines for one text come together, behind all else that happens to it.
  const lines = new Map<string, { path: readonly string[]; lines: Set<string> }>()
  for (const step of steps) {
    if (step.op !== 'add-line') {
      addStep(edit, step)
      continue
    }
    const key = step.path.join('\0')
    const at = lines.get(key) ?? { path: step.path, lines: new Set<string>() }
    at.lines.add(step.line)
    lines.set(key, at)
  }
  for (const { path, lines: all } of lines.values()) edit.addIn(path, [...all], { lines: true })
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
