// Compares a configuration with its machine.

import { dirname, join } from 'node:path'
import { findDarkPassphrases } from '../../check/darkPassphrase.ts'
import { compareWithMachine, type MachineComparison } from '../../check/onMachine.ts'
import type { FolderListing, SourceFile } from '../../configuration/files.ts'
import type { Configuration } from '../../configuration/load.ts'
import { readXml } from '../../guests/xml/readXml.ts'
import { passesDevices } from '../../lints/bindings.ts'
import {
  CODES_DECIDED_BY_MACHINE,
  type Finding,
  isSameFinding,
  type LintCode,
  type LintFile
} from '../../lints/index.ts'
import { viewsOf, withInnerModules } from '../../lints/view.ts'
import { followLinks } from '../../machine/source.ts'
import type { Range } from '../../nix/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import {
  configuredDevices,
  type DiskHost,
  type UsedDisk
} from '../../plan/disks/configuredDevices.ts'
import { type DefinedGuest, guestsIn, judgeDisks } from '../../plan/disks/guestDisks.ts'
import { readPool, type StoragePool } from '../../plan/disks/sharedFolders.ts'
import { type Faults, findFaults, withFindings } from '../../plan/fixes.ts'
import type { ApplyRequest } from '../args/request.ts'
import { type Context, callOn } from '../context.ts'
import { shellWord } from '../message.ts'
import { MACHINE_NOT_CHECKED, regressionNote } from '../messages/check.ts'
import { describeUsedDisk, type NameOf, whyDiskRefused } from '../messages/disks.ts'
import { shortName } from '../output/diff.ts'
import { type ApplyInputs, hostMatch } from './inputs.ts'
import type { Host, MachineReader } from './machine.ts'

/** The machine that a configuration is for, and how the two compare. */
export interface Inspection {
  /** Undefined if the machine was not read. */
  host?: Host
  /** Undefined also if the configuration passes nothing through. */
  on?: MachineComparison | undefined
  /** Why the machine was not read, in a sentence. */
  note?: string
}

/** The same machine compared with other files. */
export function inspectAgain(inspection: Inspection, { files, facts }: Faults): Inspection {
  const { host, on } = inspection
  return host && on ? { host, on: compareWithMachine(files, facts, host.machine) } : inspection
}

/** Adds the findings on the machine, if it was read. */
export function withMachine(faults: Faults, { on, host }: Inspection): Faults {
  if (!host) return faults
  const { files, facts, findings } = faults
  const inText = findings.filter(it => !CODES_DECIDED_BY_MACHINE.includes(it.code))
  const found = [...(on?.findings ?? []), ...findDarkPassphrases(files, facts, host.machine)]
  return withFindings({ ...faults, findings: inText }, found)
}

/**
 * Compares a configuration with its machine: the one of `--sysfs`, else this machine if the files are for it. A
 * configuration that passes nothing through is not compared. `file` is the configuration as the user named it.
 */
export function inspectMachine(
  { files, facts }: Faults,
  file: string,
  request: { root: string; sysfs: string | undefined },
  reader: MachineReader
): Inspection {
  // The folder of `--sysfs` is read in any case, because it has to be valid.
  const isNamed = request.sysfs !== undefined
  const hasDevices = viewsOf(files.flatMap(withInnerModules), facts).some(passesDevices)
  if (!hasDevices && !isNamed) return {}
  const owners = new Set(files.map(it => hostMatch(it.doc, request)))
  const owner = owners.has('this') ? 'this' : owners.has('other') ? 'other' : 'unknown'
  if (owner === 'other' || (request.root !== '/' && !isNamed)) return {}
  if (owner === 'unknown' && !file.startsWith('/etc/nixos/')) return { note: MACHINE_NOT_CHECKED }
  const host = reader.read()
  const { machine } = host
  if (owner === 'unknown' && machine.nixos === undefined) return { note: MACHINE_NOT_CHECKED }
  return { host, on: compareWithMachine(files, facts, machine) }
}

// What a plan would make worse: findings in its result that the files do not have now.

