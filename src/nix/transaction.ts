import { diffTexts } from './diff.ts'
import type { NixDocument } from './document.ts'
import { composeEdits, type Edit, invertEdits } from './edits.ts'
import { type NixError, nixError } from './errors.ts'
import { planImport } from './importOperation.ts'
import { type Operation, planAdd, planRemove, planSet } from './operations.ts'
import { type AttrPath, type AttrPathLike, parsePath } from './path.ts'
import { err, ok, type Result } from './result.ts'
import type { NixValue } from './values.ts'
import { verify } from './verify.ts'

/** A checked way from one text to another. */
export interface Plan {
  /** What to change in the document's text; empty if nothing is to be done. */
  edits: readonly Edit[]
  /** The edits that take `text` back to the document's text. */
  inverse: readonly Edit[]
  /** The text after the edits. */
  text: string
  changed: boolean
  /** The change as a unified diff; empty if nothing changed. `file` names it in the header. */
  diff(options?: { file?: string; context?: number }): string
}

/**
 * A list of edits that are done together or not at all. Each edit sees the result of those before
 * it. Nothing is written anywhere: `plan()` returns the outcome.
 *
 * Values are JavaScript values or `expr('…')`; paths are names or their spelling in Nix.
 */
export class Transaction {
  readonly #document: NixDocument
  readonly #operations: Operation[] = []
  #error: NixError | undefined

  constructor(document: NixDocument) {
    this.#document = document
  }

  /**
   * Gives an option a value. If it is defined, the value of that one definition is replaced (inside
   * a `mkForce`, instead of a `mkDefault`); nothing is done where the value is that already. If it
   * is not, a definition is written beside its nearest relatives.
   *
   * `AMBIGUOUS_TARGET` if it is defined more than once, `CONFLICT` if parts of it are, `NO_TARGET`
   * if it is defined under a condition only, `INHERITED`, `SHARED_BINDING`, `BAD_PATH`, `BAD_VALUE`.
   */
  setIn(path: AttrPathLike, value: NixValue): this {
    return this.#push(path, path => ({ kind: 'set', path, value }))
  }

  /**
   * Adds items to the end of a list, those that are not in it already; nothing is done where all
   * are. Items compare by value: `''x''` is `"x"`. Where the option is not defined, a definition
   * with the items is written.
   *
   * `NOT_A_LIST`, `NO_TARGET` if all its lists count under a condition only, `INHERITED`,
   * `SHARED_BINDING`, `BAD_PATH`, `BAD_VALUE`.
   */
  addIn(path: AttrPathLike, items: readonly NixValue[]): this {
    return this.#push(path, path => ({ kind: 'add', path, items }))
  }

  /**
   * Takes items out of all lists that define an option, or, without `items`, all its definitions,
   * with the comments behind them on their lines. Nothing is done where there are none.
   *
   * `INHERITED`, `BAD_PATH`.
   */
  removeIn(path: AttrPathLike, items?: readonly NixValue[]): this {
    return this.#push(path, path => ({ kind: 'remove', path, items }))
  }

  /**
   * Adds a file or folder to the module's `imports`, which are made if there are none. Paths are
   * relative to the file (`./vfio`) or absolute. Nothing is done where it is imported in any
   * spelling: `./vfio`, `./vfio/default.nix`, `(import ./vfio)`, `(./. + "/vfio")`.
   *
   * `INHERITED`, `NOT_A_LIST`, `BAD_VALUE`.
   */
  import(path: string): this {
    if (/^(?:\.{1,2})?\//.test(path) && !/\p{Cc}/u.test(path)) {
      this.#operations.push({ kind: 'import', path })
    } else {
      this.#error ??= nixError('', {
        code: 'BAD_VALUE',
        message: `"${path}" is not a path that can be imported`,
        hint: 'a path begins with ./, ../ or /'
      })
    }
    return this
  }

  /**
   * Works the edits out and proves the result: it parses, its definitions are those before with
   * exactly what was asked, and nothing else in it differs. The first edit that can't be done
   * refuses the whole.
   */
  plan(): Result<Plan, NixError> {
    if (this.#error) return err(this.#error)
    const { text } = this.#document
    const module = this.#document.module()
    if (!module.ok) return module

    let current = this.#document
    let edits: Edit[] = []
    for (const operation of this.#operations) {
      const step = planOperation(current, operation)
      if (!step.ok) return err(inOriginal(text, edits, step.error))
      if (step.value.length === 0) continue
      const next = current.edited(step.value)
      const fault = verify(current, next, step.value, operation)
      if (fault) return err(fault)
      edits = composeEdits(text, edits, step.value)
      current = next
    }
    return ok(makePlan(text, current.text, edits))
  }

  #push(path: AttrPathLike, make: (path: AttrPath) => Operation): this {
    const parsed = parsePath(path)
    if (parsed.ok) this.#operations.push(make(parsed.value))
    else this.#error ??= parsed.error
    return this
  }
}

function planOperation(doc: NixDocument, operation: Operation): Result<Edit[], NixError> {
  switch (operation.kind) {
    case 'set':
      return planSet(doc, operation.path, operation.value)
    case 'add':
      return planAdd(doc, operation.path, operation.items)
    case 'remove':
      return planRemove(doc, operation.path, operation.items)
    case 'import':
      return planImport(doc, operation.path)
  }
}

function makePlan(before: string, after: string, edits: Edit[]): Plan {
  return {
    edits,
    inverse: invertEdits(before, edits),
    text: after,
    changed: edits.length > 0,
    diff: options => diffTexts(before, after, options)
  }
}

/** The error with its place in the text that the user has, where an earlier edit moved it. */
function inOriginal(text: string, edits: readonly Edit[], error: NixError): NixError {
  if (edits.length === 0) return error
  const back = (offset: number) => {
    let shift = 0
    for (const edit of edits) {
      const start = edit.offset + shift
      if (offset < start) break
      if (offset <= start + edit.content.length) return edit.offset
      shift += edit.content.length - edit.length
    }
    return offset - shift
  }
  const { code, message, range, hint } = error
  return nixError(text, {
    code,
    message,
    range: { start: back(range.start), end: back(range.end) },
    hint
  })
}
