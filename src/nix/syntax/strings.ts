import type { SyntaxNode } from './parser.ts'

/**
 * The value of a string literal of either kind, as Nix would compute it, or undefined if it holds
 * an interpolation.
 */
export function stringValue(text: string, node: SyntaxNode): string | undefined {
  if (node.children.some(it => it.type === 'interpolation')) return undefined
  const source = text.slice(node.start, node.end)
  if (node.type === 'string_expression') return quotedValue(source.slice(1, -1))
  if (node.type === 'indented_string_expression') return indentedValue(source.slice(2, -2))
  return undefined
}

function quotedValue(body: string): string {
  // Nix reads \r\n and \r in a string as \n.
  return body
    .replace(/\r\n?/g, '\n')
    .replace(/\\([\s\S])/g, (_, char: string) => ({ n: '\n', r: '\r', t: '\t' })[char] ?? char)
}

/**
 * An indented string loses its first line if that is blank, the indentation that all its lines
 * share (blanks only, blank lines not counted), and the blanks of its last line.
 */
function indentedValue(body: string): string {
  // A carriage return is no blank to Nix: with CRLF nothing is taken off.
  const lines = body.split('\n')
  const last = lines.length - 1
  let common = Number.POSITIVE_INFINITY
  for (const line of lines) {
    const indent = /^ */.exec(line)?.[0].length ?? 0
    if (indent < line.length) common = Math.min(common, indent)
  }
  const stripped = lines.map((line, i) => {
    const rest = line.slice(Math.min(common, /^ */.exec(line)?.[0].length ?? 0))
    return i === last && /^ *$/.test(line) ? '' : rest
  })
  if (last > 0 && /^ *$/.test(lines[0] ?? '')) stripped.shift()
  return stripped
    .join('\n')
    .replace(/''(\$|'|\\([\s\S]))/g, (_, all: string, escaped: string | undefined) => {
      if (all === '$') return '$'
      if (all === "'") return "''"
      return { n: '\n', r: '\r', t: '\t' }[escaped ?? ''] ?? escaped ?? ''
    })
}
