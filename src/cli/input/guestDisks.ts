// What the machine and the configuration say of the disks of a guest.

import { dirname, join } from 'node:path'
import type { DiskHost } from '../../apply/disks/diskTypes.ts'
import { judgeDisks } from '../../apply/disks/guestDisks.ts'
import { type GuestThere, guestsThere } from '../../apply/disks/guestsThere.ts'
import { hostDevices } from '../../apply/disks/hostDevices.ts'
import { readPool, type StoragePool } from '../../apply/disks/storagePool.ts'
import type { FolderListing } from '../../apply/modules/modulesFolder.ts'
import type { ImportedModule } from '../../apply/read/importClosure.ts'
import { moduleReader } from '../../apply/read/readInputs.ts'
import { followLinks } from '../../host/followLinks.ts'
import type { PassedDisk } from '../../libvirt/learn/disks.ts'
import { readXml } from '../../libvirt/readXml.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { diskMessage, diskNotes, type NameOf } from '../messages/diskMessages.ts'
import type { Guest } from './readGuest.ts'
import { type Host, readHost } from './readHost.ts'
import { whoseIs } from './whoseIs.ts'

/**
 * What is known of a host's disks. `host` is undefined for another machine. The disks that the configuration
 * uses are those of its files, and of the hardware-configuration.nix beside it, which a flake may list.
 */
export function diskHost(
  host: Host | undefined,
  path: string,
  modules: readonly ImportedModule[],
  specialisation: string | undefined,
  { root }: Context
): DiskHost {
  const beside = moduleReader(root)(join(dirname(path), 'hardware-configuration.nix'))
  const isNew = beside !== undefined && !modules.some(it => it.path === beside.path)
  return {
    machine: host?.machine,
    isDump: host?.isDump === true,
    follow: it => (host ? followLinks(host.source, it) : it),
    poolCalled: it => (host ? poolCalled(it, host) : undefined),
    devices: hostDevices(isNew ? [...modules, beside] : modules),
    entry: specialisation ?? ''
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
): Result<string[], Message> {
  const { used, notes } = judgeDisks(disks, host)
  return used.length > 0
    ? err(diskMessage(used, guest, nameOf))
    : ok(diskNotes(notes, guest, nameOf))
}

/** The guests that the configuration has: in its own files, and in our folder for guests (`listing`). */
export function guestsOf(
  modules: readonly ImportedModule[],
  folder: string,
  listing: FolderListing
): GuestThere[] {
  const files = typeof listing === 'string' ? [] : [...listing]
  return guestsThere([
    ...modules,
    ...files.flatMap(([name, text]) =>
      name.endsWith('.nix') && text !== null ? [{ path: join(folder, name), text }] : []
    )
  ])
}

/** The machine that a configuration is for; undefined for another one than this. */
export function hostFor(
  text: string,
  given: Arguments,
  context: Context
): Result<Host | undefined, Message> {
  return whoseIs(text, given, context) === 'other' ? ok(undefined) : readHost(given)
}
