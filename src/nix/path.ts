import { type NixError, nixError } from './errors.ts'
import { err, ok, type Result } from './result.ts'

/** An attribute path by its names, unquoted: `users.users."my.user"` is `['users', 'users', 'my.user']`. */
export type AttrPath = readonly string[]

/** What functions take for a path: its names, or its spelling in Nix. */
export type AttrPathLike = AttrPath | string

const IDENTIFIER = /^[a-zA-Z_][a-zA-Z0-9_'-]*$/
const KEYWORDS = new Set([
  'if',
  'then',
  'else',
  'assert',
  'with',
  'let',
  'in',
  'rec',
  'inherit',
  // `or` is no keyword, but Nix before 2.24 parses it unlike other names in some places.
  'or'
])

/** A name as it is spelt in an attribute path: quoted and escaped only where Nix needs it. */
export function formatName(name: string): string {
  return IDENTIFIER.test(name) && !KEYWORDS.has(name) ? name : quote(name)
}

/** The path as it is spelt in Nix, names quoted where they need it; `parsePath` reads it back. */
export function formatPath(path: AttrPath): string {
  return path.map(formatName).join('.')
}

/** The path with `${…}` for the names that are computed. */
export function formatPathPattern(path: readonly (string | undefined)[]): string {
  return path.map(name => (name === undefined ? '${…}' : formatName(name))).join('.')
}

/** A string as a double-quoted Nix literal on one line. */
export function quote(value: string): string {
  const escaped = value
    .replace(/["\\]|\$(?=\{)/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
  return `"${escaped}"`
}

/** Whether a string can stand in a Nix file: without NUL and halves of surrogate pairs. */
export function isText(value: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(value)
}

/**
 * The names of a path, given in its spelling in Nix or as names already. Refuses with `BAD_PATH` an
 * empty path, an empty or unfinished name, `${…}`, which has no fixed name, and what is no string.
 */
export function parsePath(path: AttrPathLike): Result<AttrPath, NixError> {
  const bad = (message: string, hint = 'an attribute path looks like users.users."my.user".uid') =>
    err(nixError('', { code: 'BAD_PATH', message, hint }))
  // Programs without types give anything.
  if (typeof path !== 'string' && !Array.isArray(path)) {
    return bad(`${String(path)} is not an attribute path`)
  }
  if (path.length === 0) return bad('an attribute path needs at least one name')
  if (typeof path !== 'string') {
    const isName = (name: unknown) => typeof name === 'string' && isText(name)
    return path.every(isName) ? ok(path) : bad('a name of an attribute path is a string of text')
  }
  if (!isText(path)) return bad(`${JSON.stringify(path)} is not text`)
  const names: string[] = []
  const part = /\s*(?:"((?:[^"\\$]|\\[\s\S]|\$(?!\{))*)"|([a-zA-Z_][a-zA-Z0-9_'-]*))\s*(\.|$)/y
  for (let at = 0; ; at = part.lastIndex) {
    part.lastIndex = at
    const found = part.exec(path)
    if (!found) return bad(...whyNot(path, at))
    const [, quoted, bare, end] = found
    names.push(bare ?? unescapeName(quoted ?? ''))
    if (end === '') return ok(names)
  }
}

/** Message and hint for a path that has no name at `at`, or more than a name. */
function whyNot(path: string, at: number): [string, string?] {
  const rest = path.slice(at).trimStart()
  if (rest === '') return [`a name is missing at the end of ${path}`]
  if (/^[\w"'-]*\$\{/.test(rest)) {
    return [
      `${path} has a computed name, which can be any`,
      'choose the definition with getBelow, and give that instead of a path'
    ]
  }
  const what = rest.startsWith('.') ? `a name is missing before ${rest}` : `${rest} is not a name`
  return [
    `${path} is not an attribute path: ${what}`,
    'a name with other characters is quoted: "my user"'
  ]
}

function unescapeName(quoted: string): string {
  return quoted.replace(/\\([\s\S])/g, (_, char: string) => ESCAPES[char] ?? char)
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

/** Whether `path` begins with all names of `prefix`. A path begins with itself. */
export function startsWith(
  path: readonly (string | undefined)[],
  prefix: readonly (string | undefined)[]
): boolean {
  return prefix.length <= path.length && prefix.every((name, i) => path[i] === name)
}

export function samePath(
  a: readonly (string | undefined)[],
  b: readonly (string | undefined)[]
): boolean {
  return a.length === b.length && startsWith(a, b)
}

/** How many names two paths begin with in common. */
export function commonLength(a: readonly (string | undefined)[], b: AttrPath): number {
  let common = 0
  while (common < a.length && common < b.length && a[common] === b[common]) common++
  return common
}

/**
 * A string for each beginning of a path, the shortest first and the whole path last: two paths begin
 * with the same names where they have one in common.
 */
export function keysOf(path: readonly (string | undefined)[]): string[] {
  let key = ''
  return path.map(name => {
    key += name === undefined ? '\0\0' : `\0${name}`
    return key
  })
}
