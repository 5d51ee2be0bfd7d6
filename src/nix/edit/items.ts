// Compares the items of lists with values, and writes values in the style of the items around them.

import type { ListItem } from '../module/lists.ts'
import { formatPath } from '../path.ts'
import { canonicalOfValue } from '../syntax/canonical.ts'
import { selectionOf, unparenthesized } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { NamesInList } from '../syntax/withNames.ts'
import { annotated, expr, isAnnotated, isExpr, type NixValue } from '../values.ts'

type Keys = readonly (string | undefined)[]

/** The names in one list, and the values in the form that they have as items of it. */
interface ValuesInList {
  names: NamesInList
  keys: Keys
  known: ReadonlySet<string | undefined>
}

/** Compares items with some values: each value is read as if it were an item of the same list. */
export class ItemSearch {
  readonly #values: readonly NixValue[]
  readonly #lists = new Map<SyntaxNode, ValuesInList>()
  #plain: Keys | undefined

  constructor(values: readonly NixValue[]) {
    this.#values = values
  }

  /** Whether an item is equal to one of the values. */
  has({ item, container }: Pick<ListItem, 'item' | 'container'>): boolean {
    const { names, known } = this.#in(container)
    return known.has(names.keyOf(item))
  }

  /** The values that are equal to none of the items, without those that are the same item of `list`. */
  missing(items: readonly ListItem[], list: SyntaxNode | undefined): NixValue[] {
    const keysIn = new Map<SyntaxNode, Set<string>>()
    for (const { item, container } of items) {
      const keys = keysIn.get(container) ?? new Set()
      keys.add(this.#in(container).names.keyOf(item))
      keysIn.set(container, keys)
    }
    const all = [...keysIn].map(([container, keys]) => ({
      here: keys,
      wanted: this.#in(container)
    }))
    const seen = new Set<string | undefined>()
    const own = list ? this.#in(list).keys : this.#plainKeys()
    return this.#values.filter((_, i) => {
      if (seen.has(own[i])) return false
      seen.add(own[i])
      return !all.some(({ here, wanted }) => here.has(wanted.keys[i] ?? ''))
    })
  }

  #in(list: SyntaxNode): ValuesInList {
    const known = this.#lists.get(list)
    if (known) return known
    const names = new NamesInList(list)
    const keys = names.arePlain ? this.#plainKeys() : this.#values.map(it => names.keyOfValue(it))
    const values = { names, keys, known: new Set(keys) }
    this.#lists.set(list, values)
    return values
  }

  #plainKeys(): Keys {
    this.#plain ??= this.#values.map(canonicalOfValue)
    return this.#plain
  }
}

/**
 * The values in the style of the items around them: below `with pkgs;`, among names such as `vim`, the path
 * `pkgs.git` is written `git`, unless that name has another meaning there. `place` is the list that they
 * are added to, or the value that such a list is appended to.
 */
export function likeItems(
  items: readonly SyntaxNode[],
  place: SyntaxNode,
  values: readonly NixValue[]
): NixValue[] {
  const names = new NamesInList(place)
  if (names.arePlain || !prefersNames(items, names)) return [...values]
  const shorten = (value: NixValue): NixValue => {
    if (isAnnotated(value)) return annotated(shorten(value.value), value.comment)
    if (!isExpr(value)) return value
    const [node, ...others] = parse(value.source).root.children
    const path = node && others.length === 0 && isPath(node) ? selectionOf(node) : undefined
    const short = path && names.shortened(path)
    return short ? expr(formatPath(short)) : value
  }
  return values.map(shorten)
}

/**
 * Whether more items begin with a name of the `with` than with its set. Without such an item, names are
 * preferred if the `with` is there for the list.
 */
function prefersNames(items: readonly SyntaxNode[], names: NamesInList): boolean {
  let balance = 0
  let isDecided = false
  for (const item of items.map(unparenthesized)) {
    const path = selectionOf(item)
    const isShort = names.isShort(item)
    if (!path || (!isShort && !names.shortened(path))) continue
    isDecided = true
    balance += isShort ? 1 : -1
  }
  return isDecided ? balance > 0 : names.isOwnWith
}

/** Whether a node is a selection such as `pkgs.vim` without quotes and comments. */
function isPath(node: SyntaxNode): boolean {
  return node.type === 'select_expression' && /^[\w'-]+(?:\.[\w'-]+)+$/.test(node.text)
}
