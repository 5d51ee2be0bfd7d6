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
  readonly parent: SyntaxNode | undefined
  /** All children in source order, tokens and comments included. */
  readonly children: readonly SyntaxNode[]
  /** How many nodes there are from this one down, itself included. */
  readonly size: number
  /** The child that the grammar names so (`attrpath`, `expression`, `body`, …), if there is one. */
  field(name: string): SyntaxNode | undefined
}

/**
 * A place that the parser could not make sense of, or that it is known to read otherwise than Nix
 * (`misread`).
 */
export interface SyntaxFault {
  start: number
  end: number
  /** What the parser wanted there; absent if it met something that it did not want. */
  missing?: string
  misread?: true
  /** The parser gave up: the text takes more time than any configuration. */
  tooHard?: true
}

/**
 * Text that Nix accepts and this grammar does not, replaced by text of the same length for the
 * parser's eyes only. What lies on the two sides of a `pipe` binds differently in the tree than in
 * Nix; the other kinds leave the tree as it should be.
 */
export interface StandIn {
  kind: 'comma' | 'pipe' | 'inherit' | 'quote'
  start: number
  end: number
}

export interface SyntaxTree {
  root: SyntaxNode
  faults: SyntaxFault[]
  standIns: StandIn[]
}

/**
 * Parses any text; a text that is not Nix gives a tree with `faults`, never an exception. An empty
 * text is a fault: a Nix file holds one expression.
 *
 * `from` is a document that the text was made from by edits; what they left alone is not parsed
 * again. The result is the same with and without it.
 */
export function parse(
  text: string,
  from?: { tree: SyntaxTree; text: string; edits: readonly Edit[] }
): SyntaxTree {
  const old = from?.tree.root
  const isKept = old instanceof Node && old.tree.isKept && from?.tree.standIns.length === 0
  const tree = isKept ? rerun(text, old, from) : run(text)
  if (!tree) return timedOut(text)
  if (!tree.hasError) return finish(tree, text, [])

  let standIns = findCandidates(text)
  if (standIns.length === 0) return finish(tree, text, [])
  let mended = run(replaceAll(text, standIns))
  if (!mended) return timedOut(text)
  const root = mended
  const fitting = standIns.filter(it => fits(root, it))
  if (fitting.length < standIns.length) {
    standIns = fitting
    mended = run(replaceAll(text, standIns))
    if (!mended) return timedOut(text)
  }
  // Where other faults remain, what the user wrote is the better ground for messages.
  return mended.hasError ? finish(tree, text, []) : finish(mended, text, standIns)
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

// Trees lie outside of JavaScript's memory, and what Node would free there it frees only after a turn
// of the event loop. So the trees that were used last are kept, of about so many nodes in all, and
// others are made again from their text.
const MOST_NODES = 1_000_000
const kept = new Set<Tree>()
let keptNodes = 0

/** A tree of tree-sitter's. */
class Tree {
  readonly text: string
  readonly #size: number
  #handle: object | undefined

  constructor(text: string, { tree, nodes }: Parsed) {
    this.text = text
    this.#size = nodes[6] as number
    this.#keep(tree)
  }

  get isKept(): boolean {
    return this.#handle !== undefined
  }

  get handle(): object {
    if (this.#handle) {
      kept.delete(this)
      kept.add(this)
      return this.#handle
    }
    const parsed = engine.parse(this.text, 10 * TIMEOUT)
    if (!parsed) throw new Error('the parser did not come to an end with a text that it had parsed')
    return this.#keep(parsed.tree)
  }

  #keep(handle: object): object {
    this.#handle = handle
    kept.add(this)
    keptNodes += this.#size
    for (const it of kept) {
      if (keptNodes <= MOST_NODES || it === this) break
      it.#release()
    }
    return handle
  }

  #release(): void {
    if (this.#handle) engine.release(this.#handle)
    this.#handle = undefined
    kept.delete(this)
    keptNodes -= this.#size
  }
}

function run(text: string): Node | undefined {
  return rootOf(text, engine.parse(text, TIMEOUT))
}

