import { describe, expect, it } from 'vitest'
import type { Edit, NixDocument } from '../../src/nix/index.ts'
import { everyPlan } from './support/cases.ts'
import type { Asked } from './support/edits.ts'
import { commentsAndStrings, type Token } from './support/lexer.ts'

describe('for every module and every edit', () => {
  it('the comments are the same ones, less those inside what was replaced or removed', async () => {
    await everyPlan(3000, ({ module, asked, doc, plan: { text } }) => {
      const before = commentsOf(module.text)
      const after = commentsOf(text).filter(it => it.text !== '# a card')
      const gone = goneWith(doc, asked)
      const kept = before.filter(
        it => !gone.some(([start, end]) => it.start >= start && it.start < end)
      )
      expect(less(textsOf(after), textsOf(before))).toEqual([])
      expect(less(textsOf(kept), textsOf(after))).toEqual([])
    })
  })

  it('what stands beside a comment goes on to stand beside it', async () => {
    await everyPlan(3000, ({ module, plan: { edits, text } }) => {
      const [before, after] = [sidesOf(module.text), sidesOf(text)]
      for (const comment of commentsOf(module.text)) {
        const now = movedBy(edits, comment.start)
        if (now === undefined) continue
        const { owner, side } = ownerOf(module.text, before, comment)
        const there = owner === undefined ? undefined : movedBy(edits, owner)
        if (there === undefined) continue
        const found = after[side](now, now + comment.text.length)
        expect(found, `${comment.text} at ${comment.start}:\n${text}`).toBe(there)
      }
    })
  })
})

const commentsOf = (text: string) => commentsAndStrings(text).filter(it => it.kind === 'comment')
const textsOf = (tokens: readonly Token[]) => tokens.map(it => it.text)

/** What is left of `all` when each of `some` is taken out once. */
function less(all: readonly string[], some: readonly string[]): string[] {
  const rest = [...some]
  return all.filter(it => {
    const at = rest.indexOf(it)
    if (at !== -1) rest.splice(at, 1)
    return at === -1
  })
}

/** The stretches of the text whose comments go with what is replaced or removed. */
function goneWith(doc: NixDocument, asked: readonly Asked[]): [number, number][] {
  return asked.flatMap((it): [number, number][] => {
    if (it.kind === 'import' || it.kind === 'rename' || it.kind === 'add') return []
    const definitions = doc.getIn(it.path)
    if (it.kind !== 'remove') return definitions.map(({ value }) => [value.start, value.end])
    return [...definitions, ...doc.getBelow(it.path)].map(({ binding }) => {
      const rest = /.*/.exec(doc.text.slice(binding.end))?.[0] ?? ''
      return [binding.start, binding.end + rest.length]
    })
  })
}

/** Where a place is after the edits; undefined if they took it away. */
function movedBy(edits: readonly Edit[], place: number): number | undefined {
  let moved = place
  for (const { offset, length, content } of edits) {
    if (offset > place) break
    if (place < offset + length) return undefined
    moved += content.length - length
  }
  return moved
}

/** The places of the last character of code before a stretch, and of the first one behind it. */
function sidesOf(text: string) {
  const isCode = Array.from({ length: text.length }, (_, at) => /\S/.test(text[at] ?? ''))
  for (const { start, end } of commentsOf(text)) isCode.fill(false, start, end)
  const before = (start: number) => {
    const at = isCode.lastIndexOf(true, start - 1)
    return start === 0 || at === -1 ? undefined : at
  }
  const behind = (_start: number, end: number) => {
    const at = isCode.indexOf(true, end)
    return at === -1 ? undefined : at
  }
  return { before, behind }
}

/**
 * What a comment is about: what stands before it on its line, else what follows it. Nothing where a
 * blank line parts them, and at the end of a set or list.
 */
function ownerOf(
  text: string,
  sides: ReturnType<typeof sidesOf>,
  { start, end }: Token
): { owner: number | undefined; side: 'before' | 'behind' } {
  const before = sides.before(start)
  if (before !== undefined && !text.slice(before, start).includes('\n'))
    return { owner: before, side: 'before' }
  const behind = sides.behind(start, end)
  const isApart = behind === undefined || /\n[ \t]*\r?\n/.test(text.slice(end, behind))
  const isLast = behind !== undefined && /[\]})]/.test(text[behind] ?? '')
  return { owner: isApart || isLast ? undefined : behind, side: 'behind' }
}
