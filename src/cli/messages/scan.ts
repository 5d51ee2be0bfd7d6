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

function apply(flags: string): string {
  return `sudo vfio-patch apply${flags}`
}

/** The machine has no graphics card. */
export const NO_CARD_HERE: Advice = {
  text: 'This machine has no graphics card to give to a guest.',
  command: SCAN,
  where: 'on the machine that has the card'
}

/** The firmware does not offer an IOMMU; `name` is its name there. */
export function iommuOffAdvice(name: string): Advice {
  return {
    text: `The IOMMU is off: switch on ${name} in the firmware setup, as a guest cannot get a device without it.`,
    command: SCAN,
    where: 'after the reboot'
  }
}

/** A card that vfio-pci has. */
export function reservedAdvice(card: string, address: string): Advice {
  return {
    text: `${card} is already reserved for guests.`,
    command: `vfio-patch diff --gpu ${address}`
  }
}

/** The card to choose; `isOff` is whether the IOMMU is off. */
export function cardAdvice(card: string, address: string, isOff: boolean): Advice {
  return {
    text: isOff
      ? `The IOMMU is off: the first run turns it on, and after a reboot the same command gives ${card} away.`
      : `${card} can go to a guest.`,
    command: apply(` --gpu ${address}`)
  }
}

/** Several cards, of which none is the obvious choice. */
export function severalCardsAdvice(addresses: readonly string[]): Advice {
  return {
    text: `${addresses.length} cards can go to a guest (${list(addresses)}); apply asks which.`,
    command: apply('')
  }
}

/** A card that shows the screen. */
export function screenAdvice(card: string, address: string, why: string): Advice {
  return {
    text: `${card} can go to a guest, but ${why}: plug the monitor into the other card first, or use a separate boot entry.`,
    command: apply(` --gpu ${address} --specialisation vfio`)
  }
}

/** The only card that can show a picture. */
export function lastCardAdvice(card: string, address: string, why: string): Advice {
  return {
    text: `${card} can't be given away for good: ${why}. A guest can have it while it runs, or in a separate boot entry.`,
    command: apply(` --gpu ${address} --bind hooks`)
  }
}

/** No card can go to a guest; `card` is the one that comes closest. */
export function noCardAdvice(card: string, why: string): Advice {
  return {
    text: `No card can go to a guest: ${card} must stay with the host because ${why}.`,
    command: SCAN,
    where: 'with the card in another slot'
  }
}

/** No card can go to a guest, but `count` virtual functions can, such as `example`. */
export function virtualAdvice(count: number, example: string): Advice {
  const what =
    count === 1
      ? `the virtual function ${example} can`
      : `${count} virtual functions can, such as ${example}`
  return {
    text: `No card can go to a guest, but ${what}. Add <hostdev> with managed='yes' and its address to the domain of the guest.`,
    command: 'sudo vfio-patch apply --domain GUEST.xml'
  }
}

/** Where the dump is, what was replaced by placeholders in it, and what it still has. */
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
    ...['PCI addresses and IDs', 'drivers', 'usual names such as enp5s0 and /home'],
    ...(version === undefined ? [] : [`the kernel version (${version})`]),
    ...(nixos === undefined ? [] : ['the release of NixOS']),
    'kernel parameters about devices'
  ]
  return [
    `Saved the machine in ${folder}.`,
    counts.length === 0
      ? 'No name in it had to be replaced.'
      : `Replaced by placeholders: ${list(counts)}.`,
    `It still has ${list(kept)}.`,
    'Read it before you send it.'
  ]
}
