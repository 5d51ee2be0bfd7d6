import { readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isForGuests } from '../../machine/cards.ts'
import { makeDump } from '../../machine/dump/dump.ts'
import {
  type Candidate,
  candidateCards,
  proposedCard,
  type VirtualCandidate,
  virtualCandidatesOf
} from '../../machine/gates.ts'
import type { Machine } from '../../machine/machine.ts'
import { ok, type Result } from '../../nix/result.ts'
import { isRedirectedToRootOnly } from '../../storage/access.ts'
import { makeFolder, missingFolders, removeIfEmpty, settleFolder } from '../../storage/folders.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { attempt, isLink, nearestExisting, reading } from '../../storage/system.ts'
import { ownershipOfOutput, removeFile, writeNewFile } from '../../storage/write.ts'
import type { Arguments } from '../args/parse.ts'
import { readScanRequest, type ScanRequest } from '../args/request.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, orThrow } from '../message.ts'
import { callDevice, iommuName, type Names, whyNot } from '../messages/devices.ts'
import { dumpMessage, dumpNotEmpty, redirectedOutputMessage } from '../messages/output.ts'
import {
  type Advice,
  cardAdvice,
  commandLine,
  dumpNotes,
  iommuOffAdvice,
  lastCardAdvice,
  NO_CARD_HERE,
  noCardAdvice,
  ON_THAT_MACHINE,
  reservedAdvice,
  screenAdvice,
  severalCardsAdvice,
  virtualAdvice
} from '../messages/scan.ts'
import { isUnicode, printNotice, type Screens, wrap, writeOutput } from '../output/output.ts'
import { type Scan, scanBody, scanTable, widthOf } from '../output/scan.ts'
import type { Report } from '../report.ts'
import { MachineReader } from '../request/machine.ts'

/** `scan`: shows the machine and the devices that a guest can have. Writes only the dump of `--dump`. */
export function scanCommand(args: Arguments, screens: Screens): Report {
  const request = readScanRequest(args, screens)
  const { machine, names, recording } = new MachineReader(request.sysfs).read()
  const candidates = candidateCards(machine)
  const virtual = virtualCandidatesOf(machine)
  const scan = { machine, candidates, virtual, names }
  const advice = adviceFor(machine, candidates, virtual, names)
  const { dump: folder } = request
  const dump = folder === undefined ? undefined : { folder, ...makeDump(recording) }
  if (dump) saveDump(dump.folder, dump.texts, names)
  if (!request.quiet) {
    printTable(scan, advice, request)
    const notes = dump ? dumpNotes(dump.folder, dump.replaced, machine) : []
    const lines = notes.flatMap(it => wrap(it, widthOf(screens.err)))
    for (const line of lines) printNotice(line)
  }
  return { exit: EXIT.done, outcome: 'found', body: scanBody(scan, advice) }
}

function printTable(scan: Scan, advice: Advice, { screens, verbose, sysfs }: ScanRequest): void {
  const look = { screen: screens.out, isUnicode: isUnicode(), showsBridges: verbose }
  const where = advice.where ?? (sysfs === undefined ? undefined : ON_THAT_MACHINE)
  const next = where === undefined ? advice : { ...advice, where }
  const lines = [
    ...scanTable(scan, look),
    '',
    ...wrap(advice.text, widthOf(screens.out)),
    `Next:  ${commandLine(next)}`
  ]
  const text = `${lines.join('\n')}\n`
  writeOutput(look.isUnicode ? text : text.replace(/\P{ASCII}/gu, '?'))
}

/**
 * Writes the files of a dump (`texts`: name to content) into a folder that is empty or does not exist yet. The
 * folder must not be a symlink. Files that somebody creates in it meanwhile are not overwritten. An incomplete
 * dump is deleted.
 */
