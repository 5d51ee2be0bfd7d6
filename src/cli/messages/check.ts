// What `check` reports besides the findings, and regressions as notes of a plan.

import type { MachineComparison } from '../../check/onMachine.ts'
import type { SettingStatus } from '../../check/state.ts'
import type { Finding } from '../../lints/index.ts'
import { plural } from '../message.ts'
import { callDevice, type Names } from './devices.ts'

/** `2 problems and 1 note in FILE and 3 files that it imports. With --fix, 1 can be fixed automatically.` */
export function summary(
  { problems, notes }: { problems: number; notes: number },
  files: readonly string[],
  fixable: number
): string {
  const others = files.length - 1
  const where = `${files[0]}${others > 0 ? ` and ${plural(others, 'file')} that it imports` : ''}`
  if (problems + notes === 0) return `Nothing found in ${where}.`
  const counts = [
    ...(problems > 0 ? [plural(problems, 'problem')] : []),
    ...(notes > 0 ? [plural(notes, 'note')] : [])
  ]
  const offer = fixable > 0 ? ` With --fix, ${fixable} can be fixed automatically.` : ''
  return `${counts.join(' and ')} in ${where}.${offer}`
}

/** A finding that `--fix` fixes; `where` is its `FILE:LINE`. */
export function fixesLine({ code, message }: Finding, where: string): string {
  return `Fixes ${where}: ${code}, ${message}.`
}

/** A finding that `--fix` does not fix. */
export function notFixedLine({ code, message }: Finding, where: string): string {
  return `Not fixed: ${where}: ${code}, ${message}.`
}

/** No file names the machine that the configuration is for. */
export const MACHINE_NOT_CHECKED =
  'This machine was not checked, because no networking.hostName shows that the configuration is for it. To check it anyway: --sysfs /'

/** The title of what is active on the machine. */
export function thingsTitle({ entry }: MachineComparison): string {
  return entry === '' ? 'On this machine:' : `On this machine, for the boot entry "${entry}":`
}

/** The name of a thing, and whether it is active. */
export function thingLine(thing: SettingStatus, isNixOS: boolean, names: Names): string {
  return `${nameOfThing(thing, names)}: ${verdictOf(thing, isNixOS)}`
}

function nameOfThing({ kind, name, device }: SettingStatus, names: Names): string {
  switch (kind) {
    case 'device':
      return device ? callDevice(device, names) : name
    case 'module':
      return `module ${name}`
    default:
      return name
  }
}

function verdictOf({ verdict, because }: SettingStatus, isNixOS: boolean): string {
  const more = because === undefined ? '' : ` (${because})`
  switch (verdict) {
    case 'active':
      return `active${more}`
    case 'after-reboot':
      return `configured, active after reboot${more}`
    case 'not-built':
      return isNixOS
        ? `configured, not active because the system is not built with it yet${more}`
        : `configured, not active because the machine was not started with it${more}`
    case 'not-active':
      return `not active because ${because}`
    case 'unknown':
      return `unknown, because ${because}`
  }
}

/** Where a regression is, and how to fix it. */
interface RegressionPlace {
  /** `FILE:LINE` in the result of the plan. */
  where: string
  /** Whether the plan causes it; otherwise the files have it already. */
  isNew: boolean
  /** The call that fixes it, if one does. */
  call: string | undefined
}

/** A finding in the result of a plan, with its reason and remedy. */
export function regressionNote(finding: Finding, { where, isNew, call }: RegressionPlace): string {
  const { code, level, message, why, remedy } = finding
  const lead = level === 'note' ? 'Note' : isNew ? 'New problem' : 'Existing problem'
  const after = isNew ? 'after this is written: ' : ''
  const how = call === undefined ? '' : ` (${after}${call})`
  return `${lead}: ${where}: ${code}, ${message}. Why: ${why} Do: ${remedy}${how}`
}
