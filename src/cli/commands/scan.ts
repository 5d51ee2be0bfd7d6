import { readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isForGuests } from '../../machine/cards.ts'
import { makeDump } from '../../machine/dump/dump.ts'
import type { Kind } from '../../machine/dump/names.ts'
import {
  type Candidate,
  candidateCards,
  proposedCard,
  type VirtualCandidate,
  virtualCandidatesOf
} from '../../machine/gates.ts'
import type { Machine, PciDevice } from '../../machine/machine.ts'
import { KIND_WORDS } from '../../machine/messages.ts'
import { ok, type Result } from '../../nix/result.ts'
import { isRedirectedToRootOnly } from '../../storage/access.ts'
import { makeFolder, missingFolders, removeIfEmpty, settleFolder } from '../../storage/folders.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { attempt, isLink, nearestExisting, reading } from '../../storage/system.ts'
import { ownershipOfOutput, removeFile, writeNewFile } from '../../storage/write.ts'
import type { Arguments } from '../args/parse.ts'
import { readScanRequest, type ScanRequest } from '../args/request.ts'
import { EXIT } from '../exitCodes.ts'
import { CommandError, orThrow, usage } from '../message.ts'
import { callDevice, iommuName, list, type Names, whyNot } from '../messages/devices.ts'
import { dumpMessage, outputLedMessage } from '../messages/output.ts'
import { isUnicode, printNotice, type Screens, wrap, writeOutput } from '../output/output.ts'
import { type Advice, type Scan, scanBody, scanTable, widthOf } from '../output/scan.ts'
import type { Report } from '../report.ts'
import { MachineReader } from '../request/machine.ts'

/** `scan`: shows the machine, and what of it a guest can have. Changes nothing. */
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
  if (isRedirectedToRootOnly(named, path)) {
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
      usage(`--dump: ${folder} is not empty.`, { nothingWritten: true, remedy })
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
  const owner = ownershipOfOutput(path)
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

/** Where the dump is, what has placeholders in it, and what does not. */
function dumpNotes(
  folder: string,
  replaced: ReadonlyMap<Kind, number>,
  { kernel, nixos }: Machine
): string[] {
  const counts = [...replaced].map(
    ([kind, count]) => `${count} ${KIND_WORDS[kind][count === 1 ? 0 : 1]}`
  )
  const version = /^\d+(?:\.\d+)*(?:-rc\d+)?/.exec(kernel ?? '')?.[0]
  const kept = [
    'the models of the devices, the board and the processor',
    ...['PCI addresses and IDs', 'drivers', 'usual names such as enp5s0 and /home'],
    ...(version === undefined ? [] : [`the kernel version (${version})`]),
    ...(nixos === undefined ? [] : ['the release of NixOS']),
    'kernel parameters about devices'
  ]
  return [
    `Saved what was read in ${folder}.`,
    counts.length === 0
      ? 'No name in it had to be replaced.'
      : `Replaced by placeholders: ${list(counts)}.`,
    `It still has ${list(kept)}.`,
    'Look it through before you send it.'
  ]
}

// What a person who looks at their machine should do next.

function adviceFor(
  machine: Machine,
  candidates: readonly Candidate[],
  virtual: readonly VirtualCandidate[],
  names: Names
): Advice {
  const scan = 'vfio-patch scan'
  const apply = (words = '') => `sudo vfio-patch apply${words}`
  const call = (it: Candidate) => callDevice(it.card.display, names)
  const address = (it: Candidate) => it.card.display.address
  const [first] = candidates
  if (first === undefined) {
    const text = 'There is no graphics card here, so there is none to give to a guest.'
    return { text, command: `${scan}   (on the machine that has the card)` }
  }
  const free = candidates.filter(it => it.verdict === 'free')
  const bound = free.find(it => isForGuests(it.card.display))
  const proposal = proposedCard(candidates) ?? bound
  if (machine.iommu.groups === 0 && machine.iommu.isOffered !== true) {
    const text = `The IOMMU is off: switch on ${iommuName(machine)} in the firmware setup, as nothing can be given to a guest without it.`
    return { text, command: `${scan}   (after the reboot)` }
  }
  if (bound !== undefined) {
    const text = `${call(bound)} is set aside for guests already.`
    return { text, command: `vfio-patch diff --gpu ${address(bound)}` }
  }
  if (proposal !== undefined) {
    const text =
      machine.iommu.groups === 0
        ? `The IOMMU is off: one run turns it on, and after a reboot the same command gives ${call(proposal)} away.`
        : `${call(proposal)} can go to a guest.`
    return { text, command: apply(` --gpu ${address(proposal)}`) }
  }
  if (free.length > 0) {
    const text = `${free.length} cards can go to a guest (${list(free.map(address))}); you will be asked which.`
    return { text, command: apply() }
  }
  const asking = candidates.find(it => it.verdict === 'confirm')
  if (asking !== undefined) {
    const why = asking.reasons.map(whyNot).join('; ')
    const text = `${call(asking)} can go to a guest, but ${why}: plug the monitor into the other card first, or use a boot entry of its own.`
    return { text, command: apply(` --gpu ${address(asking)} --specialisation vfio`) }
  }
  const functions = virtual.filter(it => it.verdict === 'free').map(it => it.device)
  if (functions.length > 0) return adviceOnVirtual(functions, names)
  const own = candidates.find(it => !it.card.isIntegrated) ?? first
  const why = own.reasons.map(whyNot).join('; ')
  if (own.verdict === 'separate') {
    const text = `${call(own)} can't be given away for good: ${why}. A guest can have it while it runs, or in a boot entry of its own.`
    return { text, command: apply(` --gpu ${address(own)} --bind hooks`) }
  }
  const text = `No card can go to a guest: ${call(own)} stays, as ${why}.`
  return { text, command: `${scan}   (with the card in another slot)` }
}

/** No card can go to a guest, but these virtual functions can. */
function adviceOnVirtual(functions: readonly PciDevice[], names: Names): Advice {
  const display = functions.find(it => it.class.startsWith('03'))
  const example = display ?? functions[0]
  const call = example === undefined ? '' : callDevice(example, names)
  const what =
    functions.length === 1
      ? `the virtual function ${call} can`
      : `${functions.length} virtual functions can, such as ${call}`
  return {
    text: `No card can go to a guest, but ${what}. Write <hostdev> with managed='yes' and its address into the domain of the guest.`,
    command: 'sudo vfio-patch apply --domain GUEST.xml'
  }
}
