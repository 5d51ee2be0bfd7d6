// The host folders that a guest must not be able to change.

import { posix } from 'node:path'
import { attributeOf, findElement, textContent, type XmlElement } from '../../guests/xml/tree.ts'

/** System folders: everything in them belongs to the system. */
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

/** Folders that also contain data that users share with guests: only the folder itself belongs to the system. */
const MIXED = ['/nix', '/nix/var', '/root', '/run', '/var', '/var/lib']

/**
 * The system folder that is equal to a shared folder, contains it, or is inside it: a guest that can write to the
 * shared folder can change the host itself. Undefined for folders that contain only data of users or services, and for
 * the Nix store, which the host mounts read-only.
 */
export function systemFolderAt(folder: string): string | undefined {
  if (!folder.startsWith('/')) return undefined
  const path = posix.normalize(`${folder}/`).replace(/(?<=.)\/$/, '')
  const isIn = (inner: string, outer: string) =>
    inner === outer || outer === '/' || inner.startsWith(`${outer}/`)
  if (path === '/') return '/'
  return (
    SYSTEM.find(it => isIn(path, it)) ??
    MIXED.find(it => it === path) ??
    [...SYSTEM, ...MIXED].find(it => isIn(it, path)) ??
    (isIn(path, '/nix/var') ? '/nix/var' : undefined)
  )
}

// libvirt's storage pools. A guest's disk can name a volume in a pool instead of a path.

export interface StoragePool {
  /** Whether its volumes are or may be block devices. */
  isOfDisks: boolean
  /** The folder with its volumes. */
  target: string | undefined
}

/** Reads the XML of a pool; undefined for another element. */
export function readPool(root: XmlElement): StoragePool | undefined {
  if (root.name !== 'pool') return undefined
  const type = attributeOf(root, 'type') ?? 'dir'
  const path = findElement(root, 'target', 'path')
  const target = path && textContent(path).trim()
  const isOfDisks = ['disk', 'logical', 'zfs', 'scsi', 'iscsi', 'mpath'].includes(type)
  return { isOfDisks, target: target === '' ? undefined : target }
}

/**
 * The paths that a volume may have. If the pool is not `known`, it may have block devices as volumes; such a pool
 * usually has the name of its source: a volume group, a ZFS pool, or a disk with partitions.
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
