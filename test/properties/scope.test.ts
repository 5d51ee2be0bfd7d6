import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expr, parseDocument } from '../../src/nix/index.ts'
import { parsedByNix } from '../support/nix.ts'
import { seed } from '../support/seed.ts'
import { hasNix } from './support/nix.ts'

const name = fc.constantFrom('a', 'b', 'c')

/** Expressions that define, use or shadow names in all ways that Nix has. */
const { expression } = fc.letrec<{ expression: string; leaf: string }>(tie => {
  const leaf = name
  const inner = tie('expression')
  const of = (template: (one: string, two: string, n: string, m: string) => string) =>
    fc
      .tuple(inner, inner, fc.shuffledSubarray(['a', 'b', 'c'], { minLength: 2, maxLength: 2 }))
      .map(([one, two, [n = '', m = '']]) => `(${template(one, two, n, m)})`)
  return {
    leaf,
    expression: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'expression' },
      leaf,
      of((one, two, n) => `let ${n} = ${one}; in ${two}`),
      of((one, _, n) => `let inherit ${n}; in ${one}`),
      of((one, two, n) => `let inherit (${one}) ${n}; in ${two}`),
      of((one, two, n) => `let { body = ${one}; ${n} = ${two}; }`),
      of((one, _, n) => `${n}: ${one}`),
      of((one, two, n, m) => `{ ${n} ? ${one}, ${m} }: ${two}`),
      of((one, two, n, m) => `${m}@{ ${n} ? ${one}, ... }: ${two}`),
      of((one, two) => `with ${one}; ${two}`),
      of((one, two, n, m) => `{ ${n} = ${one}; ${m} = ${two}; }`),
      of((one, two, n, m) => `rec { ${n} = ${one}; ${m} = ${two}; }`),
      of((_, two, n, m) => `{ inherit ${n}; ${m} = ${two}; }`),
      of((_, two, n, m) => `rec { inherit ${n}; ${m} = ${two}; }`),
      of((one, two, n, m) => `rec { inherit (${one}) ${n}; ${m} = ${two}; }`),
      of((one, two, n) => `{ inherit (${one}) ${n}; x.\${${two}} = 1; }`),
      of((one, two, n) => `rec { ${n} = ${one}; x.\${${two}} = 1; }`),
      of((one, two) => `"\${${one}}" + ''\${${two}}''`),
      of((one, two, n) => `${one}.${n} or ${two}`),
      of((one, two, n) => `${one} ? ${n}.\${${two}}`),
      of((one, two) => `assert ${one}; [ ${two} ]`)
    )
  }
})

describe.runIf(hasNix)('scope', () => {
  it('treats a name as in scope exactly if Nix does', () => {
    const sources = fc.sample(expression, { seed, numRuns: 600 })
    const module = (source: string) => `{ a, b, ... }:\n{\n  o = ${source};\n}\n`
    const accepted = parsedByNix(sources.map(module))
    const planned = sources.map(source => {
      const plan = parseDocument(module('1')).edit().setIn('o', expr(source)).plan()
      if (!plan.ok) expect(plan.error.message, source).toContain('is not in scope')
      return plan.ok
    })
    expect(accepted.filter(it => it).length).toBeGreaterThan(100)
    expect(accepted.filter(it => !it).length).toBeGreaterThan(100)
    expect(sources.filter((_, i) => accepted[i] !== planned[i])).toEqual([])
  }, 300_000)
})
