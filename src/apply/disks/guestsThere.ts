// The guests that a configuration has already, and their disks.

import { guestName, toXml } from '../../libvirt/convert.ts'
import { type PassedDisk, passedDisks } from '../../libvirt/learn/disks.ts'
import { readXml } from '../../libvirt/readXml.ts'

/** A guest that a file defines. */
export interface GuestThere {
  path: string
  text: string
  name: string
  /** Without places, as those would be in the XML that is made of the file. */
  disks: readonly PassedDisk[]
}

/**
 * The guests in these files, with their disks. Left out is what has to be computed, a file with several guests, and
 * what is only named as a file of XML.
 */
export function guestsThere(files: readonly { path: string; text: string }[]): GuestThere[] {
  return files.flatMap(({ path, text }) => {
    if (!text.includes('guests')) return []
    const xml = toXml(text)
    const document = xml.ok ? readXml(xml.value) : undefined
    if (!document?.ok) return []
    const disks = passedDisks(document.value.root).map(({ start, ...it }) => it)
    return [{ path, text, name: guestName(document.value) ?? '', disks }]
  })
}
