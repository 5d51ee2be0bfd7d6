import { defined } from '../collections.ts'
import type { ImportWalk, UnreadImport } from '../configuration/imports.ts'
import { isGenerated } from '../configuration/kind.ts'
import { isInFlake } from '../configuration/repository.ts'
import {
  type Finding,
  type Fix,
  isSameFinding,
  type LintFile,
  lint,
  planFixes,
  type SystemFacts
} from '../lints/index.ts'
import { type NixError, type Plan, parseDocument, type Range } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { moveOffset } from '../nix/text/edits.ts'
import type { ApplyPlan } from './apply.ts'
import type { PlannedFile } from './changes.ts'

/** The fixes for findings. */
export interface FaultFixes {
  plan: ApplyPlan
  /** The fixed findings, also hidden ones, with their places in the original files. */
  fixed: Finding[]
  /** The remaining findings: they have no fix, or their place in the file can't be edited. */
  remaining: Finding[]
}

/** Maximum number of rounds, because fixes can reveal further findings. */
const MAX_ROUNDS = 10

/**
 * Plans the fixes of all findings that have one, then the fixes of the findings that these reveal, until `findAgain`
 * returns nothing new. There is one plan per file, with the fixes in this order. Returns an error if the configuration
 * itself, which is the first file, can't be edited.
 */
export function planFaultFixes(
  { files, findings }: Pick<Faults, 'files' | 'findings'>,
  findAgain: (files: readonly LintFile[]) => readonly Finding[]
): Result<FaultFixes, NixError> {
  const fixes = new Map<string, Fix[]>()
  const refused = new Set<string>()
  const revealed: Finding[] = []
  let plans: Plans = new Map()
  let found: readonly Finding[] = findings
  for (let i = 0; i < MAX_ROUNDS; i++) {
    for (const { path, fix } of found) {
      if (!fix || refused.has(JSON.stringify([path, fix]))) continue
      fixes.set(path, [...(fixes.get(path) ?? []), fix])
    }
    const previous = plans
    plans = new Map()
    for (const [at, { path, doc }] of files.entries()) {
      const fixesInFile = isGenerated(doc.text) ? [] : (fixes.get(path) ?? [])
      const planned = planFixes(doc, fixesInFile)
      if (!planned.ok && at === 0) return err(planned.error)
      if (!planned.ok) continue
      plans.set(path, planned.value.plan)
      for (const it of planned.value.refused) {
        refused.add(JSON.stringify([path, fixesInFile[it.index]]))
      }
    }
    if (files.every(it => textIn(plans, it) === textIn(previous, it))) break
    found = findAgain(files.map(it => fixedFile(plans, it)))
    revealed.push(...withOriginalPlaces(plans, found))
  }
  return ok({
    plan: planOf(files, plans),
    ...splitFindings(findings, revealed, withOriginalPlaces(plans, found))
  })
}

/** The plan of each file so far, by path. */
type Plans = Map<string, Plan>

function textIn(plans: Plans, { path, doc }: LintFile): string {
  return plans.get(path)?.text ?? doc.text
}

function fixedFile(plans: Plans, file: LintFile): LintFile {
  const plan = plans.get(file.path)
  return plan?.changed ? { ...file, doc: parseDocument(plan.text) } : file
}

/** The findings with their places in the original files. */
function withOriginalPlaces(plans: Plans, findings: readonly Finding[]): Finding[] {
  return findings.map(it => {
    const inverse = plans.get(it.path)?.inverse ?? []
    const move = (offset: number) => moveOffset(inverse, offset)
    const range: Range = { start: move(it.range.start), end: move(it.range.end) }
    return { ...it, range }
  })
}

/** Splits the findings before, between (`revealed`) and after the fixes into fixed and remaining ones. */
function splitFindings(
  before: readonly Finding[],
  revealed: readonly Finding[],
  after: readonly Finding[]
): Pick<FaultFixes, 'fixed' | 'remaining'> {
  const kept = new Set<Finding>()
  const remaining = after.map(it => {
    const same = before.filter(other => isSameFinding(other, it) && !kept.has(other))
    const found = same.find(other => other.range.start === it.range.start) ?? same[0]
    if (found) kept.add(found)
    return found ?? it
  })
  const fixed = before.filter(it => !kept.has(it))
  for (const it of revealed) {
    const isKnown = [...before, ...remaining, ...fixed].some(other => isSameFinding(other, it))
    if (!isKnown) fixed.push(it)
  }
  return {
    fixed,
    remaining: [...before.filter(it => kept.has(it)), ...remaining.filter(it => !kept.has(it))]
  }
}

/** The plan for all files. It writes the configuration last. */
function planOf(files: readonly LintFile[], plans: Plans): ApplyPlan {
  const configuration = plans.get(files[0]?.path ?? '')
  if (!configuration) throw new Error('a configuration without a file')
  const planned = [...files].reverse().flatMap(({ path, doc }): PlannedFile[] => {
    const plan = plans.get(path)
    return plan?.changed ? [{ path, before: doc.text, after: plan.text }] : []
  })
  return { files: planned, configuration }
}

/** The findings in the files of a configuration. */
export interface Faults {
  /** The inspected files, the configuration first. */
  files: LintFile[]
  /** In the order of the files, then by place. */
  findings: Finding[]
  /** The facts that the lints used. */
  facts: SystemFacts
  /** Imports that were not followed. */
  unread: readonly UnreadImport[]
}

/** Runs the lints on the files of a configuration. `release` is the NixOS release that is built next, if known. */
export function findFaults(
  { files: all, installed, unread }: ImportWalk,
  release: string | undefined
): Faults {
  const files = all.map(({ path, doc }) => ({ path, doc }))
  const mayHaveUnreadModules = unread.length > 0 || isInFlake(files[0]?.path ?? '/')
  const facts = {
    importsModules: installed.length > 0,
    mayHaveUnreadModules,
    ...defined({ release })
  }
  return { files, findings: lint(files, facts), facts, unread }
}

/** Adds findings to the faults. */
export function withFindings(faults: Faults, more: readonly Finding[]): Faults {
  const order = new Map(faults.files.map((it, i) => [it.path, i]))
  const findings = [...faults.findings, ...more].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
  return { ...faults, findings }
}
