import { realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { isRootsAlone } from './way.ts'

/** Where NixOS keeps programs for everybody. */
const PLACES = ['/run/current-system/sw/bin', '/nix/var/nix/profiles/default/bin']

/**
 * The path of the program `name`; null where there is none.
 *
 * As root it is the first one in PATH that only root can have put there: the file, all folders on the
 * way to it and the file behind a link are root's, and nobody else can write to them. If PATH has no
 * such program, the places of NixOS are searched in the same way. So a PATH that comes from whoever
 * called sudo can't choose what root runs. For anybody else it is the first one in PATH.
 */
export function findProgram(
  name: string,
  path = process.env.PATH ?? '',
  isRoot = process.geteuid?.() === 0
): string | null {
  // A relative entry would run what happens to lie in the current folder.
  const folders = path.split(':').filter(isAbsolute)
  const places = isRoot ? [...folders, ...PLACES] : folders
  return places.map(it => join(it, name)).find(it => isProgram(it, isRoot)) ?? null
}

/** Whether it is a file that can be run and, for root, that only root can change or replace. */
function isProgram(path: string, isRoot: boolean): boolean {
  try {
    const stat = statSync(path)
    if (!stat.isFile() || (stat.mode & 0o111) === 0) return false
    if (!isRoot) return true
    const isShared = (stat.mode & 0o002) !== 0 || ((stat.mode & 0o020) !== 0 && stat.gid !== 0)
    // The first follows the links of the folder, the second those of the file.
    const folders = [dirname(path), dirname(realpathSync(path))]
    return stat.uid === 0 && !isShared && folders.every(isRootsAlone)
  } catch {
    return false
  }
}
