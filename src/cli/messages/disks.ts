// Disks of a guest that the host uses, or may use.

import type { Guest } from '../../guests/needs/needs.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type {
  ConfiguredDevice,
  DiskNote,
  DiskUse,
  UsedDisk
} from '../../plan/disks/configuredDevices.ts'
import type { Message } from '../message.ts'
import { list } from './devices.ts'

/** The name of a file of the configuration in messages. */
export type NameOf = (path: string) => string

/** Why a guest is refused: a message about the first disk that the host uses, with a line for each other disk. */
export function diskMessage(
  used: readonly UsedDisk[],
  guest: Pick<Guest, 'name' | 'file' | 'xml'>,
  nameOf: NameOf
): Message {
  const [first, ...rest] = used
  if (first === undefined) throw new Error('a refusal without a reason')
  const { start } = first.disk
  const place = start === undefined ? undefined : placeOf(guest.xml, start)
  const { file } = guest
  const where = place === undefined ? file : `${file}:${place.line}`
  const others = rest.map(it => `also: ${describeUsedDisk(it, guest.name, nameOf)}.`)
  return {
    code: 'CARRIES_DISK',
    what: `${where}: ${describeUsedDisk(first, guest.name, nameOf)}.`,
    nothingWritten: true,
    ...(place === undefined ? {} : { at: { path: file, ...place } }),
    why: [whyDiskRefused(first), ...others].join('\n'),
    remedy: remedyFor(first, guest)
  }
}

/** `win10 would get /dev/sda, which this system uses: / (sda2) and swap (sda3)` */
export function describeUsedDisk(
  { name, uses, folder }: UsedDisk,
  guest: string,
  nameOf: NameOf
): string {
  if (folder !== undefined) {
    const inside = folder === name ? '' : `, which is inside ${folder} or contains it`
    return `${guest} could write to the system of this host: it shares ${name}${inside}`
  }
  return `${guest} would get ${name}, which this system uses: ${callAll(uses, nameOf)}`
}

/** A note on a guest that has disks of the host, and that the configuration already had before the run. */
export function presentGuestNote(
  used: readonly UsedDisk[],
  { name, file }: Pick<Guest, 'name' | 'file'>,
  nameOf: NameOf
): string {
  const all = list(used.map(it => describeUsedDisk(it, name, nameOf)))
  return `Note: ${file}: ${all}. What ${name} writes can destroy files of this system. Change the guest before it starts.`
}

/** Why a guest must not have the disk or folder. */
export function whyDiskRefused({ folder }: Pick<UsedDisk, 'folder'>): string {
  return folder === undefined
    ? 'QEMU opens a disk even if it is mounted, and two systems that write to the same disk destroy its data.'
    : 'the guest could change files of the host, and so take over the host.'
}

function remedyFor(
  { uses, folder }: UsedDisk,
  { name, file }: Pick<Guest, 'name' | 'file'>
): string {
  if (folder !== undefined) {
    return `add <readonly/> to that <filesystem> in ${file},\nor share a folder without system files`
  }
  const other = `give ${name} another disk or an image file: change it in ${file}`
  const isSystem = uses.some(it => it.kind === 'mount' && SYSTEM.test(it.name))
  const free = isSystem ? [] : [...new Set(uses.map(it => USES[it.kind].letGo(it.name)))]
  return free.length === 0
    ? other
    : `${other};\nor free the disk first (${free.join('; ')}), then run this again`
}

const SYSTEM = /^\/(?:boot.*|efi|etc|home|nix.*|persist|root|usr|var.*)?$/

/** How each use of a disk is called and ended. Both functions take the name of the mount, pool, …; empty if unknown. */
const USES: Record<
  DiskUse['kind'],
  { word: (name: string) => string; letGo: (name: string) => string }
> = {
  mount: { word: name => name || 'a file system', letGo: unmount },
  swap: { word: () => 'swap', letGo: () => 'run swapoff on it, and remove it from swapDevices' },
  resume: {
    word: () => 'hibernation',
    letGo: () => 'remove it from boot.resumeDevice and boot.kernelParams'
  },
  luks: {
    word: name => named('LUKS', name),
    letGo: name =>
      `cryptsetup close ${name || 'NAME'}, and remove it from boot.initrd.luks.devices or crypttab`
  },
  lvm: { word: name => named('LVM', name), letGo: deactivate },
  md: { word: name => named('the array', name), letGo: name => `mdadm --stop /dev/${name}` },
  zfs: {
    word: name => named('the ZFS pool', name),
    letGo: name => `zpool export ${name || 'POOL'}, unless this system runs from it`
  },
  pool: {
    word: name => named('the ZFS pool', name),
    letGo: name =>
      `zpool export ${name}, unless this system runs from it, and remove it from fileSystems and boot.zfs.extraPools`
  },
  boot: {
    word: () => 'the boot loader',
    letGo: () => 'install the boot loader elsewhere: boot.loader.grub'
  },
  disko: {
    word: name => named("disko's disk", name),
    letGo: name => `remove it from disko.devices.disk${name && `.${name}`}`
  },
  loop: { word: name => named('the loop device', name), letGo: name => `losetup -d /dev/${name}` },
  mapping: { word: name => named('the mapping', name), letGo: name => `dmsetup remove ${name}` },
  btrfs: { word: () => 'btrfs', letGo: () => 'remove it from its btrfs file system' },
  bcachefs: { word: () => 'bcachefs', letGo: () => 'remove it from its bcachefs file system' },
  bcache: { word: () => 'bcache', letGo: () => 'remove it from its bcache device' }
}

