import { EXIT, usage } from './message.ts'
import type { Arguments } from './parseArguments.ts'
import { fail, type Report } from './report.ts'
import { say } from './say.ts'

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
  const answer = await ask(question)
  switch (answer) {
    case 'yes':
      return undefined
    case 'no':
      say('Nothing was written.')
      return { exit: EXIT.differences, outcome: 'declined' }
    default:
      say('Cancelled. Nothing was written.')
      return {
        exit: answer === 'SIGINT' ? EXIT.cancelled : EXIT.terminated,
        outcome: 'declined'
      }
  }
}

function whyNoQuestion(given: Arguments): string | undefined {
  if (given.on('json') === true) return '--json was given'
  if (given.on('input') === false) return '--no-input was given'
  if (!process.stdin.isTTY) return 'standard input is not a terminal'
  return process.stderr.isTTY ? undefined : 'standard error is not a terminal'
}

type Answer = 'yes' | 'no' | 'SIGINT' | 'SIGTERM'

/** Reads one line. Only `y` and `yes` count as yes; Enter and the end of input are no. */
function ask(question: string): Promise<Answer> {
  const { stdin, stderr } = process
  return new Promise(resolve => {
    let line = ''
    const read = (part: string) => {
      line += part
      if (line.includes('\n')) end(/^\s*y(?:es)?\s*\n/i.test(line) ? 'yes' : 'no')
    }
    const stop = (signal: NodeJS.Signals) => end(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM')
    const give = () => end('no')
    const end = (answer: Answer) => {
      stdin.off('data', read).off('end', give).off('error', give).pause()
      process.off('SIGINT', stop).off('SIGTERM', stop)
      // Only Enter brings the terminal to a new line.
      if (!line.includes('\n')) stderr.write('\n')
      resolve(answer)
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    stdin.setEncoding('utf8').on('data', read).on('end', give).on('error', give)
    stderr.write(question)
  })
}
