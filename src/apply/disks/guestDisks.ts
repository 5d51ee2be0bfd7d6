// The disks of a guest, held against what the host uses.

import type { PassedDisk } from '../../libvirt/learn/disks.ts'
import { doubtsOf } from './diskDoubts.ts'
import { callDisk, placeOf, usesOf } from './diskPlace.ts'
import type { DiskHost, DiskUse, JudgedDisks } from './diskTypes.ts'
import { systemFolderAt } from './sharedFolders.ts'

/**
 * Which disks of a guest the host uses, and what there is to say of the others. A disk counts as used if the
 * host has it, a part of it or what is made of it mounted, as swap or as a member of an array, a mapping or a
 * pool; or if the configuration names one of these, also where that is not mounted now. Nothing is said of what
 * the guest can only read and the host does not use, and of images in files.
 */
export function judgeDisks(disks: readonly PassedDisk[], host: DiskHost): JudgedDisks {
  const judged: JudgedDisks = { used: [], notes: [] }
  for (const disk of disks) {
    const name = callDisk(disk.name)
    const folder = sharedFolder(disk, host)
    if (folder !== undefined) judged.used.push({ disk, name, uses: [], folder })
    const place = placeOf(disk, host)
    const all = usesOf(place, host)
    const uses = all.filter(it => !isOfOtherEntry(it, host))
    if (uses.length === 0) judged.notes.push(...doubtsOf(disk, place, all, host))
    else if (disk.isReadOnly) {
      // What lies in a drive for discs can be read by both.
      const isDisc = place.blocks.length > 0 && place.blocks.every(it => /^sr\d/.test(it.name))
      if (!isDisc) judged.notes.push({ code: 'DISK_READ', disk, name, uses })
    } else if (disk.isFloppy) judged.notes.push({ code: 'DISK_IN_FLOPPY', disk, name, uses })
    else judged.used.push({ disk, name, uses })
  }
  return judged
}

function isOfOtherEntry(use: DiskUse, { entry }: DiskHost): boolean {
  return use.by === 'configuration' && use.entry !== '' && entry !== '' && use.entry !== entry
}

function sharedFolder({ name, isReadOnly }: PassedDisk, host: DiskHost): string | undefined {
  if (name.kind !== 'folder' || isReadOnly) return undefined
  return systemFolderAt(name.path) ?? systemFolderAt(host.follow(name.path))
}
