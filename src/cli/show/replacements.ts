// What in a person's own file gives way, told above the diff that shows it.

import { basename } from 'node:path'
import type { Obsolete } from '../../apply/old/obsolete.ts'
import type { TakeOver } from '../../apply/old/takeOver.ts'
import type { ApplyPlan } from '../../apply/planApply.ts'
import { formatPath } from '../../nix/index.ts'
import type { Context } from '../context.ts'
import type { ReplacedReport } from '../report.ts'
import { paint, type Screen } from './terminal.ts'
import { wrap } from './wrap.ts'

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
