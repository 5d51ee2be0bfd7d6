// The sentences that "scan --dump" prints about what it saved.

import type { Machine } from '../../host/machine.ts'
import { KINDS, type Kind } from '../../host/mask/placeholders.ts'
import { list } from './deviceWords.ts'

/** Where the dump is, what has placeholders in it, and what does not. */
export function dumpNotes(
  folder: string,
  replaced: ReadonlyMap<Kind, number>,
  { kernel, nixos }: Machine
): string[] {
  const counts = [...replaced].map(
    ([kind, count]) => `${count} ${KINDS[kind][count === 1 ? 0 : 1]}`
  )
  const version = /^\d+(?:\.\d+)*(?:-rc\d+)?/.exec(kernel ?? '')?.[0]
  const kept = [
    'the models of the devices, the board and the processor',
    ...['PCI addresses and IDs', 'drivers', 'usual names such as enp5s0 and /home'],
    ...(version === undefined ? [] : [`the kernel version (${version})`]),
    ...(nixos === undefined ? [] : ['the release of NixOS']),
    'kernel parameters about devices'
  ]
  return [
    `Saved what was read in ${folder}.`,
    counts.length === 0
      ? 'No name in it had to be replaced.'
      : `Replaced by placeholders: ${list(counts)}.`,
    `It still has ${list(kept)}.`,
    'Look it through before you send it.'
  ]
}
