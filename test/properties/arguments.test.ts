// `parse.ts` decides with yargs-parser alone whether a command line is valid. yargs must decide the same.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTION_CALLS, CALLS, operandCount } from '../../src/cli/args/commands.ts'
import {
  ACTIONS,
  type Action,
  COMMANDS,
  type Command,
  FLAGS,
  isTaken,
  keysOf,
  takesValue
} from '../../src/cli/args/flags.ts'
import { isAccepted, misreading } from '../../src/cli/args/parse.ts'
import { type Reading, readWords } from '../../src/cli/args/readWords.ts'
import { explainRefusal } from '../../src/cli/args/refusal.ts'
import { parseWithYargs, YargsRefusal } from '../../src/cli/args/yargs.ts'
import { seed } from '../support/seed.ts'

const KEYS = FLAGS.flatMap(keysOf)
const SHORT = FLAGS.flatMap(it => it.short ?? [])

const words = fc.oneof(
  fc.constantFrom('pc.nix', '-', '', '-1', '-1.5', '0x10', '1e3', 'true', 'false', 'help', 'a b'),
  fc.constantFrom(
    'auto',
    'end',
    'nix',
    'intel',
    'boot',
    '10de:1b80',
    '[ 1 ]',
    'ü',
    '🂡',
    '__proto__'
  ),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.string({ unit: 'binary', maxLength: 5 }).map(it => it.replaceAll('\0', ''))
)

const keys = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...KEYS) },
  fc.constantFrom(...KEYS).map(it => `no-${it}`),
  fc.constantFrom(...KEYS).map(it => it.slice(0, -1)),
  fc.constantFrom(
    '',
    'no',
    'xyz',
    'a.b',
    'toString',
    '__proto__',
    'constructor',
    '_',
    '$0',
    'gitAdd',
    'get-yargs-completions',
    'show-hidden'
  )
)

/** Well-formed flags, and words that only look like a flag. */
const flags = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...FLAGS), words).map(([flag, value]) => {
      const [key = ''] = keysOf(flag)
      const choice = 'choices' in flag ? flag.choices?.[0] : undefined
      return takesValue(flag) ? [`--${key}`, choice ?? value] : [`--${key}`]
    })
  },
  keys.map(key => [`--${key}`]),
  fc.tuple(keys, words).map(([key, value]) => [`--${key}=${value}`]),
  fc.tuple(keys, words).map(([key, value]) => [`--${key}`, value]),
  keys.map(key => [`-${key}`]),
  fc
    .array(fc.constantFrom(...SHORT, '0', '5', 'x', '=', '-', '/'), { maxLength: 4 })
    .map(it => [`-${it.join('')}`]),
  fc.tuple(fc.constantFrom(...SHORT), words).map(([letter, value]) => [`-${letter}`, value]),
  fc.constantFrom(['--'], ['---'], ['---=a'], ['-'])
)

const calls = fc.oneof(
  fc.constantFrom(...COMMANDS).map(it => [it]),
  fc.constantFrom(...ACTIONS).map(it => ['option', it, 'pc.nix']),
  fc.constantFrom<string[]>(['option'], ['aply'], ['option', 'sett'], [])
)

/** Any words in any order. */
const lines = fc
  .tuple(
    fc.array(flags, { maxLength: 1 }),
    calls,
    fc.array(
      fc.oneof(
        flags,
        words.map(it => [it])
      ),
      { maxLength: 5 }
    )
  )
  .map(parts => parts.flat(2))

/** A command with flags that it accepts and about as many operands as it accepts. */
const likelyLines = fc
  .constantFrom<[Command, Action?]>(
    ...COMMANDS.map((it): [Command] => [it]),
    ...ACTIONS.map((it): [Command, Action] => ['option', it])
  )
  .chain(([command, action]) => {
    const taken = FLAGS.filter(it => isTaken(it, command, action)).filter(it => it.name !== 'help')
    const { least } = operandCount(action ? ACTION_CALLS[action] : CALLS[command])
    return fc
      .tuple(
        fc.subarray(taken, { maxLength: 4 }),
        fc.constantFrom('10de:1b80', 'a', '-1', 'ü b', '5'),
        fc.array(fc.constantFrom('pc.nix', 'a.b', '-1', '[ 1 ]', '-', 'true'), {
          minLength: Math.max(0, least - 1),
          maxLength: least + 2
        }),
        fc.boolean(),
        fc.boolean()
      )
      .map(([given, value, operands, isSplit, isLast]) => {
        const typed = given.flatMap(flag => {
          const key = keysOf(flag).at(isSplit ? 0 : -1) ?? ''
          const choice = ('choices' in flag && flag.choices?.at(-1)) || value
          if (!takesValue(flag)) return [`--${key}`]
          return isSplit ? [`--${key}`, choice] : [`--${key}=${choice}`]
        })
        const call = [command, action ?? []].flat()
        return isLast ? [...call, ...operands, ...typed] : [...typed, ...call, '--', ...operands]
      })
  })

/** The values that yargs reads; undefined if it refuses the command line. */
function readByYargs(reading: Reading): Record<string, unknown> | undefined {
  try {
    const { $0, ...values } = parseWithYargs(reading.words)
    return values
  } catch (error) {
    if (error instanceof YargsRefusal) return undefined
    throw error
  }
}

describe('a generated command line', () => {
  const counts = { accepted: 0, refused: 0 }

  it('is accepted by both parsers with the same values, or refused by both', () => {
    fc.assert(
      fc.property(fc.oneof(lines, likelyLines), line => {
        const reading = readWords(line)
        const { given } = reading
        if (given.get('help') === true || given.get('version') === true) {
          expect(isAccepted(reading)).toBe(
            reading.command !== undefined || reading.unknownWord === undefined
          )
          return
        }
        // yargs has no rules for these faults, so it is not compared.
        if (misreading(reading) !== undefined) {
          expect(isAccepted(reading)).toBe(false)
          return
        }
        const values = readByYargs(reading)
        expect(isAccepted(reading)).toBe(values !== undefined)
        counts[values ? 'accepted' : 'refused']++
        if (!values) {
          expect(explainRefusal(reading)).toMatchObject({ code: 'USAGE' })
          return
        }
        const { _, ...flagsOfYargs } = values
        const { command, action, operands } = reading
        expect(Object.fromEntries(given)).toEqual(flagsOfYargs)
        expect([command ?? [], action ?? [], operands].flat()).toEqual(_)
      }),
      { numRuns: 2000, seed }
    )
  }, 60_000)

  it('is often valid and often invalid', () => {
    expect(counts.accepted).toBeGreaterThan(300)
    expect(counts.refused).toBeGreaterThan(300)
  })
})
