// The questions of `apply`, and why they can't be asked.

import { type Message, usage } from '../message.ts'

export const CARD_QUESTION = 'Which card should the guest have?'

export const KEPT_CARDS = 'These stay with the host:'

export const USER_QUESTION =
  'Who may run guests? (A number or a name; with these rights one can become root.)'

export const NOBODY = 'nobody but root'

export const LOOKING_GLASS_QUESTION =
  'Prepare to view the guest in a window of the host, with Looking Glass?'

/** The boot entry for a card; `hint` is why a separate one is better. */
export function entryQuestion(hint?: string): string {
  const question = 'Give it away in a separate boot entry, so that the usual one does not change?'
  return hint === undefined ? question : `${hint} ${question}`
}

export const LAST_CARD = 'No other card could show a picture.'

/** The card shows the screen of the user, or may show it. */
export function showsScreen(verb: string): string {
  return `It ${verb} your screen.`
}

/** How to give away the card that shows the screen in every boot entry. */
export function everyEntryHint(address: string): string {
  return `Or type ${address} to give it away in every boot entry: the host then has no picture, unless you plug the monitor into its own card.`
}

/** Whether the initrd should load the drivers that make a passphrase prompt visible. */
export function driverQuestion(message: string, why: string, drivers: readonly string[]): string {
  const items = drivers.map(it => `"${it}"`).join(' ')
  return `After the next boot, ${message}: ${why} Add ${items} to boot.initrd.kernelModules?`
}

/** The same run without questions. */
export function sameCall(line: string): string {
  return `The same without questions: vfio-patch ${line}`
}

/** An answer that is not one of `count` numbers, nor the other possible answer. */
export function askAgain(count: number, other: string | undefined): string {
  const numbers = count === 1 ? '1' : `a number from 1 to ${count}`
  return `Please type ${numbers}${other === undefined ? '' : `, or ${other}`}.`
}

/** A name that is not a valid name of a user. */
export function invalidUser(message: string, hint: string): string {
  return `${message}; ${hint}.`
}

/** A name that no user has. */
export function unknownUser(name: string): string {
  return `Neither the configuration nor this system has a user called ${name}.`
}

/** Nobody can be asked to confirm a change. */
export function cannotAsk(reason: string): Message {
  return usage(`cannot ask for confirmation: ${reason}.`, {
    nothingWritten: true,
    remedy: 'check the change with --dry-run, then add --yes'
  })
}

/** The host needs each of the cards. */
export const NO_CARD: Message = {
  code: 'NO_CARD',
  what: 'no card of this machine can go to a guest.',
  nothingWritten: true,
  why: 'the host needs each of them, see above.',
  remedy: 'vfio-patch scan'
}

/** The only card, for which the user did not want a separate boot entry. */
export function onlyCardStays(address: string, line: string): Message {
  return {
    code: 'ONLY_DISPLAY',
    what: `${address} stays with the host.`,
    nothingWritten: true,
    why: 'without it the usual boot entry would have no picture.',
    remedy: `a guest can have it while it runs: ${line} --gpu ${address} --bind hooks`
  }
}
