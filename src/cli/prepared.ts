import type { Files } from '../configuration/files.ts'
import type { ApplyPlan } from '../plan/apply.ts'
import type { ParseCheck } from '../plan/evaluate.ts'
import type { TargetFile } from '../storage/read.ts'
import type { Context } from './context.ts'
import type { Replacement } from './output/findings.ts'
import type { GuestReport } from './report.ts'
import type { DarkPrompt } from './request/faults.ts'

/** A plan that passed all checks, with what it takes to show and to write it. */
export interface Prepared {
  plan: ApplyPlan
  /** The file that the person named, or the module that they edit. */
  target: TargetFile
  /** All that was read for the plan. */
  sources: Files
  /** Its `file` is the configuration as the person knows it: links not resolved. */
  context: Context
  check: ParseCheck
  /** What gives way in the person's own files. */
  replaced?: readonly Replacement[]
  /** Lines that a person has to read before they decide. */
  notes?: readonly string[]
  /** The options whose values come from a card that was named. */
  byCard?: readonly string[]
  /** The options whose values come from the guest that was named. */
  byGuest?: readonly string[]
  guest?: GuestReport
  dark?: DarkPrompt
}
