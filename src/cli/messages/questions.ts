// The questions of `apply`, and why they can't be asked.

import { type Message, usage } from '../message.ts'

export const CARD_QUESTION = 'Which card should the guest have?'

export const KEPT_CARDS = 'The host keeps these cards:'

export const USER_QUESTION =
  'Who may run guests? (Type a number or a name. Such a user can become root.)'

export const NOBODY = 'nobody but root'

export const LOOKING_GLASS_QUESTION =
  'Prepare to view the guest in a window of the host, with Looking Glass?'

/** Asks for the boot entry of a card; `hint` is why a separate boot entry is better. */
export function entryQuestion(hint?: string): string {
  const question = 'Use a separate boot entry, so that the default boot entry does not change?'
  return hint === undefined ? question : `${hint} ${question}`
}

export const LAST_CARD = 'The host has no other card for its display output.'

/** The card shows the user's screen, or may show it. */
export function showsScreen(verb: string): string {
  return `It ${verb} your screen.`
}

/** How to pass the card that shows the screen through in every boot entry. */
export function everyEntryHint(address: string): string {
  return `Or type ${address} to pass it through in every boot entry: the screen then stays dark, unless you plug the monitor into a card that the host keeps.`
}

/** Asks whether the initrd should load the drivers that make a passphrase prompt visible. */
export function driverQuestion(message: string, why: string, drivers: readonly string[]): string {
  const items = drivers.map(it => `"${it}"`).join(' ')
  return `After the next boot, ${message}: ${why} Add ${items} to boot.initrd.kernelModules?`
}

/** The call that does the same without questions. */
export function sameCall(line: string): string {
  return `The same without questions: vfio-patch ${line}`
}

/** The answer is neither one of `count` numbers nor the other possible answer. */
export function askAgain(count: number, other: string | undefined): string {
  const numbers = count === 1 ? '1' : `a number from 1 to ${count}`
  return `Please type ${numbers}${other === undefined ? '' : `, or ${other}`}.`
}

/** The answer is not a valid user name. */
export function invalidUser(message: string, hint: string): string {
  return `${message}; ${hint}.`
}

/** The answer is not the name of any user. */
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
  what: 'no card of this machine can be passed through.',
  nothingWritten: true,
  why: 'the host needs each card, see above.',
  remedy: 'vfio-patch scan'
}

/** The only card, for which the user did not want a separate boot entry. */
export function onlyCardStays(address: string, line: string): Message {
  return {
    code: 'ONLY_DISPLAY',
    what: `${address} is not passed through.`,
    nothingWritten: true,
    why: 'without this card, the default boot entry would have no display output.',
    remedy: `to pass it through only while the guest runs: ${line} --gpu ${address} --bind hooks`
  }
}
