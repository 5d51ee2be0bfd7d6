// What the disks of a guest are held against, and what comes of that.

import type { PlacedUse } from '../../host/hostDisks.ts'
import type { Machine } from '../../host/machine.ts'
import type { PassedDisk } from '../../libvirt/learn/disks.ts'
import type { HostDevice } from './hostDevices.ts'
import type { StoragePool } from './storagePool.ts'

/** What is known of the host. */
export interface DiskHost {
  /** Undefined where the configuration is another machine's. */
  machine: Machine | undefined
  /** Whether the machine was read from a dump, which lacks names that would tell it from others. */
  isDump: boolean
  /** Where the links of a path lead to. */
  follow(path: string): string
  /** A storage pool of libvirt; undefined where nobody says. */
  poolCalled(name: string): StoragePool | undefined
  /** The disks that the configuration uses. */
  devices: readonly HostDevice[]
  /** The specialisation that the guest is for; blank for every boot entry. */
  entry: string
}

/** What the host does with a disk: the machine says it, or the configuration at a place. */
export type DiskUse = ({ by: 'machine' } & PlacedUse) | ({ by: 'configuration' } & HostDevice)

/** A disk that the host uses. */
export interface UsedDisk {
  disk: PassedDisk
  /** What names it: a path, or an address. */
  name: string
  /** Never empty, but for a shared folder of the system (`folder`). */
  uses: readonly DiskUse[]
  folder?: string
}

/** A disk that the host may use, or one that is used and can only be read. */
export type DiskNote = { disk: PassedDisk; name: string } & DiskDoubt

export type DiskDoubt =
  | { code: 'DISK_READ'; uses: readonly DiskUse[] }
  | { code: 'DISK_IN_FLOPPY'; uses: readonly DiskUse[] }
  /** Another boot entry uses it. */
  | { code: 'DISK_OF_ENTRY'; uses: readonly DiskUse[] }
  /** The configuration is another machine's; or the machine tells nothing of its disks. */
  | { code: 'DISK_UNSEEN' }
  /** The dump does not say which disk that is, or which one the configuration means by `devices`. */
  | { code: 'DISK_NOT_IN_DUMP'; devices: readonly HostDevice[] }
  | { code: 'DISK_MISSING' }
  | { code: 'DISK_REMOVABLE' }
  /** It holds something that the host may open, in the words of libblkid. */
  | { code: 'DISK_DORMANT'; content: string }
  /** The host has a pool of ZFS, and nobody says on which disks. */
  | { code: 'DISK_MAY_BE_POOL' }
  /** Its name may be that of one of the host's disks after the next start; `link` is a name that stays. */
  | { code: 'DISK_RENUMBERED'; link: string | undefined; others: readonly string[] }
  /** Nobody says what the storage pool is made of. */
  | { code: 'VOLUME_UNSEEN' }

export interface JudgedDisks {
  used: UsedDisk[]
  notes: DiskNote[]
}
