// The characters of XML 1.0 (fifth edition) and its names with namespaces.

const NAME_START =
  'A-Z_a-z\\xc0-\\xd6\\xd8-\\xf6\\xf8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const NAME_REST = `${NAME_START}.0-9\\xb7\\u0300-\\u036f\\u203f\\u2040-`
const LOCAL = `[${NAME_START}][${NAME_REST}]*`

/** A name with at most one prefix, at a position. */
export const NAME_AT = new RegExp(`${LOCAL}(?::${LOCAL})?(?![:${NAME_REST}])`, 'uy')

const NAME = new RegExp(`^${LOCAL}(?::${LOCAL})?$`, 'u')

const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Whether this can be the name of an element or an attribute, with a prefix or without. */
export function isName(text: string): boolean {
  return NAME.test(text)
}

/** Where the first character stands that XML does not allow anywhere, or -1. */
export function findForbidden(text: string): number {
  return text.search(FORBIDDEN)
}

/** Whether a number names a character that XML allows. */
export function isCharacter(code: number): boolean {
  return code <= 0x10ffff && !FORBIDDEN.test(String.fromCodePoint(code))
}

/** A character that can't be shown as the people who look it up know it: `U+0001`. */
export function codePoint(text: string): string {
  return `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Whether a text is blanks, tabs and line ends only, or empty. */
export function isBlank(text: string): boolean {
  return /^[ \t\n\r]*$/.test(text)
}
