import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { locateTarget } from '../storage/read.ts'

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
