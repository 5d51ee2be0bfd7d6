// Compares items of lists with requested values. A name that a `with` provides is replaced with its path in
// the source of both, and the results are compared.

import { printInline } from '../edit/print.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { unparenthesized } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { binds, isGlobal, isWithAround, scopeAround, variablesIn } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { expr, isExpr, type NixValue, withoutComment } from '../values.ts'

/** Tests items of lists. */
export type ItemTest = (item: SyntaxNode) => boolean

/** Returns a test for the items that are equal to one of the values, read as an item of the same list. */
export function isOneOf(values: readonly NixValue[]): ItemTest {
  const keys = new Set(values.map(canonicalOfValue))
  const byEnding = new Map<string, NixValue[]>()
  for (const value of values) {
    const ending = endingOf(canonicalOfValue(value) ?? '')
    byEnding.set(ending, [...(byEnding.get(ending) ?? []), value])
  }
  return item => {
    const key = canonicalOfNode(item)
    if (keys.has(key)) return true
    // A path ends with the name that it replaces.
    const similar = byEnding.get(endingOf(key)) ?? []
    return similar.some(it => isSameInList(item, it))
  }
}

/** For each of the values, whether one of the items is equal to it. */
export function areAmong(values: readonly NixValue[], items: readonly SyntaxNode[]): boolean[] {
  const keys = new Set<string>()
  const byEnding = new Map<string, SyntaxNode[]>()
  for (const item of items) {
    const key = canonicalOfNode(item)
    keys.add(key)
    const similar = byEnding.get(endingOf(key))
    if (similar) similar.push(item)
    else byEnding.set(endingOf(key), [item])
  }
  return values.map(value => {
    const key = canonicalOfValue(value) ?? ''
    const similar = byEnding.get(endingOf(key)) ?? []
    return keys.has(key) || similar.some(it => isSameInList(it, value))
  })
}

function endingOf(key: string): string {
  return /[\w'-]*[^\w'-]*$/.exec(key)?.[0] ?? ''
}

function isSameInList(item: SyntaxNode, value: NixValue): boolean {
  const plain = withoutComment(value)
  const around = item.parent ? scopesFrom(item.parent, item.parent) : []
  if (!around.some(isWith)) return false
  const [node] = parse(isExpr(plain) ? plain.source : printInline(plain)).root.children
  const [one, other] = [withPaths(item, around), node && withPaths(node, around)]
  const key = other === undefined ? undefined : canonicalOfValue(expr(other))
  return key !== undefined && canonicalOfValue(expr(one)) === key
}

/** A node around a name, and the name or the list that it contains. */
interface Scope {
  node: SyntaxNode
  content: SyntaxNode
}

/** The nodes from `first` outwards, up to but without `end`. */
function scopesFrom(
  first: SyntaxNode | undefined,
  content: SyntaxNode,
  end?: SyntaxNode | undefined
): Scope[] {
  const scopes: Scope[] = []
  for (let at = first; at && at !== end; at = at.parent) scopes.push({ node: at, content })
  return scopes
}

function isWith({ node, content }: Scope): boolean {
  return isWithAround(node, content)
}

/**
 * The source of an item, in which the path replaces each name that a `with` around the list provides.
 * `around` are the scopes of the list.
 */
function withPaths(item: SyntaxNode, around: readonly Scope[]): string {
  let source = ''
  let end = item.start
  for (const it of variablesIn(item)) {
    const inside = scopesFrom(scopeAround(it), it, item.parent)
    if (it.type !== 'variable_expression' || inside.some(isWith)) continue
    const path = pathOf(it.text, [...inside, ...around])
    if (path === undefined) continue
    source += item.documentText.slice(end, it.start) + path
    end = it.end
  }
  return source + item.documentText.slice(end, item.end)
}

const PATH = /^[A-Za-z_][\w'-]*(?:\.[A-Za-z_][\w'-]*)*$/

/** The path of a name in the innermost `with` of some scopes; undefined if it has another meaning. */
function pathOf(name: string, scopes: readonly Scope[]): string | undefined {
  if (isGlobal(name) || binderIn(scopes, name)) return undefined
  const environment = scopes.find(isWith)?.node.field('environment')
  const head = environment && unparenthesized(environment).text.replace(/\s+/g, '')
  if (!environment || head === undefined || !PATH.test(head)) return undefined
  const [first = ''] = head.split('.')
  const outside = scopesFrom(scopeAround(environment), environment)
  const outer = pathOf(first, outside)
  const root = outer?.split('.')[0] ?? first
  const binder = binderIn(outside, root)
  if (binder !== binderIn(scopes, root) || (!binder && !isGlobal(root))) return undefined
  return `${outer ?? first}${head.slice(first.length)}.${name}`
}

function binderIn(scopes: readonly Scope[], name: string): SyntaxNode | undefined {
  return scopes.find(it => binds(it.node, name))?.node
}
