// `isNode` narrows a node to a type of the grammar and its fields.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { isNode, parseDocument, type SyntaxNode, visit } from '../../src/nix/index.ts'

it('narrows a node, so that its fields are there', () => {
  const doc = parseDocument('{ a.b = 1; inherit c; }')
  const found: string[] = []
  visit(doc, node => {
    // Without the guard, `field` may be undefined and this would not compile.
    if (isNode(node, 'binding'))
      found.push(`${node.field('attrpath').text}: ${node.field('expression').type}`)
    if (isNode(node, 'inherit', 'inherit_from'))
      found.push(`${node.type}: ${node.field('attrs').text}`)
    return undefined
  })
  expect(found).toEqual(['a.b: integer_expression', 'inherit: c'])
})

it('narrows to each of several types', () => {
  const depth = (node: SyntaxNode | undefined): number =>
    isNode(node, 'with_expression', 'assert_expression', 'let_expression')
      ? 1 + depth(node.field('body'))
      : 0
  expect(depth(parseDocument('with a; assert b; let c = 1; in c').root.field('expression'))).toBe(3)
  expect(isNode(undefined, 'binding')).toBe(false)
})

it('knows the types and the fields of the grammar', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  interface Type {
    type: string
    named: boolean
    subtypes?: object
    fields?: Record<string, { required: boolean; multiple: boolean }>
  }
  const grammar: Type[] = JSON.parse(read('../../node_modules/tree-sitter-nix/src/node-types.json'))
  const expected = grammar
    .filter(it => it.named && !it.subtypes)
    .map(({ type, fields = {} }) => {
      const always = Object.entries(fields).filter(([, it]) => it.required && !it.multiple)
      const names = always.map(([name]) => `'${name}'`).sort()
      return `${type}: ${names.join(' | ') || 'never'}`
    })
  const [, body = ''] =
    /interface FieldsOf \{\n([\s\S]*?)\n\}/.exec(read('../../src/nix/nodeTypes.ts')) ?? []
  const written = body.split('\n').map(it => it.trim())
  expect(written.sort()).toEqual(expected.sort())
})
