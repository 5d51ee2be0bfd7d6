// Names that a `with` around a list provides: below `with pkgs;`, `vim` is `pkgs.vim`.
//
// Only the innermost `with` counts, because any `with` may have any name. If its set has no such attribute,
// then there is no value for the path either, so a name and a path that are compared as equal can't have two
// different values. Below `with pkgs; with lib;`, `vim` is compared with `lib.vim` but not with `pkgs.vim`:
// whether `lib` has a `vim` is not in the text.

import type { AttrPath } from '../path.ts'
import type { NixValue } from '../values.ts'
import { formOfNode, formOfValue } from './canonical.ts'
import { selectionOf, unparenthesized } from './nodes.ts'
import { binds, boundNames, isGlobal, isWithAround, scopeAround } from './scope.ts'
import type { SyntaxNode } from './tree.ts'

/** The path of the set of a `with`, and what defines its first name; undefined for a global of Nix. */
interface Head {
  path: AttrPath
  binder: SyntaxNode | undefined
}

/** What the names in a list, or in the call of a function that returns a list, stand for. */
export class NamesInList {
  readonly #list: SyntaxNode
  readonly #scopes: readonly { node: SyntaxNode; names: () => ReadonlySet<string> }[]
  readonly #head: Head | undefined
  readonly #paths = new Map<string, AttrPath | undefined>()

  constructor(list: SyntaxNode) {
    this.#list = list
    const innermost = withAround(list)
    this.#scopes = innermost ? scopesAround(list) : []
    const head = innermost && headOf(innermost)
    const isVisible = head && this.#binderOf(head.path[0] ?? '') === head.binder
    this.#head = isVisible ? head : undefined
  }

  /** Whether no name stands for a path: there is no `with` around the list, or its set is computed. */
  get arePlain(): boolean {
    return this.#head === undefined
  }

  /** Whether the innermost `with` is in the definition of the list, so that it is there for the list. */
  get isOwnWith(): boolean {
    for (let at = this.#list.parent; at && at.type !== 'binding'; at = at.parent) {
      if (isWithAround(at, this.#list)) return true
    }
    return false
  }

  /** The canonical form of an item of the list, in which each name of the `with` is a path. */
  keyOf(item: SyntaxNode): string {
    return formOfNode(item, this.#head && (it => this.#pathOf(it)))
  }

  /** The canonical form of a value as an item of the list; undefined if it can't be written. */
  keyOfValue(value: NixValue): string | undefined {
    return formOfValue(value, this.#head && (it => this.#pathOf(it)))
  }

  /** The path that a variable in an item, or in a value for the list, stands for. */
  #pathOf(variable: SyntaxNode): AttrPath | undefined {
    const name = variable.text
    for (let at = scopeAround(variable); at && at !== this.#list; at = at.parent) {
      if (binds(at, name) || isWithAround(at, variable)) return undefined
    }
    if (!this.#paths.has(name)) {
      const isOfWith = this.#head && !isGlobal(name) && !this.#binderOf(name)
      this.#paths.set(name, isOfWith ? [...this.#head.path, name] : undefined)
    }
    return this.#paths.get(name)
  }

  /** Whether an item begins with a name of the `with`, such as `vim` or `python3.pkgs`. */
  isShort(item: SyntaxNode): boolean {
    const [first] = selectionOf(item) ?? []
    let root = item
    while (root.type === 'select_expression')
      root = root.field('expression') ?? root.children[0] ?? root
    return first !== undefined && this.#pathOf(root) !== undefined
  }

  /** A path without the set of the `with`: `['vim']` for `pkgs.vim`; undefined if it is not in that set. */
  shortened(path: AttrPath): AttrPath | undefined {
    const head = this.#head?.path ?? []
    const rest = path.slice(head.length)
    const [first] = rest
    const isInside = head.length > 0 && head.every((it, i) => it === path[i])
    if (!isInside || first === undefined || !isIdentifier(first)) return undefined
    return isGlobal(first) || this.#binderOf(first) ? undefined : rest
  }

  #binderOf(name: string): SyntaxNode | undefined {
    return this.#scopes.find(it => it.names().has(name))?.node
  }
}

/** The innermost `with` whose body contains the node. */
export function withAround(node: SyntaxNode): SyntaxNode | undefined {
  for (let at = node.parent; at; at = at.parent) if (isWithAround(at, node)) return at
  return undefined
}

/** The functions, `let`s and `rec` sets around a node, innermost first, with the names they define. */
function scopesAround(node: SyntaxNode) {
  const scopes: { node: SyntaxNode; names: () => ReadonlySet<string> }[] = []
  for (let at = node.parent; at; at = at.parent) {
    const scope = at
    if (!/^(?:function_expression|let_expression|(?:let|rec)_attrset_expression)$/.test(at.type)) {
      continue
    }
    let names: ReadonlySet<string> | undefined
    scopes.push({
      node: scope,
      names: () => {
        names ??= new Set(boundNames(scope))
        return names
      }
    })
  }
  return scopes
}

/** The path of the set of a `with`, in which a name of a `with` around it is a path; undefined if computed. */
function headOf(node: SyntaxNode): Head | undefined {
  const environment = node.field('environment')
  const path = environment && selectionOf(unparenthesized(environment))
  const [root] = path ?? []
  if (!environment || !path || root === undefined || !path.every(isIdentifier)) return undefined
  const binder = binderAround(environment, root)
  if (binder || isGlobal(root)) return { path, binder }
  const outer = withAround(environment)
  const head = outer && headOf(outer)
  if (!head || binderAround(environment, head.path[0] ?? '') !== head.binder) return undefined
  return { path: [...head.path, ...path], binder: head.binder }
}

function binderAround(node: SyntaxNode, name: string): SyntaxNode | undefined {
  for (let at = scopeAround(node); at; at = at.parent) if (binds(at, name)) return at
  return undefined
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][\w'-]*$/.test(name)
}
