import { type NixError, nixError } from './errors.ts'
import { nodeNotInDocument } from './messages/module.ts'
import { findAttributes, type Module } from './module/module.ts'
import { Reader } from './reader.ts'
import { err, type Result } from './result.ts'
import type { Source } from './source.ts'
import type { ParserWorkaround } from './syntax/parser.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { type Edit, moveOffset } from './text/edits.ts'
import { Transaction } from './transaction.ts'

/** Identifies a node in a text, so that it can be found again in the text after some edits. */
export interface Anchor {
  /** The text of the document. */
  text: string
  type: string
  offset: number
  /** The number of nodes of this type around it that begin at the same offset. */
  rank: number
}

export function anchorOf({ type, start, parent, documentText }: SyntaxNode): Anchor {
  let rank = 0
  for (let at = parent; at?.start === start; at = at.parent) if (at.type === type) rank++
  return { text: documentText, type, offset: start, rank }
}

function nodeAt(root: SyntaxNode, { type, offset, rank }: Anchor): SyntaxNode | undefined {
  let left = rank
  let node: SyntaxNode | undefined = root
  while (node) {
    if (node.start === offset && node.type === type && left-- === 0) return node
    node = node.children.find(it => it.start <= offset && it.end > offset)
  }
  return undefined
}

/** An attribute set in a document whose attributes are looked up and edited like options. */
export class AttributeSet extends Reader implements Source {
  readonly #document: Source
  readonly #anchor: Anchor
  #module: Result<Module, NixError> | undefined

  constructor(document: Source, anchor: Anchor) {
    super()
    this.#document = document
    this.#anchor = anchor
  }

  /** The text of the whole document. */
  override get text(): string {
    return this.#document.text
  }

  /** Why the document can't be edited. */
  get errors(): readonly NixError[] {
    return this.#document.errors
  }

  /** The root of the document's syntax tree. */
  get root(): SyntaxNode {
    return this.#document.root
  }

  get workarounds(): readonly ParserWorkaround[] {
    return this.#document.workarounds
  }

  /**
   * The set. Errors: the first of `errors`; `NOT_A_SET` if the expression is not a set, nor a function
   * that returns one; `STALE` if it is not in the document.
   */
  override module(): Result<Module, NixError> {
    this.#module ??= this.#find()
    return this.#module
  }

  #find(): Result<Module, NixError> {
    const [first] = this.errors
    if (first) return err(first)
    const isSame = this.#anchor.text === this.text
    const node = isSame ? nodeAt(this.root, this.#anchor) : undefined
    return node ? findAttributes(node) : err(nixError('', nodeNotInDocument))
  }

  /** Begins a list of edits. `plan()` returns the outcome; the document does not change. */
  edit(): Transaction {
    return new Transaction(this)
  }

  /** The same set in the document after the edits. */
  edited(edits: readonly Edit[]): AttributeSet {
    const document = this.#document.edited(edits)
    const offset = moveOffset(edits, this.#anchor.offset)
    return new AttributeSet(document, { ...this.#anchor, text: document.text, offset })
  }
}
