import { basename } from 'node:path'
import type { OnMachine } from '../../check/onMachine.ts'
import type { Thing } from '../../check/state.ts'
import type { Finding, LintFile } from '../../lints/index.ts'
import { idOf } from '../../machine/machine.ts'
import { markedLines } from '../../nix/errors.ts'
import { formatPath } from '../../nix/index.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { visibleLine } from '../../nix/text/visible.ts'
import type { ApplyPlan } from '../../plan/apply.ts'
import type { Obsolete } from '../../plan/legacy/replaced.ts'
import type { TakeOver } from '../../plan/legacy/takeOver.ts'
import type { Context } from '../context.ts'
import { detailsOf } from '../message.ts'
import type { CheckBody, FindingReport, ReplacedReport } from '../report.ts'
import { callDevice, type Names } from '../text/devices.ts'
import { drawnByToolkit, paint, type Screen, wrap } from './output.ts'

/** What a finding comes to for a program; `nameOf` tells how the person knows a file. */
export function reportFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string
): FindingReport {
  const { code, level, path, range, message, why, remedy, fix } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const { start: offset, end } = range
  return {
    code,
    level,
    message,
    why,
    hint: remedy,
    at: { path: nameOf(path), line, column },
    offset,
    length: end - offset,
    fixable: fix !== undefined
  }
}

/** The lines that a person reads of a finding: place, what, the line with carets, why, what to do. */
export function showFinding(
  finding: Finding,
  files: readonly LintFile[],
  nameOf: (path: string) => string,
  screen: Screen
): string {
  const { code, level, path, range, message, why, remedy } = finding
  const text = textOf(path, files)
  const { line, column } = placeOf(text, range.start)
  const taken = 4 + `${line} | `.length + 2
  const excerpt = markedLines(text, range, { color: screen.color, width: screen.width - taken })
  const word = paint(screen, 'bold', level === 'note' ? `note ${code}` : code)
  const head = `${nameOf(path)}:${line}:${column}: ${word}: ${message}.`
  return [
    visibleLine(head),
    ...detailsOf({ excerpt: drawnByToolkit(excerpt.join('\n')), why, remedy })
  ].join('\n')
}

function textOf(path: string, files: readonly LintFile[]): string {
  return files.find(it => it.path === path)?.doc.text ?? ''
}

// What of a configuration is at work on its machine, for people and for programs.

/** A line for each thing, under a line that says what it is about. */
export function showThings(
  { entry, things, isNixOS }: OnMachine,
  names: Names,
  screen: Screen
): string {
  const title =
    entry === '' ? 'On this machine:' : `On this machine, for the boot entry "${entry}":`
  const lines = things.flatMap(it => {
    const text = `  ${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`
    return wrap(text, Math.max(60, screen.width), '    ')
  })
  return [paint(screen, 'bold', title), ...lines].join('\n')
}

function nameOf({ kind, name, device }: Thing, names: Names): string {
  switch (kind) {
    case 'device':
      return device ? callDevice(device, names) : name
    case 'module':
      return `module ${name}`
    default:
      return name
  }
}

function verdictOf({ verdict, because }: Thing, isNixOS: boolean): string {
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
      return `not known, as ${because}`
  }
}

/** The same for a program. */
export function reportThings(
  { entry, things, isNixOS }: OnMachine,
  names: Names
): NonNullable<CheckBody['running']> {
  const active = things.filter(it => it.verdict === 'active').length
  const isWhole = things.every(it => it.verdict === 'active' || it.verdict === 'unknown')
  return {
    state: isWhole ? 'active' : active === 0 ? 'not-active' : 'partial',
    specialisation: entry === '' ? null : entry,
    reasons: things
      .filter(it => it.verdict !== 'active' && it.verdict !== 'unknown')
      .map(it => `${nameOf(it, names)}: ${verdictOf(it, isNixOS)}`),
    things: things.map(({ kind, name, verdict, because, device }) => ({
      kind,
      name,
      verdict,
      because: because ?? null,
      device: device
        ? { address: device.address, id: idOf(device), driver: device.driver ?? null }
        : null
    }))
  }
}

// What in a person's own file gives way, told above the diff that shows it.

/** One value that gives way, or an import. */
export interface Replacement extends ReplacedReport {
  /** The options that are edited for it. */
  options: readonly string[]
}

/** All that a plan replaces: imports first, then values in the order of the text. */
export function replacementsIn(
  { replaced = [] }: ApplyPlan,
  takeOver: TakeOver | undefined,
  { file }: Context,
  configuration: string
): Replacement[] {
  const imports = (takeOver?.replaced ?? []).map(({ path, line, column, spelling, option }) => ({
    code: 'OLD_MODULE',
    message: `${spelling} declares ${option}, and so do the modules of vfio-patch`,
    at: { path: path === configuration ? file : path, line, column },
    options: ['imports']
  }))
  const values = replaced.map(it => ({
    code: it.code,
    message: it.message,
    at: { path: file, line: it.line, column: it.column },
    options: optionsOf(it)
  }))
  return [...imports, ...values.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)]
}

function optionsOf({ fix, devices = [], deviceACL = [] }: Obsolete): string[] {
  return [
    ...fix.flatMap(it => [formatPath(it.path), ...(it.op === 'rename' ? [formatPath(it.to)] : [])]),
    ...(devices.length > 0 ? ['virtualisation.vfio.devices', 'virtualisation.vfio.addresses'] : []),
    ...(deviceACL.length > 0 ? ['virtualisation.libvirtd.deviceACL'] : [])
  ]
}

/** `Replaces configuration.nix:8: PCI_NOMSI, pci=nomsi turns off …`, in as many lines as a terminal needs. */
export function replacementLines(
  replacements: readonly ReplacedReport[],
  screen: Screen
): string[] {
  return replacements.flatMap(({ code, message, at }) => {
    const text = `Replaces ${basename(at.path)}:${at.line}: ${code}, ${message}.`
    const lines = screen.isTerminal ? wrap(text, screen.width, '  ') : [text]
    return lines.map(it => it.replace(code, paint(screen, 'bold', code)))
  })
}
