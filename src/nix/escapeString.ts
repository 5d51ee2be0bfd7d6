import { closedIndented, escapeIndented } from './module/lineStrings.ts'
import { isText, quote } from './path.ts'

/** How `escapeString` writes a string. */
export interface StringStyle {
  /** `''…''` over several lines instead of `"…"`. */
  indented?: boolean
  /** The indentation of the line with the opening `''`; its lines get two spaces more. */
  indent?: string
}

/**
 * A string as Nix source: `"…"` on one line or, with `indented`, `''` and a line for each line of the
 * string. Its value is the string in either case. An indentation with a tab is written as `"…"`, since
 * Nix removes only spaces. Throws a RangeError for a string that no Nix file can contain: one with a NUL
 * or half a surrogate pair.
 */
export function escapeString(text: string, style: StringStyle = {}): string {
  if (!isText(text)) throw new RangeError('a Nix string has no NUL and no half of a surrogate pair')
  const { indented = false, indent = '' } = style
  if (!indented || !/^ *$/.test(indent)) return quote(text)
  const lines = text.split('\n')
  const last = lines.pop() as string
  const inner = `${indent}  `
  const written = [...lines, last].filter(it => it.trimStart() !== '')
  // Nix would remove spaces that begin every line.
  const isApart = written.every(it => it.startsWith(' '))
  const above = lines.map(it => (it === '' ? '' : inner + escaped(it, isApart)))
  const closing = last === '' ? indent : inner + escaped(last, isApart || /^ +$/.test(last), true)
  return ["''", ...above, `${closing}''`].join('\n')
}

/** A line as source. A carriage return is written as an escape: in the file, it would be a line ending. */
function escaped(line: string, escapesSpace: boolean, isLast = false): string {
  return line
    .split('\r')
    .map((part, i, { length }) => {
      const isFirst = i === 0
      const isOpen = isLast || i < length - 1
      const written = isOpen ? closedIndented : escapeIndented
      return written(part, escapesSpace && isFirst)
    })
    .join("''\\r")
}
