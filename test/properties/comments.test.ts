import { describe, expect, it } from 'vitest'
import type { Edit, NixDocument } from '../../src/nix/index.ts'
import { everyPlan } from './support/cases.ts'
import type { EditRequest } from './support/edits.ts'
import { commentsAndStrings, type Token } from './support/lexer.ts'

describe('for every module and every edit', () => {
  it('comments are kept, except those inside a replaced or removed node', async () => {
    await everyPlan(3000, ({ module, requests, doc, plan: { text } }) => {
      const before = commentsOf(module.text)
      const after = commentsOf(text).filter(it => it.text !== '# a card')
      const removed = removedRanges(doc, requests)
      const kept = before.filter(
        it => !removed.some(([start, end]) => it.start >= start && it.start < end)
      )
      expect(less(textsOf(after), textsOf(before))).toEqual([])
      expect(less(textsOf(kept), textsOf(after))).toEqual([])
    })
  })

  it('a comment stays next to its code', async () => {
    await everyPlan(3000, ({ module, plan: { edits, text } }) => {
      const [before, after] = [neighborsIn(module.text), neighborsIn(text)]
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

/** `all` without the elements of `some`, each removed once. */
function less(all: readonly string[], some: readonly string[]): string[] {
  const rest = [...some]
  return all.filter(it => {
    const at = rest.indexOf(it)
    if (at !== -1) rest.splice(at, 1)
    return at === -1
  })
}

/** The ranges of the text whose comments are removed with a replaced or removed node. */
function removedRanges(doc: NixDocument, requests: readonly EditRequest[]): [number, number][] {
  return requests.flatMap((it): [number, number][] => {
    if (it.kind === 'import' || it.kind === 'rename' || it.kind === 'add') return []
    const definitions = doc.getIn(it.path)
    if (it.kind !== 'remove') return definitions.map(({ value }) => [value.start, value.end])
    return [...definitions, ...doc.getBelow(it.path)].map(({ binding }) => {
      const rest = /.*/.exec(doc.text.slice(binding.end))?.[0] ?? ''
      return [binding.start, binding.end + rest.length]
    })
  })
}

/** The offset after the edits; undefined if they removed it. */
function movedBy(edits: readonly Edit[], place: number): number | undefined {
  let moved = place
  for (const { offset, length, content } of edits) {
    if (offset > place) break
    if (place < offset + length) return undefined
    moved += content.length - length
  }
  return moved
}

/** Functions that find the last character of code before a range, and the first after it. */
function neighborsIn(text: string) {
  const isCode = Array.from({ length: text.length }, (_, at) => /\S/.test(text[at] ?? ''))
  for (const { start, end } of commentsOf(text)) isCode.fill(false, start, end)
  const before = (start: number) => {
    const at = isCode.lastIndexOf(true, start - 1)
    return start === 0 || at === -1 ? undefined : at
  }
  const after = (_start: number, end: number) => {
    const at = isCode.indexOf(true, end)
    return at === -1 ? undefined : at
  }
  return { before, after }
}

/**
 * The code that a comment belongs to: the code before it on its line, else the code after it. Undefined
 * if a blank line separates them, and at the end of a set or list.
 */
function ownerOf(
  text: string,
  sides: ReturnType<typeof neighborsIn>,
  { start, end }: Token
): { owner: number | undefined; side: 'before' | 'after' } {
  const before = sides.before(start)
  if (before !== undefined && !text.slice(before, start).includes('\n'))
    return { owner: before, side: 'before' }
  const after = sides.after(start, end)
  const isApart = after === undefined || /\n[ \t]*\r?\n/.test(text.slice(end, after))
  const isLast = after !== undefined && /[\]})]/.test(text[after] ?? '')
  return { owner: isApart || isLast ? undefined : after, side: 'after' }
}
