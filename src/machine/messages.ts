// The words of this layer: for devices, their classes and uses, and the names that a dump replaces.

import { hasUnknownMonitors } from './cards.ts'
import type { NameKind } from './dump/names.ts'
import type { PciDevice, StorageUse } from './machine.ts'

const CLASSES: readonly [code: string, word: string][] = [
  ['0106', 'SATA'],
  ['0108', 'NVMe'],
  ['01', 'storage'],
  ['0280', 'Wi-Fi'],
  ['02', 'network'],
  ['0302', '3D'],
  ['03', 'display'],
  ['0403', 'audio'],
  ['04', 'multimedia'],
  ['05', 'memory'],
  ['06', 'bridge'],
  ['07', 'serial'],
  ['0805', 'card reader'],
  ['08', 'system'],
  ['0c03', 'USB'],
  ['0c05', 'SMBus'],
  ['0c80', 'USB-C'],
  ['0c', 'serial bus'],
  ['10', 'encryption'],
  ['11', 'signals']
]

/** The kind of a device with this class code, in a word or two. */
export function classWord(code: string): string {
  return CLASSES.find(([it]) => code.startsWith(it))?.[1] ?? 'other'
}

/** `0000:02:00.1 (SATA)` */
export function briefDevice({ address, class: code }: PciDevice): string {
  return `${address} (${classWord(code)})`
}

/** The verb for a card with the screen: `shows`, or `may show` if its driver doesn't report monitors. */
export function showsWord(device: PciDevice): string {
  return hasUnknownMonitors(device) ? 'may show' : 'shows'
}

/** `a`, `a and b`, `a, b and c`; or with `or`. */
export function list(items: readonly string[], word: 'and' | 'or' = 'and'): string {
  const last = items.at(-1) ?? ''
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} ${word} ${last}`
}

/** The uses of disks as a list, without duplicates. */
export function describeUses(uses: readonly StorageUse[]): string {
  const words = { mount: '', swap: 'swap on ', luks: 'the encrypted ', zfs: 'the ZFS disk ' }
  return list([...new Set(uses.map(it => `${words[it.kind]}${it.name}`))])
}

/** The first line of each file of a dump. */
export const DUMP_HEADER = '# A machine as "vfio-patch scan --dump" saw it.'

/** What a placeholder in a dump replaces, singular and plural. */
export const KIND_WORDS: Readonly<Record<NameKind, readonly [one: string, several: string]>> = {
  net: ['network interface', 'network interfaces'],
  bridge: ['network bridge', 'network bridges'],
  input: ['input device', 'input devices'],
  luks: ['encrypted volume', 'encrypted volumes'],
  vg: ['LVM volume group', 'LVM volume groups'],
  lv: ['LVM volume', 'LVM volumes'],
  map: ['device mapping', 'device mappings'],
  array: ['disk array', 'disk arrays'],
  block: ['block device', 'block devices'],
  disk: ['disk with its serial number', 'disks with their serial numbers'],
  label: ['file system label', 'file system labels'],
  partlabel: ['partition label', 'partition labels'],
  path: ['path to a disk', 'paths to disks'],
  pool: ['ZFS pool', 'ZFS pools'],
  set: ['ZFS dataset', 'ZFS datasets'],
  mount: ['mount point', 'mount points'],
  swap: ['swap file', 'swap files'],
  entry: ['boot entry', 'boot entries'],
  profile: ['profile of the system', 'profiles of the system'],
  driver: ['driver', 'drivers'],
  value: ['kernel parameter', 'kernel parameters'],
  other: ['set of kernel parameters', 'sets of kernel parameters'],
  number: ['UUID, hardware address or store path', 'UUIDs, hardware addresses and store paths']
}
