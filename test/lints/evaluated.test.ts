// What the fixes leave is asked of real Nix, on the newest NixOS, which refuses what the lints find.

import { expect, it } from 'vitest'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import { stateOf, withNixos } from '../oracle/machines.ts'
import { CASES } from './cases.ts'

describeWithOracle('a configuration after its fixes', oracle => {
  const fixed = CASES.flatMap(({ code, fixed: text }) =>
    text === undefined ? [] : [{ code, text }]
  )

  it.each(fixed)('$code: evaluates, and NixOS has nothing to say against it', ({ text }) => {
    const view = `config: let state = (${stateOf}) config; in builtins.seq (builtins.toJSON state) state.failures`
    const modules = [withNixos('stage1 = "only";'), text]
    expect(evalNix(configExpression(oracle, view, { modules }))).toEqual({ ok: true, value: [] })
  })
})
