// Evaluates the fixed configurations with Nix on the newest NixOS.

import { expect, it } from 'vitest'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import { stateOf, untouched, withNixos } from '../oracle/machines.ts'
import { CASES } from './cases.ts'

describeWithOracle('a configuration after its fixes', oracle => {
  const fixed = CASES.flatMap(({ code, fixed: text, gives }) =>
    text === undefined ? [] : [{ code, text, gives }]
  )

  it.each(fixed)('evaluates to the expected values after the fixes of $code', ({ text, gives }) => {
    const modules = [withNixos('stage1 = "only";'), text]
    expect(gives).toBeDefined()
    expect(evalNix(configExpression(oracle, stateOf, { modules }))).toEqual({
      ok: true,
      value: { ...untouched, ...gives }
    })
  })
})
