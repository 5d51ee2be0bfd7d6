import { bisect } from './bisect.ts'
import type { ConditionalPlace, Definition } from './module/definition.ts'
import { lineEnd, lineStart, type Place, placeOf } from './text/lines.ts'
import { visible, visibleLine } from './text/visible.ts'

/**
 * Why something could not be done. Each code has one meaning:
 *
 * - `ENCODING` Nix and this parser would read the text differently (byte order mark, lone carriage
 *   return, NUL, not UTF-8, encrypted)
 * - `SYNTAX` the text is not Nix
 * - `NOT_A_MODULE` the file does not contain a NixOS module: its result is not an attribute set
 * - `DUPLICATE_ATTRIBUTE` an attribute is defined twice in a way that Nix rejects
 * - `NOT_A_LIST`, `NOT_A_SET` a value is of another kind than the edit needs
 * - `DYNAMIC_ATTRIBUTE` a name in the attribute path is computed (`${…}`)
 * - `INHERITED` the value comes from an `inherit`
 * - `SHARED_BINDING` other attributes of a `rec` set use the value
 * - `VARIABLE` the value is a variable or an attribute of one, so it is defined elsewhere
 * - `CALL` the value is the result of a function
 * - `FUNCTION` the value is a function
 * - `COMPUTED_VALUE` the value is computed in another way, such as with `if` or an operator
 * - `COMPUTED_MODULE` the whole module is computed
 * - `UPDATE_OPERATOR` operands of a `//` define, or may define, the same attribute
 * - `PIPE_OPERATOR` the edit is inside an expression with a pipe operator
 * - `OTHER_PRIORITY` the existing value has another priority than an added one
 * - `TOO_DEEP` the file or the value has thousands of levels
 * - `CONDITIONAL` the definition, or the place for a new one, applies only under a condition
 * - `NO_TARGET` there is no place where the definition would always apply
 * - `AMBIGUOUS_TARGET` several definitions are possible targets
 * - `CONFLICT` something in the existing text rules out the edit
 * - `BAD_PATH`, `BAD_VALUE` the attribute path or the value is invalid
 * - `VERIFICATION_FAILED` the result would not be what was requested: a bug, and nothing is returned
 * - `STALE` the chosen definition or node is not in the document
 * - `NO_FORMALS` there is no function with formals around the attribute set
 */
export type NixErrorCode =
  | 'ENCODING'
  | 'SYNTAX'
  | 'NOT_A_MODULE'
  | 'DUPLICATE_ATTRIBUTE'
  | 'NOT_A_LIST'
  | 'NOT_A_SET'
  | 'DYNAMIC_ATTRIBUTE'
  | 'INHERITED'
  | 'SHARED_BINDING'
  | 'VARIABLE'
  | 'CALL'
  | 'FUNCTION'
  | 'COMPUTED_VALUE'
  | 'COMPUTED_MODULE'
  | 'UPDATE_OPERATOR'
  | 'PIPE_OPERATOR'
  | 'OTHER_PRIORITY'
  | 'TOO_DEEP'
  | 'CONDITIONAL'
  | 'NO_TARGET'
  | 'AMBIGUOUS_TARGET'
  | 'CONFLICT'
  | 'BAD_PATH'
  | 'BAD_VALUE'
  | 'VERIFICATION_FAILED'
  | 'STALE'
  | 'NO_FORMALS'

/** Codes for the kinds of values whose source is not in the place that is edited. */
export type ComputedCode = Extract<
  NixErrorCode,
  'VARIABLE' | 'CALL' | 'FUNCTION' | 'COMPUTED_VALUE' | 'UPDATE_OPERATOR'
>

/**
 * A code for a hint that mentions functions or options of this library. A caller that has other names
 * for them can word the hint itself.
 */
export type Remedy =
  | 'CHOOSE'
  | 'CHOOSE_PLACE'
  | 'MOVE_OR_CHOOSE'
  | 'WRITE_OUT_OR_CHOOSE'
  | 'KEEP_ONE_OR_CHOOSE'
  | 'ONE_STRING_PER_LINE'
  | 'SET_STRING_OR_PASS_LINES'
  | 'OMIT_LINES'
  | 'ADD_ARGUMENT'

