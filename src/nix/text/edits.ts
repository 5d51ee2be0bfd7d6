import { bisect } from '../bisect.ts'

/**
 * One replacement in a text: `length` UTF-16 units from `offset` on give way to `content`.
 * `length` 0 inserts, empty `content` deletes.
 *
 * A list of edits
 * - has offsets that all refer to the text before any of them,
 * - is sorted by offset,
 * - has no two edits that overlap, and no two at the same offset,
 * - stays inside the text,
 * - has no edit that replaces a text by itself.
 */
export interface Edit {
  offset: number
  length: number
  content: string
}

/**
 * The text with the edits applied; the text itself where there are none. Throws a RangeError if they
 * overlap, are not sorted, or leave the text.
 */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const pieces: string[] = []
  let done = 0
  let previous = -1
  for (const { offset, length, content } of edits) {
    if (offset < done || offset === previous || length < 0 || offset + length > text.length) {
      throw new RangeError(`edit at ${offset} overlaps another, is unsorted or leaves the text`)
    }
    pieces.push(text.slice(done, offset), content)
    done = offset + length
    previous = offset
  }
  pieces.push(text.slice(done))
  return pieces.join('')
}

/**
 * The edits that take `applyEdits(text, edits)` back to `text`, as many as there are. `edits` keep the
 * contract of Edit, and so does what is returned.
 */
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

/** Where the content of each edit stands in the text after all of them. */
export function writtenRanges(edits: readonly Edit[]): { start: number; end: number }[] {
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    return { start, end: start + content.length }
  })
}

/** Where a place in the text is after the edits; one inside replaced text is where that begins. */
export function moveOffset(edits: readonly Edit[], offset: number): number {
  return new Shifts(edits).moved(offset)
}

/** Where places in a text are after some edits, for many places in few steps. */
export class Shifts {
  readonly #edits: readonly Edit[]
  /** By how much what follows the first edits moves, by their number. */
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

  /** How many edits end at or before an offset. */
  before(offset: number): number {
    const edits = this.#edits
    return bisect(edits.length, i => {
      const { offset: start, length } = edits[i] as Edit
      return start + length > offset
    })
  }

  /** See `moveOffset`. */
  moved(offset: number): number {
    return offset + (this.#sums[this.before(offset)] as number)
  }
}

/**
 * One list that does what `first` and then `second` do, where the offsets of `second` refer to the
 * text that `first` made.
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

/** Either a stretch of the old text, or new text. */
type Span = { from: number; to: number } | { fresh: string }

const lengthOf = (span: Span) => ('fresh' in span ? span.fresh.length : span.to - span.from)

function toSpans(edits: readonly Edit[], textLength: number): Span[] {
  const spans: Span[] = []
  let done = 0
  for (const { offset, length, content } of edits) {
    spans.push({ from: done, to: offset }, { fresh: content })
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
    result.push({ fresh: content })
    take(offset + length, false)
  }
  return rest ? [...result, rest, ...spans.slice(next + 1)] : result
}

function split(span: Span, size: number): [Span, Span] {
  return 'fresh' in span
    ? [{ fresh: span.fresh.slice(0, size) }, { fresh: span.fresh.slice(size) }]
    : [
        { from: span.from, to: span.from + size },
        { from: span.from + size, to: span.to }
      ]
}

function toEdits(text: string, spans: Span[]): Edit[] {
  const edits: Edit[] = []
  let done = 0
  let fresh = ''
  const close = (until: number) => {
    const edit = { offset: done, length: until - done, content: fresh }
    fresh = ''
    if (text.slice(edit.offset, until) !== edit.content) edits.push(edit)
  }
  for (const span of spans) {
    if ('fresh' in span) fresh += span.fresh
    else if (span.to > span.from) {
      if (span.from > done || fresh !== '') close(span.from)
      done = span.to
    }
  }
  close(text.length)
  return edits
}
