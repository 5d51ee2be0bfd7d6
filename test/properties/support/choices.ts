import fc from 'fast-check'

/** Decisions read off a tape of numbers. An empty tape gives the first and simplest of everything. */
export interface Choices {
  pick<T>(...options: readonly [T, ...T[]]): T
  /** True in about so many of a hundred cases. */
  chance(percent: number): boolean
  /** 0 to `max`, both included. */
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

/** Anything that can be built from choices; it shrinks to what fewer and smaller choices build. */
export function built<T>(build: (choices: Choices) => T): fc.Arbitrary<T> {
  return fc
    .array(fc.nat(9999), { minLength: 0, maxLength: 400, size: 'max' })
    .map(tape => build(choicesOf(tape)))
}

/**
 * The settings of a run. `PROPERTY_SEED` and `PROPERTY_RUNS` (a factor) in the environment change
 * them; a failure prints the seed and the path to the smallest example.
 */
export function runs(numRuns: number): fc.Parameters<unknown> {
  const seed = Number(process.env.PROPERTY_SEED ?? 20_260_101)
  const factor = Number(process.env.PROPERTY_RUNS ?? 1)
  return { seed, numRuns: Math.ceil(numRuns * factor), interruptAfterTimeLimit: 10_000 }
}