/** Half-open, in UTF-16 offsets of the document's text. */
export interface Range {
  start: number
  end: number
}

/** Whether a range is inside the outer range, or equal to it. */
export function isInside(range: Range, outer: Range): boolean {
  return range.start >= outer.start && range.end <= outer.end
}

/** Returns a function that tests whether a range is inside one of `ranges`, which must not overlap. */
export function insideAny(ranges: readonly Range[]): (range: Range) => boolean {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  return range => {
    const at = bisect(sorted.length, i => (sorted[i] as Range).start > range.start)
    const outer = sorted[at - 1]
    return outer !== undefined && range.end <= outer.end
  }
}

/** What is wrong and what to do. The functions in `messages/` return these. */
export interface Message {
  code: NixErrorCode
  /** What is wrong, in one sentence without a final period. */
  message: string
  /** What to do instead. */
  hint?: string | undefined
  /** The code of `hint`, if that names a part of this library. */
  remedy?: Remedy | undefined
}

export interface NixError {
  code: NixErrorCode
  /** What is wrong, in one sentence without a final period. */
  message: string
  /** The text at fault; `{ start: 0, end: 0 }` if the fault is in the call and not in the text. */
  range: Range
  /** The place of `range.start`. */
  at: Place
  /** What to do instead. */
  hint?: string
  /** The code of `hint`, if that names a part of this library. */
  remedy?: Remedy
  /**
   * With `CONDITIONAL` and `AMBIGUOUS_TARGET`: the definitions to choose from, as in the document. Pass one
   * instead of the path. Like `places` not enumerable, so that the rest of the error is plain data.
   */
  readonly definitions?: readonly Definition[]
  /** With `CONDITIONAL`: where a new definition is added with `conditional`. */
  readonly places?: readonly ConditionalPlace[]
  /**
   * Place, code and message, the source line, carets below it, and the hint, as lines separated by
   * `\n`. Place and source line are omitted if the fault is in the call and not in the text. The only
   * escape characters are those of the colors: see text/visible.ts.
   */
  render(options?: RenderOptions): string
}

export interface RenderOptions {
  /** Written before the place, as in `configuration.nix:3:5`. */
  file?: string
  color?: boolean
  /**
   * The maximum number of columns of the source line to show, around the caret; default 100. Each `…`,
   * where the line is cut, takes one more column.
   */
  width?: number
}

/** What a caller can choose to edit instead. */
export interface Alternatives {
  definitions?: readonly Definition[] | undefined
  places?: readonly ConditionalPlace[] | undefined
}

interface NixErrorInit extends Message, Alternatives {
  /** Omitted if the fault is in the call and not in the text. */
  range?: Range
}

export function nixError(text: string, init: NixErrorInit): NixError {
  const { code, message, hint, remedy } = init
  // The range may be a syntax node; an error holds plain data only.
  const { start, end } = init.range ?? { start: 0, end: 0 }
  const range = { start, end }
  const placed = init.range !== undefined
  const at = placeOf(text, range.start)
  const error: NixError = {
    code,
    message,
    range,
    at,
    ...(hint === undefined ? {} : { hint }),
    ...(remedy === undefined ? {} : { remedy }),
    render: (options = {}) => render(text, { code, message, range, placed, at, hint }, options)
  }
  const { definitions, places } = init
  if (definitions) Object.defineProperty(error, 'definitions', { value: definitions })
  if (places) Object.defineProperty(error, 'places', { value: places })
  return error
}

/** An error about a syntax node, or about another range of its document's text. */
export function errorAt(
  node: Range & { readonly documentText: string },
  message: Message & Alternatives,
  range: Range = node
): NixError {
  return nixError(node.documentText, { ...message, range })
}

interface Rendering {
  code: NixErrorCode
  message: string
  range: Range
  placed: boolean
  at: Place
  hint: string | undefined
}

