// The storage pools of libvirt, which a disk of a guest can name instead of a path.

import { posix } from 'node:path'
import { attributeOf, find, textOf, type XmlElement } from '../../libvirt/tree.ts'

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
  const target = path && textOf(path).trim()
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
