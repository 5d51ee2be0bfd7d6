// Text from outside this program (file names, configurations, XML, what other programs print) as a
// terminal may show it.

/**
 * Every character that a terminal obeys instead of showing it, and every one that nobody sees: controls
 * (C0 but for tab and line feed, DEL, C1), format characters (those of the writing direction such as
 * U+202E, and most that have no width), the separators U+2028 and U+2029, and lone surrogates.
 *
 * Not among them: U+200C and U+200D, which Persian, Indic scripts and emoji are written with, and the
 * format characters of Arabic, Syriac and Kaithi that have a glyph.
 */
const HIDDEN =
  /(?!\u200c|\u200d|[\t\n\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/**
 * The text with `\u{1b}` in the place of each such character, by its number in hexadecimal, as Rust
 * and JavaScript write it. Tabs and line ends stay, also `\r\n`. A second call changes nothing.
 */
export function visible(text: string): string {
  return text.replace(HIDDEN, (it, at: number) =>
    it === '\r' && text[at + 1] === '\n' ? it : spelled(it)
  )
}

/** The same for what belongs in one line, such as a name: line ends are made visible as well. */
export function visibleLine(text: string): string {
  return visible(text.replace(/[\r\n]/g, spelled))
}

/** JSON that says the same, with an escape of JSON in the place of each such character. */
export function visibleJson(json: string): string {
  return json.replace(HIDDEN, it => {
    if (it === '\r') return it
    const units = Array.from({ length: it.length }, (_, i) => it.charCodeAt(i))
    return units.map(unit => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

function spelled(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
