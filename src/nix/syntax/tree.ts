// The only file that knows tree-sitter. Everything else works on SyntaxNode.

import { createRequire } from 'node:module'
import { bisect } from '../bisect.ts'
import type { Edit } from '../text/edits.ts'
import { pointAt } from '../text/lines.ts'

/**
 * A node of the syntax tree, tokens and comments included. Offsets are UTF-16 code units of the
 * document's text, `start` inclusive and `end` exclusive. `type` is the name that the grammar of
 * tree-sitter-nix gives it; a token's type is its text.
 */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  /** True for what the grammar names, false for tokens such as `{` and `;`. */
  readonly isNamed: boolean
  /** What stands in the document from `start` to `end`. */
  readonly text: string
  /** The text of the whole document. */
  readonly documentText: string
  readonly parent: SyntaxNode | undefined
  /** All children in source order, tokens and comments included. */
  readonly children: readonly SyntaxNode[]
  /** How many nodes there are from this one down, itself included. */
  readonly size: number
  /** The child that the grammar names so (`attrpath`, `expression`, `body`, …), if there is one. */
  field(name: string): SyntaxNode | undefined
}

/**
 * What was worked out about a node so far, at first what `make` gives: a node never changes, so that
 * holds as long as it is there.
 */
export function memoOf<Memo extends object>(node: SyntaxNode, make: () => Memo): Memo {
  const own = node as Node
  own.memo ??= make()
  return own.memo as Memo
}

/**
 * The names of a node's attribute path if all are identifiers; undefined if not. No nodes are made for
 * them, as each lookup needs the names of all bindings of a set, and little else of most.
 */
export function identifiersOf(node: SyntaxNode): readonly string[] | undefined {
  return (node as Node).identifiers()
}

/**
 * Puts nodes on a stack, so that the first one comes off first. As arguments of `push`, the items of
 * a long list would overflow the stack of calls.
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

// Real files take milliseconds; only garbage of many megabytes comes near this.
const TIMEOUT = 10_000

// Trees lie outside of JavaScript's memory, and Node frees those that nobody uses only after a turn of
// the event loop. In a loop that never awaits, the oldest are released at about so many nodes in all;
// one that is needed then is made again from its text.
const MOST_NODES = 1_000_000
const kept = new Set<Kept>()
let keptNodes = 0

/** A tree that may be released; Node may have freed it, too. */
interface Kept {
  handle: WeakRef<object>
  nodes: number
  isReleased: boolean
}

function keep(handle: object, nodes: number): Kept {
  const newest: Kept = { handle: new WeakRef(handle), nodes, isReleased: false }
  kept.add(newest)
  keptNodes += nodes
  if (keptNodes <= MOST_NODES) return newest
  for (const it of kept) if (!it.handle.deref()) forget(it)
  for (const it of kept) {
    if (keptNodes <= MOST_NODES / 2 || it === newest) break
    const oldest = it.handle.deref()
    if (oldest) engine.release(oldest)
    forget(it)
  }
  return newest
}

function forget(it: Kept): void {
  it.isReleased = true
  kept.delete(it)
  keptNodes -= it.nodes
}

/** A tree of tree-sitter's. */
class Tree {
  /** The text that was parsed: the document's, but for stand-ins of the same length. */
  readonly text: string
  readonly documentText: string
  readonly #nodes: number
  #handle: object
  #kept: Kept

  constructor(text: string, documentText: string, { tree, nodes }: Parsed) {
    this.text = text
    this.documentText = documentText
    this.#nodes = nodes[6] as number
    this.#handle = tree
    this.#kept = keep(tree, this.#nodes)
  }

  get isKept(): boolean {
    return !this.#kept.isReleased
  }

  get handle(): object {
    if (this.isKept) return this.#handle
    const parsed = engine.parse(this.text, 10 * TIMEOUT)
    if (!parsed) throw new Error('the parser did not come to an end with a text that it had parsed')
    this.#handle = parsed.tree
    this.#kept = keep(parsed.tree, this.#nodes)
    return this.#handle
  }
}

/**
 * The root of the tree of a text; undefined if that bindsArgument too long. `documentText` is what its nodes give as
 * the document's text, if the text has stand-ins.
 */
export function run(text: string, documentText = text): Node | undefined {
  return rootOf(text, documentText, engine.parse(text, TIMEOUT))
}

/** The same for a text that edits made of another one, of which only what they changed is parsed. */
export function rerun(text: string, old: Node, edits: readonly Edit[]): Node | undefined {
  const before = old.documentText
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
    engine.reparse(old.tree.handle, Int32Array.from(numbers), text, TIMEOUT)
  )
}

function rootOf(text: string, documentText: string, parsed: Parsed | null): Node | undefined {
  return parsed
    ? new Node(new Tree(text, documentText, parsed), parsed.nodes, 0, undefined)
    : undefined
}

// The numbers of a record and its flags, see grammar/addon.c.
const RECORD = 7
const FLAGS = { named: 1, missing: 2, hasError: 8, folded: 16 }

// Children are made only when somebody asks: most edits look at a small part of the tree.
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
    // To the grammar a line comment holds the \r of its line end.
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

  /** Where the records of the children of a record are. */
  #records(parent: number): number[] {
    const nodes = this.#nodes
    const found: number[] = []
    const end = parent + (nodes[parent + 3] as number) * RECORD
    for (let at = parent + RECORD; at < end; at += (nodes[at + 3] as number) * RECORD) {
      found.push(at)
    }
    return found
  }

  /** The smallest node that spans the offsets. */
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
