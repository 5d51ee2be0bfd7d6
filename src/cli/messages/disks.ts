// The words for the disks of a guest that the host uses, or may use.

import type { Guest } from '../../guests/needs/needs.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { DiskNote, DiskUse, HostDevice, UsedDisk } from '../../plan/disks/hostDevices.ts'
import type { Message } from '../message.ts'
import { list } from './devices.ts'

/** How a file of the configuration is called. */
export type NameOf = (path: string) => string

/** Why a guest is not taken: the first disk that the host uses in full, then the others. */
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
  const besides = rest.map(it => `besides, ${usedBy(it, guest.name, nameOf)}.`)
  return {
    code: 'CARRIES_DISK',
    what: `${where}: ${usedBy(first, guest.name, nameOf)}.`,
    nothingWritten: true,
    ...(place === undefined ? {} : { at: { path: file, ...place } }),
    why: [whyNot(first), ...besides].join('\n'),
    remedy: remedyFor(first, guest)
  }
}

/** `win10 would get /dev/sda, which this system uses: / (sda2) and swap (sda3)` */
export function usedBy({ name, uses, folder }: UsedDisk, guest: string, nameOf: NameOf): string {
  if (folder !== undefined) {
    const inside = folder === name ? '' : `, which is part of ${folder} or holds it`
    return `${guest} could write to the system of this host: it shares ${name}${inside}`
  }
  return `${guest} would get ${name}, which this system uses: ${callAll(uses, nameOf)}`
}

/** A guest that is in the configuration already has disks of the host; the run is about something else. */
export function presentNote(
  used: readonly UsedDisk[],
  { name, file }: Pick<Guest, 'name' | 'file'>,
  nameOf: NameOf
): string {
  const all = list(used.map(it => usedBy(it, name, nameOf)))
  return `Note: ${file}: ${all}. That destroys files of this system once ${name} writes to it. Change it there before ${name} starts.`
}

/** Why a guest must not have it. */
export function whyNot({ folder }: Pick<UsedDisk, 'folder'>): string {
  return folder === undefined
    ? 'QEMU opens a disk without asking whether it is mounted, and two systems that write to one disk destroy what is on it.'
    : 'who has the guest could change files of the host with it, and so take the host over.'
}

function remedyFor(
  { uses, folder }: UsedDisk,
  { name, file }: Pick<Guest, 'name' | 'file'>
): string {
  if (folder !== undefined) {
    return `add <readonly/> to that <filesystem> in ${file},\nor share a folder that holds nothing of the system`
  }
  const other = `give ${name} another disk or an image file: change it in ${file}`
  const isSystem = uses.some(it => it.kind === 'mount' && SYSTEM.test(it.name))
  const free = isSystem ? [] : [...new Set(uses.map(it => USES[it.kind].letGo(it.name)))]
  return free.length === 0
    ? other
    : `${other};\nor free the disk first (${free.join('; ')}), then run this again`
}

const SYSTEM = /^\/(?:boot.*|efi|etc|home|nix.*|persist|root|usr|var.*)?$/

/** How a use of a disk is called, and how the host lets go of the disk; both by the name of the use, empty if unknown. */
const USES: Record<
  DiskUse['kind'],
  { word: (name: string) => string; letGo: (name: string) => string }
> = {
  mount: { word: name => name || 'a file system', letGo: unmount },
  swap: { word: () => 'swap', letGo: () => 'swapoff, and take it out of swapDevices' },
  resume: {
    word: () => 'hibernation',
    letGo: () => 'take it out of boot.resumeDevice and boot.kernelParams'
  },
  luks: {
    word: name => named('LUKS', name),
    letGo: name =>
      `cryptsetup close ${name || 'NAME'}, and take it out of boot.initrd.luks.devices or crypttab`
  },
  lvm: { word: name => named('LVM', name), letGo: deactivate },
  md: { word: name => named('the array', name), letGo: name => `mdadm --stop /dev/${name}` },
  zfs: {
    word: name => named('the ZFS pool', name),
    letGo: name => `zpool export ${name || 'POOL'}, unless this system lives on it`
  },
  pool: {
    word: name => named('the ZFS pool', name),
    letGo: name =>
      `zpool export ${name}, unless this system lives on it, and take it out of fileSystems and boot.zfs.extraPools`
  },
  boot: {
    word: () => 'the boot loader',
    letGo: () => 'install the boot loader elsewhere: boot.loader.grub'
  },
  disko: {
    word: name => named("disko's disk", name),
    letGo: name => `take it out of disko.devices.disk${name && `.${name}`}`
  },
  loop: { word: name => named('the loop device', name), letGo: name => `losetup -d /dev/${name}` },
  mapping: { word: name => named('the mapping', name), letGo: name => `dmsetup remove ${name}` },
  btrfs: { word: () => 'btrfs', letGo: () => 'take it out of its btrfs' },
  bcachefs: { word: () => 'bcachefs', letGo: () => 'take it out of its bcachefs' },
  bcache: { word: () => 'bcache', letGo: () => 'take it out of its bcache' }
}