// Other findings on the machine have their own notes, are refused, or concern what was not built yet.
const OF_MACHINE: readonly LintCode[] = ['HUGEPAGES_TOO_MANY', 'SHARED_ID']

/** What `check` finds in the result of a plan. */
interface Regressions {
  /** A note for each problem. */
  notes: string[]
  /** The invisible passphrase prompt, if there is one. */
  dark?: DarkPrompt
}

/**
 * The problems that the plan adds to the files. An invisible passphrase prompt that the files already have is included
 * if the run names devices. Places refer to the result of the plan.
 */
export function findRegressions(inputs: ApplyInputs, planned: Configuration): Regressions {
  const { target, configuration, request, context } = inputs
  const before = findFaults(configuration, request.release)
  const after = findFaults(planned, request.release)
  const inspection = inspectForRun(after, inputs)
  const known = faultsOf(before, inspectAgain(inspection, before))
  const found = faultsOf(after, inspection).map((finding): Regression => {
    const same = known.findIndex(other => isSameFinding(other, finding))
    if (same !== -1) known.splice(same, 1)
    const doc = after.files.find(file => file.path === finding.path)?.doc
    const { line } = placeOf(doc?.text ?? '', finding.range.start)
    const where = `${shortName(target, finding.path)}:${line}`
    return { finding, where, isNew: same === -1 }
  })
  const reported = found.filter(it => it.isNew || (isDark(it.finding) && namesDevices(request)))
  const sysfs = request.sysfs ?? (inspection.isForced ? '/' : undefined)
  const call = fixingCall(context, sysfs)
  const dark = darkPrompt(
    reported.map(it => it.finding),
    call
  )
  return {
    notes: reported.map(({ finding, where, isNew }) => {
      const isFixable = isDark(finding) && finding.fix !== undefined
      return regressionNote(finding, { where, isNew, call: isFixable ? call : undefined })
    }),
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

/** Whether a run names devices for a guest. */
function namesDevices({ gpus, settings, domain }: ApplyRequest): boolean {
  const { devices, addresses } = settings
  return gpus.length > 0 || [devices, addresses, domain].some(it => it !== undefined)
}

/**
 * Inspects the machine that `check` would inspect, else the machine that has the devices of the run. `isForced` means
 * that only the flags show that the files are for this machine.
 */
function inspectForRun(
  faults: Faults,
  { request, context, match, reader }: ApplyInputs
): Inspection & { isForced?: boolean } {
  const inspection = inspectMachine(faults, context.file, request, reader)
  if (inspection.host) return inspection
  const isChosen = request.gpus.length > 0 || (namesDevices(request) && match !== 'other')
  return isChosen ? { host: reader.read(), isForced: true } : {}
}

/** The problems among the findings, and also notes on a prompt that may be invisible. */
function faultsOf(faults: Faults, inspection: Inspection): Finding[] {
  const ofText = new Set(faults.findings)
  return withMachine(faults, inspection).findings.filter(
    it => isDark(it) || (it.level === 'problem' && (ofText.has(it) || OF_MACHINE.includes(it.code)))
  )
}

/** A passphrase prompt that would be invisible after the next boot. */
export interface DarkPrompt {
  /** The message and reason of the finding. */
  message: string
  why: string
  /** The kernel modules that make the prompt visible if the initrd loads them; empty if none is sure to help. */
  drivers: readonly string[]
  /** The call that adds these modules; absent if no edit is sure to help. */
  call?: string
}

/** A finding in the result of a plan. */
interface Regression {
  finding: Finding
  /** `FILE:LINE` in the result. */
  where: string
  /** Whether the plan causes it; otherwise the files have it already. */
  isNew: boolean
}

/** The call of `check --fix` for the same machine. */
function fixingCall(context: Context, sysfs: string | undefined): string {
  const machine = sysfs === undefined ? '' : ` --sysfs ${shellWord(sysfs)}`
  return `${callOn(context.file, context, 'check')} --fix${machine}`
}

// The disks of guests, compared with the machine and the configuration.

/**
 * The disks of a host. `host` is undefined for another machine. The disks that the configuration uses are those in its
 * files and in the hardware-configuration.nix next to it, which a flake may list. `entry` is the separate boot entry
 * for the options, if any.
 */
export function diskHost(
  host: Host | undefined,
  { target, files, sources }: Configuration,
  entry = ''
): DiskHost {
  const hardware = sources.module(join(dirname(target.path), 'hardware-configuration.nix'))
  const isUnimported = hardware !== undefined && !files.some(it => it.path === hardware.path)
  return {
    machine: host?.machine,
    isDump: host?.isDump === true,
    follow: it => (host ? followLinks(host.source, it) : it),
    poolCalled: it => (host ? poolCalled(it, host) : undefined),
    devices: configuredDevices(isUnimported ? [...files, hardware] : files),
    entry
  }
}

/** libvirt keeps its pools in /var/lib on NixOS, elsewhere in /etc; only root can read them. */
function poolCalled(name: string, { source }: Host): StoragePool | undefined {
  if (name.includes('/')) return undefined
  const folders = ['/var/lib/libvirt/storage', '/etc/libvirt/storage', '/run/libvirt/storage']
  const text = folders.map(it => source.text(`${it}/${name}.xml`)).find(it => it !== undefined)
  const document = text === undefined ? undefined : readXml(text, 'pool')
  return document?.ok ? readPool(document.value.root) : undefined
}

/** The guests of a configuration: in its files, and in the modules' folder for guests (`listing`). */
export function guestsOf(files: readonly SourceFile[], listing: FolderListing): DefinedGuest[] {
  const entries = typeof listing === 'string' ? [] : [...listing]
  const inFolder = entries.flatMap(([name, file]) => (name.endsWith('.nix') && file ? [file] : []))
  return guestsIn([...files, ...inFolder])
}

// What `check` finds in the guests of a configuration: disks that the host uses.

/**
 * Finds each disk that the host uses and a guest can write to. The guests are those in the files of the configuration
 * and in the modules' folder; files of this folder that have a finding are returned with it. Without a machine
 * (`host`), only disks that the configuration uses are found.
 */
export function findGuestFaults(
  configuration: Configuration,
  host: Host | undefined,
  nameOf: NameOf
): { findings: Finding[]; files: LintFile[] } {
  const { files: own, installedFolders, sources } = configuration
  const folders = [...new Set(installedFolders.map(it => join(it.path, 'guests')))]
  const guests = [
    ...guestsOf(own, 'absent'),
    ...folders.flatMap(folder => {
      // Other code reports a folder that can't be read.
      const read = sources.folder(folder)
      return read.ok ? guestsOf([], read.value.listing) : []
    })
  ].filter(it => it.disks.length > 0)
  if (guests.length === 0) return { findings: [], files: [] }
  const disks = diskHost(host, configuration)
  const found = guests.flatMap(guest => {
    const { used } = judgeDisks(guest.disks, disks)
    return used.map(it => findingOf(it, guest, nameOf))
  })
  const known = new Set(own.map(it => it.path))
  const paths = new Set(found.map(it => it.path).filter(it => !known.has(it)))
  const files = [...paths].flatMap(path => guests.find(it => it.file.path === path)?.file ?? [])
  return { findings: found, files }
}

function findingOf(used: UsedDisk, guest: DefinedGuest, nameOf: NameOf): Finding {
  return {
    code: 'GUEST_DISK',
    level: 'problem',
    path: guest.file.path,
    range: rangeOf(used, guest.file.text),
    message: describeUsedDisk(used, guest.name, nameOf),
    why: whyDiskRefused(used),
    remedy:
      used.folder === undefined
        ? `give ${guest.name} another disk or an image file`
        : 'add readonly to it, or share a folder without system files'
  }
}

/** The range of the string that names the disk; else the first character of the file. */
function rangeOf({ disk: { name } }: UsedDisk, text: string): Range {
  const word =
    name.kind === 'path' || name.kind === 'folder'
      ? name.path
      : name.kind === 'volume'
        ? name.volume
        : undefined
  const start = word === undefined ? -1 : text.indexOf(`"${word}"`)
  return start === -1 || word === undefined
    ? { start: 0, end: 1 }
    : { start, end: start + word.length + 2 }
}
