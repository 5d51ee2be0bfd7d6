import { describe, expect, it } from 'vitest'
import {
  applyEdits,
  type Edit,
  parseDocument,
  type SyntaxNode,
  visit
} from '../../src/nix/index.ts'
import { built, every } from './support/choices.ts'
import { commentsAndStrings } from './support/lexer.ts'
import { moduleOf } from './support/modules.ts'

const modules = built(moduleOf)

/** Every node of a tree with its range, in source order. */
function nodesOf(root: SyntaxNode): string[] {
  const nodes: string[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    nodes.push(`${node.type} ${node.start} ${node.end} ${node.size} ${node.isNamed}`)
    stack.push(...[...node.children].reverse())
  }
  return nodes
}

/** A few edits anywhere in a text, including ones that break its syntax. */
const edited = built(c => {
  const { text } = moduleOf(c)
  const edits: Edit[] = []
  for (let at = c.count(text.length), more = 1 + c.count(2); more > 0; more--) {
    const length = Math.min(c.pick(0, 0, 1, 3, 20, 200), text.length - at)
    const content = c.pick(
      '',
      'x',
      ' # c\n',
      '\r\n',
      '{ a = 1; }',
      '"',
      "''",
      '/*',
      '*/',
      '}',
      '🎉',
      ';\n'
    )
    if (text.slice(at, at + length) !== content) edits.push({ offset: at, length, content })
    at += length + 1 + c.count(100)
    if (at > text.length) break
  }
  return { text, edits }
})

describe('the tree of every module', () => {
  it('is the same if the text is parsed as a whole or after an edit', async () => {
    await every(edited, 1500, ({ text, edits }) => {
      const fresh = parseDocument(applyEdits(text, edits))
      const reused = parseDocument(text).edited(edits)
      expect(reused.text).toBe(fresh.text)
      expect(reused.errors.map(it => it.render())).toEqual(fresh.errors.map(it => it.render()))
      if (fresh.errors.length === 0) expect(nodesOf(reused.root)).toEqual(nodesOf(fresh.root))
      const others: SyntaxNode[] = []
      visit(reused, node => {
        if (node.text !== reused.text.slice(node.start, node.end)) others.push(node)
        return undefined
      })
      expect(others).toEqual([])
    })
  })

  it('has nodes whose children are in order, inside their parent, and refer to it', async () => {
    await every(modules, 200, ({ text }) => {
      const stack: SyntaxNode[] = [parseDocument(text).root]
      for (let node = stack.pop(); node; node = stack.pop()) {
        let end = node.start
        let size = 1
        for (const child of node.children) {
          expect(child.start).toBeGreaterThanOrEqual(end)
          expect(child.end).toBeLessThanOrEqual(node.end)
          expect(child.parent).toBe(node)
          end = child.end
          size += child.size
        }
        expect(node.size).toBe(size)
        stack.push(...node.children)
      }
    })
  })

  it('contains all comments of the text', async () => {
    await every(modules, 500, ({ text }) => {
      const comments = nodesOf(parseDocument(text).root)
        .filter(it => it.startsWith('comment '))
        .map(it => it.split(' ').slice(1, 3).join(' '))
      const expected = commentsAndStrings(text)
        .filter(it => it.kind === 'comment')
        .map(it => `${it.start} ${it.end}`)
      expect(comments).toEqual(expected)
    })
  })
})
