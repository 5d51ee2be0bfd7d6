import { leftInPlace } from '../messages/notes.ts'
import { combinatorOf } from '../module/combinators.ts'
import { singleItemOf } from '../module/lists.ts'
import type { Module } from '../module/module.ts'
import type { NoteCode } from '../notes.ts'
import type { AttrPath } from '../path.ts'
import type { Source } from '../source.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { isComment, selectionOf } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { letValueOf } from '../syntax/scope.ts'
import { stringValue } from '../syntax/strings.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import { isExpr, type NixValue, withoutComment } from '../values.ts'
import { lookUpTarget, type Target } from './operation.ts'
import { printInline } from './print.ts'

/** Something in a definition that `removeIn` does not remove, although it concerns an item to remove. */
export interface Leftover {
  code: NoteCode
  node: SyntaxNode
  message: string
}

/** What is left in the definitions of a target after items were removed from it, in source order. */
export function leftoversOf(
  doc: Source,
  module: Module,
  target: Target,
  items: readonly NixValue[]
): Leftover[] {
  const { exact } = lookUpTarget(doc, module, target)
  const nodes = exact.flatMap(it => partsOf(it.value))
  const search = new Search(items)
  const found = nodes.flatMap(node =>
    search.concernedBy(node).map(({ code, item }) => {
      const source = printInline(withoutComment(item))
      return { node, ...leftInPlace(code, node.text, source) }
    })
  )
  return found.sort((a, b) => a.node.start - b.node.start).filter(isOutermost)
}

function isOutermost({ node, code }: Leftover, i: number, all: readonly Leftover[]): boolean {
  const before = all[i - 1]
  return !before || node.start >= before.node.end || code !== before.code
}

// No configuration has as many levels, and reading a tree of tens of thousands takes minutes.
const DEEPEST = 500

/**
 * All nodes of a value, and of the values of a `let` that it uses as variables, in source order. Conditions
 * and the sets of a `with` are left out, and so are nodes below 500 levels.
 */
function partsOf(value: SyntaxNode): SyntaxNode[] {
  const parts: SyntaxNode[] = []
  const seen = new Set<SyntaxNode>()
  const stack = [{ node: value, depth: 0 }]
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node, depth } = next
    if (isComment(node) || seen.has(node) || depth > DEEPEST) continue
    seen.add(node)
    parts.push(node)
    const isName = node.type === 'variable_expression' || node.type === 'identifier'
    const bound = isName ? letValueOf(node) : undefined
    if (bound) stack.push({ node: bound, depth: depth + 1 })
    const left = leftOutOf(node)
    pushAll(
      stack,
      node.children.filter(it => !left.includes(it)).map(it => ({ node: it, depth: depth + 1 }))
    )
  }
  return parts
}

/** The children of a node that do not become part of its value. */
function leftOutOf(node: SyntaxNode): (SyntaxNode | undefined)[] {
  if (node.type === 'if_expression') return [node.field('condition')]
  if (node.type === 'with_expression') return [node.field('environment')]
  if (node.type === 'let_expression') return node.children.filter(it => it.type === 'binding_set')
  if (node.type === 'assert_expression') return [node.field('condition')]
  // The function of a call is a call itself if there are several arguments.
  if (node.type !== 'apply_expression' || node.parent?.field('function') === node) return []
  const combinator = combinatorOf(node)
  const isConditional = combinator?.kind === 'condition' || singleItemOf(node)?.condition
  return isConditional ? [node.field('function')] : []
}

/** Why a node concerns an item. An equal item of the list itself was removed. */
interface Concern {
  code: 'COMPUTED' | 'IN_STRING' | 'OTHER_NAME'
  item: NixValue
}

/** Finds the items that a node concerns. The items are indexed, because there may be thousands. */
class Search {
  /** Strings by their first word. */
  readonly #texts = new Map<string, string[]>()
  /** Paths such as `pkgs.vim`, joined by dots, and by their last name. */
  readonly #paths = new Map<string, NixValue>()
  readonly #names = new Map<string, NixValue>()
  /** Other items by their canonical form. */
  readonly #others = new Map<string, NixValue>()

  constructor(items: readonly NixValue[]) {
    for (const item of items) {
      const plain = withoutComment(item)
      const path = typeof plain === 'string' ? undefined : pathOf(plain)
      if (typeof plain === 'string') {
        const [word] = WORD.exec(plain) ?? []
        const known = word === undefined ? undefined : this.#texts.get(word)
        if (known) known.push(plain)
        else if (word !== undefined) this.#texts.set(word, [plain])
      } else if (path) {
        this.#paths.set(path.join('.'), item)
        this.#names.set(path.at(-1) ?? '', item)
      } else this.#others.set(canonicalOfValue(plain) ?? '', item)
    }
  }

  concernedBy(node: SyntaxNode): Concern[] {
    if (/string_expression$/.test(node.type)) return this.#inString(node)
    const names = /^(?:variable|select)_expression$/.test(node.type) ? selectionOf(node) : undefined
    const named = names && this.#named(names)
    if (named) return [named]
    if (this.#others.size === 0 || !/_expression$/.test(node.type)) return []
    const item = this.#others.get(canonicalOfNode(node))
    return item === undefined ? [] : [{ code: 'COMPUTED', item }]
  }

  #inString(node: SyntaxNode): Concern[] {
    const value = stringValue(node)
    const text = value ?? node.text
    const words = new Set(text.match(new RegExp(WORD, 'g')))
    return [...words].flatMap(word =>
      (this.#texts.get(word) ?? []).flatMap((item): Concern[] => {
        if (item === value) return [{ code: 'COMPUTED', item }]
        return isPartOf(item, text) ? [{ code: 'IN_STRING', item }] : []
      })
    )
  }

  #named(names: AttrPath): Concern | undefined {
    const [only, ...others] = names
    if (others.length === 0) {
      const item = this.#names.get(only ?? '')
      return item === undefined ? undefined : { code: 'OTHER_NAME', item }
    }
    for (let count = names.length; count > 1; count--) {
      const item = this.#paths.get(names.slice(0, count).join('.'))
      if (item !== undefined) return { code: 'COMPUTED', item }
    }
    return undefined
  }
}

const WORD = /[\w.-]+/

/** The names of an item such as `pkgs.vim`; undefined for any other item. */
function pathOf(item: NixValue): AttrPath | undefined {
  const [node, ...others] = isExpr(item) ? parse(item.source).root.children : []
  return node && others.length === 0 ? selectionOf(node) : undefined
}

/** Whether a text contains another one, not as a part of a word. */
function isPartOf(part: string, text: string): boolean {
  const isInWord = (character: string | undefined) => WORD.test(character ?? '')
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + 1)) {
    if (!isInWord(text[at - 1]) && !isInWord(text[at + part.length])) return true
  }
  return false
}
