import { AttributeSet, anchorOf } from './attributeSet.ts'
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
import type { Definition } from './module/definitions.ts'
import { findModule, type Module } from './module/module.ts'
import { Reader } from './reader.ts'
import { err, type Result } from './result.ts'
import type { Source } from './source.ts'
import { type Call, callOf } from './syntax/nodes.ts'
import { type ParserWorkaround, parse, type SyntaxFault, type SyntaxTree } from './syntax/parser.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { findEncodingFault } from './text/decode.ts'
import { applyEdits, type Edit } from './text/edits.ts'
import { Transaction } from './transaction.ts'
import { visit } from './visit.ts'

/**
 * A Nix file: its text, and the syntax tree and module read from it. A document never changes: an edit
 * makes a plan, and the plan's text is another document.
 */
export class NixDocument extends Reader implements Source {
  readonly text: string
  /** Why the text can't be edited, in source order; empty if it can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser read a replacement instead of the document's text. */
  readonly workarounds: readonly ParserWorkaround[]
  readonly #tree: SyntaxTree
  #module: Result<Module, NixError> | undefined

  constructor(text: string, from?: { document: NixDocument; edits: readonly Edit[] }) {
    super()
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
   * something other than an attribute set, or to a function without `...`; `COMPUTED_MODULE`,
   * `UPDATE_OPERATOR` (`a // b`) or `NO_TARGET` (`mkIf …`) if the whole module is computed.
   */
  override module(): Result<Module, NixError> {
    const [first] = this.errors
    this.#module ??= first ? err(first) : findModule(this.root)
    return this.#module
  }

  /**
   * The document after the edits. Equal to `parseDocument(applyEdits(text, edits))`, but only the
   * changed parts are parsed. Throws a RangeError as `applyEdits` does.
   */
  edited(edits: readonly Edit[]): NixDocument {
    return new NixDocument(applyEdits(this.text, edits), { document: this, edits })
  }

  /**
   * An attribute set in this document, to look up and edit its attributes by path like options: an
   * expression that is a `{ … }`, or one inside functions, `let`, `with`, `assert` and parentheses, or
   * the value of a definition. For a `let` expression, its bindings.
   *
   * Errors of its `module()` and of plans: those of this document, `NOT_A_SET` for another expression,
   * `STALE` if it is not in this document.
   */
  at(node: SyntaxNode | Definition): AttributeSet {
    return new AttributeSet(this, anchorOf('binding' in node ? node.value : node))
  }

  /** The calls of a function in source order, by its last name: `mkDerivation`, `fetchFromGitHub`. */
  callsOf(name: string): Call[] {
    const found: Call[] = []
    visit(this.root, node => {
      const isCallee = node.type === 'apply_expression' && node.parent?.field('function') !== node
      const call = isCallee ? callOf(node) : undefined
      if (call?.name === name) found.push(call)
      return undefined
    })
    return found
  }

  /**
   * Begins a list of edits of the module, or with `in` of another attribute set: see `at`. `plan()`
   * returns the outcome; this document does not change.
   */
  edit(options: { in?: SyntaxNode | Definition } = {}): Transaction {
    return options.in ? this.at(options.in).edit() : new Transaction(this)
  }

  /** The text, unchanged. */
  override toString(): string {
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
