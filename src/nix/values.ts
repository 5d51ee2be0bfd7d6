/**
 * A value that can be written into a document: a JavaScript value or a Nix expression, optionally with
 * a comment. Numbers must be finite, and integers must be safe (`Number.isSafeInteger`).
 */
export type NixValue =
  | null
  | boolean
  | number
  | string
  | readonly NixValue[]
  | { readonly [name: string]: NixValue }
  | Expr
  | Annotated

const EXPR = Symbol('expr')
const ANNOTATED = Symbol('annotated')

/** A Nix expression, written unchanged. */
export interface Expr {
  readonly [EXPR]: true
  readonly source: string
}

/** A value followed by a `#` comment. */
export interface Annotated {
  readonly [ANNOTATED]: true
  readonly value: NixValue
  readonly comment: string
  /** The source of comments of a moved definition, which are written as they are. */
  readonly sources?: CommentSources
}

/** The source of the comments on the lines above a definition, and of those after it on its line. */
export interface CommentSources {
  readonly above: readonly string[]
  readonly after: readonly string[]
}

/**
 * A Nix expression as a value: `expr('pkgs.hello')`, `expr('./vfio')`. It is written unchanged. The
 * edit is refused with `BAD_VALUE` if it is not one complete expression, or ends with a comment.
 */
export function expr(source: string): Expr {
  return { [EXPR]: true, source: source.trim() }
}

/**
 * A value followed by a comment on the same line. The comment is omitted where code has to follow on
 * that line, since it would become part of the comment; the plan then has a note.
 */
export function annotated(value: NixValue, comment: string): Annotated {
  return { [ANNOTATED]: true, value, comment: comment.replace(/[\r\n]+/g, ' ').trim() }
}

/** A value with comments around its definition; `annotated` has no way to write one above. */
export function withComments(value: NixValue, sources: CommentSources): Annotated {
  return { [ANNOTATED]: true, value, comment: '', sources }
}

/** The source of the comments that belong to the value itself, in the order in which they are written. */
export function commentSourcesOf({ comment, sources }: Annotated): CommentSources {
  if (sources) return sources
  return { above: [], after: comment === '' ? [] : [`# ${comment}`] }
}

export function isExpr(value: NixValue): value is Expr {
  return typeof value === 'object' && value !== null && EXPR in value
}

/** Whether a value has a comment anywhere. */
export function hasComments(value: NixValue): boolean {
  if (isAnnotated(value)) {
    const { above, after } = commentSourcesOf(value)
    return above.length + after.length > 0 || hasComments(value.value)
  }
  if (isValueList(value)) return value.some(hasComments)
  return isValueSet(value) && Object.values(value).some(hasComments)
}

export function isAnnotated(value: NixValue): value is Annotated {
  return typeof value === 'object' && value !== null && ANNOTATED in value
}

export function isValueList(value: NixValue): value is readonly NixValue[] {
  return Array.isArray(value)
}

export function isValueSet(value: NixValue): value is { readonly [name: string]: NixValue } {
  if (typeof value !== 'object' || value === null || isExpr(value) || isAnnotated(value))
    return false
  // The properties of a Date or a Map are not its contents.
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The value without its comment. */
export function withoutComment(value: NixValue): Exclude<NixValue, Annotated> {
  let inner = value
  while (isAnnotated(inner)) inner = inner.value
  return inner
}

// Deeper values are assumed to be cyclic.
const DEEPEST = 200

/** Whether a value has more than 200 levels, as a cyclic value does. */
export function isTooDeep(value: NixValue, depth = 0): boolean {
  if (depth > DEEPEST) return true
  const inner = withoutComment(value)
  const parts = isValueList(inner) ? inner : isValueSet(inner) ? Object.values(inner) : []
  return parts.some(it => isTooDeep(it, depth + 1))
}