function rerun(
  text: string,
  old: Node,
  { text: before, edits }: { text: string; edits: readonly Edit[] }
): Node | undefined {
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
  return rootOf(text, engine.reparse(old.tree.handle, Int32Array.from(numbers), text, TIMEOUT))
}

function rootOf(text: string, parsed: Parsed | null): Node | undefined {
  return parsed ? new Node(new Tree(text, parsed), parsed.nodes, 0, undefined) : undefined
}

function timedOut(text: string): SyntaxTree {
  const root = run('') as Node
  return {
    root,
    faults: [{ start: 0, end: Math.min(1, text.length), tooHard: true }],
    standIns: []
  }
}

function finish(root: Node, text: string, standIns: StandIn[]): SyntaxTree {
  const faults = root.hasError ? findFaults(root) : []
  if (faults.length === 0 && root.children.every(it => it.type === 'comment')) {
    faults.push({ start: root.end, end: root.end, missing: 'an expression' })
  }
  return { root, faults: faults.length > 0 ? faults : findMisread(root, text), standIns }
}

function findFaults(root: Node): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { start, end } = node
    if (node.isMissing) faults.push({ start, end, missing: node.type })
    else if (node.type === 'ERROR') faults.push({ start, end })
    else if (node.hasError) pushAll(stack, node.children)
  }
  return faults
}

/** In `a //b` the grammar sees a path `//b`, and Nix the operator `//`. */
function findMisread(root: Node, text: string): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  let node = root
  for (const { index } of text.matchAll(/(?<!:)\/\//g)) {
    // From one to the next it is never far, also in a tree that is deep.
    while (node.parent && node.end < index + 2) node = node.parent
    node = node.nodeAt(index, index + 2)
    if (node.type === 'path_fragment') faults.push({ start: index, end: index + 2, misread: true })
  }
  return faults
}

const COMMENT = String.raw`(?:\s|#[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*`
const GAPS: { kind: StandIn['kind']; pattern: RegExp; stand: string }[] = [
  { kind: 'comma', pattern: new RegExp(`,(?=${COMMENT}\\})`, 'g'), stand: ' ' },
  { kind: 'pipe', pattern: /\|>|<\|/g, stand: '++' },
  {
    kind: 'inherit',
    pattern: new RegExp(`\\binherit${COMMENT}(?:\\([^()]*\\)${COMMENT})?;`, 'g'),
    stand: ' '
  },
  // A quote between two interpolations of an indented string.
  { kind: 'quote', pattern: /(?<!')'(?=\$\{)/g, stand: '_' }
]

function findCandidates(text: string): StandIn[] {
  return GAPS.flatMap(({ kind, pattern }) =>
    [...text.matchAll(pattern)].map(it => ({
      kind,
      start: it.index,
      end: it.index + it[0].length
    }))
  ).sort((a, b) => a.start - b.start)
}

function replaceAll(text: string, standIns: StandIn[]): string {
  const pieces: string[] = []
  let done = 0
  for (const { kind, start, end } of standIns) {
    const stand = GAPS.find(gap => gap.kind === kind)?.stand ?? ' '
    pieces.push(text.slice(done, start), stand.repeat((end - start) / stand.length))
    done = end
  }
  pieces.push(text.slice(done))
  return pieces.join('')
}

/** Whether the stand-in landed in code of the kind it is for, and not in a string or a comment. */
function fits(root: Node, { kind, start, end }: StandIn): boolean {
  const node = root.nodeAt(start, end)
  if (kind === 'comma') return node.type === 'formals'
  if (kind === 'quote') {
    return node.type === 'string_fragment' && node.parent?.type === 'indented_string_expression'
  }
  if (kind === 'pipe') return node.type === '++' && node.parent?.type === 'binary_expression'
  return ['binding_set', 'attrset_expression', 'rec_attrset_expression', 'let_expression'].includes(
    node.type
  )
}

// The numbers of a record and its flags, see grammar/addon.c.
const RECORD = 7
const FLAGS = { named: 1, missing: 2, hasError: 8, folded: 16 }

// Children are made only when somebody asks: most edits look at a small part of the tree.
class Node implements SyntaxNode {
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
