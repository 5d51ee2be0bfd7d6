import { say } from '../show/output.ts'
import type { Screen } from '../show/terminal.ts'
import { wrap } from '../show/wrap.ts'
import { type Answer, askLine } from './askLine.ts'

export interface Question {
  title: string
  choices: readonly string[]
  /** Lines below the choices. */
  after: readonly string[]
  /** The choice that Enter takes, if there is one. */
  usual: number | undefined
  /** What can be typed instead of a number, as one more choice behind the others. */
  word?: string
  /** What becomes of other words: the choice that they stand for, or a sentence that says what is wrong. */
  typed?: (text: string) => number | string
}

/** Asks until one of the choices comes, as its number or in words; it is counted from 0. */
export async function choose(
  { title, choices, after, usual, word, typed }: Question,
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
    if (word !== undefined && text.toLowerCase() === word) return choices.length
    const meant = choiceMeant(text, choices)
    if (meant !== undefined) return meant
    const other = /^\D/.test(text) ? typed?.(text) : undefined
    if (typeof other === 'number') return other
    if (other !== undefined) {
      for (const it of wrap(other, width)) say(it)
      continue
    }
    const numbers = choices.length === 1 ? '1' : `a number from 1 to ${choices.length}`
    const name = typed === undefined ? '' : ', or a name'
    say(`Please give ${numbers}${word === undefined ? name : `, or ${word}`}.`)
  }
}

/** The choice with this number, or with this text as its first word; `y` and `n` stand for yes and no. */
function choiceMeant(text: string, choices: readonly string[]): number | undefined {
  const word = { y: 'yes', n: 'no' }[text.toLowerCase()] ?? text.toLowerCase()
  const isMeant = (choice: string, i: number) =>
    text === `${i + 1}` || choice.split(' ')[0]?.toLowerCase() === word
  const index = choices.findIndex(isMeant)
  return index === -1 ? undefined : index
}
