import { type Message, type NixError, nixError } from './errors.ts'
import {
  colonForEquals,
  faultInside,
  missing,
  neverClosed,
  parserTimeout,
  unexpected,
  updateReadAsPath
} from './messages/text.ts'
import { type Definition, type Leaf, leavesOf, lookUp } from './module/definitions.ts'
import { findImport, type ImportItem, importItemsOf, importsOf } from './module/imports.ts'
import { allListsOf } from './module/lists.ts'
import { findModule, type Module } from './module/module.ts'
import { type AttrPath, type AttrPathLike, parsePath } from './path.ts'
import { err, type Result } from './result.ts'
import type { Source } from './source.ts'
import { literalOf } from './syntax/literals.ts'
import { elementsOf } from './syntax/nodes.ts'
import { type ParserWorkaround, parse, type SyntaxFault, type SyntaxTree } from './syntax/parser.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { findEncodingFault } from './text/decode.ts'
import { applyEdits, type Edit } from './text/edits.ts'
import { isStackOverflow, Transaction } from './transaction.ts'
import type { NixValue } from './values.ts'

/**
 * A Nix file: its text, and the syntax tree and module read from it. A document never changes: an edit
 * makes a plan, and the plan's text is another document.
 */
export class NixDocument implements Source {
  readonly text: string
  /** Why the text can't be edited, in source order; empty if it can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser read a replacement instead of the document's text. */
  readonly workarounds: readonly ParserWorkaround[]
  readonly #tree: SyntaxTree
  #module: Result<Module, NixError> | undefined
  #leaves: readonly Leaf[] | undefined

  constructor(text: string, from?: { document: NixDocument; edits: readonly Edit[] }) {
    const tree = from ? parse(text, { tree: from.document.#tree, edits: from.edits }) : parse(text)
    this.#tree = tree
    const encoding = findEncodingFault(text)
    this.text = text
    this.root = tree.root
    this.workarounds = tree.workarounds
    this.errors = [
      ...(encoding ? [encoding] : []),
      ...(text.includes('\0')
        ? []
        : dropFollowUpErrors(tree.faults, text).map(it => syntaxError(text, it)))
    ].sort((a, b) => a.range.start - b.range.start)
  }

  /**
   * The module in the file. Errors: the first of `errors`; `NOT_A_MODULE` if the file evaluates to
   * something other than an attribute set, or to a function without `...`; `NO_TARGET` if the whole
   * module is computed (`mkIf …`, `a // b`).
   */
  module(): Result<Module, NixError> {
    const [first] = this.errors
    this.#module ??= first ? err(first) : findModule(this.root)
    return this.#module
  }

  /**
   * All definitions of exactly this option, in source order, including those under a condition. Empty
   * if there is none, if the path is invalid, if the file does not contain a module, and if values have
   * tens of thousands of levels.
   */
  getIn(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    if (!parsed.ok) return []
    if (!this.#mayHave(parsed.value)) return []
    return this.#read(module => [...lookUp(module, parsed.value).exact])
  }

  /**
   * All definitions of options below this path, in source order. A set that defines the path itself is
   * not included: `getIn` returns it as one definition. Empty in the same cases as `getIn`.
   */
  getBelow(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    if (!parsed.ok) return []
    if (!this.#mayHave(parsed.value)) return []
    return this.#read(module => [...lookUp(module, parsed.value).below])
  }

  /**
   * False if a name of the path does not occur in the text, so that nothing can define the path. A text
   * with escapes may contain the name in another form. Checked first, because most files of a
   * configuration do not contain the names that are looked up.
   */
  #mayHave(path: AttrPath): boolean {
    return (
      path.every(it => !/^[\w-]+$/.test(it) || this.text.includes(it)) || this.text.includes('\\')
    )
  }

  /**
   * The items of all list literals that define this option, including those under a condition, in
   * source order: literals as JavaScript values, everything else as `expr`. Empty if there are none.
   */
  itemsIn(path: AttrPathLike): NixValue[] {
    return this.#read(() =>
      this.getIn(path)
        .filter(it => !it.inherited)
        .flatMap(it => allListsOf(it.value))
        .flatMap(elementsOf)
        .map(literalOf)
    )
  }

  /**
   * The item of `imports` that imports this file or folder, however its path is written. Undefined if
   * there is none, or if its path is computed.
   */
  importOf(path: string): SyntaxNode | undefined {
    return this.#read(module => [findImport(module, path)])[0]
  }

  /**
   * All definitions of the module whose value is not a set literal, in source order, including those
   * under a condition. Empty in a file without a module.
   */
  leaves(): Leaf[] {
    this.#leaves ??= this.#read(leavesOf)
    return [...this.#leaves]
  }

  /**
   * The fixed paths in `imports` in source order, as written: `./hardware-configuration.nix`. Computed
   * paths and inline modules are omitted.
   */
  imports(): string[] {
    return this.#read(importsOf)
  }

  /** The items of all lists in `imports` in source order, including computed ones. */
  importItems(): ImportItem[] {
    return this.#read(importItemsOf)
  }

  /**
   * The result of `find` for the module. Empty if there is no module, or if values are nested so deeply
   * that recursive functions overflow the stack.
   */
  #read<T>(find: (module: Module) => T[]): T[] {
    try {
      const module = this.module()
      return module.ok ? find(module.value) : []
    } catch (error) {
      if (isStackOverflow(error)) return []
      throw error
    }
  }

  /**
   * The document after the edits. Equal to `parseDocument(applyEdits(text, edits))`, but only the
   * changed parts are parsed. Throws a RangeError as `applyEdits` does.
   */
  edited(edits: readonly Edit[]): NixDocument {
    return new NixDocument(applyEdits(this.text, edits), { document: this, edits })
  }

  /** Begins a list of edits. `plan()` returns the outcome; this document does not change. */
  edit(): Transaction {
    return new Transaction(this)
  }

  /** The text, unchanged. */
  toString(): string {
    return this.text
  }
}

/**
 * Reads the text of a Nix file. Faults of the text are in `errors` of the document; `String(document)`
 * is the text in any case. Throws only a TypeError, if `text` is not a string.
 */
export function parseDocument(text: string): NixDocument {
  if (typeof text !== 'string') {
    throw new TypeError('parseDocument expects a string; use decode(bytes) for the bytes of a file')
  }
  return new NixDocument(text)
}

const CLOSING = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')']
])

