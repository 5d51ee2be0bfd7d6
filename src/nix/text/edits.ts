import { bisect } from '../bisect.ts'

/**
 * One replacement in a text: `content` replaces `length` UTF-16 units at `offset`. With `length` 0 it
 * inserts, with empty `content` it deletes.
 *
 * In a list of edits
 * - all offsets refer to the text before any of the edits,
 * - the edits are sorted by offset,
 * - no two edits overlap or have the same offset,
 * - all ranges are inside the text,
 * - no edit replaces a text with the same text.
 */
export interface Edit {
  offset: number
  length: number
  content: string
}

/**
 * The text with the edits applied. Throws a RangeError if they overlap, are not sorted, or are outside
 * the text.
 */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const pieces: string[] = []
  let done = 0
  let previous = -1
  for (const { offset, length, content } of edits) {
    if (offset < done || offset === previous || length < 0 || offset + length > text.length) {
      throw new RangeError(
        `the edit at ${offset} overlaps another, is not sorted or is outside the text`
      )
    }
    pieces.push(text.slice(done, offset), content)
    done = offset + length
    previous = offset
  }
  pieces.push(text.slice(done))
  return pieces.join('')
}

/** The edits that turn `applyEdits(text, edits)` back into `text`: one for each edit. */
export function invertEdits(text: string, edits: readonly Edit[]): Edit[] {
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const inverse = {
      offset: offset + shift,
      length: content.length,
      content: text.slice(offset, offset + length)
    }
    shift += content.length - length
    return inverse
  })
}

/** The range of each edit's content in the text after all of them. */
export function writtenRanges(edits: readonly Edit[]): { start: number; end: number }[] {
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    return { start, end: start + content.length }
  })
}

/** The offset after the edits. An offset inside replaced text becomes the start of the replacement. */
export function moveOffset(edits: readonly Edit[], offset: number): number {
  return new Shifts(edits).moved(offset)
}

/** Maps offsets in a text to offsets in the text after some edits, by binary search. */
export class Shifts {
  readonly #edits: readonly Edit[]
  /** At index n: how far the first n edits move the text after them. */
  readonly #sums: readonly number[]

  constructor(edits: readonly Edit[]) {
    this.#edits = edits
    let sum = 0
    this.#sums = [
      0,
      ...edits.map(({ length, content }) => {
        sum += content.length - length
        return sum
      })
    ]
  }

  /** The number of edits that end at or before an offset. */
  countBefore(offset: number): number {
    const edits = this.#edits
    return bisect(edits.length, i => {
      const { offset: start, length } = edits[i] as Edit
      return start + length > offset
    })
  }

  /** See `moveOffset`. */
  moved(offset: number): number {
    return offset + (this.#sums[this.countBefore(offset)] as number)
  }
}

/**
 * One list of edits with the effect of `first` and then `second`. The offsets of `second` refer to the
 * text after `first`.
 */
export function composeEdits(
  text: string,
  first: readonly Edit[],
  second: readonly Edit[]
): Edit[] {
  const between = toSpans(first, text.length)
  const result = cut(between, second)
  return toEdits(text, result)
}

/** A range of the original text, or new text. */
type Span = { from: number; to: number } | { added: string }

const lengthOf = (span: Span) => ('added' in span ? span.added.length : span.to - span.from)

function toSpans(edits: readonly Edit[], textLength: number): Span[] {
  const spans: Span[] = []
  let done = 0
  for (const { offset, length, content } of edits) {
    spans.push({ from: done, to: offset }, { added: content })
    done = offset + length
  }
  spans.push({ from: done, to: textLength })
  return spans
}

function cut(spans: readonly Span[], edits: readonly Edit[]): Span[] {
  const result: Span[] = []
  let at = 0
  let next = 0
  let rest = spans[0]
  const take = (until: number, keep: boolean) => {
    while (rest && at < until) {
      const size = Math.min(lengthOf(rest), until - at)
      const [head, tail] = split(rest, size)
      if (keep) result.push(head)
      if (lengthOf(tail) > 0) rest = tail
      else rest = spans[++next]
      at += size
    }
  }
  for (const { offset, length, content } of edits) {
    take(offset, true)
    result.push({ added: content })
    take(offset + length, false)
  }
  return rest ? [...result, rest, ...spans.slice(next + 1)] : result
}

function split(span: Span, size: number): [Span, Span] {
  return 'added' in span
    ? [{ added: span.added.slice(0, size) }, { added: span.added.slice(size) }]
    : [
        { from: span.from, to: span.from + size },
        { from: span.from + size, to: span.to }
      ]
}

function toEdits(text: string, spans: Span[]): Edit[] {
  const edits: Edit[] = []
  let done = 0
  let added = ''
  const close = (until: number) => {
    const edit = { offset: done, length: until - done, content: added }
    added = ''
    if (text.slice(edit.offset, until) !== edit.content) edits.push(edit)
  }
  for (const span of spans) {
    if ('added' in span) added += span.added
    else if (span.to > span.from) {
      if (span.from > done || added !== '') close(span.from)
      done = span.to
    }
  }
  close(text.length)
  return edits
}
