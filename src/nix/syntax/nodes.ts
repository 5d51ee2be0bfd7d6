// Basic functions on single nodes, in the terms of the Nix language.

import type { AttrPath } from '../path.ts'
import { letValueOf } from './scope.ts'
import { partsOfString, stringValue } from './strings.ts'
import { identifiersOf, memoOf, type SyntaxNode } from './tree.ts'

export function isComment(node: SyntaxNode): boolean {
  return node.type === 'comment'
}

/** `{ … }`, with or without `rec`. */
export function isSet(node: SyntaxNode): boolean {
  return node.type === 'attrset_expression' || node.type === 'rec_attrset_expression'
}

/** The opening token of a `{ … }`, after `rec` and comments, or the `let` of a `let … in`. */
export function openingOf(set: SyntaxNode): SyntaxNode {
  return set.children.find(it => it.type === '{' || it.type === 'let') ?? set
}

/** The closing token of a `{ … }`, or the `in` of a `let … in`. */
export function closingOf(set: SyntaxNode): SyntaxNode {
  return set.children.findLast(it => it.type === '}' || it.type === 'in') ?? set
}

export function isList(node: SyntaxNode): boolean {
  return node.type === 'list_expression'
}

/** The expression inside any number of parentheses. */
export function unparenthesized(node: SyntaxNode): SyntaxNode {
  let inner = node
  while (inner.type === 'parenthesized_expression') {
    const next = inner.field('expression')
    if (!next) break
    inner = next
  }
  return inner
}

/** The bindings and inherits of a `{ … }`, `let` or `let … in`, without comments. */
export function bindingsOf(set: SyntaxNode): readonly SyntaxNode[] {
  const memo = memoOf(set, newMemo)
  if (!memo.bindings) {
    const bindings = set.children.find(it => it.type === 'binding_set')
    memo.bindings = bindings ? bindings.children.filter(it => !isComment(it)) : []
  }
  return memo.bindings
}

/**
 * The bindings and inherits of a set that may define an attribute, in source order: the bindings whose
 * path begins with the name or with a computed name, and all inherits.
 */
export function bindingsNamed(set: SyntaxNode, name: string | undefined): readonly SyntaxNode[] {
  return name === undefined ? bindingsOf(set) : bindingsOn(set, [name])
}

/**
 * The bindings and inherits of a set that may define a path, an attribute below it or a prefix of it, in
 * source order. A computed name may be any name.
 */
export function bindingsOn(set: SyntaxNode, path: AttrPath): readonly SyntaxNode[] {
  return follow(set, path).found
}

/** The result of `bindingsOn`, and the bindings that share the most names (at least one) with the path. */
export function bindingsNear(set: SyntaxNode, path: AttrPath): readonly SyntaxNode[] {
  const { found, shared, nearest } = follow(set, path)
  if (shared === path.length || shared === 0) return found
  return inOrder(
    found,
    nearest.bindings.filter(it => namesOf(it)[shared] !== undefined)
  )
}

/** The result of following a path through the names of a set. */
interface Trail {
  /** See `bindingsOn`. */
  found: readonly SyntaxNode[]
  /** The largest number of names that a binding shares with the path. */
  shared: number
  /** The bindings that begin with these names. */
  nearest: Branch
}

function follow(set: SyntaxNode, path: AttrPath): Trail {
  let nearest = branchOf(set)
  let found: readonly SyntaxNode[] = []
  for (let shared = 0; shared < path.length; shared++) {
    const { ending, named } = branchesOf(nearest, shared)
    found = inOrder(found, ending)
    const next = named.get(path[shared] as string)
    if (!next) return { found, shared, nearest }
    nearest = next
  }
  return { found: inOrder(found, nearest.bindings), shared: path.length, nearest }
}

function inOrder(
  some: readonly SyntaxNode[],
  others: readonly SyntaxNode[]
): readonly SyntaxNode[] {
  if (some.length === 0) return others
  return others.length === 0 ? some : [...some, ...others].sort((a, b) => a.start - b.start)
}

function branchOf(set: SyntaxNode): Branch {
  const memo = memoOf(set, newMemo)
  memo.branch ??= { bindings: bindingsOf(set), parts: undefined }
  return memo.branch
}

/** Cached results, so that not every edit has to read all names of a large set. */
interface Memo {
  bindings: readonly SyntaxNode[] | undefined
  branch: Branch | undefined
  comments: readonly SyntaxNode[] | undefined
  attrs: readonly SyntaxNode[] | undefined
  names: readonly (string | undefined)[] | undefined
}

function newMemo(): Memo {
  return {
    bindings: undefined,
    branch: undefined,
    comments: undefined,
    attrs: undefined,
    names: undefined
  }
}

/** Bindings of a set whose paths begin with the same names; divided by the next name on demand. */
interface Branch {
  bindings: readonly SyntaxNode[]
  parts: Parts | undefined
}

interface Parts {
  /** Bindings whose path ends here or continues with a computed name, and, at the top, inherits. */
  ending: SyntaxNode[]
  named: Map<string, Branch & { bindings: SyntaxNode[] }>
}

function branchesOf(branch: Branch, depth: number): Parts {
  if (branch.parts) return branch.parts
  const parts: Parts = { ending: [], named: new Map() }
  for (const binding of branch.bindings) {
    const name = namesOf(binding)[depth]
    const same = name === undefined ? undefined : parts.named.get(name)
    if (same) same.bindings.push(binding)
    else if (name === undefined) parts.ending.push(binding)
    else parts.named.set(name, { bindings: [binding], parts: undefined })
  }
  branch.parts = parts
  return parts
}

