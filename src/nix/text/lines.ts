import { bisect } from '../bisect.ts'

/** A place in a text: 1-based line and column, the column in UTF-16 units. */
export interface Place {
  line: number
  column: number
}

/** The place of a UTF-16 offset. An offset after the end of the text is treated as the end. */
export function placeOf(text: string, offset: number): Place {
  const starts = lineStartsOf(text)
  const end = Math.min(offset, text.length)
  const line = bisect(starts.length, i => (starts[i] as number) > end)
  return { line, column: end - (starts[line - 1] as number) + 1 }
}

// Cached, because the places of thousands of offsets in one text are computed in sequence.
let known: { text: string; starts: number[] } = { text: '', starts: [0] }

function lineStartsOf(text: string): number[] {
  if (known.text !== text) {
    const starts = [0]
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1))
      starts.push(at + 1)
    known = { text, starts }
  }
  return known.starts
}

/** The start of the line that contains the offset. */
export function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1
}

/** The end of the line that contains the offset, before its `\n` or `\r\n`. */
export function lineEnd(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset)
  if (newline === -1) return text.length
  return newline > offset && text[newline - 1] === '\r' ? newline - 1 : newline
}

/** The indentation of the line that contains the offset: spaces and tabs before the offset. */
export function indentAt(text: string, offset: number): string {
  const start = lineStart(text, offset)
  return /^[ \t]*/.exec(text.slice(start, offset + 1))?.[0] ?? ''
}

/** Whether only spaces and tabs are before the offset on its line. */
export function startsLine(text: string, offset: number): boolean {
  return /^[ \t]*$/.test(text.slice(lineStart(text, offset), offset))
}

/** The line ending of the text's first line; `\n` if there is only one line. */
export function eolOf(text: string): '\n' | '\r\n' {
  const first = text.indexOf('\n')
  return first > 0 && text[first - 1] === '\r' ? '\r\n' : '\n'
}

/** The 0-based row and column of an offset, the column in UTF-16 units. */
export function pointAt(text: string, offset: number): { row: number; column: number } {
  const { line, column } = placeOf(text, offset)
  return { row: line - 1, column: column - 1 }
}
