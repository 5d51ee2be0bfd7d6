// Expressions have the same canonical form if they differ only in notation: strings are compared by
// value, sets by their attributes in any order, dotted or nested; comments and layout are ignored. The
// form is computed from a tree and from a JavaScript value by separate code, so that each can verify the
// other.

import { type AttrPath, formatName, isText } from '../path.ts'
import { findEncodingFault } from '../text/decode.ts'
import {
  isAnnotated,
  isExpr,
  isValueList,
  isValueSet,
  type NixValue,
  withoutComment
} from '../values.ts'
import { findDuplicateBelow } from './duplicates.ts'
import {
  bindingsOf,
  elementsOf,
  inheritedOf,
  isComment,
  isList,
  namesOf,
  unparenthesized
} from './nodes.ts'
import { parse } from './parser.ts'
import { interpolatedValue, stringValue } from './strings.ts'
import { pushAll, type SyntaxNode } from './tree.ts'

/** The attribute path that a variable stands for, if it is an attribute of the set of a `with`. */
export type PathOfVariable = (variable: SyntaxNode) => AttrPath | undefined

export function canonicalOfNode(node: SyntaxNode): string {
  return formOfNode(node)
}

/** With `pathOf`, a variable has the form of the path that it stands for. */
export function formOfNode(node: SyntaxNode, pathOf?: PathOfVariable): string {
  const inner = unparenthesized(node)
  const string = stringValue(inner)
  if (string !== undefined) return JSON.stringify(string)
  if (isList(inner)) return list(elementsOf(inner).map(it => formOfNode(it, pathOf)))
  if (inner.type === 'attrset_expression') {
    const entries = entriesOf(inner, pathOf)
    if (entries) return set(entries)
  }
  if (inner.type === 'float_expression') return floatTokens(inner.text)
  return tokens(inner, pathOf)
}

/**
 * The canonical form of a value: equal for values that differ only in notation. Undefined for a value
 * that can't be written in Nix: a number that is not finite or not a safe integer, a string or name with
 * a NUL or half a surrogate pair, an `expr` that is not one complete expression, ends with a comment,
 * defines an attribute twice, has a pipe operator or thousands of levels, `undefined`, a function, or a
 * list or set that contains one of these.
 */
export function canonicalOfValue(value: NixValue): string | undefined {
  return formOfValue(value)
}

/** With `pathOf`, a variable of an `expr` has the form of the path that it stands for. */
export function formOfValue(value: NixValue, pathOf?: PathOfVariable): string | undefined {
  if (isAnnotated(value)) {
    return isText(value.comment) ? formOfValue(value.value, pathOf) : undefined
  }
  const plain = withoutComment(value)
  if (typeof plain === 'string') return isText(plain) ? JSON.stringify(plain) : undefined
  if (plain === null || typeof plain === 'boolean') return String(plain)
  if (typeof plain === 'number') {
    return isWritable(plain) ? numberTokens(plain) : undefined
  }
  if (isExpr(plain)) {
    const { source } = plain
    if (findEncodingFault(source) || !isText(source)) return undefined
    const tree = parse(source)
    const node = tree.root.field('expression')
    if (tree.faults.length > 0 || !node || isDeepTree(node)) return undefined
    if (findDuplicateBelow(node)) return undefined
    if (tree.workarounds.some(it => it.kind === 'pipe')) return undefined
    const isOpen = source.includes('#') && parse(`(${source})`).faults.length > 0
    return isOpen ? undefined : formOfNode(node, pathOf)
  }
  if (isValueList(plain)) {
    // An array may have holes, which map skips.
    const items = Array.from(plain, it => formOfValue(it, pathOf))
    return items.every(it => it !== undefined) ? list(items as string[]) : undefined
  }
  if (!isValueSet(plain)) return undefined
  const entries: [string[], string][] = []
  for (const [name, it] of Object.entries(plain)) {
    const inner = formOfValue(it, pathOf)
    if (inner === undefined || !isText(name)) return undefined
    entries.push([[name], inner])
  }
  return set(entries)
}

// No configuration has this many levels, and Nix itself stops at 10,000.
const DEEPEST = 3000

