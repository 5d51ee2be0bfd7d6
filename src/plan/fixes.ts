import { defined } from '../collections.ts'
import type { ImportWalk, UnreadImport } from '../configuration/imports.ts'
import { isGenerated } from '../configuration/kind.ts'
import { isInFlake } from '../configuration/repository.ts'
import {
  type Facts,
  type Finding,
  type Fix,
  isSameFinding,
  type LintFile,
  lint,
  planFixes
} from '../lints/index.ts'
import { type NixError, type Plan, parseDocument, type Range } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { moveOffset } from '../nix/text/edits.ts'
import type { ApplyPlan } from './apply.ts'
import type { PlannedFile } from './changes.ts'

/** The edits that mend what edits can mend. */
export interface FaultFixes {
  plan: ApplyPlan
  /** What is gone with them; places are those of the files as they are, also of what they hid. */
  mended: Finding[]
  /** What is left for a person, some of it because its file can't be edited there. */
  left: Finding[]
}

/** So many fixes may hide one another; what is deeper is left for another run. */
const ROUNDS = 10

/**
 * Plans the fixes of all findings that have one, and of those that only show once these are done, until
 * `look` finds no more: one plan for each file, with the steps in this order. Refused where the
 * configuration, the first of the files, can't be edited.
 */
export function planFaultFixes(
  { files, findings }: Pick<Faults, 'files' | 'findings'>,
  look: (files: readonly LintFile[]) => readonly Finding[]
): Result<FaultFixes, NixError> {
  const fixes = new Map<string, Fix[]>()
  const refused = new Set<string>()
  const shown: Finding[] = []
  let plans: Plans = new Map()
  let found: readonly Finding[] = findings
  for (let i = 0; i < ROUNDS; i++) {
    for (const { path, fix } of found) {
      if (!fix || refused.has(JSON.stringify([path, fix]))) continue
      fixes.set(path, [...(fixes.get(path) ?? []), fix])
    }
    const done = plans
    plans = new Map()
    for (const [at, { path, doc }] of files.entries()) {
      const asked = isGenerated(doc.text) ? [] : (fixes.get(path) ?? [])
      const planned = planFixes(doc, asked)
      if (!planned.ok && at === 0) return err(planned.error)
      if (!planned.ok) continue
      plans.set(path, planned.value.plan)
      for (const it of planned.value.refused) {
        refused.add(JSON.stringify([path, asked[it.index]]))
      }
    }
    if (files.every(it => textIn(plans, it) === textIn(done, it))) break
    found = look(files.map(it => afterIn(plans, it)))
    shown.push(...placedBack(plans, found))
  }
  return ok({ plan: planOf(files, plans), ...sorted(findings, shown, placedBack(plans, found)) })
}

/** All steps so far, by file. */
type Plans = Map<string, Plan>

function textIn(plans: Plans, { path, doc }: LintFile): string {
  return plans.get(path)?.text ?? doc.text
}

function afterIn(plans: Plans, file: LintFile): LintFile {
  const plan = plans.get(file.path)
  return plan?.changed ? { ...file, doc: parseDocument(plan.text) } : file
}

/** The findings with their places in the files as they were. */
function placedBack(plans: Plans, findings: readonly Finding[]): Finding[] {
  return findings.map(it => {
    const inverse = plans.get(it.path)?.inverse ?? []
    const move = (offset: number) => moveOffset(inverse, offset)
    const range: Range = { start: move(it.range.start), end: move(it.range.end) }
    return { ...it, range }
  })
}

/** What of all that was seen is gone at the end, and what is not. */
function sorted(
  before: readonly Finding[],
  shown: readonly Finding[],
  after: readonly Finding[]
): Pick<FaultFixes, 'mended' | 'left'> {
  const stays = new Set<Finding>()
  const left = after.map(it => {
    const same = before.filter(other => isSameFinding(other, it) && !stays.has(other))
    const found = same.find(other => other.range.start === it.range.start) ?? same[0]
    if (found) stays.add(found)
    return found ?? it
  })
  const mended = before.filter(it => !stays.has(it))
  for (const it of shown) {
    const isKnown = [...before, ...left, ...mended].some(other => isSameFinding(other, it))
    if (!isKnown) mended.push(it)
  }
  return {
    mended,
    left: [...before.filter(it => stays.has(it)), ...left.filter(it => !stays.has(it))]
  }
}

/** The configuration is written last. */
function planOf(files: readonly LintFile[], plans: Plans): ApplyPlan {
  const configuration = plans.get(files[0]?.path ?? '')
  if (!configuration) throw new Error('a configuration without a file')
  const planned = [...files].reverse().flatMap(({ path, doc }): PlannedFile[] => {
    const plan = plans.get(path)
    return plan?.changed ? [{ path, before: doc.text, after: plan.text }] : []
  })
  return { files: planned, configuration }
}

/** What was looked at, the configuration first, and what was found in it. */
export interface Faults {
  files: LintFile[]
  /** By file in their order, then by place. */
  findings: Finding[]
  /** What was known besides. */
  facts: Facts
  /** Imports that were not followed. */
  unread: readonly UnreadImport[]
}

/**
 * Looks through the files of a configuration. `release` is the one of NixOS that is built next, where that is known.
 */
export function findFaults(
  { files: all, installed, unread }: ImportWalk,
  release: string | undefined
): Faults {
  const files = all.map(({ path, doc }) => ({ path, doc }))
  const isPartial = unread.length > 0 || isInFlake(files[0]?.path ?? '/')
  const facts = { ours: installed.length > 0, isPartial, ...defined({ release }) }
  return { files, findings: lint(files, facts), facts, unread }
}

/** The same with findings that were made elsewhere. */
export function withFindings(faults: Faults, more: readonly Finding[]): Faults {
  const order = new Map(faults.files.map((it, i) => [it.path, i]))
  const findings = [...faults.findings, ...more].sort(
    (a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.range.start - b.range.start
  )
  return { ...faults, findings }
}