function named(what: string, name: string): string {
  return name === '' ? what : `${what} ${name}`
}

function unmount(name: string): string {
  // What a desktop mounts is in no file of the configuration.
  if (/^\/(?:run\/)?media\//.test(name)) return `unmount ${name}`
  return `unmount ${name || 'it'} and take it out of fileSystems`
}

function deactivate(name: string): string {
  const group = groupOf(name)
  return `vgchange -an ${group}, and vgchange --setautoactivation n ${group} so that the next start leaves it alone`
}

/** The volume group of a mapping of LVM, which has a hyphen in a name twice. */
function groupOf(mapping: string): string {
  const group = /^((?:[^-]|--)+)-(?!-)/.exec(mapping)?.[1]
  return group === undefined ? 'GROUP' : group.replaceAll('--', '-')
}

/** `/ (nvme0n1p2), swap (nvme0n1p3) and /data (hardware-configuration.nix:12)` */
function callAll(uses: readonly DiskUse[], nameOf: NameOf): string {
  // What is mounted says more than what lies between it and the disk.
  const isBetween = ({ by, kind }: DiskUse) =>
    by === 'machine' && /^(?:luks|lvm|md|mapping|loop|bcache)$/.test(kind)
  const ends = uses.filter(it => !isBetween(it))
  const said = (ends.length > 0 ? ends : uses).map(it => callUse(it, nameOf))
  return list([...new Set(said)])
}

function callUse(use: DiskUse, nameOf: NameOf): string {
  const where = use.by === 'machine' ? use.blockDevice : placeIn(use, nameOf)
  return `${USES[use.kind].word(use.name)} (${where})`
}

function placeIn({ at }: HostDevice, nameOf: NameOf): string {
  return `${nameOf(at.path)}:${at.line}`
}

/** A sentence or two for each disk that the host may use. */
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
      return `${guest} can read ${name}, which this system uses: ${callAll(note.uses, nameOf)}. What it sees there changes beneath it, so it may see damage that is none.`
    case 'DISK_IN_FLOPPY':
      return `${guest} has ${name} as a floppy disk, and this system uses it: ${callAll(note.uses, nameOf)}. What ${guest} writes there destroys that. Give it an image file.`
    case 'DISK_OF_ENTRY':
      return `${name}, which ${guest} is to have, is used in another boot entry: ${callAll(note.uses, nameOf)}. Don't run ${guest} there.`
    case 'DISK_UNSEEN':
      return `${name}, which ${guest} is to have as a disk, was not checked, as nobody can see here whether the host uses it. Run this on that machine; or save that machine there with "vfio-patch scan --dump DIR", and add --sysfs DIR.`
    case 'DISK_NOT_IN_DUMP':
      return note.devices.length === 0
        ? `${name}, which ${guest} is to have as a disk, was not checked in a dump, which has no such names. The host may use it: run this on the machine itself before ${guest} starts.`
        : `${name}, which ${guest} is to have as a disk, was not checked in a dump against ${list(note.devices.map(it => `${it.device} (${placeIn(it, nameOf)})`))}, as a dump has no such names. The host may use it: run this on the machine itself before ${guest} starts.`
    case 'DISK_MISSING':
      return `this machine does not have ${name}, which ${guest} is to have as a disk, so it was not checked whether the host uses it. Plug it in and run this again, or change the disk.`
    case 'DISK_REMOVABLE':
      return `${name}, which ${guest} is to have, is a removable disk, which the host may mount when it is plugged in. See that it does not while ${guest} runs.`
    case 'DISK_DORMANT':
      return `${name}, which ${guest} is to have, holds ${contentWord(note.content)}. It is not in use now; see that the host does not ${note.content.startsWith('sw') ? 'use' : 'open'} it while ${guest} runs.`
    case 'DISK_MAY_BE_POOL':
      return `${name}, which ${guest} is to have, may be part of a ZFS pool of the host, as nobody can see here where the pool is. Look first: zpool status -P`
    case 'DISK_RENUMBERED':
      return `${name} can be another disk after the next start, also one that this system uses (${list(note.others)}). Name it by ${note.link ?? 'a path in /dev/disk/by-id'}.`
    case 'VOLUME_UNSEEN':
      return `${name}, which ${guest} is to have as a disk, was not checked, as nobody can see here what the pool is made of. The host may use it. Look: virsh vol-path`
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
  swsuspend: 'swap with a machine asleep'
}
