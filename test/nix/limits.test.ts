// The time of large jobs is linear: four times as much takes about four times as long. It would take
// sixteen times as long if each item were compared with all others.

import { describe, expect, it } from 'vitest'
import { expr, parseDocument, type Transaction } from '../../src/nix/index.ts'

/** The CPU time of a job in milliseconds: the minimum of several runs. */
function timeOf(run: () => void): number {
  const times = [1, 2, 3].map(() => {
    const start = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  })
  return Math.min(...times)
}

function planned(text: string, edit: (to: Transaction) => void): string {
  const transaction = parseDocument(text).edit()
  edit(transaction)
  const plan = transaction.plan()
  return plan.ok ? plan.value.text : plan.error.code
}

const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))

const listOf = (count: number) =>
  `{\n  a = [\n${times(count, i => `    "x${i}"\n`).join('')}  ];\n}\n`
const settings = (count: number) =>
  `{\n${times(count, i => `  a${i >> 7}.b${i} = ${i};\n`).join('')}}\n`

const items = (count: number) => times(count, i => `new ${i}`)

describe('time is linear', () => {
  const jobs: [string, number, (n: number) => string][] = [
    ['items in one addIn', 1000, n => planned(listOf(1), it => it.addIn('a', items(n)))],
    [
      'items at the start of a list',
      1000,
      n => planned(listOf(1), it => it.addIn('a', items(n), { at: 'start' }))
    ],
    [
      'items after another one',
      1000,
      n => planned(listOf(1), it => it.addIn('a', items(n), { at: { after: 'x0' } }))
    ],
    ['items for a long list', 400, n => planned(listOf(10 * n), it => it.addIn('a', items(n)))],
    [
      'calls that add one item each',
      400,
      n => planned(listOf(10 * n), it => items(n).map(item => it.addIn('a', [item])))
    ],
    [
      'values that are set',
      1000,
      n =>
        planned(settings(4 * n), it => times(n, i => it.setIn(`a${(i * 4) >> 7}.b${i * 4}`, 'new')))
    ],
    [
      'new options',
      500,
      n => planned(settings(100), it => times(n, i => it.setIn(`programs.p${i}.enable`, true)))
    ],
    [
      'new options of new sets',
      500,
      n => planned(settings(100), it => times(n, i => it.setIn(`p${i}.enable`, true)))
    ],
    [
      'items that are removed',
      500,
      n =>
        planned(listOf(4 * n), it =>
          it.removeIn(
            'a',
            times(n, i => `x${3 * i}`)
          )
        )
    ],
    [
      'options that are removed',
      500,
      n => planned(settings(4 * n), it => times(n, i => it.removeIn(`a${i >> 5}.b${4 * i}`)))
    ]
  ]

  it.each(jobs)('four times as much takes about four times as long: %s', (_, n, job) => {
    expect(job(n).length).toBeGreaterThan(100)
    const small = timeOf(() => job(n))
    expect(timeOf(() => job(4 * n))).toBeLessThan(9 * small + 60)
  })
})

describe('long lists and chains', () => {
  const long = times(200_000, i => i).join(' ')

  it('reads and edits a list with many items on one line', () => {
    expect(parseDocument(`{ a = [ ${long} ]; }`).itemsIn('a')).toHaveLength(200_000)
    const text = `{ a = [ ${long} ]; b = 1; }`
    expect(planned(text, it => it.addIn('a', ['x']))).toBe(text.replace(' ]', ' "x" ]'))
    expect(planned(text, it => it.setIn('b', 2))).toBe(text.replace('b = 1', 'b = 2'))
    expect(planned(text, it => it.setIn('a', []))).toBe('{ a = [ ]; b = 1; }')
  })

  it('writes a list with many items', () => {
    expect(planned('{ b = 1; }', it => it.setIn('a', expr(`[ ${long} ]`)))).toBe(
      `{ b = 1; a = [ ${long} ]; }`
    )
  })

  it.each(['+', '++', '//'])(
    'edits next to a long chain of %s, and refuses to edit it',
    operator => {
      const chain = times(30_000, () => '{ }').join(` ${operator} `)
      const text = `{\n  a = ${chain};\n  b = 1;\n}\n`
      const run = () => {
        expect(planned(text, it => it.setIn('b', 2))).toBe(text.replace('b = 1', 'b = 2'))
        expect(planned(text, it => it.addIn('a', [1]))).toMatch(/^(?:TOO_DEEP|NOT_A_LIST)$/)
      }
      expect(timeOf(run)).toBeLessThan(3000)
    }
  )

  it.each(['"x"', 'a'])('refuses to write a long chain of %s', operand => {
    const chain = expr(times(30_000, () => operand).join(' + '))
    const run = () => {
      expect(planned('{ a, ... }: { }', it => it.setIn('b', chain))).toBe('TOO_DEEP')
      expect(planned('{ a, ... }: { }', it => it.addIn('b', [chain]))).toBe('TOO_DEEP')
    }
    expect(timeOf(run)).toBeLessThan(3000)
  })
})