/** Whether a value can follow this text, so that an opening bracket is allowed there. */
function awaitsValue(before: string): boolean {
  return (
    !/[\w"'\])}>.-]$/.test(before) || /(?:^|[^\w'-])(?:in|then|else|assert|with|rec)$/.test(before)
  )
}

/** The offset of a ":" that was written for "=": the parser reads the name before it as an argument. */
function colonOf(text: string, { start, missing }: SyntaxFault): number | undefined {
  const next = start + text.slice(start).search(/\S|$/)
  return missing === '}' && text[next] === ':' ? next : undefined
}

/** Drops the faults after a ":" written for "=": the parser misreads everything after it. */
function dropFollowUpErrors(faults: readonly SyntaxFault[], text: string): readonly SyntaxFault[] {
  const colon = faults.findIndex(it => colonOf(text, it) !== undefined)
  return colon === -1 ? faults : faults.slice(0, colon + 1)
}

function syntaxError(text: string, fault: SyntaxFault): NixError {
  const { start, end } = fault
  const at = (message: Message, from: number, to: number) =>
    nixError(text, { ...message, range: { start: from, end: to } })
  if (fault.timedOut) return at(parserTimeout, start, end)
  if (fault.misread) return at(updateReadAsPath, start, end)
  if (fault.missing !== undefined) {
    const colon = colonOf(text, fault)
    if (colon !== undefined) return at(colonForEquals, colon, colon + 1)
    const place = start === 0 ? 0 : text.slice(0, start).trimEnd().length
    return at(missing(fault.missing), place, place)
  }
  const token = /^(?:[\w'-]+|\S)/.exec(text.slice(start, end))?.[0] ?? ''
  const closing = CLOSING.get(token)
  if (closing === undefined || !awaitsValue(text.slice(0, start).trimEnd())) {
    return at(unexpected(token), start, Math.max(end, start + 1))
  }
  const message = isClosed(text.slice(start), token, closing) ? faultInside : neverClosed
  return at(message(token, closing), start, start + 1)
}

// Strings with quotes inside are not recognized: that needs a parser, and only chooses a message.
const STRING_OR_COMMENT = /#[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"[^"\n]*"|''[^']*''/g

/** Whether a text has at least as many closing as opening brackets outside of strings and comments. */
function isClosed(text: string, open: string, close: string): boolean {
  const code = text.replace(STRING_OR_COMMENT, '')
  return code.split(close).length >= code.split(open).length
}
