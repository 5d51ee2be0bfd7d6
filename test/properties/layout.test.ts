import { describe, expect, it } from 'vitest'
import { type Edit, parseDocument, SKIP, type SyntaxNode, visit } from '../../src/nix/index.ts'
import { everyCase, everyPlan } from './support/cases.ts'
import { planOf } from './support/edits.ts'

describe('for every module and every edit', () => {
  it('a new binding or item on its own line is indented like its neighbors', async () => {
    await everyPlan(3000, ({ plan: { edits, text } }) => {
      const isNew = writtenBy(edits)
      visit(parseDocument(text), node => {
        if (isNew(node.start) && isNew(node.end - 1)) return SKIP
        const indents = siblingsIn(node).flatMap(it => {
          const indent = indentOf(text, it.start)
          return indent === undefined ? [] : [{ indent, isNew: isNew(it.start) }]
        })
        const old = indents.filter(it => !it.isNew).map(it => it.indent)
        if (old.length === 0) return
        for (const it of indents) if (it.isNew) expect(old, text).toContain(it.indent)
      })
    })
  })

  it('the result for a file with CRLF differs from that for LF only in the line endings', async () => {
    const crlf = (text: string) => text.replaceAll('\n', '\r\n')
    await everyCase(2000, ({ module, requests }) => {
      const lists = module.options.filter(it => it.kind === 'list').map(it => it.path)
      // In an indented string of a CRLF file, the carriage returns are significant. So its lines keep their
      // indentation where those of other values change it.
      if (module.isCrlf || requests.some(it => 'items' in it && !lists.includes(it.path))) return
      const plan = planOf(parseDocument(module.text), requests)
      const other = planOf(parseDocument(crlf(module.text)), requests)
      const compared = (text: string) =>
        module.text.includes("''\n") ? text.replace(/^ +/gm, '') : text
      if (plan.ok)
        expect(compared(other.ok ? other.value.text : other.error.render())).toBe(
          compared(crlf(plan.value.text))
        )
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })

  it('the result for a file with tabs differs from that for spaces only in the indentation', async () => {
    const tabs = (text: string) =>
      text.replace(/^(?: {2})+/gm, spaces => '\t'.repeat(spaces.length / 2))
    await everyCase(2000, ({ module, requests }) => {
      // In an indented string, tabs are significant. A file without indentation gets two spaces per level.
      if (/''\n|^\t/m.test(module.text) || !/^ {2}\S/m.test(module.text)) return
      if (requests.some(it => it.kind === 'set' && typeof it.value === 'object')) return
      const plan = planOf(parseDocument(module.text), requests)
      const other = planOf(parseDocument(tabs(module.text)), requests)
      if (plan.ok)
        expect(other.ok ? other.value.text : other.error.render()).toBe(tabs(plan.value.text))
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })

  it('the edits do not depend on a line ending at the end of the file', async () => {
    await everyCase(2000, ({ module, requests }) => {
      const short = module.text.replace(/\r?\n$/, '')
      const end = module.text.slice(short.length) || '\n'
      const plan = planOf(parseDocument(short + end), requests)
      const other = planOf(parseDocument(short), requests)
      if (plan.ok)
        expect(other.ok ? other.value.edits : other.error.render()).toEqual(plan.value.edits)
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })
})

/** Returns a function that tests whether the edits wrote the text at an offset of the result. */
function writtenBy(edits: readonly Edit[]): (place: number) => boolean {
  let shift = 0
  const written = edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    return { start, end: start + content.length }
  })
  return place => written.some(it => place >= it.start && place < it.end)
}

/** The bindings of a set, or the items of a list. */
function siblingsIn(node: SyntaxNode): readonly SyntaxNode[] {
  const isOne = node.type === 'list_expression' || node.type === 'binding_set'
  return isOne ? node.children.filter(it => it.isNamed && it.type !== 'comment') : []
}

/** The indentation of a node that begins its line. */
function indentOf(text: string, start: number): string | undefined {
  const line = text.lastIndexOf('\n', start - 1) + 1
  const before = text.slice(line, start)
  return line > 0 && /^[ \t]*$/.test(before) ? before : undefined
}
