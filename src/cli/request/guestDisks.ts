// What the machine and the configuration say of the disks of a guest.

import { dirname, join } from 'node:path'
import type { FolderListing, SourceFile } from '../../configuration/files.ts'
import type { Configuration } from '../../configuration/load.ts'
import type { PassedDisk } from '../../guests/needs/disks.ts'
import type { Guest } from '../../guests/needs/needs.ts'
import { readXml } from '../../guests/xml/readXml.ts'
import type { Finding, LintFile } from '../../lints/index.ts'
import { followLinks } from '../../machine/source.ts'
import type { Range } from '../../nix/index.ts'
import { type GuestThere, guestsThere, judgeDisks } from '../../plan/disks/guestDisks.ts'
import { type DiskHost, hostDevices, type UsedDisk } from '../../plan/disks/hostDevices.ts'
import { readPool, type StoragePool } from '../../plan/disks/sharedFolders.ts'
import { CommandError } from '../message.ts'
import { diskMessage, diskNotes, type NameOf, usedBy, whyNot } from '../text/disks.ts'
import type { Host } from './machine.ts'

/**
 * What is known of a host's disks. `host` is undefined for another machine. The disks that the configuration
 * uses are those of its files, and of the hardware-configuration.nix beside it, which a flake may list. `entry`
 * is the boot entry of its own that the options go into.
 */
export function diskHost(
  host: Host | undefined,
  { target, files, sources }: Configuration,
  entry = ''
): DiskHost {
  const beside = sources.module(join(dirname(target.path), 'hardware-configuration.nix'))
  const isNew = beside !== undefined && !files.some(it => it.path === beside.path)
  return {
    machine: host?.machine,
    isDump: host?.isDump === true,
    follow: it => (host ? followLinks(host.source, it) : it),
    poolCalled: it => (host ? poolCalled(it, host) : undefined),
    devices: hostDevices(isNew ? [...files, beside] : files),
    entry
  }
}

/** libvirt on NixOS keeps its pools in /var/lib, and elsewhere in /etc; only root may read them. */
function poolCalled(name: string, { source }: Host): StoragePool | undefined {
  if (name.includes('/')) return undefined
  const folders = ['/var/lib/libvirt/storage', '/etc/libvirt/storage', '/run/libvirt/storage']
  const text = folders.map(it => source.text(`${it}/${name}.xml`)).find(it => it !== undefined)
  const document = text === undefined ? undefined : readXml(text, 'pool')
  return document?.ok ? readPool(document.value.root) : undefined
}

/** What there is to say of the disks of a guest; refused where the host uses one that the guest can write to. */
export function checkDisks(
  disks: readonly PassedDisk[],
  guest: Pick<Guest, 'name' | 'file' | 'xml'>,
  host: DiskHost,
  nameOf: NameOf
): string[] {
  const { used, notes } = judgeDisks(disks, host)
  if (used.length > 0) throw new CommandError(diskMessage(used, guest, nameOf))
  return diskNotes(notes, guest, nameOf)
}

/** The guests that the configuration has: in its own files, and in our folder for guests (`listing`). */
export function guestsOf(files: readonly SourceFile[], listing: FolderListing): GuestThere[] {
  const entries = typeof listing === 'string' ? [] : [...listing]
  const inFolder = entries.flatMap(([name, file]) => (name.endsWith('.nix') && file ? [file] : []))
  return guestsThere([...files, ...inFolder])
}

// What `check` finds in the guests of a configuration: disks that the host uses itself.

/** The findings, and the files of guests that they are in. */
interface GuestFaults {
  findings: Finding[]
  files: LintFile[]
}

/**
 * Each disk that the host uses and a guest can write to: of the guests in the files of a configuration, and of
 * those in the folder of our modules. Without a machine (`host`) only what the configuration itself uses is found.
 */
export function guestFaults(
  configuration: Configuration,
  host: Host | undefined,
  nameOf: NameOf
): GuestFaults {
  const { files: own, installedFolders, sources } = configuration
  const folders = [...new Set(installedFolders.map(it => join(it.path, 'guests')))]
  const guests = [
    ...guestsOf(own, 'absent'),
    ...folders.flatMap(folder => {
      // A folder that can't be read is told by what needs it; here it has nothing to look at.
      const read = sources.folder(folder)
      return read.ok ? guestsOf([], read.value.listing) : []
    })
  ].filter(it => it.disks.length > 0)
  if (guests.length === 0) return { findings: [], files: [] }
  const disks = diskHost(host, configuration)
  const found = guests.flatMap(guest => {
    const { used } = judgeDisks(guest.disks, disks)
    return used.map(it => findingOf(it, guest, nameOf))
  })
  const known = new Set(own.map(it => it.path))
  const paths = new Set(found.map(it => it.path).filter(it => !known.has(it)))
  const files = [...paths].flatMap(path => guests.find(it => it.file.path === path)?.file ?? [])
  return { findings: found, files }
}

function findingOf(used: UsedDisk, guest: GuestThere, nameOf: NameOf): Finding {
  return {
    code: 'GUEST_DISK',
    level: 'problem',
    path: guest.file.path,
    range: rangeOf(used, guest.file.text),
    message: usedBy(used, guest.name, nameOf),
    why: whyNot(used),
    remedy:
      used.folder === undefined
        ? `give ${guest.name} another disk or an image file`
        : 'add readonly to it, or share a folder that holds nothing of the system'
  }
}

/** The string that names the disk; else the first character of the file. */
function rangeOf({ disk: { name } }: UsedDisk, text: string): Range {
  const word =
    name.kind === 'path' || name.kind === 'folder'
      ? name.path
      : name.kind === 'volume'
        ? name.volume
        : undefined
  const start = word === undefined ? -1 : text.indexOf(`"${word}"`)
  return start === -1 || word === undefined
    ? { start: 0, end: 1 }
    : { start, end: start + word.length + 2 }
}
