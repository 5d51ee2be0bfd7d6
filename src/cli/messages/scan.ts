// What `scan` advises, and the notes on a dump.

import type { NameKind } from '../../machine/dump/names.ts'
import type { Machine } from '../../machine/machine.ts'
import { KIND_WORDS } from '../../machine/messages.ts'
import { list } from './devices.ts'

/** What to do next: a sentence, the command to run, and where or when to run it if that matters. */
export interface Advice {
  text: string
  command: string
  where?: string
}

/** The command of an advice, with where or when to run it. */
export function commandLine({ command, where }: Advice): string {
  return where === undefined ? command : `${command}   (${where})`
}

export const ON_THAT_MACHINE = 'on that machine'

const SCAN = 'vfio-patch scan'

function applyCall(flags: string): string {
  return `sudo vfio-patch apply${flags}`
}

/** The machine has no graphics card. */
export const NO_CARD_HERE: Advice = {
  text: 'This machine has no graphics card.',
  command: SCAN,
  where: 'on the machine that has the card'
}

/** The firmware does not offer an IOMMU; `name` is its name there. */
export function iommuOffAdvice(name: string): Advice {
  return {
    text: `The IOMMU is off, and passthrough needs it: switch on ${name} in the firmware setup.`,
    command: SCAN,
    where: 'after the reboot'
  }
}

/** A card that vfio-pci has already. */
export function reservedAdvice(card: string, address: string): Advice {
  return {
    text: `${card} is already reserved for guests.`,
    command: `vfio-patch diff --gpu ${address}`
  }
}

/** The card to pass through; `isOff` is whether the IOMMU is off. */
export function cardAdvice(card: string, address: string, isOff: boolean): Advice {
  return {
    text: isOff
      ? `The IOMMU is off: the first run turns it on, and after a reboot the same command passes ${card} through.`
      : `${card} can be passed through.`,
    command: applyCall(` --gpu ${address}`)
  }
}

/** Several cards, none of which is the obvious choice. */
export function severalCardsAdvice(addresses: readonly string[]): Advice {
  return {
    text: `${addresses.length} cards can be passed through (${list(addresses)}); apply asks which one you want.`,
    command: applyCall('')
  }
}

/** A card that shows the screen. */
export function screenAdvice(card: string, address: string, why: string): Advice {
  return {
    text: `${card} can be passed through, but ${why}: first plug the monitor into the other card, or use a separate boot entry.`,
    command: applyCall(` --gpu ${address} --specialisation vfio`)
  }
}

/** The only card that the host has for its display output. */
export function lastCardAdvice(card: string, address: string, why: string): Advice {
  return {
    text: `${card} can't be passed through permanently: ${why}. A guest can have it while the guest runs, or in a separate boot entry.`,
    command: applyCall(` --gpu ${address} --bind hooks`)
  }
}

/** No card can be passed through; `card` is the best candidate. */
export function noCardAdvice(card: string, why: string): Advice {
  return {
    text: `No card can be passed through; the best candidate is ${card}, but ${why}.`,
    command: SCAN,
    where: 'with the card in another slot'
  }
}

/** No card can be passed through, but `count` virtual functions can, such as `example`. */
export function virtualAdvice(count: number, example: string): Advice {
  const what =
    count === 1
      ? `the virtual function ${example} can`
      : `${count} virtual functions can, such as ${example}`
  return {
    text: `No card can be passed through, but ${what}. Add a <hostdev> with managed='yes' and its address to the guest's domain.`,
    command: 'sudo vfio-patch apply --domain GUEST.xml'
  }
}

/** Where the dump is, which names it has placeholders for, and what else it contains. */
export function dumpNotes(
  folder: string,
  replaced: ReadonlyMap<NameKind, number>,
  { kernel, nixos }: Machine
): string[] {
  const counts = [...replaced].map(
    ([kind, count]) => `${count} ${KIND_WORDS[kind][count === 1 ? 0 : 1]}`
  )
  const version = /^\d+(?:\.\d+)*(?:-rc\d+)?/.exec(kernel ?? '')?.[0]
  const kept = [
    'the models of the devices, the board and the processor',
    ...['PCI addresses and IDs', 'drivers', 'generic names such as enp5s0 and /home'],
    ...(version === undefined ? [] : [`the kernel version (${version})`]),
    ...(nixos === undefined ? [] : ['the release of NixOS']),
    'kernel parameters about devices'
  ]
  return [
    `Saved the machine in ${folder}.`,
    counts.length === 0
      ? 'No names had to be replaced.'
      : `Replaced by placeholders: ${list(counts)}.`,
    `The dump contains ${list(kept)}.`,
    'Read it before you send it.'
  ]
}
