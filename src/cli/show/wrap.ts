import { visibleLine } from '../../nix/text/visible.ts'

/**
 * The words of a text in lines of at most `width` columns, where they are no longer themselves; blanks
 * at its beginning stay. Lines after the first begin with `indent`. What a terminal does not
 * show is visible in them, so that they have the width that they seem to have.
 */
export function wrap(text: string, width: number, indent = ''): string[] {
  const shown = visibleLine(text)
  const [start = ''] = /^ */.exec(shown) ?? []
  const [first = '', ...words] = shown.slice(start.length).split(' ')
  const lines: string[] = []
  let line = `${start}${first}`
  for (const word of words) {
    if (line.length + 1 + word.length > width) {
      lines.push(line)
      line = `${indent}${word}`
    } else line = `${line} ${word}`
  }
  return [...lines, line]
}
