import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Result } from '../nix/result.ts'
import { isTrace } from '../storage/commit.ts'
import { reading } from '../storage/errno.ts'
import { attempt } from '../storage/paths.ts'
import type { FileProblem } from '../storage/problem.ts'
import { locateTarget } from '../storage/read.ts'
import type { ReadModule, UnreadImport } from './imports.ts'

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

/**
 * What stands where our modules go: a folder's files by name (folders as null, but the files in `_lib`
 * by their path from the folder), or no folder.
 */
export type FolderListing = ReadonlyMap<string, string | null> | 'absent' | 'not-a-folder'

/** The bounds keep a configuration in somebody's home from making us read all of it. */
const MOST_FOLDERS = 2_000
const DEEPEST = { repository: 12, folder: 3 }

/**
 * The Nix files in the repository of a file, whose texts fit the pattern: in the nearest folder around
 * it that has a `.git` or a `flake.nix`, else in its own folder. Hidden folders, links and what can't
 * be read are passed over.
 */
export function nixFilesAround(path: string, pattern: RegExp): { path: string; text: string }[] {
  const top = repositoryOf(path)
  const found: { path: string; text: string }[] = []
  const depth = top === undefined ? DEEPEST.folder : DEEPEST.repository
  const waiting = [{ folder: top ?? dirname(path), depth }]
  for (let count = 0; count < MOST_FOLDERS; count++) {
    const next = waiting.shift()
    if (!next) break
    for (const entry of entriesOf(next.folder)) {
      const inside = join(next.folder, entry.name)
      if (entry.isDirectory() && !isPassedOver(entry.name) && next.depth > 0) {
        waiting.push({ folder: inside, depth: next.depth - 1 })
      } else if (entry.isFile() && entry.name.endsWith('.nix')) {
        const text = readIfSmall(inside)
        if (text !== undefined && pattern.test(text)) found.push({ path: inside, text })
      }
    }
  }
  return found
}

/** Whether a folder around a file has a flake.nix, which may add other modules. */
export function isInFlake(path: string): boolean {
  const folder = dirname(path)
  return folder !== path && (existsSync(join(folder, 'flake.nix')) || isInFlake(folder))
}

function repositoryOf(path: string): string | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const isOne = ['.git', 'flake.nix'].some(it => existsSync(join(folder, it)))
    if (isOne) return folder
  }
  return undefined
}

function isPassedOver(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules'
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

function readIfSmall(path: string): string | undefined {
  try {
    return statSync(path).size <= 1024 * 1024 ? readFileSync(path).toString() : undefined
  } catch {
    return undefined
  }
}

/** Where the configuration is taken from. */
export type Location =
  | { kind: 'file'; path: string }
  /** A folder without a configuration.nix; `flake` says whether it has a flake.nix. */
  | { kind: 'empty-folder'; path: string; flake: boolean }

/**
 * The configuration that a person means: the file they named, that of the folder they named, else
 * that of `$NIXOS_CONFIG`, else `/etc/nixos/configuration.nix`. With a `root` the last is looked up
 * in it. Whether the file exists and can be read is for its reader to say.
 */
export function locate(
  file: string | undefined,
  root: string,
  env: Record<string, string | undefined>
): Location {
  const otherwise = root === '/' ? env.NIXOS_CONFIG || undefined : undefined
  const path = resolve(file ?? otherwise ?? join(root, 'etc/nixos/configuration.nix'))
  if (kindAt(path, root) !== 'folder') return { kind: 'file', path }
  const inside = join(path, 'configuration.nix')
  if (kindAt(inside, root) !== 'nothing') return { kind: 'file', path: inside }
  return { kind: 'empty-folder', path, flake: kindAt(join(path, 'flake.nix'), root) !== 'nothing' }
}

function kindAt(path: string, root: string): 'folder' | 'file' | 'nothing' {
  const target = locateTarget(path, { root })
  // Links that lead nowhere and folders that can't be entered are the reader's to explain.
  if (!target.ok) return 'file'
  try {
    const stat = statSync(target.value.realpath, { throwIfNoEntry: false })
    if (!stat) return 'nothing'
    return stat.isDirectory() ? 'folder' : 'file'
  } catch {
    return 'file'
  }
}
