import type { Finding } from '../../lints/index.ts'
import { shellWord } from '../arguments/shellWord.ts'
import { type Context, callOn } from '../context.ts'

/** What `check` finds in the result of a plan. */
export interface ToldFault {
  finding: Finding
  /** `FILE:LINE` in the result. */
  where: string
  /** Whether the plan brings it about; otherwise the files have it already. */
  isNew: boolean
}

/** One fault with its reason and remedy, as a note of a plan; `call` is the command that carries out its edit. */
export function faultLine({ finding, where, isNew }: ToldFault, call?: string): string {
  const { code, level, message, why, remedy, fix } = finding
  const lead = level === 'note' ? 'Note' : isNew ? 'Will be a problem' : 'Is a problem already'
  const once = isNew ? 'once this is written: ' : ''
  const how = fix && call !== undefined ? ` (${once}${call})` : ''
  const end = how === '' && remedy.endsWith(';') ? '' : '.'
  return `${lead}: ${where}: ${code}, ${message}. Why: ${why} Do: ${remedy}${how}${end}`
}

/** The call of `check` that carries out its edits on the same machine. */
export function mendingCall(context: Context, sysfs: string | undefined): string {
  const machine = sysfs === undefined ? '' : ` --sysfs ${shellWord(sysfs)}`
  return `${callOn(context.file, context, 'check')} --fix${machine}`
}

/** What to do before the restart; `call` is undefined where no edit is sure to help. */
export function darkReminder(call: string | undefined): string {
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  return call === undefined
    ? 'First:  see DARK_PASSPHRASE above; the passphrase prompt is invisible otherwise'
    : `First:  ${sudo}${call}   (otherwise the passphrase prompt is invisible)`
}
