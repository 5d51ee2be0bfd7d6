// The questions of an `apply` whose flags do not say what to set up. They are plain lines, so that they work over SSH
// and on a serial console.

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
import {
  CARD_QUESTION,
  driverQuestion,
  entryQuestion,
  everyEntryHint,
  invalidUser,
  KEPT_CARDS,
  LAST_CARD,
  LOOKING_GLASS_QUESTION,
  NO_CARD,
  NOBODY,
  onlyCardStays,
  sameCall,
  showsScreen,
  USER_QUESTION,
  unknownUser
} from '../messages/questions.ts'
import { printNotice, type Screen, wrap } from '../output/output.ts'
import type { DarkPrompt } from '../request/faults.ts'
import { type ApplyInputs, declaredUsers } from '../request/inputs.ts'
import { choose, NO, YES } from './prompt.ts'

/**
 * Asks for the card, the user, Looking Glass and the boot entry. Returns the request with equivalent flags added.
 * `noCards` is the error if the machine has no card.
 */
export async function askForCard(inputs: ApplyInputs, noCards: Message): Promise<ApplyRequest> {
  const { request, reader } = inputs
  const { screens, line, words } = request
  const { machine, names } = reader.read()
  const candidates = candidateCards(machine)
  if (candidates.length === 0) throw new CommandError(noCards)
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
  const args = await parseArguments([...words.slice(0, at), ...flags, ...words.slice(at)])
  printNotice(sameCall(args.line))
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
  const choices = free.map(it => ({ text: line(it), words: [it.card.display.address] }))
  const chosen = await choose(CARD_QUESTION, choices, screen, {
    after: kept.length > 0 ? [KEPT_CARDS, ...keptLines] : [],
    preset: proposal && free.indexOf(proposal)
  })
  return free[chosen] as Candidate
}

async function askUser(inputs: ApplyInputs): Promise<string[]> {
  const { root, screens } = inputs.request
  const { declared, isPartial } = declaredIn(inputs)
  const accounts = peopleOf(root)
  // The users of the configuration come first: the built system will have these.
  const people = declared.length > 0 ? declared : accounts
  // `--user` accepts only valid names.
  const users = people.filter(it => parseUser(it).ok)
  if (users.length === 0) return []
  let named: string | undefined
  const parse = (text: string): number | string => {
    if (text === 'root') return users.length
    const user = parseUser(text)
    if (!user.ok) return invalidUser(user.error.message, user.error.hint)
    const isKnown = accounts.includes(text)
    // A module that was not read may declare any user.
    if (!isKnown && !isPartial) {
      return unknownUser(text)
    }
    named = text
    return users.length
  }
  const caller = users.indexOf(process.env.SUDO_USER ?? '')
  const preset = caller === -1 ? (users.length === 1 ? 0 : undefined) : caller
  const choices = [
    ...users.map(it => ({ text: it, words: [it.toLowerCase()] })),
    { text: NOBODY, words: ['nobody'] }
  ]
  const chosen = await choose(USER_QUESTION, choices, screens.err, { preset, parse })
  const user = users[chosen] ?? named
  return user === undefined ? [] : ['--user', user]
}

/** The people among the users that the configuration and its imports declare. */
function declaredIn({ configuration }: ApplyInputs) {
  const { people, isComputed } = declaredUsers(configuration.files)
  const isPartial =
    isComputed || configuration.unread.length > 0 || isInFlake(configuration.target.path)
  return { declared: people, isPartial }
}

/** The names of the accounts that belong to people. */
function peopleOf(root: string): string[] {
  let text = ''
  try {
    text = readFileSync(join(root, 'etc/passwd'), 'utf8')
  } catch {
    // A system that is being installed may have no accounts yet.
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
  const chosen = await choose(LOOKING_GLASS_QUESTION, [NO, YES], screen, { preset: 0 })
  return chosen === 1 ? ['--shared-memory', 'looking-glass'] : []
}

// The question about an invisible passphrase prompt.

/** Asks whether the initrd should load the drivers that make the prompt visible. */
export async function askForDriver(
  { message, why, drivers }: DarkPrompt,
  screen: Screen
): Promise<boolean> {
  const question = driverQuestion(message, why, drivers)
  return (await choose(question, [YES, NO], screen, { preset: 0 })) === 0
}

// The last question of an `apply` without flags: every boot entry, or a separate one? A separate boot entry is the
// default answer if the screen could stay dark.

/** Asks for the boot entry, unless a flag names it; returns the flags for the answer. */
async function askForEntry(candidate: Candidate, inputs: ApplyInputs): Promise<string[]> {
  const { request, reader, source } = inputs
  if (request.specialisation !== undefined) return []
  const screen = request.screens.err
  const { machine } = reader.read()
  const { verdict, card } = candidate
  const { address } = card.display
  const flags = ['--specialisation', freeEntryName(source.doc)]
  if (verdict === 'confirm') {
    const question = entryQuestion(showsScreen(showsWord(card.display)))
    const after = wrap(everyEntryHint(address), screen.width)
    const chosen = await choose(question, [YES], screen, { after, preset: 0, word: address })
    return chosen === 0 ? flags : ['--confirm', address]
  }
  const isLast = verdict === 'separate'
  const isAtRisk =
    isLast ||
    card.display.bootVga === true ||
    machine.firmware.isLaptop ||
    machine.iommu.groups === 0
  const question = entryQuestion(isLast ? LAST_CARD : undefined)
  const chosen = await choose(question, [NO, YES], screen, { preset: isAtRisk ? 1 : 0 })
  if (chosen === 1) return flags
  if (isLast) throw new CommandError(onlyCardStays(address, request.line))
  return []
}

/** A name that no specialisation of the configuration has. */
function freeEntryName(doc: NixDocument): string {
  const taken = specialisationsOf(doc)
  let name = 'vfio'
  for (let i = 2; taken.includes(name); i++) name = `vfio${i}`
  return name
}
