// Finds comments and strings in a text, independently of the toolkit.

export interface Token {
  kind: 'comment' | 'string'
  start: number
  end: number
  text: string
}

/**
 * The comments of a text, and the parts of strings between their quotes and interpolations. The text
 * must be Nix without URLs that contain `#` or `/*`.
 */
export function commentsAndStrings(text: string): Token[] {
  const tokens: Token[] = []
  const push = (kind: Token['kind'], start: number, end: number) =>
    tokens.push({ kind, start, end, text: text.slice(start, end) })
  // The tokens that close the current scopes: a brace, or the quotes of a string.
  const open: ('{' | '"' | "''")[] = []
  let at = 0
  while (at < text.length) {
    const inside = open.at(-1)
    if (inside === '"' || inside === "''") {
      const start = at
      at = endOfFragment(text, at, inside)
      push('string', start, at)
      if (text.startsWith('${', at)) {
        open.push('{')
        at += 2
      } else {
        open.pop()
        at += inside.length
      }
      continue
    }
    const [found = ''] =
      /#[^\n]*|\/\*[\s\S]*?\*\/|''|["{}]|[^#/'"{}]+|[\s\S]/y.exec(text.slice(at)) ?? []
    if (found.startsWith('#') || found.startsWith('/*')) {
      push('comment', at, at + found.replace(/\r$/, '').length)
    } else if (found === '"' || found === "''") open.push(found)
    else if (found === '{') open.push('{')
    else if (found === '}') open.pop()
    at += found.length
  }
  return tokens
}

function endOfFragment(text: string, from: number, quotes: '"' | "''"): number {
  const stop =
    quotes === '"'
      ? /(?:[^"\\$]|\\[\s\S]|\$(?!\{))*/y
      : /(?:[^'$]|'(?!')|''(?:['$]|\\[\s\S])|\$(?!\{))*/y
  stop.lastIndex = from
  stop.exec(text)
  return stop.lastIndex
}
