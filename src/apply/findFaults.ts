import { type Facts, type Finding, type LintFile, lint, planFixes } from '../lints/index.ts'
import { type NixError, parseDocument } from '../nix/index.ts'
import { ok, type Result } from '../nix/result.ts'
import { isGenerated } from './kind.ts'
import type { ApplyPlan, PlannedFile } from './planApply.ts'
import { type ReadModule, walkImports } from './read/importClosure.ts'

/** What was looked at, the configuration first, and what was found in it. */
export interface Faults {
  files: LintFile[]
  /** By file in their order, then by place. */
  findings: Finding[]
  /** What was known besides. */
  facts: Facts
}

/**
 * Looks through a configuration and all files that fixed paths in its `imports` lead to; our own
 * modules are left out. `release` is the one of NixOS that is built next, where that is known.
 */
export function findFaults(
  configuration: { path: string; text: string },
  read: ReadModule,
  release: string | undefined
): Faults {
  const { modules, ours } = walkImports(configuration, read)
  const files = modules.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const facts = { ours: ours.length > 0, ...(release === undefined ? {} : { release }) }
  return { files, findings: lint(files, facts), facts }
}

/** The same with findings that were made elsewhere. */
export function withFindings(faults: Faults, more: readonly Finding[]): Faults {
  const order = new Map(faults.files.map((it, i) => [it.path, i]))
  const findings = [...faults.findings, ...more].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
  return { ...faults, findings }
}

/** The edits that mend what edits can mend. */
export interface FaultFixes {
  plan: ApplyPlan
  mended: Finding[]
  /** What is left for a person, some of it because its file can't be edited there. */
  left: Finding[]
}

/** Plans the fixes of all findings that have one. Refused where the configuration can't be edited. */
export function planFaultFixes({
  files,
  findings
}: Pick<Faults, 'files' | 'findings'>): Result<FaultFixes, NixError> {
  const mended: Finding[] = []
  const planned: PlannedFile[] = []
  let configuration: ApplyPlan['configuration'] | undefined
  // The configuration is written last.
  for (const [i, { path, doc }] of [...files.entries()].reverse()) {
    const fixable = isGenerated(doc.text)
      ? []
      : findings.filter(it => it.path === path && it.fix !== undefined)
    const fixes = planFixes(
      doc,
      fixable.flatMap(it => (it.fix ? [it.fix] : []))
    )
    if (!fixes.ok) {
      if (i === 0) return fixes
      continue
    }
    const { plan, refused } = fixes.value
    mended.push(...fixable.filter((_, index) => !refused.some(it => it.index === index)))
    if (i === 0) configuration = plan
    if (plan.changed) planned.push({ path, before: doc.text, after: plan.text })
  }
  const left = findings.filter(it => !mended.includes(it))
  const inOrder = findings.filter(it => mended.includes(it))
  if (!configuration) throw new Error('a configuration without a file')
  return ok({ plan: { files: planned, configuration }, mended: inOrder, left })
}
