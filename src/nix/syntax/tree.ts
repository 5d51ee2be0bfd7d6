// The only file that uses tree-sitter. All other files use SyntaxNode.

import { createRequire } from 'node:module'
import { bisect } from '../bisect.ts'
import type { Edit } from '../text/edits.ts'
import { pointAt } from '../text/lines.ts'

/**
 * A node of the syntax tree, tokens and comments included. Offsets are UTF-16 code units of the
 * document's text, `start` inclusive and `end` exclusive. `type` is its name in the grammar of
 * tree-sitter-nix; a token's type is its text.
 */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  /** True for nodes named in the grammar, false for tokens such as `{` and `;`. */
  readonly isNamed: boolean
  /** The text of the document from `start` to `end`. */
  readonly text: string
  /** The text of the whole document. */
  readonly documentText: string
  readonly parent: SyntaxNode | undefined
  /** All children in source order, tokens and comments included. */
  readonly children: readonly SyntaxNode[]
  /** The number of nodes in this subtree, itself included. */
  readonly size: number
  /** The child with this field name in the grammar (`attrpath`, `expression`, `body`, …), if any. */
  field(name: string): SyntaxNode | undefined
}

/** Cached results about a node, created by `make`. They stay valid because a node never changes. */
export function memoOf<Memo extends object>(node: SyntaxNode, make: () => Memo): Memo {
  const memoized = node as Node
  memoized.memo ??= make()
  return memoized.memo as Memo
}

/**
 * The names of a node's attribute path if all are identifiers; undefined if not. Creates no nodes,
 * because a lookup reads the names of all bindings in a set but little else of most bindings.
 */
export function identifiersOf(node: SyntaxNode): readonly string[] | undefined {
  return (node as Node).identifiers()
}

/**
 * Pushes nodes on a stack so that the first one is popped first. Passing the items of a long list as
 * arguments to `push` would overflow the call stack.
 */
export function pushAll<Kind>(stack: Kind[], nodes: readonly Kind[]): void {
  for (let i = nodes.length - 1; i >= 0; i--) stack.push(nodes[i] as Kind)
}

/** The addon, see grammar/addon.c. */
interface Engine {
  parse(text: string, timeout: number): Parsed | null
  reparse(tree: object, edits: Int32Array, text: string, timeout: number): Parsed | null
  expand(tree: object, start: number, end: number): Int32Array
  release(tree: object): void
  symbols: string[]
  fields: string[]
}

interface Parsed {
  tree: object
  nodes: Int32Array
}

const engine = createRequire(import.meta.url)(
  `../../../prebuilds/${process.platform}-${process.arch}/nix-parser.node`
) as Engine

const fieldNumbers = new Map(engine.fields.map((name, number) => [name, number]))
const ATTRPATH = fieldNumbers.get('attrpath')

// Real files take milliseconds. Only many megabytes of text that is not Nix take this long.
const TIMEOUT = 10_000

// Trees are outside JavaScript's memory, and Node frees unused trees only after a turn of the event loop.
// A loop that never awaits would run out of memory. So above this total number of nodes, the oldest trees
// are released; they are parsed again if they are needed.
const MOST_NODES = 1_000_000
const loadedTrees = new Set<LoadedTree>()
let loadedNodes = 0

/** A tree in memory, until this file or Node releases it. */
interface LoadedTree {
  handle: WeakRef<object>
  nodes: number
  isReleased: boolean
}

function track(handle: object, nodes: number): LoadedTree {
  const newest: LoadedTree = { handle: new WeakRef(handle), nodes, isReleased: false }
  loadedTrees.add(newest)
  loadedNodes += nodes
  if (loadedNodes <= MOST_NODES) return newest
  for (const it of loadedTrees) if (!it.handle.deref()) forget(it)
  for (const it of loadedTrees) {
    if (loadedNodes <= MOST_NODES / 2 || it === newest) break
    const oldest = it.handle.deref()
    if (oldest) engine.release(oldest)
    forget(it)
  }
  return newest
}

function forget(it: LoadedTree): void {
  it.isReleased = true
  loadedTrees.delete(it)
  loadedNodes -= it.nodes
}

/** A syntax tree of tree-sitter, which is parsed again if its memory was released. */
class Tree {
  /** The text that was parsed: the document's, with workarounds replaced. */
  readonly text: string
  readonly documentText: string
  readonly #nodes: number
  #handle: object
  #loaded: LoadedTree

  constructor(text: string, documentText: string, { tree, nodes }: Parsed) {
    this.text = text
    this.documentText = documentText
    this.#nodes = nodes[6] as number
    this.#handle = tree
    this.#loaded = track(tree, this.#nodes)
  }

  get isInMemory(): boolean {
    return !this.#loaded.isReleased
  }

  get handle(): object {
    if (this.isInMemory) return this.#handle
    const parsed = engine.parse(this.text, 10 * TIMEOUT)
    if (!parsed) throw new Error('the parser timed out on a text that it had parsed before')
    this.#handle = parsed.tree
    this.#loaded = track(parsed.tree, this.#nodes)
    return this.#handle
  }
}

