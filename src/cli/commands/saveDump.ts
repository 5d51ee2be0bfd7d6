import { lstatSync, readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { attempt } from '../../files/attempt.ts'
import { reading } from '../../files/errno.ts'
import { nearestExisting } from '../../files/exists.ts'
import { makeFolder, missingFolders, settleFolder } from '../../files/folders.ts'
import type { FileProblem } from '../../files/problem.ts'
import { removeFile, removeIfEmpty } from '../../files/remove.ts'
import { ownerOfSaved } from '../../files/saveFile.ts'
import { writeNewFile } from '../../files/tempFile.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { type Message, usage } from '../message.ts'
import type { Names } from '../messages/deviceWords.ts'
import { dumpMessage } from '../messages/outputMessages.ts'

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
  if (lstatSync(named, { throwIfNoEntry: false })?.isSymbolicLink())
    return dumpMessage(folder, { code: 'NOT_REGULAR', path: named }, true)
  const made = makeFolders(named)
  if (!made.ok) return dumpMessage(folder, made.error, false)
  const { path, folders } = made.value
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

/** Makes the folder and those around it; its path without links, and what was made, the outermost first. */
function makeFolders(named: string): Result<{ path: string; folders: string[] }, FileProblem> {
  const existing = nearestExisting(named)
  const real = attempt(() => realpathSync(existing), reading(existing))
  if (!real.ok) return real
  const path = join(real.value, named.slice(existing.length))
  const folders = missingFolders(path)
  const mode = 0o777 & ~process.umask()
  for (const it of folders) {
    const problem = makeFolder(it) ?? settleFolder(it, mode, true)
    if (problem !== null) return err(problem)
  }
  return ok({ path, folders })
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
