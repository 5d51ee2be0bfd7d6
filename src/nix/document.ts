import { findEncodingFault } from './decode.ts'
import { type Definition, lookUp } from './definitions.ts'
import { applyEdits, type Edit } from './edits.ts'
import { type NixError, nixError } from './errors.ts'
import { findImport, importsOf } from './importOperation.ts'
import { allListsOf } from './lists.ts'
import { literalOf } from './literals.ts'
import { findModule, type Module } from './module.ts'
import {
  parse,
  type StandIn,
  type SyntaxFault,
  type SyntaxNode,
  type SyntaxTree
} from './parser.ts'
import { type AttrPathLike, parsePath } from './path.ts'
import { err, type Result } from './result.ts'
import { elementsOf } from './shape.ts'
import { Transaction } from './transaction.ts'
import type { NixValue } from './values.ts'

/**
 * A Nix file as text with what it means beside it. It never changes: an edit makes a plan, and the
 * plan's text is another document.
 */
export class NixDocument {
  readonly text: string
  /** Why the text can't be edited, in source order; empty for a text that can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser was shown other text than stands there. */
  readonly standIns: readonly StandIn[]
  readonly #tree: SyntaxTree
  #module: Result<Module, NixError> | undefined

  constructor(text: string, from?: { document: NixDocument; edits: readonly Edit[] }) {
    const tree = from
      ? parse(text, { tree: from.document.#tree, text: from.document.text, edits: from.edits })
      : parse(text)
    this.#tree = tree
    const encoding = findEncodingFault(text)
    this.text = text
    this.root = tree.root
    this.standIns = tree.standIns
    this.errors = [
      ...(encoding ? [encoding] : []),
      ...tree.faults.map(it => syntaxError(text, it))
    ].sort((a, b) => a.range.start - b.range.start)
  }

  /** The module in the file; refused as `findModule` says, or with the first of `errors`. */
  module(): Result<Module, NixError> {
    const [first] = this.errors
    this.#module ??= first ? err(first) : findModule(this.text, this.root)
    return this.#module
  }

  /**
   * Every place that defines exactly this option, in source order, also those that count only under
   * a condition. Empty where there is none, where the path is none, and in a file that holds no
   * module.
   */
  getIn(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    const module = this.module()
    return parsed.ok && module.ok ? lookUp(module.value, parsed.value).exact : []
  }

  /** Every place that defines an option whose path begins with this one, itself left out. */
  getBelow(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    const module = this.module()
    return parsed.ok && module.ok ? lookUp(module.value, parsed.value).below : []
  }

  /**
   * The items of all list literals that define this option, also of those that count only under a
   * condition, in source order. Empty where there are none.
   */
  itemsIn(path: AttrPathLike): NixValue[] {
    return this.getIn(path)
      .filter(it => !it.inherited)
      .flatMap(it => allListsOf(this.text, it.value))
      .flatMap(elementsOf)
      .map(it => literalOf(this.text, it))
  }

  /** Where this file or folder is imported, in any spelling; undefined if it is not. */
  importOf(path: string): SyntaxNode | undefined {
    return findImport(this, path)
  }

  /** The fixed paths in `imports`, as they are spelt: `./hardware-configuration.nix`. */
  imports(): string[] {
    return importsOf(this)
  }

  /** The document that edits make of this one; parsed only where they changed it. */
  edited(edits: readonly Edit[]): NixDocument {
    return new NixDocument(applyEdits(this.text, edits), { document: this, edits })
  }

  /** Begins an edit. Nothing happens before its `plan()`. */
  edit(): Transaction {
    return new Transaction(this)
  }

  /** The text. */
  toString(): string {
    return this.text
  }
}

/**
 * Reads a Nix file's text. Never throws; what is wrong stands in `errors` of the document, and
 * `String(document)` is the text in any case.
 */
export function parseDocument(text: string): NixDocument {
  return new NixDocument(text)
}

function syntaxError(text: string, fault: SyntaxFault): NixError {
  const { start, end, missing, misread, tooHard } = fault
  if (tooHard) {
    return nixError(text, {
      code: 'SYNTAX',
      message: 'this takes too long to parse',
      range: { start, end },
      hint: 'no configuration is this big; is it the right file?'
    })
  }
  if (misread) {
    return nixError(text, {
      code: 'SYNTAX',
      message: 'this "//" touches what stands beside it and could be taken for part of a path',
      range: { start, end },
      hint: 'put blanks around it: a // b'
    })
  }
  if (missing !== undefined) {
    const at = start === 0 ? 0 : text.slice(0, start).trimEnd().length
    return nixError(text, {
      code: 'SYNTAX',
      message: `${/\w/.test(missing) ? missing : `"${missing}"`} is missing here`,
      range: { start: at, end: at }
    })
  }
  const word = /^(?:[\w'-]+|\S)/.exec(text.slice(start, end))?.[0] ?? ''
  return nixError(text, {
    code: 'SYNTAX',
    message: word === '' ? 'this is not Nix' : `unexpected "${word}"`,
    range: { start, end: Math.max(end, start + 1) },
    hint: word === '=' ? 'perhaps a ";" is missing on a line above' : undefined
  })
}
