import { describe, expect, it } from 'vitest'
import {
  canonicalOfValue,
  expr,
  type NixDocument,
  type NixError,
  type Plan,
  parseDocument,
  type Result
} from '../../src/nix/index.ts'
import { everyCase } from './support/cases.ts'
import { every } from './support/choices.ts'
import { type EditRequest, planOf } from './support/edits.ts'
import { trees } from './support/trees.ts'

describe('for every module and every edit', () => {
  it('edits of different options give the same result in any order', async () => {
    await everyCase(4000, ({ module, requests }) => {
      const doc = parseDocument(module.text)
      if (requests.length < 2 || !areApart(requests, decidingNames(doc))) return
      const plan = planOf(doc, requests)
      const other = planOf(doc, requests.toReversed())
      // An item that is added next to a `mkIf` makes a part that always applies, which other edits need.
      if ([plan, other].some(it => !it.ok && it.error.code === 'CONDITIONAL')) return
      expect(outcomeOf(other)).toEqual(outcomeOf(plan))
    })
  })
})

describe('for every tree of options', () => {
  it('an edit gives the same result for every notation of the paths', async () => {
    await every(trees, 2000, ({ dotted, nested, mixed, requests }) => {
      const plan = outcomeOf(planOf(parseDocument(dotted), requests))
      expect(outcomeOf(planOf(parseDocument(nested), requests))).toEqual(plan)
      expect(outcomeOf(planOf(parseDocument(mixed), requests))).toEqual(plan)
    })
  })
})

/** The value of each option after the plan, by its path. */
function outcomeOf(plan: Result<Plan, NixError>): string | Record<string, string[]> {
  return plan.ok ? meaningOf(plan.value.text) : 'refused'
}

/** The definitions of each option in source order. A set is replaced with the options in it. */
function meaningOf(text: string): Record<string, string[]> {
  const meaning: Record<string, string[]> = {}
  for (const { path, value } of parseDocument(text).leaves()) {
    const source = text.slice(value.start, value.end)
    if (/^\{\s*\}$/.test(source)) continue
    const key = JSON.stringify(path)
    meaning[key] = [...(meaning[key] ?? []), canonicalOfValue(expr(source)) ?? source]
  }
  return meaning
}

/**
 * The number of names of a path that determine where a definition is added. In a `//`, it is added to the
 * last operand with the first name of the path. So an edit below a name determines the operand for the
 * next edit below the same name.
 */
function decidingNames(doc: NixDocument): number {
  const module = doc.module()
  return module.ok && module.value.sets.length > 1 ? 1 : Number.POSITIVE_INFINITY
}

/**
 * Whether no edit concerns the option of another edit, or an option inside it. Compares only the first
 * `names` names.
 */
function areApart(requests: readonly EditRequest[], names: number): boolean {
  const paths = requests.flatMap(it => {
    // Imports keep the order of the requests.
    if (it.kind === 'import') return [['imports']]
    return it.kind === 'rename' ? [it.path, it.to] : [it.path]
  })
  return paths.every((path, i) =>
    paths.every(
      (it, k) => i === k || path.slice(0, names).some((name, n) => (it[n] ?? name) !== name)
    )
  )
}
