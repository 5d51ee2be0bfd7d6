// The question about a passphrase prompt that nobody would see.

import type { DarkPrompt } from '../prepared.ts'
import type { Report } from '../report.ts'
import type { Screen } from '../show/terminal.ts'
import { choose } from './askChoice.ts'
import { declined } from './confirm.ts'

/**
 * Asks whether the initrd is to load what makes the prompt visible: the modules, none, or how the
 * command ends.
 */
export async function askForDriver(
  { message, why, drivers }: DarkPrompt,
  screen: Screen
): Promise<{ go: readonly string[] } | { stop: Report }> {
  const items = drivers.map(it => `"${it}"`).join(' ')
  const chosen = await choose(
    {
      title: `After the next start, ${message}: ${why} Add ${items} to boot.initrd.kernelModules?`,
      choices: ['yes', 'no'],
      after: [],
      usual: 0
    },
    screen
  )
  if (typeof chosen !== 'number') return { stop: declined(chosen) }
  return { go: chosen === 0 ? drivers : [] }
}
