import type { Arguments } from '../arguments/parseArguments.ts'
import { EXIT, usage } from '../message.ts'
import { fail, type Report } from '../report.ts'
import { say } from '../show/output.ts'
import { type Answer, askLine, whyNoQuestion } from './askLine.ts'

/**
 * Asks whether to go on, unless `--yes` said so already. Undefined for yes; else how it ended.
 */
export async function confirm(question: string, given: Arguments): Promise<Report | undefined> {
  if (given.on('yes') === true) return undefined
  const reason = whyNoQuestion(given)
  if (reason !== undefined) {
    return fail(
      usage(`cannot ask for confirmation: ${reason}. Nothing was written.`, {
        remedy: 'look at the change with --dry-run, then add --yes'
      })
    )
  }
  const answer = await askLine(question)
  if (typeof answer === 'object' && /^\s*y(?:es)?\s*$/i.test(answer.line)) return undefined
  return declined(answer)
}

/** How a command ends that was not told to go on. */
export function declined(answer: Answer): Report {
  if (answer !== 'SIGINT' && answer !== 'SIGTERM') {
    say('Nothing was written.')
    return { exit: EXIT.differences, outcome: 'declined' }
  }
  say('Cancelled. Nothing was written.')
  return { exit: answer === 'SIGINT' ? EXIT.cancelled : EXIT.terminated, outcome: 'declined' }
}