/** Whether a tree has thousands of levels, so that walking from each node to the root would be slow. */
export function isDeepTree(root: SyntaxNode): boolean {
  let level: readonly SyntaxNode[] = [root]
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (level.length === 0) return false
    level = level.flatMap(it => it.children)
  }
  return true
}

// The smallest normal double; Nix rejects smaller ones.
const SMALLEST = 2 ** -1022

/** Whether Nix can represent a number. Integers of 1e21 and above are written as floats. */
function isWritable(value: number): boolean {
  const size = Math.abs(value)
  const isInexact = Number.isInteger(value) && !Number.isSafeInteger(value)
  const isTiny = size > 0 && size < SMALLEST
  return Number.isFinite(value) && !(isInexact && size < 1e21) && !isTiny
}

/** In the module system, a float differs from any integer, even if its value is the same. */
function floatTokens(source: string): string {
  const value = String(Number(source))
  return /^\d+$/.test(value) ? `${value}.0` : value
}

function numberTokens(value: number): string {
  return value < 0 ? `- ${-value}` : String(value)
}

function list(items: string[]): string {
  return `[${items.join(',')}]`
}

function set(entries: [string[], string][]): string {
  return writeTree(treeOf(entries))
}

type Branch = Map<string, Branch | string>

function treeOf(entries: [string[], string][]): Branch {
  const root: Branch = new Map()
  for (const [path, value] of entries) {
    let at = root
    for (const name of path.slice(0, -1)) {
      const next = at.get(name)
      const branch: Branch = next instanceof Map ? next : new Map()
      at.set(name, branch)
      at = branch
    }
    at.set(path.at(-1) ?? '', value)
  }
  return root
}

function writeTree(branch: Branch): string {
  const parts = [...branch]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, it]) => `${JSON.stringify(name)}=${it instanceof Map ? writeTree(it) : it};`)
  return `{${parts.join('')}}`
}

/** The attributes of a set literal by path; undefined if one is inherited or has a computed name. */
function entriesOf(
  node: SyntaxNode,
  pathOf: PathOfVariable | undefined
): [string[], string][] | undefined {
  const entries: [string[], string][] = []
  for (const binding of bindingsOf(node)) {
    const value = binding.field('expression')
    if (binding.type !== 'binding' || !value || inheritedOf(binding).length > 0) return undefined
    const names = namesOf(binding)
    if (names.includes(undefined)) return undefined
    const nested =
      unparenthesized(value).type === 'attrset_expression'
        ? entriesOf(unparenthesized(value), pathOf)
        : undefined
    if (nested && nested.length > 0) {
      for (const [path, it] of nested) entries.push([[...(names as string[]), ...path], it])
    } else entries.push([names as string[], formOfNode(value, pathOf)])
  }
  return entries
}

function tokens(node: SyntaxNode, pathOf: PathOfVariable | undefined): string {
  const parts: string[] = []
  const stack: SyntaxNode[] = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (isComment(at)) continue
    const string = stringValue(at)
    if (string !== undefined) {
      const isName = at.parent?.type === 'attrpath'
      parts.push(isName ? formatName(string) : JSON.stringify(string))
    } else if (at.type === 'indented_string_expression') parts.push(template(at, pathOf))
    else if (at.type === 'variable_expression') parts.push(variable(at, pathOf))
    else if (hasOwnText(at)) parts.push(`$${at.text}`)
    else if (at.children.length === 0) parts.push(at.text)
    else pushAll(stack, at.children)
  }
  return parts.join(' ')
}

/** An indented string with interpolations, without the indentation that Nix removes. */
function template(string: SyntaxNode, pathOf: PathOfVariable | undefined): string {
  const holes = string.children.filter(it => it.type === 'interpolation')
  // A text of a string has no NUL.
  return `$''${JSON.stringify(
    interpolatedValue(
      string,
      holes.map(it => `\0${tokens(it, pathOf)}\0`)
    )
  )}`
}

function variable(node: SyntaxNode, pathOf: PathOfVariable | undefined): string {
  return pathOf?.(node)?.map(formatName).join(' . ') ?? node.text
}

// In these nodes, the text between the children is significant. The mark before it distinguishes
// "${x}" from the string with the text ${x}.
function hasOwnText(node: SyntaxNode): boolean {
  return /string_expression$|path_expression$|^uri_expression$/.test(node.type)
}
