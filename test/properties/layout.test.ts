import { describe, expect, it } from 'vitest'
import { type Edit, parseDocument, SKIP, type SyntaxNode, visit } from '../../src/nix/index.ts'
import { everyCase, everyPlan } from './support/cases.ts'
import { planOf } from './support/edits.ts'

describe('for every module and every edit', () => {
  it('a new binding or item on a line of its own is indented like one beside it', async () => {
    await everyPlan(3000, ({ plan: { edits, text } }) => {
      const isNew = newIn(edits)
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

  it('in a file with CRLF the result is that for LF with CRLF', async () => {
    const crlf = (text: string) => text.replaceAll('\n', '\r\n')
    await everyCase(2000, ({ module, asked }) => {
      const lists = module.options.filter(it => it.kind === 'list').map(it => it.path)
      // In an indented string of a CRLF file, Nix counts the carriage returns.
      if (module.isCrlf || asked.some(it => 'items' in it && !lists.includes(it.path))) return
      const plan = planOf(parseDocument(module.text), asked)
      const other = planOf(parseDocument(crlf(module.text)), asked)
      if (plan.ok)
        expect(other.ok ? other.value.text : other.error.render()).toBe(crlf(plan.value.text))
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })

  it('in a file with tabs the result is that for blanks with tabs', async () => {
    const tabs = (text: string) =>
      text.replace(/^(?: {2})+/gm, blanks => '\t'.repeat(blanks.length / 2))
    await everyCase(2000, ({ module, asked }) => {
      // In an indented string, tabs count; and with nothing indented, a step is two blanks.
      if (/''\n|^\t/m.test(module.text) || !/^ {2}\S/m.test(module.text)) return
      if (asked.some(it => it.kind === 'set' && typeof it.value === 'object')) return
      const plan = planOf(parseDocument(module.text), asked)
      const other = planOf(parseDocument(tabs(module.text)), asked)
      if (plan.ok)
        expect(other.ok ? other.value.text : other.error.render()).toBe(tabs(plan.value.text))
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })

  it('in a file whose last line has no end the edits are those of one that has it', async () => {
    await everyCase(2000, ({ module, asked }) => {
      const short = module.text.replace(/\r?\n$/, '')
      const end = module.text.slice(short.length) || '\n'
      const plan = planOf(parseDocument(short + end), asked)
      const other = planOf(parseDocument(short), asked)
      if (plan.ok)
        expect(other.ok ? other.value.edits : other.error.render()).toEqual(plan.value.edits)
      else expect(other.ok ? other.value.text : other.error.code).toBe(plan.error.code)
    })
  })
})

/** Whether a place of the result was written by the edits. */
function newIn(edits: readonly Edit[]): (place: number) => boolean {
  let shift = 0
  const written = edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    return { start, end: start + content.length }
  })
  return place => written.some(it => place >= it.start && place < it.end)
}

/** The bindings of a set, the items of a list. */
function siblingsIn(node: SyntaxNode): readonly SyntaxNode[] {
  const isOne = node.type === 'list_expression' || node.type === 'binding_set'
  return isOne ? node.children.filter(it => it.isNamed && it.type !== 'comment') : []
}

/** The blanks before what begins its line. */
function indentOf(text: string, start: number): string | undefined {
  const line = text.lastIndexOf('\n', start - 1) + 1
  const before = text.slice(line, start)
  return line > 0 && /^[ \t]*$/.test(before) ? before : undefined
}
