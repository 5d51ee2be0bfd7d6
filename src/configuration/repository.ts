// Where a configuration is, the files around it, which it need not import, and their texts. The parser is
// not needed here, as an undo has to work where it can't be loaded.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { locateTarget } from '../storage/read.ts'

/** The bounds keep a configuration in somebody's home from making us read all of it. */
const MOST_FOLDERS = 2_000
const DEEPEST = { repository: 12, folder: 3 }

/**
 * The Nix files in the repository of a file, whose texts fit the pattern: in the nearest folder around
 * it that has a `.git` or a `flake.nix`, else in its own folder. Hidden folders, links and what can't
 * be read are passed over. `read` gives a file, or undefined where it can't be read.
 */
export function nixFilesAround<T extends { text: string }>(
  path: string,
  pattern: RegExp,
  read: (path: string) => T | undefined
): T[] {
  const top = folderWith(path, ['.git', 'flake.nix'])
  const found: T[] = []
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
        const file = read(inside)
        if (file && pattern.test(file.text)) found.push(file)
      }
    }
  }
  return found
}

/** Whether a folder around a file has a flake.nix, which may add other modules. */
export function isInFlake(path: string): boolean {
  return nearestFlake(path) !== undefined
}

/** The path of the flake.nix in the nearest folder around a file that has one. */
export function nearestFlake(path: string): string | undefined {
  const folder = folderWith(path, ['flake.nix'])
  return folder === undefined ? undefined : join(folder, 'flake.nix')
}

/** The nearest folder around a file, other than `/`, that has an entry with one of these names. */
function folderWith(path: string, names: readonly string[]): string | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if (names.some(it => existsSync(join(folder, it)))) return folder
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

/** Where the configuration is taken from. */
type Location =
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

// The texts of Nix files.

/**
 * The most bytes of a Nix file that is read. Planning and proving an edit of 1 MiB of bindings takes about
 * half a minute and 1.5 GB, and both grow with the size. The biggest modules that people write have a tenth
 * of it.
 */
export const MOST_BYTES = 1024 * 1024

/** The text of a file; undefined for what is not a file, is too big or can't be read. */
export function textAt(path: string): string | undefined {
  try {
    return readText(path)
  } catch {
    return undefined
  }
}

/** The same, but throws where the file can't be read; undefined also for a link that leads nowhere. */
export function readText(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  const isText = stat?.isFile() === true && stat.size <= MOST_BYTES
  return isText ? readFileSync(path).toString() : undefined
}

/** A file that is not read because it has more than `MOST_BYTES`. */
export interface OversizeFile {
  path: string
  /** In bytes. */
  size: number
}

/** The file at a path, or the default.nix in the folder there, if it is too big to be read. */
export function oversizeFile(path: string): OversizeFile | undefined {
  try {
    const file = statSync(path).isDirectory() ? join(path, 'default.nix') : path
    const { size } = statSync(file)
    return size > MOST_BYTES ? { path: file, size } : undefined
  } catch {
    return undefined
  }
}

/** A path of the system below the root as this process sees it. */
export function inRoot(path: string, root: string): string {
  return root === '/' || path.startsWith(`${root}/`) ? path : join(root, path)
}
