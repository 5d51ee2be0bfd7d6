// Which folders of the host a guest must not write to.

import { posix } from 'node:path'

/** Folders whose whole content is the system's. */
const SYSTEM = [
  '/bin',
  '/boot',
  '/dev',
  '/efi',
  '/etc',
  '/lib',
  '/lib64',
  '/proc',
  '/sbin',
  '/sys',
  '/usr'
]

/** Folders that hold the system and what people share as well: only they themselves are the system's. */
const AROUND = ['/nix', '/nix/var', '/root', '/run', '/var', '/var/lib']

/**
 * The folder of the system that a shared folder is, lies in or has inside: a guest that can write to it can
 * change the host itself. Undefined for what is only files of people or of services. The Nix store is none of
 * these: the host has it mounted for reading only.
 */
export function systemFolderAt(folder: string): string | undefined {
  if (!folder.startsWith('/')) return undefined
  const path = posix.normalize(`${folder}/`).replace(/(?<=.)\/$/, '')
  const isIn = (inner: string, outer: string) =>
    inner === outer || outer === '/' || inner.startsWith(`${outer}/`)
  if (path === '/') return '/'
  return (
    SYSTEM.find(it => isIn(path, it)) ??
    AROUND.find(it => it === path) ??
    [...SYSTEM, ...AROUND].find(it => isIn(it, path)) ??
    (isIn(path, '/nix/var') ? '/nix/var' : undefined)
  )
}
