import { type Message, type NixError, nixError } from './errors.ts'
import {
  computedNameInPath,
  emptyPath,
  nameMissingAtEnd,
  nameMissingBefore,
  nameNotText,
  notAName,
  notAPath,
  pathNotText
} from './messages/paths.ts'
import { err, ok, type Result } from './result.ts'

/** The names of an attribute path, unquoted: `users.users."my.user"` is `['users', 'users', 'my.user']`. */
export type AttrPath = readonly string[]

/** An attribute path as an argument: its names, or its Nix source. */
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
  // `or` is not a keyword, but Nix before 2.24 parses it differently from other names in some places.
  'or'
])

/** A name as Nix source in an attribute path, quoted and escaped only if necessary. */
export function formatName(name: string): string {
  return IDENTIFIER.test(name) && !KEYWORDS.has(name) ? name : quote(name)
}

/** The path as Nix source, names quoted only if necessary; `parsePath` reads it back. */
export function formatPath(path: AttrPath): string {
  return path.map(formatName).join('.')
}

/** The path as Nix source, with `${…}` for computed names. */
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

/** Whether a Nix file can contain the string: it has no NUL and no half of a surrogate pair. */
export function isText(value: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(value)
}

/**
 * The names of a path. Names are returned as they are. `BAD_PATH` for an empty path, an empty or
 * unfinished name, `${…}`, which has no fixed name, and anything that is not a string.
 */
export function parsePath(path: AttrPathLike): Result<AttrPath, NixError> {
  const refuse = (message: Message) => err(nixError('', message))
  // JavaScript callers can pass anything.
  if (typeof path !== 'string' && !Array.isArray(path)) return refuse(notAPath(String(path)))
  if (path.length === 0) return refuse(emptyPath)
  if (typeof path !== 'string') {
    const isName = (name: unknown) => typeof name === 'string' && isText(name)
    return path.every(isName) ? ok(path) : refuse(nameNotText)
  }
  if (!isText(path)) return refuse(pathNotText(path))
  const names: string[] = []
  const part = /\s*(?:"((?:[^"\\$]|\\[\s\S]|\$(?!\{))*)"|([a-zA-Z_][a-zA-Z0-9_'-]*))\s*(\.|$)/y
  for (let at = 0; ; at = part.lastIndex) {
    part.lastIndex = at
    const found = part.exec(path)
    if (!found) return refuse(pathFault(path, at))
    const [, quoted, unquoted, end] = found
    names.push(unquoted ?? unescapeName(quoted ?? ''))
    if (end === '') return ok(names)
  }
}

/** What is wrong with a path at the offset `at`, where a name and then a dot or the end must be. */
function pathFault(path: string, at: number): Message {
  const rest = path.slice(at).trimStart()
  if (rest === '') return nameMissingAtEnd(path)
  if (/^[\w"'-]*\$\{/.test(rest)) return computedNameInPath(path)
  return rest.startsWith('.') ? nameMissingBefore(path, rest) : notAName(path, rest)
}

function unescapeName(quoted: string): string {
  return quoted.replace(/\\([\s\S])/g, (_, char: string) => ESCAPES[char] ?? char)
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

/** The names of a path up to the first computed name. */
export function literalNames(path: readonly (string | undefined)[]): string[] {
  const computed = path.indexOf(undefined)
  return path.slice(0, computed === -1 ? undefined : computed).filter(it => it !== undefined)
}

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

/** The number of names that two paths have in common at their start. */
export function commonLength(a: readonly (string | undefined)[], b: AttrPath): number {
  let common = 0
  while (common < a.length && common < b.length && a[common] === b[common]) common++
  return common
}

/**
 * A key for each prefix of a path, the shortest first and the whole path last. Two paths share a key
 * if they share that prefix.
 */
export function keysOf(path: readonly (string | undefined)[]): string[] {
  let key = ''
  return path.map(name => {
    key += name === undefined ? '\0\0' : `\0${name}`
    return key
  })
}
