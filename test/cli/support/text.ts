/**
 * The text of the template, without the indentation of its closing line. Inserted values keep their own
 * indentation.
 */
export function text(strings: TemplateStringsArray, ...values: unknown[]): string {
  const lines = strings.join('\0').replace(/^\n/, '').split('\n')
  const indent = lines.at(-1) ?? ''
  if (indent.trim() !== '') throw new Error('the closing line of a text is its indent')
  const parts = lines.map(it => (it.startsWith(indent) ? it.slice(indent.length) : it))
  return parts
    .join('\n')
    .split('\0')
    .map((part, i) => part + (i < values.length ? String(values[i]) : ''))
    .join('')
}

/** The text of a patch: empty lines become context lines, which begin with a space. */
export function patch(strings: TemplateStringsArray, ...values: unknown[]): string {
  return text(strings, ...values).replace(/^$(?=\n)/gm, ' ')
}

const NAMES: Record<string, string> = {
  '0': '</>',
  '1': '<bold>',
  '2': '<dim>',
  '1;31': '<bold red>',
  '7': '<reverse>',
  '27': '</reverse>',
  '31': '<red>',
  '32': '<green>',
  '36': '<cyan>'
}

/** The output on a terminal, with names in place of styles and LF line endings. */
export function readable(shown: string): string {
  const [first = '', ...rest] = shown.replaceAll('\r\n', '\n').split('\x1b[')
  const named = rest.map(it =>
    it.replace(/^([\d;]*)m|^/, (all, code) => NAMES[code] ?? `<unexpected ${all}>`)
  )
  return first + named.join('')
}
