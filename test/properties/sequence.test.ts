// Edits in one transaction give exactly the same text as a separate transaction for each edit.

import { expect, it } from 'vitest'
import type { Operation } from '../../src/nix/edit/operation.ts'
import { annotated, expr, formatPath, type NixValue, parseDocument } from '../../src/nix/index.ts'
import { planInSequence } from '../../src/nix/sequence.ts'
import type { Source } from '../../src/nix/source.ts'
import { built, type Choices, every } from './support/choices.ts'
import { moduleOf } from './support/modules.ts'

// Modules in which the result depends on the text around a definition.
const SMALL = [
  '{\n}\n',
  '{ }',
  '{ a = { b = 1; }; }',
  '{\n  a.b = 1;\n}\n',
  '{\n  a = {\n    b = [ 1 ];\n  };\n\n  system.stateVersion = "26.05";\n}\n',
  '{\n  a.b = 1;\n  a.c = { on = true; };\n  boot.x = [\n    1\n  ];\n  # tail\n}\n',
  '{\n  a.b = 1;\n\n  b = [ "x" ]; c.a.on = true;\n}\n',
  '{\n  config = {\n    boot.a = 1;\n\n    boot.b = {\n      a = 1; };\n  };\n}\n',
  '{ lib, ... }:\n{\n  a = lib.mkMerge [\n    { b = 1; }\n    (lib.mkIf true { c = 1; })\n  ];\n}\n',
  '{\r\n  a.b = 1;\r\n\r\n  boot = { };\r\n}\r\n',
  '{\n  a = { b = 1; } // { c = 2; };\n  boot.on = true;\n} // {\n  b.a = 1;\n}\n',
  'rec {\n  a = 1;\n  b = a;\n}\n',
  '{\n  a = { /* c */ b = 1; }; # x\n  boot = {\n    a = 1;\n    # z\n  };\n  d.a = 1; }\n'
] as const

const LONG = ['a word of many characters in a list', 'and another one of that kind', 'and more']
const VALUES: readonly [NixValue, ...NixValue[]] = [
  1,
  'x',
  [],
  ['a'],
  LONG,
  { a: 1 },
  { a: { b: 1 }, c: 2 },
  annotated(3, 'three'),
  [annotated('x', 'an item')],
  expr('let q = 1;\n  in q'),
  expr('{ }')
]
const ITEMS: readonly [NixValue[], ...NixValue[][]] = [
  ['a'],
  ['b', 'c'],
  [1],
  LONG,
  [annotated('q', 'an item')],
  [expr('(a: a\n  b)')]
]
const NAMES = ['a', 'b', 'boot', 'c', 'on', 'x y', 'd'] as const

interface Case {
  text: string
  operations: Operation[]
}

function caseOf(c: Choices): Case {
  const module = c.chance(30) ? moduleOf(c) : undefined
  const text = module?.text ?? c.pick(...SMALL)
  const known = module?.options.map(it => it.path) ?? [['a', 'b'], ['boot', 'a'], ['b']]
  const names = c.count(NAMES.length - 2) + 2
  const pathOf = () =>
    c.chance(40)
      ? (known[c.count(known.length - 1)] ?? ['a'])
      : Array.from({ length: 1 + c.count(3) }, () => NAMES[c.count(names - 1)] as string)
  const operations = Array.from({ length: 2 + c.count(8) }, () => operationOf(c, pathOf()))
  return { text, operations }
}

function operationOf(c: Choices, path: readonly string[]): Operation {
  const target = { kind: 'path', path } as const
  const kind = c.pick('set', 'set', 'set', 'add', 'add', 'add', 'removeItems', 'remove', 'rename')
  switch (kind) {
    case 'set':
      return { kind, target, value: c.pick(...VALUES) }
    case 'add':
      return { kind, target, items: c.pick(...ITEMS), position: 'end', lines: false }
    case 'rename':
      return { kind, target, to: [...path.slice(0, -1), c.pick(...NAMES)] }
    case 'removeItems':
      return { kind, target, items: c.pick(...ITEMS) }
    case 'remove':
      return { kind, target }
  }
}

function after(doc: Source, operations: readonly Operation[]): Source | string {
  const module = doc.module()
  if (!module.ok) return module.error.code
  const done = planInSequence(doc, module.value, operations)
  return done.ok ? done.value.document : `${done.error.code}: ${done.error.message}`
}

it('one transaction gives the same text or refusal as one transaction per edit', async () => {
  await every(built(caseOf), 3000, ({ text, operations }) => {
    let doc: Source = parseDocument(text)
    const done: Operation[] = []
    for (const operation of operations) {
      // Consecutive removals are planned together.
      if (operation.kind === 'remove' && done.at(-1)?.kind === 'remove') continue
      const next = after(doc, [operation])
      const all = after(parseDocument(text), [...done, operation])
      const requests = done.map(
        it => `${it.kind} ${'target' in it ? formatPath(it.target.path as string[]) : ''}`
      )
      expect(String(all), `${text}${requests.join('\n')}`).toBe(String(next))
      if (typeof next === 'string') continue
      doc = next
      done.push(operation)
    }
  })
})
