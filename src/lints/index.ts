// What is wrong with device passthrough in a configuration, as far as its text shows.

import { groupBy } from '../collections.ts'
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
import {
  type BootEntryView,
  type LintFile,
  type SystemFacts,
  viewsOf,
  withInnerModules
} from './view.ts'

export {
  CODES_DECIDED_BY_MACHINE,
  type Finding,
  type Fix,
  GIT_CODES,
  GUEST_CODES,
  isSameFinding,
  LINT_CODES,
  type LintCode,
  MACHINE_CODES,
  TEXT_CODES
} from './finding.ts'
export type { LintFile, SystemFacts } from './view.ts'

const LINTS: readonly ((view: BootEntryView) => Finding[])[] = [
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
 * The findings in the files of one configuration, including its imports: by file in the given order, then by
 * place. In files that are not modules, only strings are checked. vfio-patch's modules are not among the files;
 * `facts.importsModules` states whether they are imported.
 */
export function lint(files: readonly LintFile[], facts: SystemFacts): Finding[] {
  const found = new Map<string, Finding>()
  const all = files.flatMap(withInnerModules)
  const parts = new Set(all.filter(it => it.isInnerModule).map(it => it.path))
  for (const view of viewsOf(all, facts)) {
    for (const it of LINTS.flatMap(rule => rule(view))) {
      const key = `${it.code} ${it.path} ${it.range.start}`
      // Edits can't address options of a module that is a value inside a file.
      const fix = parts.has(it.path) ? undefined : it.fix
      // A finding of the system is found again in its specialisations.
      if (!found.has(key)) found.set(key, { ...it, fix })
    }
  }
  const order = new Map(files.map((it, i) => [it.path, i]))
  return [...found.values()].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
}

/** The fixes for one file as a plan. */
interface FixPlan {
  /** All fixes that are possible, as one verified plan; without edits if there are none. */
  plan: Plan
  /** The indices of the fixes that are not possible, and why. */
  refused: { index: number; error: NixError }[]
}

/**
 * Plans the fixes of one document, in this order. `begin` gets the indices of the accepted fixes, and returns a
 * transaction with the edits that come before them. A fix that the toolkit refuses does not affect the others.
 * The plan is refused only if the edits of `begin` are refused without any fix.
 */
export function planFixes(
  doc: NixDocument,
  fixes: readonly Fix[],
  begin: (accepted: readonly number[]) => Transaction = () => doc.edit()
): Result<FixPlan, NixError> {
  const accepted: number[] = []
  const refused: FixPlan['refused'] = []
  const planTogether = (indices: readonly number[]) => {
    const steps = indices.flatMap(it => fixes[it] ?? [])
    return planSteps(begin(indices), steps)
  }
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
  for (const step of steps) {
    if (step.op === 'add') edit.addIn(step.path, step.items)
    else if (step.op === 'remove') edit.removeIn(step.path, step.items)
    else if (step.op === 'drop') edit.removeIn(step.path)
    else if (step.op === 'set') edit.setIn(step.path, step.value)
    else if (step.op === 'rename') edit.renameIn(step.path, step.to)
  }
  // All lines for one string are added together, after its other edits.
  const added = steps.filter(it => it.op === 'add-line')
  for (const [, group] of groupBy(added, it => it.path.join('\0'))) {
    const lines = new Set(group.map(it => it.line))
    edit.addIn(group[0]?.path ?? [], [...lines], { lines: true })
  }
  return edit.plan()
}
