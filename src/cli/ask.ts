import { createInterface } from 'node:readline'

export type Answer = 'yes' | 'no' | 'cancelled'

/**
 * Asks on stderr and reads one line from stdin. Only `y` and `yes` count as yes; Enter, any other
 * word and the end of input are no; Ctrl-C is `cancelled`.
 */
export function ask(question: string): Promise<Answer> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise(resolve => {
    let answer: Answer = 'no'
    lines.on('SIGINT', () => {
      answer = 'cancelled'
      lines.close()
    })
    lines.on('close', () => {
      // After Enter the terminal is on a new line already.
      if (answer !== 'yes' && !answered) process.stderr.write('\n')
      resolve(answer)
    })
    let answered = false
    lines.question(question, text => {
      answered = true
      answer = /^\s*y(?:es)?\s*$/i.test(text) ? 'yes' : 'no'
      lines.close()
    })
  })
}
