import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../nix/result.ts'
import { parseDump } from './dump/dump.ts'
import { recordedSource, type Source, systemAt } from './source.ts'

/** A machine that can be read. */
interface OpenMachine {
  source: Source
  /** Whether it is a dump, which lacks what would tell one machine from others. */
  isDump: boolean
  /** Where its own tables with names of devices are; those of this system unless given. */
  pciIds?: readonly string[]
}

/** Why a folder can't be read as a machine. */
export type MachineProblem =
  | { code: 'NOT_A_FOLDER'; path: string }
  | { code: 'NO_MACHINE'; path: string }
  | { code: 'BAD_DUMP'; path: string; line: string }

/**
 * The machine that a folder stands for: one with a dump, or one with a `sys` in it as a root has.
 * Without a folder the machine that this runs on.
 */
export function openMachine(folder: string | undefined): Result<OpenMachine, MachineProblem> {
  if (folder === undefined) return ok({ source: systemAt('/'), isDump: false })
  const names = folderEntries(folder)
  if (names === undefined) return err({ code: 'NOT_A_FOLDER', path: folder })
  if (isDump(names)) {
    const texts = names
      .filter(it => it.endsWith('.txt'))
      .map(it => readFileSync(join(folder, it), 'utf8'))
    const recording = parseDump(texts)
    return recording.ok
      ? ok({ source: recordedSource(recording.value), isDump: true, ...nameTables(folder) })
      : err({ code: 'BAD_DUMP', path: folder, line: recording.error })
  }
  if (!names.includes('sys')) return err({ code: 'NO_MACHINE', path: folder })
  return ok({ source: systemAt(folder), isDump: false, ...nameTables(folder) })
}

/**
 * Where the machine in a folder has its tables with names of devices, as `namesOf` takes them: a dump
 * has one of its own, a root those of its system. Without a folder, those of this system.
 */
export function nameTables(folder: string | undefined): Pick<OpenMachine, 'pciIds'> {
  if (folder === undefined) return {}
  const tables = isDump(folderEntries(folder) ?? [])
    ? ['pci.ids']
    : ['usr/share/hwdata/pci.ids', 'usr/share/misc/pci.ids']
  return { pciIds: tables.map(it => join(folder, it)) }
}

/** Whether a folder with these files is a dump. That of a machine without /sys has no `sys.txt`. */
function isDump(names: readonly string[]): boolean {
  return names.includes('sys.txt') || (names.includes('proc.txt') && names.includes('pci.ids'))
}

function folderEntries(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).sort()
  } catch {
    return undefined
  }
}
