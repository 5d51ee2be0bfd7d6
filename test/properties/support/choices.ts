import fc from 'fast-check'
import { seed } from '../../support/seed.ts'

/** Decisions read from a list of numbers. An empty list gives the first and simplest alternatives. */
export interface Choices {
  pick<T>(...options: readonly [T, ...T[]]): T
  /** True with this probability in percent. */
  chance(percent: number): boolean
  /** An integer from 0 to `max`, both included. */
  count(max: number): number
}

export function choicesOf(tape: readonly number[]): Choices {
  let at = 0
  const next = () => tape[at++] ?? 0
  return {
    pick: (...options) => options[next() % options.length] ?? options[0],
    chance: percent => next() % 100 >= 100 - percent,
    count: max => next() % (max + 1)
  }
}

/**
 * An arbitrary of values built from at most `maxChoices` choices; it shrinks to values from fewer and
 * smaller choices.
 */
export function built<T>(build: (choices: Choices) => T, maxChoices = 400): fc.Arbitrary<T> {
  return fc
    .array(fc.nat(9999), { minLength: 0, maxLength: maxChoices, size: 'max' })
    .map(tape => build(choicesOf(tape)))
}

/**
 * The settings of a run. `PROPERTY_DOCUMENTS` in the environment sets the number of cases and removes the
 * time limit. A failure prints the seed and the path to the smallest failing example or, with
 * `PROPERTY_DOCUMENTS`, to the first.
 */
export function runs(numRuns: number): fc.Parameters<unknown> {
  const { PROPERTY_DOCUMENTS } = process.env
  if (PROPERTY_DOCUMENTS !== undefined)
    return { seed, numRuns: Number(PROPERTY_DOCUMENTS), endOnFailure: true }
  return { seed, numRuns, interruptAfterTimeLimit: 10_000 }
}

/** Checks a property of all values of an arbitrary. */
export async function every<T>(
  arbitrary: fc.Arbitrary<T>,
  numRuns: number,
  check: (it: T) => void
): Promise<void> {
  fc.assert(fc.property(arbitrary, check), runs(numRuns))
}
