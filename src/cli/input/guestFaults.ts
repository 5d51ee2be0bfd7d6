// What `check` finds in the guests of a configuration: disks that the host uses itself.

import { dirname, join } from 'node:path'
import type { UsedDisk } from '../../apply/disks/diskTypes.ts'
import { judgeDisks } from '../../apply/disks/guestDisks.ts'
import type { GuestThere } from '../../apply/disks/guestsThere.ts'
import { walkImports } from '../../apply/read/importClosure.ts'
import { moduleReader, readFolder } from '../../apply/read/readInputs.ts'
import type { Finding, LintFile } from '../../lints/index.ts'
import { parseDocument, type Range } from '../../nix/index.ts'
import type { Context } from '../context.ts'
import { type NameOf, usedBy, whyNot } from '../messages/diskMessages.ts'
import { diskHost, guestsOf } from './guestDisks.ts'
import type { Host } from './readHost.ts'

/** The findings, and the files of guests that they are in. */
export interface GuestFaults {
  findings: Finding[]
  files: LintFile[]
}

/**
 * Each disk that the host uses and a guest can write to: of the guests in the files of a configuration, and of
 * those in the folder of our modules. Without a machine (`host`) only what the configuration itself uses is found.
 */
export function guestFaults(
  configuration: { path: string; text: string },
  host: Host | undefined,
  nameOf: NameOf,
  context: Context
): GuestFaults {
  const { modules, ours } = walkImports(configuration, moduleReader(context.root))
  const folders = [...new Set(ours.map(it => join(dirname(it.path), 'guests')))]
  const guests = [
    ...guestsOf(modules, '', 'absent'),
    ...folders.flatMap(folder => {
      // A folder that can't be read is told by what needs it; here it has nothing to look at.
      const read = readFolder(folder)
      return read.ok ? guestsOf([], read.value.path, read.value.listing) : []
    })
  ].filter(it => it.disks.length > 0)
  if (guests.length === 0) return { findings: [], files: [] }
  const disks = diskHost(host, configuration.path, modules, undefined, context)
  const found = guests.flatMap(guest => {
    const { used } = judgeDisks(guest.disks, disks)
    return used.map(it => findingOf(it, guest, nameOf))
  })
  const known = new Set(modules.map(it => it.path))
  const paths = [...new Set(found.map(it => it.path))].filter(it => !known.has(it))
  const files = paths.flatMap(path => {
    const text = guests.find(it => it.path === path)?.text
    return text === undefined ? [] : [{ path, doc: parseDocument(text) }]
  })
  return { findings: found, files }
}

function findingOf(used: UsedDisk, guest: GuestThere, nameOf: NameOf): Finding {
  return {
    code: 'GUEST_DISK',
    level: 'problem',
    path: guest.path,
    range: rangeOf(used, guest.text),
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