function named(what: string, name: string): string {
  return name === '' ? what : `${what} ${name}`
}

function unmount(name: string): string {
  // A mount by the desktop is in no file of the configuration.
  if (/^\/(?:run\/)?media\//.test(name)) return `unmount ${name}`
  return `unmount ${name || 'it'} and remove it from fileSystems`
}

function deactivate(name: string): string {
  const group = groupOf(name)
  return `vgchange -an ${group}, and vgchange --setautoactivation n ${group} so that it is not activated at the next boot`
}

/** The volume group of an LVM mapping, in whose name a hyphen is doubled. */
function groupOf(mapping: string): string {
  const group = /^((?:[^-]|--)+)-(?!-)/.exec(mapping)?.[1]
  return group === undefined ? 'GROUP' : group.replaceAll('--', '-')
}

/** `/ (nvme0n1p2), swap (nvme0n1p3) and /data (hardware-configuration.nix:12)` */
function callAll(uses: readonly DiskUse[], nameOf: NameOf): string {
  // A mount says more than the layers between the mount and the disk.
  const isBetween = ({ by, kind }: DiskUse) =>
    by === 'machine' && /^(?:luks|lvm|md|mapping|loop|bcache)$/.test(kind)
  const ends = uses.filter(it => !isBetween(it))
  const named = (ends.length > 0 ? ends : uses).map(it => callUse(it, nameOf))
  return list([...new Set(named)])
}

function callUse(use: DiskUse, nameOf: NameOf): string {
  const where = use.by === 'machine' ? use.blockDevice : placeIn(use, nameOf)
  return `${USES[use.kind].word(use.name)} (${where})`
}

function placeIn({ at }: ConfiguredDevice, nameOf: NameOf): string {
  return `${nameOf(at.path)}:${at.line}`
}

/** A note on each disk that the host may use. */
export function diskNotes(
  notes: readonly DiskNote[],
  guest: Pick<Guest, 'name' | 'file' | 'xml'>,
  nameOf: NameOf
): string[] {
  const all = notes.map(it => {
    const { start } = it.disk
    const line = start === undefined ? '' : `:${placeOf(guest.xml, start).line}`
    return `Note: ${guest.file}${line}: ${noteLine(it, guest.name, nameOf)}`
  })
  return [...new Set(all)]
}

function noteLine(note: DiskNote, guest: string, nameOf: NameOf): string {
  const { name } = note
  switch (note.code) {
    case 'DISK_READ':
      return `${guest} can read ${name}, which this system uses: ${callAll(note.uses, nameOf)}. The host changes the data while the guest reads it, so the data may look damaged to the guest.`
    case 'DISK_IN_FLOPPY':
      return `${guest} has ${name} as a floppy disk, but this system uses it: ${callAll(note.uses, nameOf)}. Anything that ${guest} writes to it destroys data. Use an image file.`
    case 'DISK_OF_ENTRY':
      return `${name}, a disk of ${guest}, is used in another boot entry: ${callAll(note.uses, nameOf)}. Don't run ${guest} in that boot entry.`
    case 'DISK_UNSEEN':
      return `${name}, a disk of ${guest}, was not checked: the configuration is for another machine. Run this on that machine; or save a dump there with "vfio-patch scan --dump DIR", and add --sysfs DIR.`
    case 'DISK_NOT_IN_DUMP':
      return note.devices.length === 0
        ? `${name}, a disk of ${guest}, was not checked: a dump does not contain disk names like this one. The host may use it: run this on the machine itself before ${guest} starts.`
        : `${name}, a disk of ${guest}, was not compared with ${list(note.devices.map(it => `${it.device} (${placeIn(it, nameOf)})`))}: a dump does not contain disk names like this one. The host may use it: run this on the machine itself before ${guest} starts.`
    case 'DISK_MISSING':
      return `this machine does not have ${name}, a disk of ${guest}, so vfio-patch could not check whether the host uses it. Plug it in and run this again, or change the disk.`
    case 'DISK_REMOVABLE':
      return `${name}, a disk of ${guest}, is removable, so the host may mount it when it is plugged in. Make sure that the host does not mount it while ${guest} runs.`
    case 'DISK_DORMANT':
      return `${name}, a disk of ${guest}, contains ${contentWord(note.content)}. It is not in use now; make sure that the host does not use it while ${guest} runs.`
    case 'DISK_MAY_BE_POOL':
      return `${name}, a disk of ${guest}, may be part of a ZFS pool of the host: vfio-patch could not find out the disks of the pool. Check first: zpool status -P`
    case 'DISK_RENUMBERED':
      return `${name} can be another disk after the next boot, possibly a disk that this system uses (${list(note.others)}). Use ${note.link ?? 'a path in /dev/disk/by-id'} instead.`
    case 'VOLUME_UNSEEN':
      return `${name}, a disk of ${guest}, was not checked: vfio-patch could not find out the disks of its storage pool. The host may use it. Check: virsh vol-path`
  }
}

function contentWord(content: string): string {
  return CONTENTS[content] ?? (content.endsWith('_raid_member') ? 'part of an array' : content)
}

const CONTENTS: Readonly<Record<string, string>> = {
  crypto_LUKS: 'a LUKS container',
  LVM2_member: 'part of a volume group of LVM',
  zfs_member: 'part of a ZFS pool',
  bcachefs: 'bcachefs',
  bcache: 'a part of bcache',
  swap: 'swap',
  swsuspend: 'swap with a hibernated system'
}
