import type { Arguments } from '../arguments/parseArguments.ts'
import { writeError } from '../show/output.ts'

/** What came of a question; a line is without its end. */
export type Answer = { line: string } | 'end' | 'SIGINT' | 'SIGTERM'

/** Why nobody can be asked; undefined where somebody can. */
export function whyNoQuestion(given: Arguments): string | undefined {
  if (given.on('json') === true) return '--json was given'
  if (given.on('input') === false) return '--no-input was given'
  if (!process.stdin.isTTY) return 'standard input is not a terminal'
  return process.stderr.isTTY ? undefined : 'standard error is not a terminal'
}

/** Asks, and reads one line; what is typed without Enter before the input ends is no answer. */
export function askLine(question: string): Promise<Answer> {
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
