// The files around a configuration, which it need not import.

import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

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
