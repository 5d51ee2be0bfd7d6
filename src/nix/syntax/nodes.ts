// Small questions about single nodes, in the words of the Nix language.

import type { AttrPath } from '../path.ts'
import { letValueOf } from './scope.ts'
import { stringValue } from './strings.ts'
import { identifiersOf, memoOf, type SyntaxNode } from './tree.ts'

export function isComment(node: SyntaxNode): boolean {
  return node.type === 'comment'
}

/** `{ … }`, with or without `rec`. */
export function isSet(node: SyntaxNode): boolean {
  return node.type === 'attrset_expression' || node.type === 'rec_attrset_expression'
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

/** The bindings and inherits of a `{ … }`, `let` or `let … in`, comments left out. */
export function bindingsOf(set: SyntaxNode): readonly SyntaxNode[] {
  const memo = memoOf(set, newMemo)
  if (!memo.bindings) {
    const bindings = set.children.find(it => it.type === 'binding_set')
    memo.bindings = bindings ? bindings.children.filter(it => !isComment(it)) : []
  }
  return memo.bindings
}

/**
 * Those of `bindingsOf` that may say something of an attribute, in source order: the bindings whose
 * path begins with the name or with a computed one, and all inherits.
 */
export function bindingsNamed(set: SyntaxNode, name: string | undefined): readonly SyntaxNode[] {
  return name === undefined ? bindingsOf(set) : bindingsOn(set, [name])
}

/**
 * Those of `bindingsOf` that may say something of a path or of what is below it, in source order: as
 * far as their names and the path both go, none differs, where a computed name may be any.
 */
export function bindingsOn(set: SyntaxNode, path: AttrPath): readonly SyntaxNode[] {
  return follow(set, path).found
}

/**
 * Those of `bindingsOn`, and the nearest relatives of the path: the bindings that share the most
 * names with it, at least one.
 */
export function bindingsNear(set: SyntaxNode, path: AttrPath): readonly SyntaxNode[] {
  const { found, shared, nearest } = follow(set, path)
  if (shared === path.length || shared === 0) return found
  return inOrder(
    found,
    nearest.bindings.filter(it => namesOf(it)[shared] !== undefined)
  )
}

/** The way of a path through the names of a set. */
interface Trail {
  /** The bindings that may say something of the path or of what is below it, in source order. */
  found: readonly SyntaxNode[]
  /** How many names of the path others begin with. */
  shared: number
  /** Those that begin with these names. */
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

/** Without this, each of many edits would read all names of a large set again. */
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

/** Bindings of a set whose paths begin with the same names; sorted out further when somebody asks. */
interface Branch {
  bindings: readonly SyntaxNode[]
  parts: Parts | undefined
}

interface Parts {
  /** Those whose path ends here or goes on with a computed name, and, at the top, inherits. */
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

/** The elements of a list, comments and brackets left out. */
export function elementsOf(list: SyntaxNode): SyntaxNode[] {
  return list.children.filter(it => it.isNamed && !isComment(it))
}

/** The comments that stand directly in a set or a list, in source order. */
export function commentsOf(container: SyntaxNode): readonly SyntaxNode[] {
  const memo = memoOf(container, newMemo)
  memo.comments ??= container.children.flatMap(it =>
    isComment(it) ? [it] : it.type === 'binding_set' ? it.children.filter(isComment) : []
  )
  return memo.comments
}

/** A name in an attribute path or an `inherit`: its value, or undefined where it is computed. */
export function nameOf(node: SyntaxNode): string | undefined {
  if (node.type === 'identifier') return node.text
  if (node.type === 'string_expression') return stringValue(node)
  // ${"name"} is a fixed name too, and so is ${user} where a let says what user is.
  const inner = node.type === 'interpolation' ? node.field('expression') : undefined
  if (!inner) return undefined
  const value = inner.type === 'variable_expression' ? letValueOf(inner) : inner
  return value ? stringValue(value) : undefined
}

/** Whether a name is spelt `${…}` around anything but a string literal: to Nix it is dynamic. */
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

/** The names that a binding's attribute path is made of; undefined for each computed one. */
export function namesOf(binding: SyntaxNode): readonly (string | undefined)[] {
  const memo = memoOf(binding, newMemo)
  memo.names ??= identifiersOf(binding) ?? attrsOf(binding).map(nameOf)
  return memo.names
}

/** The attributes that an `inherit` or `inherit (x)` bindsArgument over, as nodes. */
export function inheritedOf(inherit: SyntaxNode): readonly SyntaxNode[] {
  const attrs = inherit.type === 'binding' ? undefined : inherit.field('attrs')
  return attrs ? attrs.children.filter(it => it.isNamed && !isComment(it)) : []
}

/** The last name of the function that is called: `mkIf` for `lib.mkIf c v`; the call's arguments. */
export interface Call {
  name: string
  /** The whole function expression as it is spelt, for example `lib.mkIf`. */
  callee: string
  args: SyntaxNode[]
}

/** What is called with what, if the node is a call of a plain name. Parentheses around are seen through. */
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
  return name === undefined || !path ? undefined : { name, callee: path.join('.'), args }
}

/** The names of a variable or of a selection from one: `['lib', 'mkIf']` for `lib.mkIf`. */
function selectionOf(node: SyntaxNode): AttrPath | undefined {
  if (node.type === 'variable_expression') return [node.text]
  if (node.type !== 'select_expression' || node.field('default')) return undefined
  const from = node.field('expression')
  const base = from && selectionOf(from)
  if (!base) return undefined
  const names = namesOf(node)
  return names.every(it => it !== undefined) ? [...base, ...(names as string[])] : undefined
}
