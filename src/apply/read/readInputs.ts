import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from '../../files/attempt.ts'
import { reading } from '../../files/errno.ts'
import type { FileProblem } from '../../files/problem.ts'
import { isTrace } from '../../files/trace.ts'
import type { Result } from '../../nix/result.ts'
import type { FolderListing } from '../modules/modulesFolder.ts'
import type { ReadModule, UnreadImport } from './importClosure.ts'

/**
 * The folder at a path, links resolved, and what stands in it: files' texts, folders as null, but
 * `_lib` as the files in it, by their path from the folder. What a run of ours has there while it lasts
 * is left out. Problems: those of reading.
 */
export function readFolder(
  path: string
): Result<{ path: string; listing: FolderListing }, FileProblem> {
  return attempt(() => {
    const link = lstatSync(path, { throwIfNoEntry: false })
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!link) return { path, listing: 'absent' }
    if (!stat?.isDirectory()) return { path, listing: 'not-a-folder' }
    const folder = realpathSync(path)
    const names = namesIn(folder).flatMap(name => {
      const isOwn = name === '_lib' && lstatSync(join(folder, name)).isDirectory()
      return isOwn ? namesIn(join(folder, name)).map(it => join(name, it)) : [name]
    })
    const listing = new Map(names.map(name => [name, textOf(join(folder, name)) ?? null]))
    return { path: folder, listing }
  }, reading(path))
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter(name => !isTrace(name))
    .sort()
}

/** Reads modules for `walkImports`; a folder stands for its default.nix. Absolute paths lie in the root. */
export function moduleReader(root: string): ReadModule {
  return path => {
    const outer = inRoot(path, root)
    try {
      const file = statSync(outer).isDirectory() ? join(outer, 'default.nix') : outer
      const text = readText(file)
      return text === undefined ? undefined : { path: realpathSync(file), text }
    } catch {
      return undefined
    }
  }
}

/**
 * The most bytes of a Nix file that is read. Planning and proving an edit of 1 MiB of bindings takes about
 * half a minute and 1.5 GB, and both grow with the size. The biggest modules that people write have a tenth
 * of it.
 */
export const MOST_BYTES = 1024 * 1024

/** The imports that lead to files which are too big to be read, with their sizes. */
export function tooBigImports(
  { unread }: { unread: readonly UnreadImport[] },
  root: string
): { path: string; size: number }[] {
  const found = new Map<string, number>()
  for (const { path } of unread) {
    if (path === undefined) continue
    try {
      const outer = inRoot(path, root)
      const file = statSync(outer).isDirectory() ? join(outer, 'default.nix') : outer
      const { size } = statSync(file)
      if (size > MOST_BYTES) found.set(file, size)
    } catch {
      // What is not there is not too big.
    }
  }
  return [...found].map(([path, size]) => ({ path, size }))
}

function inRoot(path: string, root: string): string {
  return root === '/' || path.startsWith(`${root}/`) ? path : join(root, path)
}

/** The text of a file; undefined for what is none or too big, and for a link that leads nowhere. */
function textOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  const isText = stat?.isFile() === true && stat.size <= MOST_BYTES
  return isText ? readFileSync(path).toString() : undefined
}

function readText(path: string): string | undefined {
  try {
    return textOf(path)
  } catch {
    // What can't be read here is no obstacle: it only can't tell us anything.
    return undefined
  }
}
