/**
 * A text as it stands in the source, without the indent of its closing line. What is put in by
 * `${…}` keeps its own.
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

/** A text that is a patch: its empty lines stand for context, which begins with a blank. */
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

/** What a terminal got, with colors by name and usual line ends. */
export function readable(shown: string): string {
  const [first = '', ...rest] = shown.replaceAll('\r\n', '\n').split('\x1b[')
  const named = rest.map(it =>
    it.replace(/^([\d;]*)m|^/, (all, code) => NAMES[code] ?? `<unexpected ${all}>`)
  )
  return first + named.join('')
}
