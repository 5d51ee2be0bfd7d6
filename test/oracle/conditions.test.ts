// Edits of options that are defined under a condition, evaluated with the condition off and on.

import { expect, it } from 'vitest'
import { KINDS } from '../nix/conditionKinds.ts'
import { describeWithOracle, evalConfigs } from './evalModules.ts'

const OPTIONS = `{ lib, ... }: {
  options.l = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
  options.t = lib.mkOption { type = lib.types.lines; default = ""; };
  options.x = lib.mkOption { type = lib.types.str; default = "default"; };
  options.y = lib.mkOption { type = lib.types.str; default = "default"; };
}`

/** The module with this value of its condition. */
const withCondition = (text: string, on: boolean) => `args: (${text}) (args // { on = ${on}; })`

describeWithOracle('an option that is defined under a condition', oracle => {
  it('has the expected value after each edit, with the condition off and on', () => {
    const cases = KINDS.flatMap(({ after }) =>
      [false, true].map(on => ({ modules: [OPTIONS, withCondition(after, on)] }))
    )
    const outcomes = evalConfigs(oracle, 'c: { inherit (c) l t x y; }', cases)
    const found = KINDS.map(({ name, option }, i) => {
      const valueIn = (at: number) => (outcomes[at]?.value as Record<string, unknown>)?.[option]
      return { name, off: valueIn(2 * i), on: valueIn(2 * i + 1) }
    })
    expect(found).toEqual(KINDS.map(({ name, off, on }) => ({ name, off, on })))
  })
})
