// The few questions of an `apply` that was not told what to set up. Plain lines, so that they work over
// ssh and on a serial console.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { walkImports } from '../../apply/read/importClosure.ts'
import { moduleReader } from '../../apply/read/readInputs.ts'
import { isInFlake } from '../../apply/read/repository.ts'
import { type Candidate, candidatesOf, proposalOf } from '../../host/candidates.ts'
import { parseUser } from '../../vfio/parseSettings.ts'
import { type Arguments, parseArguments } from '../arguments/parseArguments.ts'
import { contextOf } from '../context.ts'
import { readHost } from '../input/readHost.ts'
import { readModule } from '../input/readModule.ts'
import { declaredUsers } from '../input/unknownUsers.ts'
import { EXIT, type Message } from '../message.ts'
import { callDevice, type Names, whyNot } from '../messages/deviceWords.ts'
import { problemMessage } from '../messages/gateMessages.ts'
import { fail, type Report } from '../report.ts'
import { readRoot } from '../root.ts'
import { say } from '../show/output.ts'
import type { Screen } from '../show/terminal.ts'
import { wrap } from '../show/wrap.ts'
import { choose } from './askChoice.ts'
import { askForEntry, type Flags } from './askForEntry.ts'
import { declined } from './confirm.ts'

/** How it goes on: with the words that say the same without questions, or not. */
export type Asked = { go: Arguments } | { stop: Report }

/**
 * Asks for the card, who may run guests, whether to prepare Looking Glass, and for a boot entry of its
 * own. `otherwise` is the message where there is no card to ask for.
 */
export async function askForCard(
  given: Arguments,
  otherwise: Message,
  screen: Screen
): Promise<Asked> {
  const host = readHost(given)
  if (!host.ok) return { stop: fail(host.error) }
  const { machine, names } = host.value
  const candidates = candidatesOf(machine)
  if (candidates.length === 0) return { stop: fail(otherwise) }
  if (machine.iommu.groups === 0 && machine.iommu.isOffered !== true) {
    return {
      stop: fail(
        problemMessage([{ code: 'IOMMU_OFF', machine }], `vfio-patch ${given.line}`, names)
      )
    }
  }
  const card = await askCard(candidates, names, screen)
  if ('stop' in card) return card
  const user = await askUser(given, screen)
  if ('stop' in user) return user
  const window = await askLookingGlass(screen)
  if ('stop' in window) return window
  const entry = await askForEntry(given, machine, card.go, screen)
  if ('stop' in entry) return entry
  const flags = ['--gpu', card.go.card.display.address, ...user.go, ...window.go, ...entry.go]
  const end = given.words.indexOf('--')
  const at = end === -1 ? given.words.length : end
  const words = [...given.words.slice(0, at), ...flags, ...given.words.slice(at)]
  const parsed = parseArguments(words)
  if (!parsed.ok) return { stop: fail(parsed.error) }
  say(`The same without questions: vfio-patch ${parsed.value.line}`)
  return { go: parsed.value }
}

async function askCard(
  candidates: readonly Candidate[],
  names: Names,
  screen: Screen
): Promise<{ go: Candidate } | { stop: Report }> {
  const free = candidates.filter(it => it.verdict !== 'kept')
  const kept = candidates.filter(it => it.verdict === 'kept')
  const line = (it: Candidate) => {
    const why = it.reasons.map(whyNot).join('; ')
    return `${callDevice(it.card.display, names)}${why === '' ? '' : `: ${why}`}`
  }
  const keptLines = kept.flatMap(it => wrap(`  -  ${line(it)}`, screen.width, '     '))
  if (free.length === 0) {
    for (const it of keptLines) say(it)
    return { stop: fail(NO_CARD) }
  }
  const proposal = proposalOf(candidates)
  const chosen = await choose(
    {
      title: 'Which card should the guest have?',
      choices: free.map(line),
      after: kept.length > 0 ? ['These stay with the host:', ...keptLines] : [],
      usual: proposal && free.indexOf(proposal)
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  const candidate = free[chosen]
  return candidate === undefined ? { stop: declined('end') } : { go: candidate }
}

const NO_CARD: Message = {
  code: 'NO_CARD',
  exit: EXIT.hardware,
  what: 'no card of this machine can go to a guest. Nothing was written.',
  why: 'each of them is needed by the host, see above.',
  remedy: 'vfio-patch scan'
}

async function askUser(given: Arguments, screen: Screen): Promise<Flags> {
  const root = readRoot(given)
  const at = root.ok ? root.value : '/'
  const { declared, isPartial } = declaredIn(given, at, screen)
  const accounts = peopleOf(at)
  // What the configuration says is what the system will have.
  const people = declared.length > 0 ? declared : accounts
  // --user takes no other names.
  const users = people.filter(it => parseUser(it).ok)
  if (users.length === 0) return { go: [] }
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
  const chosen = await choose(
    {
      title: 'Who may run guests? (A number or a name; with these rights one can become root.)',
      choices: [...users, 'nobody but root'],
      after: [],
      usual: caller === -1 ? (users.length === 1 ? 0 : undefined) : caller,
      typed
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  const user = users[chosen] ?? named
  return { go: user === undefined ? [] : ['--user', user] }
}

/** The people that the configuration and what it imports declare; none where it can't be read. */
function declaredIn(given: Arguments, root: string, screen: Screen) {
  const read = readModule(given.file, root, path => contextOf('apply', path, root, given, screen))
  // Errors in the file are reported when it is edited.
  if (!read.ok) return { declared: [], isPartial: true }
  const { target, text } = read.value
  const { modules, unread } = walkImports({ path: target.realpath, text }, moduleReader(root))
  const { people, isComputed } = declaredUsers(modules)
  const isPartial = isComputed || unread.length > 0 || isInFlake(target.realpath)
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

async function askLookingGlass(screen: Screen): Promise<Flags> {
  const chosen = await choose(
    {
      title: 'Prepare to see the guest in a window of the host, with Looking Glass?',
      choices: ['no', 'yes'],
      after: [],
      usual: 0
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  return { go: chosen === 1 ? ['--shared-memory', 'looking-glass'] : [] }
}
