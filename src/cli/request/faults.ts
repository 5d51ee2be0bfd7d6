// The machine beside a configuration: whether it is the one that this is for, and what came of it.

import { darkPassphrases } from '../../check/darkPassphrase.ts'
import { compareWithMachine, type OnMachine } from '../../check/onMachine.ts'
import type { Configuration } from '../../configuration/load.ts'
import { passesDevices } from '../../lints/bindings.ts'
import { DECIDED_CODES, type Finding, isSameFinding, type LintCode } from '../../lints/index.ts'
import { viewsOf, withParts } from '../../lints/view.ts'
import type { Machine } from '../../machine/machine.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { type Faults, findFaults, withFindings } from '../../plan/fixes.ts'
import type { ApplyRequest } from '../args/request.ts'
import { shortName } from '../output/diff.ts'
import { faultLine, mendingCall, type ToldFault } from '../text/apply.ts'
import type { Names } from '../text/devices.ts'
import { type ApplyInputs, hostMatch } from './inputs.ts'
import type { Host, MachineReader } from './machine.ts'

/**
 * What was seen of the machine; or why it was not looked at, in a sentence. `on` is undefined where the
 * configuration gives nothing to guests as well.
 */
export type Inspection =
  | { on: OnMachine; names: Names; machine: Machine; host: Host }
  | { on: undefined; machine?: Machine; host?: Host; note?: string }

/** The same machine compared with other files. */
export function inspectAgain(looked: Inspection, { files, facts }: Faults): Inspection {
  if (!looked.machine) return looked
  const on = looked.on && compareWithMachine(files, facts, looked.machine)
  return on && looked.on ? { ...looked, on } : { on: undefined, machine: looked.machine }
}

/** All that is found in the files, with what the machine shows and decides, where it was looked at. */
export function withMachine(faults: Faults, { on, machine }: Inspection): Faults {
  if (!machine) return faults
  const { files, facts, findings } = faults
  const inText = findings.filter(it => !DECIDED_CODES.includes(it.code))
  const found = [...(on?.findings ?? []), ...darkPassphrases(files, facts, machine)]
  return withFindings({ ...faults, findings: inText }, found)
}

/**
 * Holds a configuration against the machine that it is for: that of `--sysfs`, else the one that this runs
 * on, if the files say that it is theirs. One that gives nothing to guests is not held against any. `file` is
 * the configuration as the person knows it.
 */
export function inspectMachine(
  { files, facts }: Faults,
  file: string,
  request: { root: string; sysfs: string | undefined },
  reader: MachineReader
): Inspection {
  // A folder that is named has to be right, whatever the files say.
  const isNamed = request.sysfs !== undefined
  const isAsked = viewsOf(files.flatMap(withParts), facts).some(passesDevices)
  if (!isAsked && !isNamed) return { on: undefined }
  const owners = new Set(files.map(it => hostMatch(it.doc, request)))
  const owner = owners.has('this') ? 'this' : owners.has('other') ? 'other' : 'unknown'
  if (owner === 'other' || (request.root !== '/' && !isNamed)) return { on: undefined }
  const unsure =
    'The machine was not looked at, as no networking.hostName says that it is the one of this file. To look at it all the same: --sysfs /'
  if (owner === 'unknown' && !file.startsWith('/etc/nixos/')) return { on: undefined, note: unsure }
  const host = reader.read()
  const { machine, names } = host
  if (owner === 'unknown' && machine.nixos === undefined) return { on: undefined, note: unsure }
  const on = compareWithMachine(files, facts, machine)
  return on === undefined ? { on, machine, host } : { on, names, machine, host }
}

// What a plan would make worse: what "check" finds in its result and does not find in the files as they are.

// The others are told in words of their own, are refused, or are about what was not built yet.
const OF_MACHINE: readonly LintCode[] = ['HUGEPAGES_TOO_MANY', 'SHARED_ID']

/** What a plan leads to, as far as `check` sees it. */
interface Regressions {
  /** A sentence or two for each fault. */
  notes: string[]
  /** The passphrase prompt that nobody would see, if there is one. */
  dark?: DarkPrompt
}

/**
 * Each problem that the files would have once they are as planned, and don't have now; nothing of what
 * they have already, but for an invisible passphrase prompt where the run names devices. Places are those
 * of the result.
 */
export function regressions(inputs: ApplyInputs, planned: Configuration): Regressions {
  const { target, configuration, request, context } = inputs
  const now = findFaults(configuration, request.release)
  const then = findFaults(planned, request.release)
  const inspection = inspectForRun(then, inputs)
  const known = faultsOf(now, inspectAgain(inspection, now))
  const found = faultsOf(then, inspection).map((finding): ToldFault => {
    const same = known.findIndex(other => isSameFinding(other, finding))
    if (same !== -1) known.splice(same, 1)
    const doc = then.files.find(file => file.path === finding.path)?.doc
    const { line } = placeOf(doc?.text ?? '', finding.range.start)
    const where = `${shortName(target, finding.path)}:${line}`
    return { finding, where, isNew: same === -1 }
  })
  const told = found.filter(it => it.isNew || (isDark(it.finding) && namesDevices(request)))
  const sysfs = request.sysfs ?? (inspection.isForced ? '/' : undefined)
  const call = mendingCall(context, sysfs)
  const dark = darkPrompt(
    told.map(it => it.finding),
    call
  )
  return {
    notes: told.map(it => faultLine(it, isDark(it.finding) ? call : undefined)),
    ...(dark ? { dark } : {})
  }
}

function isDark({ code }: Finding): boolean {
  return code === 'DARK_PASSPHRASE'
}

function darkPrompt(findings: readonly Finding[], call: string): DarkPrompt | undefined {
  const dark = findings.filter(it => isDark(it) && it.level === 'problem')
  const [first] = dark
  if (!first) return undefined
  return {
    message: first.message,
    why: first.why,
    drivers: [...new Set(dark.flatMap(it => it.initrdModules ?? []))],
    ...(dark.some(it => it.fix) ? { call } : {})
  }
}

/** Whether a run says which devices a guest is to have. */
function namesDevices({ gpus, settings, domain }: ApplyRequest): boolean {
  const { devices, addresses } = settings
  return gpus.length > 0 || [devices, addresses, domain].some(it => it !== undefined)
}

/**
 * Looks at the machine that `check` would look at; otherwise at the one that the devices of the run were
 * looked up on. `isForced` where only the flags say that the files are for it.
 */
function inspectForRun(
  faults: Faults,
  { request, context, match, reader }: ApplyInputs
): Inspection & { isForced?: boolean } {
  const inspection = inspectMachine(faults, context.file, request, reader)
  if (inspection.machine) return inspection
  const isChosen = request.gpus.length > 0 || (namesDevices(request) && match !== 'other')
  return isChosen
    ? { on: undefined, machine: reader.read().machine, isForced: true }
    : { on: undefined }
}

/** Problems, and notes on a prompt that may be invisible. */
function faultsOf(faults: Faults, looked: Inspection): Finding[] {
  const ofText = new Set(faults.findings)
  return withMachine(faults, looked).findings.filter(
    it => isDark(it) || (it.level === 'problem' && (ofText.has(it) || OF_MACHINE.includes(it.code)))
  )
}

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
