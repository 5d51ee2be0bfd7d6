// The files around a configuration, which it need not import.

import { existsSync, readdirSync, statSync } from 'node:fs'
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
  const top = repositoryOf(path)
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
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const flake = join(folder, 'flake.nix')
    if (existsSync(flake)) return flake
  }
  return undefined
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
