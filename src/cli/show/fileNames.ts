// How people are told of a planned file.

import { basename, dirname } from 'node:path'
import { stampOf } from '../../apply/modules/stamp.ts'
import type { PlannedFile } from '../../apply/planApply.ts'
import type { TargetFile } from '../../files/target.ts'

/** Whether a planned file is a module of ours, or was one. */
export function isOwnModule({ before, after }: Pick<PlannedFile, 'before' | 'after'>): boolean {
  return [before, after].some(it => stampOf(it ?? '') !== 'none')
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
