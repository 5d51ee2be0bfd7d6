/**
 * What can be written into a document: JavaScript values, Nix expressions, and either with a
 * comment. Numbers must be finite and, as integers, safe ones (`Number.isSafeInteger`).
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

/** A piece of Nix, written as it stands. */
export interface Expr {
  readonly [EXPR]: true
  readonly source: string
}

/** A value with a remark that is written behind it as a `#` comment. */
export interface Annotated {
  readonly [ANNOTATED]: true
  readonly value: NixValue
  readonly comment: string
}

/**
 * A piece of Nix as a value: `expr('pkgs.hello')`, `expr('./vfio')`. It is taken as it stands; that
 * it is one whole expression, with no comment at its end, is checked when the edit is planned
 * (`BAD_VALUE`).
 */
export function expr(source: string): Expr {
  return { [EXPR]: true, source: source.trim() }
}

/**
 * A value with a comment of one line behind it. The comment is left out where the value has to
 * share its line with what follows, since it would swallow that.
 */
export function annotated(value: NixValue, comment: string): Annotated {
  return { [ANNOTATED]: true, value, comment: comment.replace(/[\r\n]+/g, ' ').trim() }
}

export function isExpr(value: NixValue): value is Expr {
  return typeof value === 'object' && value !== null && EXPR in value
}

/** Whether a comment stands anywhere in a value. */
export function hasComments(value: NixValue): boolean {
  if (isAnnotated(value)) return value.comment !== '' || hasComments(value.value)
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
  // Of a Date or a Map the properties are not what it holds.
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The value without its comment. */
export function withoutComment(value: NixValue): Exclude<NixValue, Annotated> {
  let inner = value
  while (isAnnotated(inner)) inner = inner.value
  return inner
}

// No option is nested as deep; what is contains itself.
const DEEPEST = 200

/** Whether a value is nested deeper than any that could be written, as one is that contains itself. */
export function isTooDeep(value: NixValue, depth = 0): boolean {
  if (depth > DEEPEST) return true
  const inner = withoutComment(value)
  const parts = isValueList(inner) ? inner : isValueSet(inner) ? Object.values(inner) : []
  return parts.some(it => isTooDeep(it, depth + 1))
}
