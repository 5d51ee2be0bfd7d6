import { readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { makeDump } from '../../machine/dump/dump.ts'
import { candidateCards, virtualCandidatesOf } from '../../machine/gates.ts'
import { ok, type Result } from '../../nix/result.ts'
import { isLedToRoots } from '../../storage/access.ts'
import { makeFolder, missingFolders, removeIfEmpty, settleFolder } from '../../storage/folders.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { attempt, isLink, nearestExisting, reading } from '../../storage/system.ts'
import { ownerOfSaved, removeFile, writeNewFile } from '../../storage/write.ts'
import type { Arguments } from '../args/parse.ts'
import { readScanRequest, type ScanRequest } from '../args/request.ts'
import { CommandError, EXIT, orThrow, usage } from '../message.ts'
import { isUnicode, printNotice, type Screens, wrap, writeOutput } from '../output/output.ts'
import { type Scan, scanBody, scanTable, widthOf } from '../output/scan.ts'
import type { Report } from '../report.ts'
import { MachineReader } from '../request/machine.ts'
import { type Advice, adviceFor } from '../text/advice.ts'
import type { Names } from '../text/devices.ts'
import { dumpMessage, dumpNotes, outputLedMessage } from '../text/output.ts'

/** `scan`: shows the machine, and what of it a guest can have. Changes nothing. */
export function scanCommand(args: Arguments, screens: Screens): Report {
  const request = readScanRequest(args, screens)
  const { machine, names, recording } = new MachineReader(request.sysfs).read()
  const candidates = candidateCards(machine)
  const virtual = virtualCandidatesOf(machine)
  const scan = { machine, candidates, virtual, names }
  const advice = adviceFor(machine, candidates, virtual, names)
  const folder = request.dump
  const dump = folder === undefined ? undefined : makeDump(recording)
  if (folder !== undefined && dump) saveDump(folder, dump.texts, names)
  if (!request.quiet) {
    printTable(scan, advice, request)
    if (folder !== undefined && dump) {
      const width = widthOf(screens.err)
      const notes = dumpNotes(folder, dump.replaced, machine).flatMap(it => wrap(it, width))
      for (const line of notes) printNotice(line)
    }
  }
  return { exit: EXIT.done, outcome: 'found', body: scanBody(scan, advice) }
}

function printTable(scan: Scan, advice: Advice, { screens, verbose, sysfs }: ScanRequest): void {
  const look = { screen: screens.out, isUnicode: isUnicode(), isWhole: verbose }
  // Some commands say already where they are to be run.
  const isElsewhere = sysfs !== undefined && !advice.command.includes('(')
  const lines = [
    ...scanTable(scan, look),
    '',
    ...wrap(advice.text, widthOf(screens.out)),
    `Next:  ${advice.command}${isElsewhere ? '   (on that machine)' : ''}`
  ]
  const text = `${lines.join('\n')}\n`
  writeOutput(look.isUnicode ? text : text.replace(/\P{ASCII}/gu, '?'))
}

/**
 * Writes the texts of a dump, by file name, into a folder that is empty or not there yet. A link with the name
 * of the folder is not followed, and nothing that somebody puts there meanwhile is written over. Of a
 * dump that could not be written to its end nothing is left.
 */
function saveDump(folder: string, texts: ReadonlyMap<string, string>, names: Names): void {
  const failed = (problem: FileProblem, isLink = false) => dumpMessage(folder, problem, isLink)
  const named = resolve(folder)
  if (isLink(named)) throw new CommandError(failed({ code: 'NOT_REGULAR', path: named }, true))
  const path = orThrow(locateFolder(named), failed)
  if (isLedToRoots(named, path)) {
    throw new CommandError(outputLedMessage('--dump', folder, path))
  }
  const folders = missingFolders(path)
  const unmade = makeFolders(folders)
  if (unmade !== null) throw new CommandError(failed(unmade))
  const inside = orThrow(
    attempt(() => readdirSync(path), reading(path)),
    failed
  )
  if (inside.length > 0) {
    const remedy = 'give a new folder, e.g. --dump my-machine'
    throw new CommandError(
      usage(`--dump: ${folder} is not empty. Nothing was written.`, { remedy })
    )
  }
  const problem = fill(path, [...texts, ['pci.ids', pciIdsOf(names)]])
  if (problem === null) return
  for (const it of [...folders].reverse()) removeIfEmpty(it)
  throw new CommandError(failed(problem))
}

/** The path of a folder without the links of the part that exists. */
function locateFolder(named: string): Result<string, FileProblem> {
  const existing = nearestExisting(named)
  const real = attempt(() => realpathSync(existing), reading(existing))
  return real.ok ? ok(join(real.value, named.slice(existing.length))) : real
}

function makeFolders(folders: readonly string[]): FileProblem | null {
  const mode = 0o777 & ~process.umask()
  for (const it of folders) {
    const problem = makeFolder(it) ?? settleFolder(it, mode, true)
    if (problem !== null) return problem
  }
  return null
}

function fill(path: string, files: readonly (readonly [string, string])[]): FileProblem | null {
  const owner = ownerOfSaved(path)
  if (!owner.ok) return owner.error
  for (const [index, [name, text]] of files.entries()) {
    const file = join(path, name)
    const problem = writeNewFile(file, Buffer.from(text), owner.value)
    if (problem === null) continue
    const isOwn = !(problem.code === 'IO_ERROR' && problem.errno === 'EEXIST')
    for (const [other] of files.slice(0, isOwn ? index + 1 : index)) removeFile(join(path, other))
    return problem
  }
  return null
}

/** The names as a pci.ids has them, so that the dump shows the same anywhere. */
function pciIdsOf(names: ReadonlyMap<string, string>): string {
  const vendors = new Map<string, string[]>()
  const makers = new Map<string, string>()
  for (const [id, name] of [...names].sort()) {
    const [vendor = '', device = ''] = id.split(':')
    const [maker = ''] = name.split(' ')
    makers.set(vendor, maker)
    vendors.set(vendor, [
      ...(vendors.get(vendor) ?? []),
      `\t${device}  ${name.slice(maker.length + 1)}`
    ])
  }
  return [...vendors]
    .map(([vendor, lines]) => [`${vendor}  ${makers.get(vendor)}`, ...lines, ''].join('\n'))
    .join('')
}
