// How devices are called in sentences, for all who make some.

import { isSilent } from './cards.ts'
import type { PciDevice, StorageUse } from './machine.ts'
import { classWord } from './pciClass.ts'

/** `0000:02:00.1 (SATA)` */
export function briefDevice({ address, class: code }: PciDevice): string {
  return `${address} (${classWord(code)})`
}

/** How it stands with a card and the screen: `shows`, or `may show` where its driver says nothing. */
export function showsOrMay(device: PciDevice): string {
  return isSilent(device) ? 'may show' : 'shows'
}

/** `a`, `a and b`, `a, b and c`; or with `or`. */
export function list(items: readonly string[], word: 'and' | 'or' = 'and'): string {
  const last = items.at(-1) ?? ''
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} ${word} ${last}`
}

/** What lies on a disk, the same thing once. */
export function callUses(uses: readonly StorageUse[]): string {
  const words = { mount: '', swap: 'swap on ', luks: 'the encrypted ', zfs: 'the ZFS disk ' }
  return list([...new Set(uses.map(it => `${words[it.kind]}${it.name}`))])
}
