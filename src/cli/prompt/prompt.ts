import type { WriteOptions, WritingRequest } from '../args/request.ts'
import { EXIT } from '../exitCodes.ts'
import { usage } from '../message.ts'
import { printNotice, type Screen, wrap, writeError } from '../output/output.ts'
import { CommandDeclined, fail, type Report } from '../report.ts'

/** What came of a question; a line is without its end. */
type Answer = { line: string } | 'end' | 'SIGINT' | 'SIGTERM'

/** Why nobody can be asked; undefined where somebody can. */
export function whyNoQuestion({ mayAsk }: WriteOptions, json: boolean): string | undefined {
  if (json) return '--json was given'
  if (!mayAsk) return '--no-input was given'
  if (!process.stdin.isTTY) return 'standard input is not a terminal'
  return process.stderr.isTTY ? undefined : 'standard error is not a terminal'
}

/** Asks, and reads one line; what is typed without Enter before the input ends does not count. */
function askLine(question: string): Promise<Answer> {
  const { stdin } = process
  return new Promise(resolve => {
    let line = ''
    const read = (part: string) => {
      line += part
      if (line.includes('\n')) end({ line: line.slice(0, line.indexOf('\n')) })
    }
    const stop = (signal: NodeJS.Signals) => end(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM')
    const give = () => end('end')
    const end = (answer: Answer) => {
      stdin.off('data', read).off('end', give).off('error', give).pause()
      process.off('SIGINT', stop).off('SIGTERM', stop)
      // Only Enter brings the terminal to a new line.
      if (!line.includes('\n')) writeError('\n')
      resolve(answer)
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    stdin.setEncoding('utf8').on('data', read).on('end', give).on('error', give).resume()
    writeError(question)
  })
}

/** What a question has besides its title and choices. */
interface Question {
  /** Lines below the choices. */
  after?: readonly string[]
  /** The choice that Enter takes, if there is one. */
  usual?: number | undefined
  /** What can be typed instead of a number, as one more choice after the others. */
  word?: string
  /** For other words the choice that they mean, or a sentence that says what is wrong. */
  typed?: (text: string) => number | string
}

/**
 * Asks until one of the choices comes, as its number or in words; it is counted from 0. Where the user
 * stops it, the command ends.
 */
export async function choose(
  title: string,
  choices: readonly string[],
  { width }: Screen,
  { after = [], usual, word, typed }: Question
): Promise<number> {
  printNotice('')
  for (const it of wrap(title, width)) printNotice(it)
  for (const [i, it] of choices.entries()) {
    for (const line of wrap(`${String(i + 1).padStart(3)}) ${it}`, width, '     '))
      printNotice(line)
  }
  for (const it of after) printNotice(it)
  const prompt = usual === undefined ? 'Number: ' : `Number [${usual + 1}]: `
  for (;;) {
    const answer = await askLine(prompt)
    if (typeof answer !== 'object') throw new CommandDeclined(declined(answer))
    const text = answer.line.trim()
    if (text === '' && usual !== undefined) return usual
    if (word !== undefined && text.toLowerCase() === word) return choices.length
    const meant = choiceMeant(text, choices)
    if (meant !== undefined) return meant
    const other = /^\D/.test(text) ? typed?.(text) : undefined
    if (typeof other === 'number') return other
    if (other !== undefined) {
      for (const it of wrap(other, width)) printNotice(it)
      continue
    }
    const numbers = choices.length === 1 ? '1' : `a number from 1 to ${choices.length}`
    const name = typed === undefined ? '' : ', or a name'
    printNotice(`Please give ${numbers}${word === undefined ? name : `, or ${word}`}.`)
  }
}

/** The choice with this number, or with this text as its first word; `y` and `n` mean yes and no. */
function choiceMeant(text: string, choices: readonly string[]): number | undefined {
  const word = { y: 'yes', n: 'no' }[text.toLowerCase()] ?? text.toLowerCase()
  const isMeant = (choice: string, i: number) =>
    text === `${i + 1}` || choice.split(' ')[0]?.toLowerCase() === word
  const index = choices.findIndex(isMeant)
  return index === -1 ? undefined : index
}

/**
 * Asks whether to go on, unless `--yes` said so already. Undefined for yes; else how it ended.
 */
export async function confirm(
  question: string,
  { write, json }: WritingRequest
): Promise<Report | undefined> {
  if (write.isConfirmed) return undefined
  const reason = whyNoQuestion(write, json)
  if (reason !== undefined) {
    return fail(
      usage(`cannot ask for confirmation: ${reason}.`, {
        nothingWritten: true,
        remedy: 'look at the change with --dry-run, then add --yes'
      })
    )
  }
  const answer = await askLine(question)
  if (typeof answer === 'object' && /^\s*y(?:es)?\s*$/i.test(answer.line)) return undefined
  return declined(answer)
}

/** How a command ends after another answer than yes. */
function declined(answer: Answer): Report {
  if (answer !== 'SIGINT' && answer !== 'SIGTERM') {
    printNotice('Nothing was written.')
    return { exit: EXIT.differences, outcome: 'declined' }
  }
  printNotice('Cancelled. Nothing was written.')
  return { exit: answer === 'SIGINT' ? EXIT.cancelled : EXIT.terminated, outcome: 'declined' }
}
