import { describe, expect, it } from 'vitest'
import { BREAK, parseDocument, SKIP, type SyntaxNode, visit } from '../../src/nix/index.ts'

const text = '{ a = [ "x" ]; # c\n}'
const doc = parseDocument(text)

/** The named nodes that are visited, each with its depth. */
function visited(wish: (node: SyntaxNode) => typeof SKIP | typeof BREAK | undefined): string[] {
  const seen: string[] = []
  visit(doc, (node, ancestors) => {
    if (node.isNamed) seen.push(`${ancestors.length} ${node.type}`)
    return wish(node)
  })
  return seen
}

describe('visit', () => {
  it('visits every node in source order', () => {
    expect(visited(() => undefined)).toEqual([
      '0 source_code',
      '1 attrset_expression',
      '2 binding_set',
      '3 binding',
      '4 attrpath',
      '5 identifier',
      '4 list_expression',
      '5 string_expression',
      '6 string_fragment',
      '2 comment'
    ])
  })

  it('skips the children of a node on SKIP, and ends on BREAK', () => {
    expect(visited(it => (it.type === 'list_expression' ? SKIP : undefined)).slice(-2)).toEqual([
      '4 list_expression',
      '2 comment'
    ])
    expect(visited(it => (it.type === 'binding_set' ? BREAK : undefined)).slice(-1)).toEqual([
      '2 binding_set'
    ])
  })

  it('visits the subtree of a node, with the ancestors inside the subtree', () => {
    const [definition] = doc.getIn('a')
    const seen: string[] = []
    if (definition) {
      visit(definition.value, node => {
        seen.push(text.slice(node.start, node.end))
        return undefined
      })
    }
    expect(seen).toEqual(['[ "x" ]', '[', '"x"', '"', 'x', '"', ']'])
  })

  it('visits all levels of very deep documents', () => {
    let deepest = 0
    visit(parseDocument('['.repeat(50_000) + ']'.repeat(50_000)), (_, ancestors) => {
      deepest = Math.max(deepest, ancestors.length)
      return undefined
    })
    expect(deepest).toBe(50_001)
  })
})
