// The few questions of an `apply` that was not told what to set up. Plain lines, so that they work over
// ssh and on a serial console.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Candidate, candidatesOf, proposalOf } from '../host/candidates.ts'
import { type Answer, askLine } from './askLine.ts'
import { declined } from './confirm.ts'
import { callDevice, type Names, whyNot } from './deviceWords.ts'
import { problemMessage } from './gateMessages.ts'
import { EXIT, type Message } from './message.ts'
import { type Arguments, parseArguments } from './parseArguments.ts'
import { readHost } from './readHost.ts'
import { fail, type Report } from './report.ts'
import { readRoot } from './root.ts'
import { say } from './say.ts'
import type { Screen } from './terminal.ts'
import { wrap } from './wrap.ts'

/** How it goes on: with the words that say the same without questions, or not. */
export type Asked = { go: Arguments } | { stop: Report }

/**
 * Asks for the card, then who may run guests, then whether to prepare Looking Glass. `otherwise` is
 * the message where there is no card to ask for.
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
  const flags = [...card.go, ...user.go, ...window.go]
  const end = given.words.indexOf('--')
  const at = end === -1 ? given.words.length : end
  const words = [...given.words.slice(0, at), ...flags, ...given.words.slice(at)]
  const parsed = parseArguments(words)
  if (!parsed.ok) return { stop: fail(parsed.error) }
  say(`The same without questions: vfio-patch ${parsed.value.line}`)
  return { go: parsed.value }
}

type Flags = { go: readonly string[] } | { stop: Report }

async function askCard(
  candidates: readonly Candidate[],
  names: Names,
  screen: Screen
): Promise<Flags> {
  const free = candidates.filter(it => it.verdict !== 'kept')
  const kept = candidates.filter(it => it.verdict === 'kept')
  const line = (it: Candidate) => {
    const why = it.reasons.map(whyNot).join('; ')
    return `${callDevice(it.card.display, names)}${why === '' ? '' : `: ${why}`}`
  }
  const keptLines = kept.flatMap(it => wrap(`  -  ${line(it)}`, screen.width, '     '))
  if (free.length === 0) {
    for (const it of keptLines) say(it)
    return { stop: fail(noCard(candidates)) }
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
  if (candidate === undefined) return { stop: declined('end') }
  const { address } = candidate.card.display
  if (candidate.verdict === 'free') return { go: ['--gpu', address] }
  const loss =
    'The host would have no picture after the next boot, unless you plug the monitor into its own card.'
  for (const it of wrap(loss, screen.width)) say(it)
  const answer = await askLine(`Type ${address} to confirm, or press Enter to stop: `)
  const isMeant = typeof answer === 'object' && answer.line.trim().toLowerCase() === address
  return isMeant ? { go: ['--gpu', address, '--confirm', address] } : { stop: declined(answer) }
}

function noCard(candidates: readonly Candidate[]): Message {
  const own = candidates.find(it => !it.card.isIntegrated) ?? candidates[0]
  const isLast = own?.reasons.some(it => it.code === 'ONLY_DISPLAY') === true
  return {
    code: 'NO_CARD',
    exit: EXIT.hardware,
    what: 'no card of this machine can go to a guest. Nothing was written.',
    why: 'each of them is needed by the host, see above.',
    remedy: isLast
      ? `a guest can have it while it runs: vfio-patch apply --gpu ${own?.card.display.address} --bind hooks`
      : 'vfio-patch scan'
  }
}

async function askUser(given: Arguments, screen: Screen): Promise<Flags> {
  const root = readRoot(given)
  const users = peopleOf(root.ok ? root.value : '/')
  if (users.length === 0) return { go: [] }
  const caller = users.indexOf(process.env.SUDO_USER ?? '')
  const chosen = await choose(
    {
      title: 'Who may run guests? (With these rights one can become root.)',
      choices: [...users, 'nobody but root'],
      after: [],
      usual: caller === -1 ? (users.length === 1 ? 0 : undefined) : caller
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  const user = users[chosen]
  return { go: user === undefined ? [] : ['--user', user] }
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

interface Question {
  title: string
  choices: readonly string[]
  /** Lines below the choices. */
  after: readonly string[]
  /** The choice that Enter takes, if there is one. */
  usual: number | undefined
}

/** Asks until a number comes that is one of the choices; it is counted from 0. */
async function choose(
  { title, choices, after, usual }: Question,
  { width }: Screen
): Promise<number | Exclude<Answer, { line: string }>> {
  say('')
  for (const it of wrap(title, width)) say(it)
  for (const [i, it] of choices.entries()) {
    for (const line of wrap(`${String(i + 1).padStart(3)}) ${it}`, width, '     ')) say(line)
  }
  for (const it of after) say(it)
  const prompt = usual === undefined ? 'Number: ' : `Number [${usual + 1}]: `
  for (;;) {
    const answer = await askLine(prompt)
    if (typeof answer !== 'object') return answer
    const text = answer.line.trim()
    if (text === '' && usual !== undefined) return usual
    const number = /^\d{1,3}$/.test(text) ? Number(text) : 0
    if (number >= 1 && number <= choices.length) return number - 1
    say(`Please give a number from 1 to ${choices.length}.`)
  }
}
