import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Where the configuration is taken from. */
export type Location =
  | { kind: 'file'; path: string }
  /** A folder without a configuration.nix; `flake` says whether it has a flake.nix. */
  | { kind: 'empty-folder'; path: string; flake: boolean }

/**
 * The configuration that a person means: the file they named, that of the folder they named, else
 * that of `$NIXOS_CONFIG`, else `/etc/nixos/configuration.nix`. With a `root` the last is looked up
 * in it. Whether the file exists is for its reader to say.
 */
export function locate(
  file: string | undefined,
  root: string,
  env: Record<string, string | undefined>
): Location {
  const otherwise = root === '/' ? env.NIXOS_CONFIG || undefined : undefined
  const path = resolve(file ?? otherwise ?? join(root, 'etc/nixos/configuration.nix'))
  if (!isFolder(path)) return { kind: 'file', path }
  const inside = join(path, 'configuration.nix')
  if (exists(inside)) return { kind: 'file', path: inside }
  return { kind: 'empty-folder', path, flake: exists(join(path, 'flake.nix')) }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
