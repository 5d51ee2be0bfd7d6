import { basename, dirname } from 'node:path'
import type { ParseCheck } from '../../apply/ask/parseCheck.ts'
import { stampOf } from '../../apply/modules/stamp.ts'
import type { ApplyPlan, PlannedFile } from '../../apply/planApply.ts'
import type { TargetFile } from '../../files/target.ts'
import type { Context } from '../context.ts'
import type { GuestReport } from '../report.ts'
import { folderOfModule } from '../show/groupFiles.ts'
import type { Replacement } from '../show/replacements.ts'

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
}

/** Whether a planned file is a module of ours, or was one. */
export function isOwnModule({ before, after }: Pick<PlannedFile, 'before' | 'after'>): boolean {
  return [before, after].some(it => stampOf(it ?? '') !== 'none')
}

/** The folder of ours that a file belongs to: what lies in `_lib` belongs to the folder around it. */
export function folderOf({ path }: PlannedFile): string {
  return folderOfModule(path)
}

/** A path as people read it: relative to the configuration's folder where it lies in it. */
export function shortName(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path
}

/** A planned file's name as a patch and a person want it: relative to the configuration's folder. */
export function nameIn(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : basename(path)
}