function render(text: string, error: Rendering, options: RenderOptions): string {
  const { file, color = false, width = 100 } = options
  const paint = (style: string, part: string) => (color ? `\x1b[${style}m${part}\x1b[0m` : part)
  const place = error.placed ? [error.at.line, error.at.column] : []
  const where = [...(file === undefined ? [] : [visibleLine(file)]), ...place]
    .map(it => `${it}:`)
    .join('')
  const head = `${where}${where === '' ? '' : ' '}`
  const lines = [`${head}${paint('1;31', error.code)}: ${visible(error.message)}`]
  if (error.placed && text !== '') lines.push(...markedLines(text, error.range, { color, width }))
  if (error.hint !== undefined) lines.push(`hint: ${visible(error.hint)}`)
  return lines.join('\n')
}

/**
 * The line in which the range begins, with its number, and a second line with carets below the range,
 * as an error shows them.
 */
export function markedLines(
  text: string,
  range: Range,
  { color = false, width = 100 }: Omit<RenderOptions, 'file'> = {}
): [string, string] {
  const paint = (style: string, part: string) => (color ? `\x1b[${style}m${part}\x1b[0m` : part)
  const { source, caret } = excerpt(text, range, width)
  const gutter = `${placeOf(text, range.start).line} | `
  return [`${paint('2', gutter)}${source}`, `${' '.repeat(gutter.length)}${paint('1;31', caret)}`]
}

/** The source line of the range as a terminal shows it, and the carets for the line below. */
function excerpt(text: string, range: Range, width: number): { source: string; caret: string } {
  const from = lineStart(text, range.start)
  const to = Math.max(lineEnd(text, range.start), range.start)
  const before = cells(text.slice(from, range.start))
  const marked = cells(text.slice(range.start, Math.min(Math.max(range.end, range.start + 1), to)))
  const after = cells(text.slice(Math.min(Math.max(range.end, range.start + 1), to), to))

  const start = sum(before)
  const markedWidth = Math.max(1, sum(marked))
  const all = [...before, ...marked, ...after]
  if (sum(all) <= width) {
    return { source: glyphs(all), caret: ' '.repeat(start) + '^'.repeat(markedWidth) }
  }
  // For a long line, show a window that begins a little before the caret.
  const window: Cell[] = []
  let skipped = 0
  let used = 0
  const lead = Math.max(0, start - Math.floor(width / 3))
  for (const cell of all) {
    if (skipped + cell.width <= lead) skipped += cell.width
    else if (used + cell.width <= width) {
      window.push(cell)
      used += cell.width
    } else break
  }
  const dots = skipped > 0 ? '…' : ''
  const cutOff = skipped + used < sum(all) ? '…' : ''
  const caretWidth = Math.min(markedWidth, Math.max(1, skipped + used - start))
  return {
    source: dots + glyphs(window) + cutOff,
    caret: ' '.repeat(dots.length + start - skipped) + '^'.repeat(caretWidth)
  }
}

interface Cell {
  glyph: string
  width: number
}

const glyphs = (all: Cell[]) => all.map(it => it.glyph).join('')
const sum = (all: Cell[]) => all.reduce((total, it) => total + it.width, 0)

/** How each grapheme is shown: a tab as two spaces, a character without a glyph as its code point. */
function cells(text: string): Cell[] {
  if (/^[\x20-\x7e]*$/.test(text)) return [...text].map(glyph => ({ glyph, width: 1 }))
  const segments = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text)
  return [...segments].map(({ segment }) => {
    if (segment === '\t') return { glyph: '  ', width: 2 }
    const glyph = visibleLine(segment)
    if (glyph !== segment) return { glyph, width: [...glyph].length }
    return { glyph, width: isWide(segment) ? 2 : 1 }
  })
}

// The blocks that terminals draw two columns wide (East Asian Width W and F, and emoji).
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u

function isWide(segment: string): boolean {
  return WIDE.test(segment)
}
