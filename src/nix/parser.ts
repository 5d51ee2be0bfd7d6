// The only file that knows tree-sitter. Everything else works on SyntaxNode.

import { createRequire } from 'node:module'
import type TreeSitter from 'tree-sitter'

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
 */
export function parse(text: string): SyntaxTree {
  const tree = run(text)
  if (!tree.hasError) return finish(tree, text, [])

  let standIns = findCandidates(text)
  if (standIns.length === 0) return finish(tree, text, [])
  let mended = run(replaceAll(text, standIns))
  const fitting = standIns.filter(it => fits(mended, it))
  if (fitting.length < standIns.length) {
    standIns = fitting
    mended = run(replaceAll(text, standIns))
  }
  // Where other faults remain, what the user wrote is the better ground for messages.
  return mended.hasError ? finish(tree, text, []) : finish(mended, text, standIns)
}

interface Engine {
  parser: TreeSitter
}

let engine: Engine | undefined

function start(): Engine {
  const require = createRequire(import.meta.url)
  const Parser = require('tree-sitter') as typeof TreeSitter
  const grammar = `../../prebuilds/${process.platform}-${process.arch}/tree-sitter-nix.node`
  const parser = new Parser()
  parser.setLanguage(require(grammar))
  return { parser }
}

// tree-sitter asks for the text piece by piece; pieces of this size (UTF-16 units) are quickest.
const PIECE = 32 * 1024

function run(text: string): TreeSitter.SyntaxNode {
  engine ??= start()
  return engine.parser.parse(index => text.slice(index, index + PIECE), null, {
    bufferSize: PIECE
  }).rootNode
}

function finish(root: TreeSitter.SyntaxNode, text: string, standIns: StandIn[]): SyntaxTree {
  const faults = root.hasError ? findFaults(root) : []
  if (faults.length === 0 && root.namedChildren.every(it => it.type === 'comment')) {
    faults.push({ start: root.endIndex, end: root.endIndex, missing: 'an expression' })
  }
  if (faults.length === 0) faults.push(...findMisread(root, text))
  return { root: new Node(root, undefined, text), faults, standIns }
}

function findFaults(root: TreeSitter.SyntaxNode): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { startIndex: start, endIndex: end } = node
    if (node.isMissing) faults.push({ start, end, missing: node.type })
    else if (node.isError) faults.push({ start, end })
    else if (node.hasError) stack.push(...[...node.children].reverse())
  }
  return faults
}

/** In `a //b` the grammar sees a path `//b`, and Nix the operator `//`. */
function findMisread(root: TreeSitter.SyntaxNode, text: string): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  for (const { index } of text.matchAll(/(?<!:)\/\//g)) {
    const node = root.descendantForIndex(index, index + 1)
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
function fits(root: TreeSitter.SyntaxNode, { kind, start, end }: StandIn): boolean {
  const node = root.descendantForIndex(start, end - 1)
  if (kind === 'comma') return node.type === 'formals'
  if (kind === 'quote') {
    return node.type === 'string_fragment' && node.parent?.type === 'indented_string_expression'
  }
  if (kind === 'pipe') return node.type === '++' && node.parent?.type === 'binary_expression'
  return ['binding_set', 'attrset_expression', 'rec_attrset_expression', 'let_expression'].includes(
    node.type
  )
}

// Children are read from tree-sitter only when somebody asks: most edits look at a small part of
// the tree, and every crossing into native code costs.
class Node implements SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly isNamed: boolean
  readonly parent: SyntaxNode | undefined
  readonly #raw: TreeSitter.SyntaxNode
  readonly #text: string
  #children: Node[] | undefined

  constructor(raw: TreeSitter.SyntaxNode, parent: SyntaxNode | undefined, text: string) {
    this.#raw = raw
    this.#text = text
    this.type = raw.type
    this.start = raw.startIndex
    const end = raw.endIndex
    // To the grammar a line comment holds the \r of its line end.
    this.end = this.type === 'comment' && text[end - 1] === '\r' ? end - 1 : end
    this.isNamed = raw.isNamed
    this.parent = parent
  }

  get size(): number {
    return this.#raw.descendantCount
  }

  get children(): readonly Node[] {
    this.#children ??= this.#raw.children.map(it => new Node(it, this, this.#text))
    return this.#children
  }

  field(name: string): Node | undefined {
    const raw = this.#raw.childForFieldName(name)
    return raw ? this.children.find(it => it.#raw.id === raw.id) : undefined
  }
}
