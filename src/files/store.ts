import { join } from 'node:path'

/** Whether a path without links lies in the Nix store of the system in `root`. */
export function isInStore(realpath: string, root = '/'): boolean {
  return realpath.startsWith(join(root, 'nix/store/'))
}
