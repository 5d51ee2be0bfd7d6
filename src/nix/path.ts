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

/** The path as it is spelt in Nix. */
export function formatPath(path: AttrPath): string {
  return path.map(formatName).join('.')
}

/** The path with `${…}` for the names that are computed. */
export function spellPath(path: readonly (string | undefined)[]): string {
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

/**
 * The names of a path. Refuses with `BAD_PATH` an empty path, an empty or unfinished name, and
 * `${…}`, which has no fixed name.
 */
export function parsePath(path: AttrPathLike): Result<AttrPath, NixError> {
  const bad = (message: string) =>
    err(
      nixError(typeof path === 'string' ? path : '', {
        code: 'BAD_PATH',
        message,
        hint: 'an attribute path looks like users.users."my-user".extraGroups'
      })
    )
  if (typeof path !== 'string') {
    return path.length === 0 ? bad('an attribute path needs at least one name') : ok(path)
  }
  const names: string[] = []
  const part = /\s*(?:"((?:[^"\\$]|\\[\s\S]|\$(?!\{))*)"|([a-zA-Z_][a-zA-Z0-9_'-]*))\s*(\.|$)/y
  for (let at = 0; ; at = part.lastIndex) {
    part.lastIndex = at
    const found = part.exec(path)
    if (!found) return bad(`"${path}" is not an attribute path`)
    const [, quoted, bare, end] = found
    names.push(bare ?? unescapeName(quoted ?? ''))
    if (end === '') return ok(names)
  }
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
