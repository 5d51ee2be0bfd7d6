import type { Finding } from '../lints/index.ts'
import { type Facts, type LintFile, viewsOf } from '../lints/view.ts'
import type { Machine } from '../machine/machine.ts'
import { deviceFaults } from './deviceFaults.ts'
import { hostFaults } from './hostFaults.ts'
import { namedIn, requirementsOf } from './requirements.ts'
import { bootEntryOf, type MachineState, type Thing, thingsOf } from './state.ts'

/** What came of comparing a configuration with its machine. */
export interface OnMachine {
  findings: Finding[]
  /** The specialisation that was looked at; blank for the system itself. */
  entry: string
  things: Thing[]
  /** Whether the systems that were built could be seen, so that one that is not built is known. */
  isNixOS: boolean
}

/**
 * Compares a configuration with the machine that it is for: what of it is at work there, and what does not
 * fit. Undefined where it gives nothing to guests.
 */
export function compareWithMachine(
  files: readonly LintFile[],
  facts: Facts,
  machine: Machine
): OnMachine | undefined {
  const entry = bootEntryOf(viewsOf(files, facts), machine)
  if (!entry) return undefined
  const params = [...machine.kernelParams, ...(entry.built?.kernelParams ?? [])]
  const named = namedIn(entry.view, machine, params)
  const state: MachineState = {
    entry,
    machine,
    named,
    asked: requirementsOf(entry.view, named, machine)
  }
  const things = thingsOf(state)
  const findings = [...deviceFaults(state), ...hostFaults(state, things)]
  return { findings, entry: entry.view.name, things, isNixOS: entry.isNixOS }
}
