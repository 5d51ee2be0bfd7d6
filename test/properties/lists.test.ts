import { describe, expect, it } from 'vitest'
import {
  formatPath,
  type NixDocument,
  type NixValue,
  type Plan,
  parseDocument
} from '../../src/nix/index.ts'
import { everyModule } from './support/cases.ts'
import { every } from './support/choices.ts'
import type { GeneratedModule, Option } from './support/modules.ts'
import { trees } from './support/trees.ts'

describe('for every module', () => {
  it('adding items to a non-empty list and removing them restores the bytes', async () => {
    await everyModule(1500, module => {
      for (const { doc, path } of literalLists(module)) {
        if (doc.itemsIn(path).length === 0) continue
        for (const items of [['N1'], ['N1', 'N2']]) {
          for (const at of ['end', 'start'] as const) {
            const added = doc.edit().addIn(path, items, { at }).plan()
            expect(textOf(added)).not.toBe(module.text)
            const removed = parseDocument(textOf(added)).edit().removeIn(path, items).plan()
            expect(textOf(removed)).toBe(module.text)
          }
        }
      }
    })
  })

  it('items are added at the requested position', async () => {
    await everyModule(300, module => {
      for (const { doc, path } of literalLists(module)) {
        const items = doc.itemsIn(path)
        const itemsWith = (at: 'start' | 'end' | { before: NixValue } | { after: NixValue }) => {
          const plan = doc.edit().addIn(path, ['N'], { at }).plan()
          return parseDocument(textOf(plan)).itemsIn(path)
        }
        expect(itemsWith('start')).toEqual(['N', ...items])
        expect(itemsWith('end')).toEqual([...items, 'N'])
        for (const [i, item] of items.entries()) {
          if (items.findIndex(it => String(it) === String(item)) !== i) continue
          const [before, after] = [items.slice(0, i), items.slice(i + 1)]
          expect(itemsWith({ before: item })).toEqual([...before, 'N', item, ...after])
          expect(itemsWith({ after: item })).toEqual([...before, item, 'N', ...after])
        }
      }
    })
  })
})

describe('for every tree of options', () => {
  it('an edit of a chosen definition changes no other definition of the option', async () => {
    await every(trees, 500, ({ dotted, nested, mixed }) => {
      const [first, second, third] = [dotted, nested, mixed].map(it => it.replace('{ ... }:\n', ''))
      const doc = parseDocument(
        `{ lib, on, ... }:\n{\n  config = lib.mkMerge [\n${first}(lib.mkIf on ${second})\n${third}];\n}\n`
      )
      const paths = new Set(doc.leaves().map(it => formatPath(it.path as string[])))
      // If all are empty, nothing else remains.
      paths.delete('config')
      for (const path of paths) {
        const before = doc.getIn(path)
        expect(before.length).toBe(3)
        for (const [i, chosen] of before.entries()) {
          const after = parseDocument(textOf(doc.edit().setIn(chosen, 'v9').plan())).getIn(path)
          const expected = before.map((it, k) => (k === i ? '"v9"' : it.source))
          expect(after.map(it => it.source)).toEqual(expected)
        }
      }
    })
  })
})

type Planned = ReturnType<ReturnType<NixDocument['edit']>['plan']>

function textOf(plan: Planned): Plan['text'] {
  expect(plan.ok ? '' : plan.error.render()).toBe('')
  return plan.ok ? plan.value.text : ''
}

/** The options with one list literal that always applies. */
function literalLists({
  text,
  options
}: GeneratedModule): { doc: NixDocument; path: Option['path'] }[] {
  const doc = parseDocument(text)
  return options.flatMap(({ path }) => {
    const [only, second] = doc.getIn(path)
    const isOne = only && !second && only.conditions.length === 0
    // In a recursive set, other attributes may use the option as a variable.
    const isFree = path[0] !== 'custom'
    return isOne && isFree && only.value.type === 'list_expression' ? [{ doc, path }] : []
  })
}