function saveDump(folder: string, texts: ReadonlyMap<string, string>, names: Names): void {
  const messageOf = (problem: FileProblem, isLink = false) => dumpMessage(folder, problem, isLink)
  const named = resolve(folder)
  if (isLink(named)) throw new CommandError(messageOf({ code: 'NOT_REGULAR', path: named }, true))
  const path = orThrow(locateFolder(named), messageOf)
  if (isRedirectedToRootOnly(named, path)) {
    throw new CommandError(redirectedOutputMessage('--dump', folder, path))
  }
  const folders = missingFolders(path)
  const folderProblem = makeFolders(folders)
  if (folderProblem !== null) throw new CommandError(messageOf(folderProblem))
  const inside = orThrow(
    attempt(() => readdirSync(path), reading(path)),
    messageOf
  )
  if (inside.length > 0) {
    throw new CommandError(dumpNotEmpty(folder))
  }
  const problem = writeFiles(path, [...texts, ['pci.ids', pciIdsOf(names)]])
  if (problem === null) return
  for (const it of [...folders].reverse()) removeIfEmpty(it)
  throw new CommandError(messageOf(problem))
}

/** The path of a folder, with the symlinks of the existing part resolved. */
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

/** Writes files into a folder; if one can't be written, deletes those that were. */
function writeFiles(
  path: string,
  files: readonly (readonly [name: string, text: string])[]
): FileProblem | null {
  const owner = ownershipOfOutput(path)
  if (!owner.ok) return owner.error
  for (const [index, [name, text]] of files.entries()) {
    const file = join(path, name)
    const problem = writeNewFile(file, Buffer.from(text), owner.value)
    if (problem === null) continue
    const isPartlyWritten = !(problem.code === 'IO_ERROR' && problem.errno === 'EEXIST')
    const count = isPartlyWritten ? index + 1 : index
    for (const [other] of files.slice(0, count)) removeFile(join(path, other))
    return problem
  }
  return null
}

/** The names in the format of pci.ids, so that `scan` shows the same names for the dump on every machine. */
function pciIdsOf(names: Names): string {
  const lines: string[] = []
  let last: string | undefined
  for (const [id, name] of [...names].sort()) {
    const [vendor, device] = id.split(':')
    const [maker = ''] = name.split(' ')
    if (vendor !== last) lines.push(`${vendor}  ${maker}`)
    lines.push(`\t${device}  ${name.slice(maker.length + 1)}`)
    last = vendor
  }
  return lines.map(it => `${it}\n`).join('')
}

function adviceFor(
  machine: Machine,
  candidates: readonly Candidate[],
  virtual: readonly VirtualCandidate[],
  names: Names
): Advice {
  const [first] = candidates
  if (first === undefined) return NO_CARD_HERE
  const nameOf = (it: Candidate) => callDevice(it.card.display, names)
  const addressOf = (it: Candidate) => it.card.display.address
  const whyOf = (it: Candidate) => it.reasons.map(whyNot).join('; ')
  const isOff = machine.iommu.groups === 0
  if (isOff && machine.iommu.isOffered !== true) return iommuOffAdvice(iommuName(machine))

  const free = candidates.filter(it => it.verdict === 'free')
  const reserved = free.find(it => isForGuests(it.card.display))
  if (reserved !== undefined) return reservedAdvice(nameOf(reserved), addressOf(reserved))
  const proposal = proposedCard(candidates)
  if (proposal !== undefined) return cardAdvice(nameOf(proposal), addressOf(proposal), isOff)
  if (free.length > 0) return severalCardsAdvice(free.map(addressOf))

  const asking = candidates.find(it => it.verdict === 'confirm')
  if (asking !== undefined) return screenAdvice(nameOf(asking), addressOf(asking), whyOf(asking))
  const functions = virtual.filter(it => it.verdict === 'free').map(it => it.device)
  const example = functions.find(it => it.class.startsWith('03')) ?? functions[0]
  if (example !== undefined) return virtualAdvice(functions.length, callDevice(example, names))
  const closest = candidates.find(it => !it.card.isIntegrated) ?? first
  return closest.verdict === 'separate'
    ? lastCardAdvice(nameOf(closest), addressOf(closest), whyOf(closest))
    : noCardAdvice(nameOf(closest), whyOf(closest))
}