/**
 * Parses a text and returns the root; undefined on a timeout. `documentText` is the document's text, from
 * which `text` differs if it has workarounds.
 */
export function parseTree(text: string, documentText = text): Node | undefined {
  return rootOf(text, documentText, engine.parse(text, TIMEOUT))
}

/** As `parseTree`, for the text after edits of the document of `root`. Parses only the changed parts. */
export function reparseTree(text: string, root: Node, edits: readonly Edit[]): Node | undefined {
  const before = root.documentText
  const numbers = edits.flatMap(({ offset, length, content }) => {
    const first = pointAt(before, offset)
    const lines = content.split('\n')
    const width = lines.at(-1)?.length ?? 0
    const last = {
      row: first.row + lines.length - 1,
      column: lines.length === 1 ? first.column + width : width
    }
    const points = [first, pointAt(before, offset + length), last]
    const offsets = [offset, offset + length, offset + content.length]
    return [...offsets, ...points.flatMap(it => [it.row, it.column])]
  })
  return rootOf(
    text,
    text,
    engine.reparse(root.tree.handle, Int32Array.from(numbers), text, TIMEOUT)
  )
}

function rootOf(text: string, documentText: string, parsed: Parsed | null): Node | undefined {
  return parsed
    ? new Node(new Tree(text, documentText, parsed), parsed.nodes, 0, undefined)
    : undefined
}

// The length of a record, and its flags: see grammar/addon.c.
const RECORD = 7
const FLAGS = { named: 1, missing: 2, hasError: 8, folded: 16 }

// Children are created on demand: most edits read a small part of the tree.
export class Node implements SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly parent: Node | undefined
  readonly tree: Tree
  readonly #flags: number
  readonly #field: number
  memo: object | undefined
  #nodes: Int32Array
  #at: number
  #children: Node[] | undefined

  constructor(tree: Tree, nodes: Int32Array, at: number, parent: Node | undefined) {
    const head = nodes[at] as number
    this.tree = tree
    this.#nodes = nodes
    this.#at = at
    this.#flags = head >> 16
    this.#field = nodes[at + 5] as number
    this.parent = parent
    this.type = engine.symbols[head & 0xffff] as string
    this.start = nodes[at + 1] as number
    const end = nodes[at + 2] as number
    // In the grammar, a line comment includes the \r of its line ending.
    this.end = this.type === 'comment' && tree.text[end - 1] === '\r' ? end - 1 : end
  }

  get isNamed(): boolean {
    return (this.#flags & FLAGS.named) !== 0
  }

  get text(): string {
    return this.tree.documentText.slice(this.start, this.end)
  }

  get documentText(): string {
    return this.tree.documentText
  }

  get isMissing(): boolean {
    return (this.#flags & FLAGS.missing) !== 0
  }

  get hasError(): boolean {
    return (this.#flags & FLAGS.hasError) !== 0
  }

  get size(): number {
    return this.#nodes[this.#at + 6] as number
  }

  get children(): readonly Node[] {
    if (this.#children) return this.#children
    this.#unfold()
    this.#children = this.#records(this.#at).map(at => new Node(this.tree, this.#nodes, at, this))
    return this.#children
  }

  field(name: string): Node | undefined {
    const number = fieldNumbers.get(name)
    return this.children.find(it => it.#field === number)
  }

  /** See `identifiersOf`. */
  identifiers(): readonly string[] | undefined {
    const path = this.#records(this.#at).find(at => this.#nodes[at + 5] === ATTRPATH)
    const names: string[] = []
    for (const at of path === undefined ? [] : this.#records(path)) {
      const type = engine.symbols[(this.#nodes[at] as number) & 0xffff]
      if (type === 'identifier') {
        names.push(this.tree.text.slice(this.#nodes[at + 1], this.#nodes[at + 2]))
      } else if (type !== '.') return undefined
    }
    return path === undefined ? undefined : names
  }

  /** The positions of the records of a record's children. */
  #records(parent: number): number[] {
    const nodes = this.#nodes
    const found: number[] = []
    const end = parent + (nodes[parent + 3] as number) * RECORD
    for (let at = parent + RECORD; at < end; at += (nodes[at + 3] as number) * RECORD) {
      found.push(at)
    }
    return found
  }

  /** The smallest node that contains the offsets. */
  nodeAt(start: number, end: number): Node {
    let node: Node = this
    for (;;) {
      const { children } = node
      const at = bisect(children.length, i => (children[i] as Node).end >= end)
      const inner = children[at]
      if (!inner || inner.start > start) return node
      node = inner
    }
  }

  #unfold(): void {
    if ((this.#flags & FLAGS.folded) === 0) return
    this.#nodes = engine.expand(this.tree.handle, this.start, this.end)
    this.#at = 0
  }
}
