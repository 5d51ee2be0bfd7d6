// Makes text from outside this program (file names, configurations, XML, output of other programs) safe
// to print on a terminal.

/**
 * Characters that a terminal interprets or does not show: controls (C0 except tab and line feed, DEL,
 * C1), format characters (of the writing direction, such as U+202E, and most without a width), the
 * separators U+2028 and U+2029, and lone surrogates.
 *
 * Not included: U+200C and U+200D, which Persian, Indic scripts and emoji need, and the format
 * characters of Arabic, Syriac and Kaithi that have a glyph.
 */
const HIDDEN =
  /(?!\u200c|\u200d|[\t\n\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/**
 * The text with each hidden character written as its hexadecimal code, such as `\u{1b}`, as in Rust and
 * JavaScript. Tabs and line endings are kept, including `\r\n`. A second call changes nothing.
 */
export function visible(text: string): string {
  return text.replace(HIDDEN, (it, at: number) =>
    it === '\r' && text[at + 1] === '\n' ? it : escaped(it)
  )
}

/** As `visible`, for a text on one line, such as a name: line endings are also written as codes. */
export function visibleLine(text: string): string {
  return visible(text.replace(/[\r\n]/g, escaped))
}

/** Equivalent JSON, with each hidden character as a JSON escape. */
export function visibleJson(json: string): string {
  return json.replace(HIDDEN, it => {
    if (it === '\r') return it
    const units = Array.from({ length: it.length }, (_, i) => it.charCodeAt(i))
    return units.map(unit => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
