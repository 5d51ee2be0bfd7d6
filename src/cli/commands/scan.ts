import { readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { makeDump } from '../../machine/dump/dump.ts'
import { candidatesOf, virtualCandidatesOf } from '../../machine/gates.ts'
import { ok, type Result } from '../../nix/result.ts'
import { isLedToRoots } from '../../storage/access.ts'
import { reading } from '../../storage/errno.ts'
import { makeFolder, missingFolders, settleFolder } from '../../storage/folders.ts'
import { attempt, isLink, nearestExisting } from '../../storage/paths.ts'
import type { FileProblem } from '../../storage/problem.ts'
import { ownerOfSaved } from '../../storage/saveFile.ts'
import { removeFile, removeIfEmpty, writeNewFile } from '../../storage/tempFiles.ts'
import type { Arguments } from '../args/parse.ts'
import { EXIT, type Message, usage } from '../message.ts'
import { isUnicode, printNotice, wrap, writeOutput } from '../output/output.ts'
import type { Screens } from '../output/plan.ts'
import { scanBody, scanTable, widthOf } from '../output/scan.ts'
import { fail, type Report } from '../report.ts'
import { readHost } from '../request/machine.ts'
import { adviceFor } from '../text/advice.ts'
import type { Names } from '../text/devices.ts'
import { dumpMessage, dumpNotes, outputLedMessage } from '../text/output.ts'

/** `scan`: shows the machine, and what of it a guest can have. Changes nothing. */
export function scanCommand(given: Arguments, screens: Screens): Report {
  if (given.file !== undefined) {
    return fail(
      usage(`"scan" looks at the machine, not at a file: "${given.file}" is one too many.`, {
        remedy: 'vfio-patch scan'
      })
    )
  }
  const host = readHost(given)
  if (!host.ok) return fail(host.error)
  const { machine, names } = host.value
  const candidates = candidatesOf(machine)
  const virtual = virtualCandidatesOf(machine)
  const advice = adviceFor(machine, candidates, virtual, names)
  // Some commands say already where they are to be run.
  const isElsewhere = given.text('sysfs') !== undefined && !advice.command.includes('(')
  const folder = given.text('dump')
  const dump = folder === undefined ? undefined : makeDump(host.value.recording)
  const problem = folder !== undefined && dump ? saveDump(folder, dump.texts, names) : undefined
  if (problem) return fail(problem)
  if (given.on('json') !== true && given.on('quiet') !== true) {
    const look = {
      screen: screens.out,
      isUnicode: isUnicode(process.env),
      isWhole: given.on('verbose') === true
    }
    const width = widthOf(screens.out)
    const lines = [
      ...scanTable({ machine, candidates, virtual, names }, look),
      '',
      ...wrap(advice.text, width),
      `Next:  ${advice.command}${isElsewhere ? '   (on that machine)' : ''}`
    ]
    const text = `${lines.join('\n')}\n`
    writeOutput(look.isUnicode ? text : text.replace(/\P{ASCII}/gu, '?'))
    if (folder !== undefined && dump) {
      const told = dumpNotes(folder, dump.replaced, machine).flatMap(it =>
        wrap(it, widthOf(screens.err))
      )
      for (const line of told) printNotice(line)
    }
  }
  const body = scanBody(machine, candidates, virtual, names, advice)
  return { exit: EXIT.done, outcome: 'found', body }
}

/**
 * Writes the texts of a dump, by file name, into a folder that is empty or not there yet. A link with the name
 * of the folder is not followed, and nothing that somebody puts there meanwhile is written over. Of a
 * dump that could not be written to its end nothing is left.
 */
export function saveDump(
  folder: string,
  texts: ReadonlyMap<string, string>,
  names: Names
): Message | undefined {
  const named = resolve(folder)
  if (isLink(named)) return dumpMessage(folder, { code: 'NOT_REGULAR', path: named }, true)
  const place = locateFolder(named)
  if (!place.ok) return dumpMessage(folder, place.error, false)
  const path = place.value
  if (isLedToRoots(named, path)) return outputLedMessage('--dump', folder, path)
  const folders = missingFolders(path)
  const unmade = makeFolders(folders)
  if (unmade !== null) return dumpMessage(folder, unmade, false)
  const inside = attempt(() => readdirSync(path), reading(path))
  if (!inside.ok) return dumpMessage(folder, inside.error, false)
  if (inside.value.length > 0) {
    return usage(`--dump: ${folder} is not empty. Nothing was written.`, {
      remedy: 'give a new folder, e.g. --dump my-machine'
    })
  }
  const problem = fill(path, [...texts, ['pci.ids', pciIdsOf(names)]])
  if (problem === null) return undefined
  for (const it of [...folders].reverse()) removeIfEmpty(it)
  return dumpMessage(folder, problem, false)
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
