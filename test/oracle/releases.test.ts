// The complete state of each typical machine on each release. `npm run stress -- releases` prints a table.

import { afterAll, describe, expect, it } from 'vitest'
import { describeWithOracle, evalConfigs } from './evalModules.ts'
import { type State, stateOf, vfioModules, withNixos } from './machines.ts'
import { CASES } from './releaseCases.ts'
import { RELEASES } from './releases.ts'

describeWithOracle('the modules on each release', oracle => {
  const cases = CASES.flatMap(it =>
    RELEASES.map(({ shape }) => ({ modules: [withNixos(shape), vfioModules, `{ ${it.config} }`] }))
  )
  let outcomes: ReturnType<typeof evalConfigs> | undefined
  const rows = new Map(CASES.map(it => [it.name, [] as number[]]))

  describe.each(CASES.map((it, row) => ({ ...it, row })))('$name', ({ name, expected, row }) => {
    it.each(RELEASES.map((it, column) => ({ ...it, column })))(
      'has the expected state on NixOS $name',
      release => {
        outcomes ??= evalConfigs(oracle, stateOf, cases)
        const state: State = expected(release)
        expect(outcomes[row * RELEASES.length + release.column]?.value).toEqual(state)
        rows.get(name)?.push(countOf(state))
      }
    )
  })

  afterAll(() => {
    if (process.env.VFIO_PATCH_RELEASES === 'table') console.log(table(rows))
  })
})

/** The number of asserted values: each line of a text, and an empty set or list as one. */
function countOf(value: unknown): number {
  if (typeof value === 'string') return value.split('\n').length
  if (typeof value !== 'object' || value === null) return 1
  const parts = Object.values(value)
  return parts.length === 0 ? 1 : parts.reduce((sum: number, it) => sum + countOf(it), 0)
}

function table(rows: ReadonlyMap<string, number[]>): string {
  const width = Math.max(...[...rows.keys()].map(it => it.length))
  const line = (name: string, cells: readonly (string | number)[]) =>
    [name.padEnd(width), ...cells.map(it => String(it).padStart(10))].join('')
  const all = [...rows.values()]
  const sums = RELEASES.map((_, i) => all.reduce((sum, cells) => sum + (cells[i] ?? 0), 0))
  const states = all.reduce((sum, cells) => sum + cells.length, 0)
  return [
    '',
    line(
      'values asserted',
      RELEASES.map(it => it.name)
    ),
    ...[...rows].map(([name, cells]) => line(name, cells)),
    line('all', sums),
    '',
    `${rows.size} cases x ${RELEASES.length} releases: ${states} of ${rows.size * RELEASES.length} as expected, ${sums.reduce((a, b) => a + b, 0)} values`
  ].join('\n')
}
