// Which folders of the host a guest must not write to.

import { posix } from 'node:path'
import { attributeOf, find, textContent, type XmlElement } from '../../guests/xml/tree.ts'

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

// The storage pools of libvirt, which a disk of a guest can name instead of a path.

export interface StoragePool {
  /** Whether its volumes are block devices, or may be. */
  isOfDisks: boolean
  /** The folder that its volumes are in. */
  target: string | undefined
}

/** What the XML of a pool says; undefined for what is none. */
export function readPool(root: XmlElement): StoragePool | undefined {
  if (root.name !== 'pool') return undefined
  const type = attributeOf(root, 'type') ?? 'dir'
  const path = find(root, 'target', 'path')
  const target = path && textContent(path).trim()
  const isOfDisks = ['disk', 'logical', 'zfs', 'scsi', 'iscsi', 'mpath'].includes(type)
  return { isOfDisks, target: target === '' ? undefined : target }
}

/**
 * The paths that a volume may have. Where nobody says what the pool is, one of disks usually has the name of
 * what it is made of: a volume group, a pool of ZFS, or a disk with its partitions.
 */
export function pathsOfVolume(
  { pool, volume }: { pool: string; volume: string },
  known: StoragePool | undefined
): string[] {
  if (known) return known.target === undefined ? [] : [posix.join(known.target, volume)]
  return [
    `/dev/${pool}/${volume}`,
    `/dev/zvol/${pool}/${volume}`,
    `/dev/${volume}`,
    `/dev/mapper/${volume}`
  ]
}
