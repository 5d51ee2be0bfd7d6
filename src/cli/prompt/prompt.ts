import type { WriteOptions, WritingRequest } from '../args/request.ts'
import { EXIT } from '../exitCodes.ts'
import { askAgain, cannotAsk } from '../messages/questions.ts'
import { CANCELLED, NO_QUESTION, NOTHING_WRITTEN } from '../messages/write.ts'
import { printNotice, type Screen, wrap, writeError } from '../output/output.ts'
import { CommandDeclined, fail, type Report } from '../report.ts'

/** The answer to a question; a line without its line ending. */
type Answer = { line: string } | 'end' | 'SIGINT' | 'SIGTERM'

/** Why the user can't be asked; undefined if a question is possible. */
export function whyNoQuestion({ mayAsk }: WriteOptions, json: boolean): string | undefined {
  if (json) return NO_QUESTION.json
  if (!mayAsk) return NO_QUESTION.noInput
  if (!process.stdin.isTTY) return NO_QUESTION.stdin
  return process.stderr.isTTY ? undefined : NO_QUESTION.stderr
}

/** Asks, and reads one line. If the input ends before Enter, what was typed is ignored. */
function askLine(question: string): Promise<Answer> {
  const { stdin } = process
  return new Promise(resolve => {
    let line = ''
    const read = (part: string) => {
      line += part
      if (line.includes('\n')) end({ line: line.slice(0, line.indexOf('\n')) })
    }
    const stop = (signal: NodeJS.Signals) => end(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM')
    const onEnd = () => end('end')
    const end = (answer: Answer) => {
      stdin.off('data', read).off('end', onEnd).off('error', onEnd).pause()
      process.off('SIGINT', stop).off('SIGTERM', stop)
      // Without Enter the terminal is still on the line of the question.
      if (!line.includes('\n')) writeError('\n')
      resolve(answer)
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    stdin.setEncoding('utf8').on('data', read).on('end', onEnd).on('error', onEnd).resume()
    writeError(question)
  })
}

/** A choice; its number selects it, and so do the words, which are in lower case. */
interface Choice {
  text: string
  words: readonly string[]
}

export const YES: Choice = { text: 'yes', words: ['yes', 'y'] }

export const NO: Choice = { text: 'no', words: ['no', 'n'] }

/** The options of a question besides its title and choices. */
interface Question {
  /** Lines below the choices. */
  after?: readonly string[]
  /** The choice that Enter selects, if there is one. */
  preset?: number | undefined
  /** A word that selects an additional choice, whose index follows the others. */
  word?: string
  /** Maps any other text to the index of a choice, or to a sentence about what is wrong. */
  parse?: (text: string) => number | string
}

/**
 * Asks until one of the choices is selected, by its number or a word; returns its index. Ends the command if
 * the user stops it.
 */
export async function choose(
  title: string,
  choices: readonly Choice[],
  { width }: Screen,
  { after = [], preset, word, parse }: Question
): Promise<number> {
  printNotice('')
  for (const it of wrap(title, width)) printNotice(it)
  for (const [i, { text }] of choices.entries()) {
    for (const line of wrap(`${String(i + 1).padStart(3)}) ${text}`, width, '     '))
      printNotice(line)
  }
  for (const it of after) printNotice(it)
  const prompt = preset === undefined ? 'Number: ' : `Number [${preset + 1}]: `
  for (;;) {
    const answer = await askLine(prompt)
    if (typeof answer !== 'object') throw new CommandDeclined(declined(answer))
    const text = answer.line.trim()
    if (text === '' && preset !== undefined) return preset
    if (word !== undefined && text.toLowerCase() === word) return choices.length
    const selected = selectedBy(text, choices)
    if (selected !== undefined) return selected
    const other = /^\D/.test(text) ? parse?.(text) : undefined
    if (typeof other === 'number') return other
    if (other !== undefined) {
      for (const it of wrap(other, width)) printNotice(it)
      continue
    }
    printNotice(askAgain(choices.length, word ?? (parse === undefined ? undefined : 'a name')))
  }
}

/** The index of the choice with this number or word. */
function selectedBy(text: string, choices: readonly Choice[]): number | undefined {
  const word = text.toLowerCase()
  const index = choices.findIndex(({ words }, i) => text === `${i + 1}` || words.includes(word))
  return index === -1 ? undefined : index
}

/** Asks whether to continue, unless `--yes` was given. Undefined for yes; else the report of the command. */
export async function confirm(
  question: string,
  { write, json }: WritingRequest
): Promise<Report | undefined> {
  if (write.isConfirmed) return undefined
  const reason = whyNoQuestion(write, json)
  if (reason !== undefined) {
    return fail(cannotAsk(reason))
  }
  const answer = await askLine(question)
  if (typeof answer === 'object' && /^\s*y(?:es)?\s*$/i.test(answer.line)) return undefined
  return declined(answer)
}

/** The report of a command whose question was not answered with yes. */
function declined(answer: Answer): Report {
  if (answer !== 'SIGINT' && answer !== 'SIGTERM') {
    printNotice(NOTHING_WRITTEN)
    return { exit: EXIT.differences, outcome: 'declined' }
  }
  printNotice(CANCELLED)
  return { exit: answer === 'SIGINT' ? EXIT.cancelled : EXIT.terminated, outcome: 'declined' }
}
