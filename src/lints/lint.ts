import type { NixDocument, NixError, Plan, Transaction } from '../nix/index.ts'
import type { Result } from '../nix/result.ts'
import { lintBindings } from './bindings.ts'
import { lintBoot, lintHooks } from './boot.ts'
import { lintDeclarations } from './declarations.ts'
import type { Finding, Fix, FixStep } from './finding.ts'
import { lintKernelParams } from './kernelParams.ts'
import { lintLibvirt } from './libvirt.ts'
import { lintNvidia } from './nvidia.ts'
import { lintDarkPassphrase } from './passphrase.ts'
import { lintImages, lintTexts } from './texts.ts'
import { type Facts, type LintFile, type View, viewsOf, withParts } from './view.ts'

const LINTS: readonly ((view: View) => Finding[])[] = [
  lintKernelParams,
  lintBindings,
  lintBoot,
  lintDarkPassphrase,
  lintLibvirt,
  lintHooks,
  lintImages,
  lintNvidia,
  lintTexts,
  lintDeclarations
]

/**
 * What in the files of one configuration, those that it imports included, does not do what it is
 * there for: by file in the given order, then by place. Files that are no module have only their
 * strings looked at. Our own modules are not among the files; `facts` says that they are imported.
 */
export function lint(files: readonly LintFile[], facts: Facts): Finding[] {
  const found = new Map<string, Finding>()
  const all = files.flatMap(withParts)
  const parts = new Set(all.filter(it => it.isPart).map(it => it.path))
  for (const view of viewsOf(all, facts)) {
    for (const it of LINTS.flatMap(rule => rule(view))) {
      const key = `${it.code} ${it.path} ${it.range.start}`
      // What holds for the system holds for its specialisations, too.
      if (!found.has(key)) found.set(key, parts.has(it.path) ? withoutFix(it) : it)
    }
  }
  const order = new Map(files.map((it, i) => [it.path, i]))
  return [...found.values()].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
}

/** Options inside a module that is a value are no options of the file. */
function withoutFix({ fix: _, ...finding }: Finding): Finding {
  return finding
}

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
