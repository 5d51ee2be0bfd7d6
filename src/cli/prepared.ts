import type { ParseCheck } from '../apply/ask/parseCheck.ts'
import type { ApplyPlan } from '../apply/planApply.ts'
import type { TargetFile } from '../files/target.ts'
import type { Context } from './context.ts'
import type { GuestReport } from './report.ts'
import type { Replacement } from './show/replacements.ts'

/** A passphrase prompt that nobody would see after the next start. */
export interface DarkPrompt {
  /** What is found, and why, as `check` tells it. */
  message: string
  why: string
  /** The kernel modules that make it visible where the initrd loads them; empty where none is sure to. */
  drivers: readonly string[]
  /** The call that writes them; absent where no edit is sure to help. */
  call?: string
}

/** A plan that passed all checks, with what it takes to show and to write it. */
export interface Prepared {
  plan: ApplyPlan
  /** The file that the person named, or the module that they edit. */
  configuration: TargetFile
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