/** The elements of a list, without comments and brackets. */
export function elementsOf(list: SyntaxNode): SyntaxNode[] {
  return list.children.filter(it => it.isNamed && !isComment(it))
}

/** The comments directly in a set or a list, in source order. */
export function commentsOf(container: SyntaxNode): readonly SyntaxNode[] {
  const memo = memoOf(container, newMemo)
  memo.comments ??= container.children.flatMap(it =>
    isComment(it) ? [it] : it.type === 'binding_set' ? it.children.filter(isComment) : []
  )
  return memo.comments
}

/** The value of a name in an attribute path or an `inherit`; undefined if it is computed. */
export function nameOf(node: SyntaxNode): string | undefined {
  if (node.type === 'identifier') return node.text
  if (node.type === 'string_expression') {
    const parts = partsOfString(node)
    return parts.every(it => it !== undefined) ? parts.join('') : undefined
  }
  // ${"name"} is a fixed name too, and so is ${user} if a let defines user.
  const inner = node.type === 'interpolation' ? node.field('expression') : undefined
  if (!inner) return undefined
  const value = inner.type === 'variable_expression' ? letValueOf(inner) : inner
  return value ? stringValue(value) : undefined
}

/** Whether a name may have this value: `"${x}-a"` is computed, but always ends in `-a`. */
export function mayBeNamed(node: SyntaxNode, name: string): boolean {
  if (node.type === 'string_expression') return fits(partsOfString(node), name)
  const known = nameOf(node)
  if (known !== undefined) return known === name
  const inner = node.type === 'interpolation' ? node.field('expression') : undefined
  const value = inner?.type === 'variable_expression' ? letValueOf(inner) : inner
  return value?.type !== 'string_expression' || mayBeNamed(value, name)
}

/** Whether a text consists of the parts in order, with any text in place of an undefined one. */
function fits(parts: readonly (string | undefined)[], text: string): boolean {
  let rest = text
  let isAnchored = true
  for (const [i, part] of parts.entries()) {
    if (part === undefined) {
      isAnchored = false
      continue
    }
    const isLast = i === parts.length - 1
    const at = isAnchored ? 0 : isLast ? rest.length - part.length : rest.indexOf(part)
    if (at < 0 || !rest.startsWith(part, at)) return false
    rest = rest.slice(at + part.length)
    isAnchored = true
  }
  return !isAnchored || rest === ''
}

/** Whether a name is dynamic in Nix: it has a `${…}` around anything but a string literal. */
export function isDynamic(node: SyntaxNode): boolean {
  if (node.type === 'string_expression')
    return node.children.some(it => it.type === 'interpolation')
  return node.type === 'interpolation' && !/string/.test(node.field('expression')?.type ?? '')
}

/** The nodes of the names in a binding's attribute path. */
export function attrsOf(binding: SyntaxNode): readonly SyntaxNode[] {
  const memo = memoOf(binding, newMemo)
  if (!memo.attrs) {
    const attrpath = binding.field('attrpath')
    memo.attrs = attrpath ? attrpath.children.filter(it => it.isNamed && !isComment(it)) : []
  }
  return memo.attrs
}

/** The names of a binding's attribute path; undefined for each computed one. */
export function namesOf(binding: SyntaxNode): readonly (string | undefined)[] {
  const memo = memoOf(binding, newMemo)
  memo.names ??= identifiersOf(binding) ?? attrsOf(binding).map(nameOf)
  return memo.names
}

/** The attributes that an `inherit` or `inherit (x)` defines, as nodes. */
export function inheritedOf(inherit: SyntaxNode): readonly SyntaxNode[] {
  const attrs = inherit.type === 'binding' ? undefined : inherit.field('attrs')
  return attrs ? attrs.children.filter(it => it.isNamed && !isComment(it)) : []
}

/** The `inherit` that an inherited name is in. */
export function inheritOf(name: SyntaxNode): SyntaxNode {
  return name.parent?.parent ?? name
}

/** The source of an inherited name's value: `x` for `inherit x;`, `e.x` for `inherit (e) x;`. */
export function inheritedSource(name: SyntaxNode): string {
  const from = inheritOf(name).field('expression')
  if (!from) return name.text
  return /^[\w.'-]+$/.test(from.text) ? `${from.text}.${name.text}` : `(${from.text}).${name.text}`
}

/** A call of a named function. */
export interface Call {
  /** The whole call, with all its arguments. */
  node: SyntaxNode
  /** The last name of the function: `mkIf` for `lib.mkIf c v`. */
  name: string
  /** The whole name of the function, for example `lib.mkIf`. */
  callee: string
  args: SyntaxNode[]
}

/** The call of a named function (`f x`, `lib.mkIf c v`) that a node is; undefined for any other node. */
export function callOf(node: SyntaxNode): Call | undefined {
  const args: SyntaxNode[] = []
  let head = node
  while (head.type === 'apply_expression') {
    const argument = head.field('argument')
    const callee = head.field('function')
    if (!argument || !callee) return undefined
    args.unshift(argument)
    head = callee
  }
  if (args.length === 0) return undefined
  const path = selectionOf(head)
  const name = path?.at(-1)
  return name === undefined || !path ? undefined : { name, callee: path.join('.'), args, node }
}

/** The names of a variable or of a selection from a variable: `['lib', 'mkIf']` for `lib.mkIf`. */
export function selectionOf(node: SyntaxNode): AttrPath | undefined {
  if (node.type === 'variable_expression') return [node.text]
  if (node.type !== 'select_expression' || node.field('default')) return undefined
  const from = node.field('expression')
  const base = from && selectionOf(from)
  if (!base) return undefined
  const names = namesOf(node)
  return names.every(it => it !== undefined) ? [...base, ...(names as string[])] : undefined
}
