// The few questions of an `apply` without flags that say what to set up. Plain lines, so that they work over
// ssh and on a serial console.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isInFlake } from '../../configuration/repository.ts'
import { type Candidate, candidateCards, proposedCard } from '../../machine/gates.ts'
import type { NixDocument } from '../../nix/index.ts'
import { specialisationsOf } from '../../plan/bootEntry.ts'
import { parseUser } from '../../settings/parse.ts'
import { parseArguments } from '../args/parse.ts'
import { type ApplyRequest, readApplyRequest } from '../args/request.ts'
import { CommandError, type Message } from '../message.ts'
import { callDevice, type Names, showsWord, whyNot } from '../messages/devices.ts'
import { problemMessage } from '../messages/gates.ts'
import { printNotice, type Screen, wrap } from '../output/output.ts'
import type { DarkPrompt } from '../request/faults.ts'
import { type ApplyInputs, declaredUsers } from '../request/inputs.ts'
import { choose } from './prompt.ts'

/**
 * Asks for the card, who may run guests, whether to prepare Looking Glass, and for a boot entry of its
 * own. What comes of it is the request that says the same without questions. `otherwise` is the message
 * where there is no card to ask for.
 */
export async function askForCard(inputs: ApplyInputs, otherwise: Message): Promise<ApplyRequest> {
  const { request, reader } = inputs
  const { screens, line, words } = request
  const { machine, names } = reader.read()
  const candidates = candidateCards(machine)
  if (candidates.length === 0) throw new CommandError(otherwise)
  if (machine.iommu.groups === 0 && machine.iommu.isOffered !== true) {
    throw new CommandError(problemMessage([{ code: 'IOMMU_OFF', machine }], line, names))
  }
  const candidate = await askCard(candidates, names, screens.err)
  const flags = [
    ...['--gpu', candidate.card.display.address],
    ...(await askUser(inputs)),
    ...(await askLookingGlass(screens.err)),
    ...(await askForEntry(candidate, inputs))
  ]
  const end = words.indexOf('--')
  const at = end === -1 ? words.length : end
  const args = parseArguments([...words.slice(0, at), ...flags, ...words.slice(at)])
  printNotice(`The same without questions: vfio-patch ${args.line}`)
  return readApplyRequest(args, screens)
}

async function askCard(
  candidates: readonly Candidate[],
  names: Names,
  screen: Screen
): Promise<Candidate> {
  const free = candidates.filter(it => it.verdict !== 'kept')
  const kept = candidates.filter(it => it.verdict === 'kept')
  const line = (it: Candidate) => {
    const why = it.reasons.map(whyNot).join('; ')
    return `${callDevice(it.card.display, names)}${why === '' ? '' : `: ${why}`}`
  }
  const keptLines = kept.flatMap(it => wrap(`  -  ${line(it)}`, screen.width, '     '))
  if (free.length === 0) {
    for (const it of keptLines) printNotice(it)
    throw new CommandError(NO_CARD)
  }
  const proposal = proposedCard(candidates)
  const chosen = await choose('Which card should the guest have?', free.map(line), screen, {
    after: kept.length > 0 ? ['These stay with the host:', ...keptLines] : [],
    usual: proposal && free.indexOf(proposal)
  })
  return free[chosen] as Candidate
}

const NO_CARD: Message = {
  code: 'NO_CARD',
  what: 'no card of this machine can go to a guest.',
  nothingWritten: true,
  why: 'each of them is needed by the host, see above.',
  remedy: 'vfio-patch scan'
}

async function askUser(inputs: ApplyInputs): Promise<string[]> {
  const { root, screens } = inputs.request
  const { declared, isPartial } = declaredIn(inputs)
  const accounts = peopleOf(root)
  // What the configuration says is what the system will have.
  const people = declared.length > 0 ? declared : accounts
  // --user takes no other names.
  const users = people.filter(it => parseUser(it).ok)
  if (users.length === 0) return []
  let named: string | undefined
  const typed = (text: string): number | string => {
    if (text === 'root') return users.length
    const user = parseUser(text)
    if (!user.ok) return `${user.error.message}; ${user.error.hint}.`
    const isKnown = accounts.includes(text)
    // A module that was not read may declare anybody.
    if (!isKnown && !isPartial) {
      return `Neither the configuration nor this system has a user called ${text}.`
    }
    named = text
    return users.length
  }
  const caller = users.indexOf(process.env.SUDO_USER ?? '')
  const usual = caller === -1 ? (users.length === 1 ? 0 : undefined) : caller
  const chosen = await choose(
    'Who may run guests? (A number or a name; with these rights one can become root.)',
    [...users, 'nobody but root'],
    screens.err,
    { usual, typed }
  )
  const user = users[chosen] ?? named
  return user === undefined ? [] : ['--user', user]
}

