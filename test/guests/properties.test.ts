// Random trees similar to domains, converted to Nix and rendered by vfio-patch and by Nix.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toNix } from '../../src/guests/convert.ts'
import { readDomain } from '../../src/guests/xml/readXml.ts'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { seed } from '../support/seed.ts'
import { evaluated, withNix } from './support/nix.ts'
import { documentOf, shown, xmlOf } from './support/text.ts'

const NAMES = [
  ...['name', 'memory', 'os', 'boot', 'type', 'devices', 'disk', 'source', 'model', 'controller'],
  ...['metadata', 'title', 'serial', 'q:arg', 'q:x', 'new', 'a.b', 'ä', 'in', 'or', '_text'],
  ...['_attrs', '_children', '_x', 'constructor', '__proto__', 'toString', 'hostdev', 'address']
]

const SPECIAL = ['<', '&', '>', "'", '"', '\n', '\t', '\r', ' ', '  ', '${', "''", '$', '\\', '\\n']

const characters = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', '0', '0x1', '007', 'true', 'null', '/dev/x') },
  { weight: 3, arbitrary: fc.constantFrom(...SPECIAL) },
  { weight: 1, arbitrary: fc.constantFrom('ä', '😀', '\u00a0', '\ufffd', '\u2028', '#', ']]>') }
)
const texts = fc.array(characters, { maxLength: 6 }).map(it => it.join(''))

const escaped = (text: string) => text.replace(/[<&>'"\n\t\r]/g, it => `&#${it.codePointAt(0)};`)

interface Tree {
  name: string
  attributes: Record<string, string>
  content: (Tree | string)[]
}

const { tree } = fc.letrec<{ tree: Tree }>(tie => ({
  tree: fc.record({
    name: fc.constantFrom(...NAMES),
    attributes: fc.dictionary(fc.constantFrom(...NAMES), texts, {
      maxKeys: 3,
      noNullPrototype: false
    }),
    content: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      fc.array(texts, { maxLength: 0 }),
      fc.array(texts, { minLength: 1, maxLength: 1 }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.oneof({ arbitrary: tie('tree'), weight: 3 }, texts), { maxLength: 4 })
    )
  })
}))

function written({ name, attributes, content }: Tree, layout: string): string {
  const tag = Object.entries(attributes).map(([key, it]) => ` ${key}="${escaped(it)}"`)
  const inner = content.map(it =>
    typeof it === 'string' ? escaped(it) : `${layout}${written(it, layout)}<!-- c -->`
  )
  return `<${name}${tag.join('')}>${inner.join('')}</${name}>`
}

const domains = fc
  .tuple(fc.array(tree, { maxLength: 6 }), fc.constantFrom('', '\n  '))
  .map(([content, layout]) =>
    written({ name: 'domain', attributes: { 'xmlns:q': 'u' }, content }, layout)
  )

const settings = { seed, numRuns: 400 }

test('preserves every domain in a conversion to Nix and back', async () => {
  await fc.assert(
    fc.asyncProperty(domains, async xml => {
      await new Promise(setImmediate)
      const document = documentOf(xml)
      const nix = toNix(document)
      if (!nix.ok) throw new Error(shown(nix.error))
      const restored = documentOf(xmlOf(nix.value))
      expect(canonicalOf(restored.root)).toBe(canonicalOf(document.root))
      const again = toNix(restored)
      expect(again.ok && xmlOf(again.value)).toBe(xmlOf(nix.value))
    }),
    settings
  )
})

withNix('Nix renders random domains to the same text', () => {
  const all = fc.sample(domains, { ...settings, numRuns: 150 })
  const modules = all.map(xml => {
    const nix = toNix(documentOf(xml))
    if (!nix.ok) throw new Error(shown(nix.error))
    return nix.value
  })
  const only =
    'it: toXML (builtins.head (builtins.attrValues it.virtualisation.vfio.guests)).domain'
  const rendered = evaluated(`map (${only}) [ ${modules.map(it => `(${it})`).join('\n')} ]`)
  expect(rendered).toEqual(modules.map(xmlOf))
})

test('reads a random text, or reports an error with its place', () => {
  const pieces = fc.constantFrom(
    ...[
      '<domain>',
      '</domain>',
      '<a',
      '>',
      '/>',
      '<a/>',
      ' x="1"',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>'
    ],
    ...[
      '&',
      '&amp;',
      '&#1;',
      '&#65;',
      ';',
      '<?',
      '?>',
      '<?xml version="1.0"?>',
      '"',
      "'",
      '=',
      ' ',
      '\n'
    ],
    ...['xmlns:q="u"', 'q:a', '\0', '\u0001', '\ud800', 'ä', '<!DOCTYPE', '<!ENTITY', '\ufeff']
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), parts => {
      const domain = readDomain(Buffer.from(parts.join('')))
      if (domain.ok) return
      const { at, excerpt } = domain.error
      expect(at?.line).toBeGreaterThan(0)
      expect(at?.column).toBeGreaterThan(0)
      expect(typeof excerpt({ color: false, width: 80 })).toBe('string')
    }),
    { ...settings, numRuns: 3000 }
  )
})
