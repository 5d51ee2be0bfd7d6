import { type NixError, nixError } from './errors.ts'
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
 * A Nix file as text with what it means beside it. It never changes: an edit makes a plan, and the
 * plan's text is another document.
 */
export class NixDocument implements Source {
  readonly text: string
  /** Why the text can't be edited, in source order; empty for a text that can. */
  readonly errors: readonly NixError[]
  /** The root of the syntax tree (`source_code`). */
  readonly root: SyntaxNode
  /** Places where the parser was shown other text than stands there. */
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
   * The module in the file. Refused with the first of `errors`; with `NOT_A_MODULE` where the file
   * gives no attribute set, or a function without `...`; with `NO_TARGET` where the module as a
   * whole is computed (`mkIf …`, `a // b`).
   */
  module(): Result<Module, NixError> {
    const [first] = this.errors
    this.#module ??= first ? err(first) : findModule(this.root)
    return this.#module
  }

  /**
   * Every place that defines exactly this option, in source order, also those that count only under
   * a condition. Empty where there is none, where the path is none, in a file that holds no module,
   * and where values are nested by the ten thousand.
   */
  getIn(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    if (!parsed.ok) return []
    if (!this.#mayHave(parsed.value)) return []
    return this.#read(module => [...lookUp(module, parsed.value).exact])
  }

  /**
   * Every place that defines an option whose path begins with this one, in source order. A set that
   * defines the path itself is not among them: `getIn` gives it as one definition. Empty where
   * `getIn` is.
   */
  getBelow(path: AttrPathLike): Definition[] {
    const parsed = parsePath(path)
    if (!parsed.ok) return []
    if (!this.#mayHave(parsed.value)) return []
    return this.#read(module => [...lookUp(module, parsed.value).below])
  }

  /**
   * False where a name of the path is not in the text, so that nothing there can define it. A name with an
   * escape in it may be written in another way. Most lookups in a tree of files end here.
   */
  #mayHave(path: AttrPath): boolean {
    return (
      path.every(it => !/^[\w-]+$/.test(it) || this.text.includes(it)) || this.text.includes('\\')
    )
  }

  /**
   * The items of all list literals that define this option, also of those that count only under a
   * condition, in source order: strings, numbers and the like as such, the rest as `expr`. Empty
   * where there are none.
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
   * The item of `imports` that is this file or folder, in any spelling; undefined if it is not
   * imported, or by a computed path.
   */
  importOf(path: string): SyntaxNode | undefined {
    return this.#read(module => [findImport(module, path)])[0]
  }

  /**
   * All that the module defines, in source order, down to what is no set that is written out; also
   * what counts only under a condition. Empty in a file that holds no module.
   */
  leaves(): Leaf[] {
    this.#leaves ??= this.#read(leavesOf)
    return [...this.#leaves]
  }

  /**
   * The fixed paths in `imports` in source order, as they are spelt: `./hardware-configuration.nix`.
   * Computed ones and modules written in place are left out.
   */
  imports(): string[] {
    return this.#read(importsOf)
  }

  /** The items of all lists in `imports` in source order, also those that are computed. */
  importItems(): ImportItem[] {
    return this.#read(importItemsOf)
  }

  /**
   * What is found in the module; nothing where there is none, and nothing where values are nested by
   * the ten thousand: they are read by functions that call themselves, and the stack has an end.
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
   * The document that edits make of this one, as `parseDocument(applyEdits(text, edits))` gives it,
   * but parsed only where they changed it. Throws a RangeError as `applyEdits` does.
   */
  edited(edits: readonly Edit[]): NixDocument {
    return new NixDocument(applyEdits(this.text, edits), { document: this, edits })
  }

  /** Begins a list of edits to this document, which stays as it is. `plan()` gives the outcome. */
  edit(): Transaction {
    return new Transaction(this)
  }

  /** The text, to the character. */
  toString(): string {
    return this.text
  }
}

/**
 * Reads a Nix file's text. What is wrong with it stands in `errors` of the document, and
 * `String(document)` is the text in any case. Never throws but a TypeError for what is no string.
 */
export function parseDocument(text: string): NixDocument {
  if (typeof text !== 'string') {
    throw new TypeError('parseDocument takes text; decode(bytes) makes text of the bytes of a file')
  }
  return new NixDocument(text)
}

const NAMES = new Map([
  ['"', 'quotation mark'],
  ["'", 'apostrophe']
])

const TOO_MANY = 'perhaps it is one too many, or what stands before it is not finished'

const HINTS = new Map([
  ['=', 'perhaps a ";" is missing on a line above'],
  [',', 'Nix parts the items of a list by blanks, and definitions by ";"'],
  ['"', 'perhaps the quotation mark at the other end of the string is missing'],
  ['}', TOO_MANY],
  [']', TOO_MANY],
  [')', TOO_MANY]
])

const CLOSING = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')']
])

/** Whether a value can begin behind this text, so that a bracket there is not what is wrong. */
function awaitsValue(before: string): boolean {
  return (
    !/[\w"'\])}>.-]$/.test(before) || /(?:^|[^\w'-])(?:in|then|else|assert|with|rec)$/.test(before)
  )
}

/** Where a ":" stands for a "=": what stands before it was then read as the head of a function. */
function colonOf(text: string, { start, missing }: SyntaxFault): number | undefined {
  const next = start + text.slice(start).search(/\S|$/)
  return missing === '}' && text[next] === ':' ? next : undefined
}

/** Behind a ":" that stands for a "=" the rest is misread, so that its faults say nothing. */
function dropFollowUpErrors(faults: readonly SyntaxFault[], text: string): readonly SyntaxFault[] {
  const colon = faults.findIndex(it => colonOf(text, it) !== undefined)
  return colon === -1 ? faults : faults.slice(0, colon + 1)
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
    const colon = colonOf(text, fault)
    if (colon !== undefined) {
      return nixError(text, {
        code: 'SYNTAX',
        message: 'unexpected ":"',
        range: { start: colon, end: colon + 1 },
        hint: 'a definition is written with "=":  name = value;'
      })
    }
    const word = missing === 'identifier' ? 'a name or a value' : missing
    const wanted = /\w/.test(word) ? word : `"${word}"`
    const at = start === 0 ? 0 : text.slice(0, start).trimEnd().length
    return nixError(text, {
      code: 'SYNTAX',
      message: `${wanted} is missing here`,
      range: { start: at, end: at }
    })
  }
  const word = /^(?:[\w'-]+|\S)/.exec(text.slice(start, end))?.[0] ?? ''
  const closing = CLOSING.get(word)
  if (closing !== undefined && awaitsValue(text.slice(0, start).trimEnd())) {
    return nixError(text, {
      code: 'SYNTAX',
      message: 'what begins here does not come to its end',
      range: { start, end: start + 1 },
      hint: `perhaps a "${closing}" is missing further down, or what stands between is not Nix`
    })
  }
  return nixError(text, {
    code: 'SYNTAX',
    message: word === '' ? 'this is not Nix' : `unexpected ${NAMES.get(word) ?? `"${word}"`}`,
    range: { start, end: Math.max(end, start + 1) },
    hint: HINTS.get(word)
  })
}
