// What a plan would make worse: what "check" finds in its result and does not find in the files as they are.

import { join } from 'node:path'
import { type Faults, findFaults } from '../../apply/findFaults.ts'
import type { PlannedFile } from '../../apply/planApply.ts'
import type { ReadModule } from '../../apply/read/importClosure.ts'
import { moduleReader } from '../../apply/read/readInputs.ts'
import type { TargetFile } from '../../files/target.ts'
import { type Finding, isSameFinding, type LintCode } from '../../lints/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import { faultLine, mendingCall, type ToldFault } from '../messages/newFaultLine.ts'
import type { DarkPrompt } from '../prepared.ts'
import { shortName } from '../show/fileNames.ts'
import { type Looked, lookAgain, lookAtHost, withMachine } from './checkHost.ts'
import { readHost } from './readHost.ts'
import { whoseIs } from './whoseIs.ts'

// The others are told in words of their own, are refused, or are about what was not built yet.
const OF_MACHINE: readonly LintCode[] = ['HUGEPAGES_TOO_MANY', 'SHARED_ID']

/** What a plan leads to, as far as `check` sees it. */
export interface NewFaults {
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
export function newFaults(
  configuration: TargetFile,
  text: string,
  planned: readonly PlannedFile[],
  release: string | undefined,
  given: Arguments,
  context: Context
): NewFaults {
  const path = configuration.realpath
  const read = moduleReader(context.root)
  const after = planned.find(it => it.path === path)?.after ?? text
  const now = findFaults({ path, text }, read, release)
  const then = findFaults({ path, text: after }, readerOf(planned, read), release)
  const looked = lookAtChosen(then, text, given, context)
  const known = faultsOf(now, lookAgain(looked, now))
  const found = faultsOf(then, looked).map((finding): ToldFault => {
    const same = known.findIndex(other => isSameFinding(other, finding))
    if (same !== -1) known.splice(same, 1)
    const doc = then.files.find(file => file.path === finding.path)?.doc
    const { line } = placeOf(doc?.text ?? after, finding.range.start)
    const where = `${shortName(configuration, finding.path)}:${line}`
    return { finding, where, isNew: same === -1 }
  })
  const told = found.filter(it => it.isNew || (isDark(it.finding) && namesDevices(given)))
  const sysfs = given.text('sysfs') ?? (looked.isForced ? '/' : undefined)
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
function namesDevices(given: Arguments): boolean {
  const isNamed = ['gpu', 'device', 'address'].some(it => given.texts(it) !== undefined)
  return isNamed || given.text('domain') !== undefined
}

/** What the machine shows; `isForced` where only the flags say that the files are for it. */
type Chosen = Looked & { isForced?: boolean }

/**
 * Looks at the machine that `check` would look at; otherwise at the one that the devices of the run were
 * looked up on.
 */
function lookAtChosen(faults: Faults, text: string, given: Arguments, context: Context): Chosen {
  const looked = lookAtHost(faults, faults.facts, given, context)
  if (looked.ok && looked.value.machine) return looked.value
  const isChosen =
    given.texts('gpu') !== undefined ||
    (namesDevices(given) && whoseIs(text, given, context) !== 'other')
  const host = isChosen ? readHost(given) : undefined
  // What can't be read was refused when the devices were looked up.
  return host?.ok
    ? { on: undefined, machine: host.value.machine, isForced: true }
    : { on: undefined }
}

/** The files as they will be. */
function readerOf(planned: readonly PlannedFile[], read: ReadModule): ReadModule {
  const texts = new Map(planned.map(it => [it.path, it.after]))
  return path => {
    const found = [path, join(path, 'default.nix')].find(it => texts.has(it))
    const text = found === undefined ? undefined : texts.get(found)
    return found === undefined || text === undefined ? read(path) : { path: found, text }
  }
}

/** Problems, and notes on a prompt that may be invisible. */
function faultsOf(faults: Faults, looked: Looked): Finding[] {
  const ofText = new Set(faults.findings)
  return withMachine(faults, looked).findings.filter(
    it => isDark(it) || (it.level === 'problem' && (ofText.has(it) || OF_MACHINE.includes(it.code)))
  )
}
