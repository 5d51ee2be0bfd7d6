// Finds a configuration and the files around it, imported or not. This must not load the parser: `undo`
// has to work where the parser can't be loaded.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { locateTarget } from '../storage/read.ts'

/** Limits of the search: without them, it could read a whole home folder. */
const MAX_FOLDERS = 2_000
const MAX_DEPTH = { repository: 12, folder: 3 }

/**
 * The Nix files in a file's repository whose text matches the pattern. The repository is the nearest
 * parent folder with a `.git` or a `flake.nix`, otherwise the folder of the file. Hidden folders, symlinks
 * and unreadable files are skipped. `read` returns undefined for a file that can't be read.
 */
export function nixFilesAround<T extends { text: string }>(
  path: string,
  pattern: RegExp,
  read: (path: string) => T | undefined
): T[] {
  const top = folderWith(path, ['.git', 'flake.nix'])
  const found: T[] = []
  const depth = top === undefined ? MAX_DEPTH.folder : MAX_DEPTH.repository
  const waiting = [{ folder: top ?? dirname(path), depth }]
  for (let count = 0; count < MAX_FOLDERS; count++) {
    const next = waiting.shift()
    if (!next) break
    for (const entry of entriesOf(next.folder)) {
      const inside = join(next.folder, entry.name)
      if (entry.isDirectory() && !isSkipped(entry.name) && next.depth > 0) {
        waiting.push({ folder: inside, depth: next.depth - 1 })
      } else if (entry.isFile() && entry.name.endsWith('.nix')) {
        const file = read(inside)
        if (file && pattern.test(file.text)) found.push(file)
      }
    }
  }
  return found
}

/** Whether a parent folder of a file has a flake.nix, which may add other modules. */
export function isInFlake(path: string): boolean {
  return nearestFlake(path) !== undefined
}

/** The path of the flake.nix in the nearest parent folder of a file that has one. */
export function nearestFlake(path: string): string | undefined {
  const folder = folderWith(path, ['flake.nix'])
  return folder === undefined ? undefined : join(folder, 'flake.nix')
}

/** The nearest parent folder of a file, except `/`, with an entry of one of these names. */
function folderWith(path: string, names: readonly string[]): string | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if (names.some(it => existsSync(join(folder, it)))) return folder
  }
  return undefined
}

function isSkipped(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules'
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

/** Where the configuration is. */
type Location =
  | { kind: 'file'; path: string }
  /** A folder without a configuration.nix. */
  | { kind: 'empty-folder'; path: string; hasFlake: boolean }

/**
 * The configuration to use: the named file, or configuration.nix in the named folder; otherwise
 * `$NIXOS_CONFIG`, otherwise `/etc/nixos/configuration.nix`. With another `root` than `/`, `$NIXOS_CONFIG`
 * is ignored and `/etc/nixos` is inside the root. The file may be missing or unreadable.
 */
export function locate(
  file: string | undefined,
  root: string,
  env: Record<string, string | undefined>
): Location {
  const fromEnv = root === '/' ? env.NIXOS_CONFIG || undefined : undefined
  const path = resolve(file ?? fromEnv ?? join(root, 'etc/nixos/configuration.nix'))
  if (kindAt(path, root) !== 'folder') return { kind: 'file', path }
  const inside = join(path, 'configuration.nix')
  if (kindAt(inside, root) !== 'nothing') return { kind: 'file', path: inside }
  const hasFlake = kindAt(join(path, 'flake.nix'), root) !== 'nothing'
  return { kind: 'empty-folder', path, hasFlake }
}

function kindAt(path: string, root: string): 'folder' | 'file' | 'nothing' {
  const target = locateTarget(path, { root })
  // Dangling symlinks and inaccessible folders are reported when the file is read.
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
 * Maximum size of a Nix file in bytes. Planning and proving an edit in 1 MiB of bindings takes about half a
 * minute and 1.5 GB, and both grow with the size. The largest known modules have a tenth of this size.
 */
export const MAX_BYTES = 1024 * 1024

/** The text of a file; undefined if it is not a regular file, is too big or can't be read. */
export function textAt(path: string): string | undefined {
  try {
    return readText(path)
  } catch {
    return undefined
  }
}

/** Like `textAt`, but throws if the file can't be read. Undefined also for a dangling symlink. */
export function readText(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  const isText = stat?.isFile() === true && stat.size <= MAX_BYTES
  return isText ? readFileSync(path).toString() : undefined
}

/** A file that is not read because it has more than `MAX_BYTES`. */
export interface OversizeFile {
  path: string
  /** In bytes. */
  size: number
}

/** The file at a path, or the default.nix in the folder there, if it is too big. */
export function oversizeFile(path: string): OversizeFile | undefined {
  try {
    const file = statSync(path).isDirectory() ? join(path, 'default.nix') : path
    const { size } = statSync(file)
    return size > MAX_BYTES ? { path: file, size } : undefined
  } catch {
    return undefined
  }
}

/** Turns a path inside the system in `root` into a path for this process. */
export function inRoot(path: string, root: string): string {
  return root === '/' || path.startsWith(`${root}/`) ? path : join(root, path)
}