/** The people that the configuration and what it imports declare. */
function declaredIn({ configuration }: ApplyInputs) {
  const { people, isComputed } = declaredUsers(configuration.files)
  const isPartial =
    isComputed || configuration.unread.length > 0 || isInFlake(configuration.target.path)
  return { declared: people, isPartial }
}

/** The accounts that are people, by name. */
function peopleOf(root: string): string[] {
  let text = ''
  try {
    text = readFileSync(join(root, 'etc/passwd'), 'utf8')
  } catch {
    // A system that is being set up has none yet.
  }
  return text
    .split('\n')
    .map(it => it.split(':'))
    .filter(([, , uid, , , , shell]) => {
      const isPerson = Number(uid) >= 1000 && Number(uid) < 30_000
      return isPerson && !/(?:nologin|false)$/.test(shell ?? '')
    })
    .map(([name = '']) => name)
    .filter(it => it !== '')
    .sort()
}

async function askLookingGlass(screen: Screen): Promise<string[]> {
  const title = 'Prepare to see the guest in a window of the host, with Looking Glass?'
  const chosen = await choose(title, ['no', 'yes'], screen, { usual: 0 })
  return chosen === 1 ? ['--shared-memory', 'looking-glass'] : []
}

// The question about a passphrase prompt that nobody would see.

/** Asks whether the initrd is to load what makes the prompt visible. */
export async function askForDriver(
  { message, why, drivers }: DarkPrompt,
  screen: Screen
): Promise<boolean> {
  const items = drivers.map(it => `"${it}"`).join(' ')
  const title = `After the next start, ${message}: ${why} Add ${items} to boot.initrd.kernelModules?`
  return (await choose(title, ['yes', 'no'], screen, { usual: 0 })) === 0
}

// The last question of an `apply` without flags: the usual boot entry, or a separate one, which is proposed
// wherever the picture could be lost.

/** Asks for the boot entry, unless it was named; the flags that say what was answered. */
async function askForEntry(candidate: Candidate, inputs: ApplyInputs): Promise<string[]> {
  const { request, reader, source } = inputs
  if (request.specialisation !== undefined) return []
  const screen = request.screens.err
  const { machine } = reader.read()
  const { verdict, card } = candidate
  const { address } = card.display
  const own = ['--specialisation', freeEntryName(source.doc)]
  const title = 'Give it away in a boot entry of its own, so that the usual one stays as it is?'
  if (verdict === 'confirm') {
    const other = `Or type ${address} to give it away in every boot entry: the host then has no picture, unless you plug the monitor into its own card.`
    const chosen = await choose(
      `It ${showsWord(card.display)} your screen. ${title}`,
      ['yes'],
      screen,
      { after: wrap(other, screen.width), usual: 0, word: address }
    )
    return chosen === 0 ? own : ['--confirm', address]
  }
  const isLast = verdict === 'separate'
  const isAtRisk =
    isLast ||
    card.display.bootVga === true ||
    machine.firmware.isLaptop ||
    machine.iommu.groups === 0
  const chosen = await choose(
    isLast ? `No other card is left to show a picture. ${title}` : title,
    ['no', 'yes'],
    screen,
    { usual: isAtRisk ? 1 : 0 }
  )
  if (chosen === 1) return own
  if (isLast) throw new CommandError(stays(address, request.line))
  return []
}

/** The only card, and it is not to have a boot entry of its own. */
function stays(address: string, line: string): Message {
  return {
    code: 'ONLY_DISPLAY',
    what: `${address} stays with the host.`,
    nothingWritten: true,
    why: 'without it the usual boot entry would have no picture.',
    remedy: `a guest can have it while it runs: ${line} --gpu ${address} --bind hooks`
  }
}

/** A name that no specialisation of the configuration has. */
function freeEntryName(doc: NixDocument): string {
  const taken = specialisationsOf(doc)
  let name = 'vfio'
  for (let i = 2; taken.includes(name); i++) name = `vfio${i}`
  return name
}
