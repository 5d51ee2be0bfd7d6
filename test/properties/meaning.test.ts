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
import { type Asked, planOf } from './support/edits.ts'
import { trees } from './support/trees.ts'

describe('for every module and every edit', () => {
  it('edits of different options come to the same in any order', async () => {
    await everyCase(4000, ({ module, asked }) => {
      const doc = parseDocument(module.text)
      if (asked.length < 2 || !areApart(asked, namesThatPart(doc))) return
      const plan = planOf(doc, asked)
      const other = planOf(doc, asked.toReversed())
      expect(outcomeOf(other)).toEqual(outcomeOf(plan))
    })
  })
})

describe('for every tree of options', () => {
  it('however its paths are spelt, an edit comes to the same', async () => {
    await every(trees, 2000, ({ dotted, nested, mixed, asked }) => {
      const plan = outcomeOf(planOf(parseDocument(dotted), asked))
      expect(outcomeOf(planOf(parseDocument(nested), asked))).toEqual(plan)
      expect(outcomeOf(planOf(parseDocument(mixed), asked))).toEqual(plan)
    })
  })
})

/** What each option is after the plan, by its path. */
function outcomeOf(plan: Result<Plan, NixError>): string | Record<string, string[]> {
  return plan.ok ? meaningOf(plan.value.text) : 'refused'
}

/** All definitions of each option in their order. What a set is, the options in it say. */
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
 * How many names of a path say where it goes. Of the operands of a `//` the last that has a path's
 * first name decides, so that of two edits below one name the first says where the other goes.
 */
function namesThatPart(doc: NixDocument): number {
  const module = doc.module()
  return module.ok && module.value.sets.length > 1 ? 1 : Number.POSITIVE_INFINITY
}

/**
 * Whether no edit is about an option that another is about, or that lies around or inside it, as far
 * as that many names tell.
 */
function areApart(asked: readonly Asked[], names: number): boolean {
  const paths = asked.flatMap(it => {
    // Imports keep the order in which they were asked for.
    if (it.kind === 'import') return [['imports']]
    return it.kind === 'rename' ? [it.path, it.to] : [it.path]
  })
  return paths.every((path, i) =>
    paths.every(
      (it, k) => i === k || path.slice(0, names).some((name, n) => (it[n] ?? name) !== name)
    )
  )
}
