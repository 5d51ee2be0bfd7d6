// The last question of an `apply` that was not told what to set up: the usual boot entry, or one of its
// own, which is proposed wherever the picture could be lost.

import { specialisationsOf } from '../../apply/specialisation.ts'
import type { Candidate } from '../../host/candidates.ts'
import type { Machine } from '../../host/machine.ts'
import { parseDocument } from '../../nix/index.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { contextOf } from '../context.ts'
import { readModule } from '../input/readModule.ts'
import { EXIT, type Message } from '../message.ts'
import { showsOrMay } from '../messages/deviceWords.ts'
import { fail, type Report } from '../report.ts'
import { readRoot } from '../root.ts'
import type { Screen } from '../show/terminal.ts'
import { wrap } from '../show/wrap.ts'
import { choose } from './askChoice.ts'
import { declined } from './confirm.ts'

/** The words that say what was answered, or how the command ends. */
export type Flags = { go: readonly string[] } | { stop: Report }

/** Asks for the boot entry, unless it was named. */
export async function askForEntry(
  given: Arguments,
  machine: Machine,
  candidate: Candidate,
  screen: Screen
): Promise<Flags> {
  if (given.text('specialisation') !== undefined) return { go: [] }
  const { verdict, card } = candidate
  const { address } = card.display
  const own = { go: ['--specialisation', freeName(given, screen)] }
  const title = 'Give it away in a boot entry of its own, so that the usual one stays as it is?'
  if (verdict === 'confirm') {
    const chosen = await choose(
      {
        title: `It ${showsOrMay(card.display)} your screen. ${title}`,
        choices: ['yes'],
        after: wrap(
          `Or type ${address} to give it away in every boot entry: the host then has no picture, unless you plug the monitor into its own card.`,
          screen.width
        ),
        usual: 0,
        word: address
      },
      screen
    )
    if (typeof chosen !== 'number') return { stop: declined(chosen) }
    return chosen === 0 ? own : { go: ['--confirm', address] }
  }
  const isLast = verdict === 'separate'
  const isAtRisk =
    isLast ||
    card.display.bootVga === true ||
    machine.firmware.isLaptop ||
    machine.iommu.groups === 0
  const chosen = await choose(
    {
      title: isLast ? `No other card is left to show a picture. ${title}` : title,
      choices: ['no', 'yes'],
      after: [],
      usual: isAtRisk ? 1 : 0
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  if (chosen === 1) return own
  return isLast ? { stop: fail(stays(address, given)) } : { go: [] }
}

/** The only card, and it is not to have a boot entry of its own. */
function stays(address: string, given: Arguments): Message {
  return {
    code: 'ONLY_DISPLAY',
    exit: EXIT.hardware,
    what: `${address} stays with the host. Nothing was written.`,
    why: 'without it the usual boot entry would have no picture.',
    remedy: `a guest can have it while it runs: vfio-patch ${given.line} --gpu ${address} --bind hooks`
  }
}

/** A name that no specialisation of the configuration has. */
function freeName(given: Arguments, screen: Screen): string {
  const root = readRoot(given)
  const read = root.ok
    ? readModule(given.file, root.value, path =>
        contextOf('apply', path, root.value, given, screen)
      )
    : undefined
  const taken = read?.ok ? specialisationsOf(parseDocument(read.value.text)) : []
  let name = 'vfio'
  for (let i = 2; taken.includes(name); i++) name = `vfio${i}`
  return name
}
