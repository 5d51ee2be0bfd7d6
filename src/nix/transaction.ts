import { importItem } from './edit/import.ts'
import {
  type Choice,
  type Operation,
  type Position,
  type Target,
  targetOf
} from './edit/operation.ts'
import { type NixError, nixError } from './errors.ts'
import { tooDeeplyNested } from './messages/text.ts'
import { itemsNotAnArray, notImportable, valueTooDeep } from './messages/values.ts'
import { editsGiveOtherText } from './messages/verification.ts'
import type { Definition } from './module/definitions.ts'
import { type AttrPathLike, isText, parsePath } from './path.ts'
import { makePlan, type Plan } from './plan.ts'
import { err, ok, type Result } from './result.ts'
import { planInSequence } from './sequence.ts'
import type { Source } from './source.ts'
import { isStackOverflow } from './stackOverflow.ts'
import { applyEdits } from './text/edits.ts'
import { isTooDeep, type NixValue } from './values.ts'
import { traceRefusal } from './verify/trace.ts'

/**
 * A list of edits: either all of them are done, or none. Each edit works on the result of the previous
 * edits. Nothing is written to a file: `plan()` returns the result.
 *
 * Values are JavaScript values or `expr('…')`. The target is an option by its path, as names or as Nix
 * source, or one `Definition` of this document. A definition can be chosen even if its path has
 * computed names or it applies only under a condition (`STALE` if it no longer exists).
 */
export class Transaction {
  readonly #document: Source
  readonly #operations: Operation[] = []
  #error: NixError | undefined

  constructor(document: Source) {
    this.#document = document
  }

  /**
   * Sets the value of an option. If the option has one definition, its value is replaced (a
   * `mkForce` around it is kept, a `mkDefault` is removed); nothing is done if it already has that value.
   * If it is inherited, a binding replaces the name. If it is not defined, a definition is added after its
   * nearest relatives.
   *
   * With `conditional`, the definition may be one that applies only under a condition, which stays, and a
   * new definition may be added to a set that applies only under one. With `all`, every definition is
   * set.
   *
   * Errors: `AMBIGUOUS_TARGET` (`DUPLICATE_ATTRIBUTE` if Nix rejects that) if it is defined more than
   * once, `CONFLICT` if options below it are defined, or if a set would replace a set with attributes,
   * `CONDITIONAL` if it, or a set of its path, is defined only under a condition, `DYNAMIC_ATTRIBUTE`,
   * `INHERITED`, `VARIABLE`, `CALL`, `FUNCTION`, `COMPUTED_VALUE` or `UPDATE_OPERATOR` if a set of its
   * path is not written out, `SHARED_BINDING` if a `rec` set uses it, `NOT_A_SET` if a prefix of the
   * path has another value, `BAD_PATH`, `BAD_VALUE` (also for a variable that is not in scope).
   */
  setIn(
    option: AttrPathLike | Definition,
    value: NixValue,
    { conditional, all }: Choice = {}
  ): this {
    this.#check([value])
    return this.#push(option, target => ({ kind: 'set', target, value, conditional, all }))
  }

  /**
   * Adds the items that a list does not contain; nothing is done if it contains all of them. Items
   * are compared by value: `''x''` equals `"x"`. They are added at the end of the first list literal
   * that always applies (and has the highest priority), or at the position `at`. If all lists
   * apply only under a condition, a list that always applies is added next to them; with `conditional`, the
   * items are added to the list under the condition, and with `all` to every list. If the option
   * is not defined, a definition with the items is added. Lines are added by the same rules to a string
   * that shows lines (an indented string, one with a line ending, `""`). With `lines`, any string
   * consists of lines, and an option that is not defined gets a string.
   *
   * Errors: `NOT_A_LIST` (also for other strings: their text does not show what separates their items),
   * `CONDITIONAL` if it is defined only under conditions and no other definition can be added,
   * `CONFLICT` if no list has the item in `at`,
   * or if lines would be added to a list or not at the end, `INHERITED`, `OTHER_PRIORITY`,
   * `VARIABLE`, `CALL`, `FUNCTION` or `COMPUTED_VALUE` if the value may not be a plain list,
   * `SHARED_BINDING`, `BAD_PATH`, `BAD_VALUE`, and those of `setIn` if the option is not defined.
   */
  addIn(
    option: AttrPathLike | Definition,
    items: readonly NixValue[],
    options: { at?: Position; lines?: boolean } & Choice = {}
  ): this {
    const { at: position = 'end', lines = false, conditional, all } = options
    const how = { position, lines, conditional, all }
    this.#check(items)
    return this.#push(option, target => ({ kind: 'add', target, items, ...how }))
  }

  /**
   * Removes items from all lists (lines from all strings) that define an option, or, without `items`,
   * all its definitions, with the comments after them on the same line. Nothing is done if there are
   * none. An item is also equal if the innermost `with` gives its name this path. `optional CONDITION ITEM`
   * is removed with its `++`. `notes` of the plan tell where the item stays: in a computed value, or in a
   * string with other text. A list that loses its last item becomes `[ ]`, and a set that loses its last attribute
   * becomes `{ }`, except that an element of a `mkMerge` is removed.
   *
   * Errors: `PIPE_OPERATOR`, `CONFLICT` if a `rec` set uses the name, or
   * for a line of a string with CRLF line endings, `SHARED_BINDING` if a `rec` set uses the list,
   * `UPDATE_OPERATOR` if a definition on the left of a `//` would then apply instead, `BAD_PATH`.
   */
  removeIn(option: AttrPathLike | Definition, items?: readonly NixValue[]): this {
    if (items) this.#check(items)
    return this.#push(option, target =>
      items ? { kind: 'removeItems', target, items } : { kind: 'remove', target }
    )
  }

  /**
   * Renames an option and everything defined below it; values and comments are kept. Nothing is done
   * if it is not defined.
   *
   * Errors: `CONFLICT` if the new path is already defined, or a `rec` set uses the name,
   * `UPDATE_OPERATOR` as for `removeIn`, `NO_TARGET` if a definition is inside a set that can't contain
   * the new path, `INHERITED`, `BAD_PATH`.
   */
  renameIn(option: AttrPathLike | Definition, to: AttrPathLike): this {
    const parsed = parsePath(to)
    if (!parsed.ok) {
      this.#error ??= parsed.error
      return this
    }
    return this.#push(option, target => ({ kind: 'rename', target, to: parsed.value }))
  }

  /**
   * Adds a file or folder to the module's `imports`, and adds `imports` if the module has none. Paths
   * are relative to the file (`./vfio`) or absolute. Nothing is done if the file or folder is already
   * imported, however its path is written: `./vfio`, `./vfio/default.nix`, `(import ./vfio)`,
   * `(./. + "/vfio")`.
   *
   * Errors: `INHERITED`, `NOT_A_LIST`, `BAD_VALUE`.
   */
  import(path: string): this {
    if (this.#checkImport(path)) this.#operations.push({ kind: 'import', path })
    return this
  }

  /**
   * Removes a file or folder from the module's `imports`, however its path is written, also from imports
   * under a condition. Nothing is done if it is not imported.
   *
   * Errors: `BAD_VALUE`, and those of `removeIn` with items.
   */
  removeImport(path: string): this {
    return this.#checkImport(path) ? this.removeIn(['imports'], [importItem(path)]) : this
  }

  #checkImport(path: string): boolean {
    const isPath = /^(?:\.{1,2})?\//.test(path) && !/\p{Cc}/u.test(path) && isText(path)
    if (!isPath) this.#error ??= nixError('', notImportable(path))
    return isPath
  }

  /**
   * Adds a name to the formals of the function whose result the set is: `{ lib, ... }:` becomes
   * `{ lib, pkgs, ... }:`. Nothing is done if the function has the formal already; a `default` must then
   * be the same.
   *
   * Errors: `NO_FORMALS` if the set is not the result of a function, or if that is `args: …`,
   * `CONFLICT` if the formal has another default, or if code in the function uses the name with
   * another meaning, `BAD_VALUE`.
   */
  addFormal(name: string, options: { default?: NixValue } = {}): this {
    const fallback = options.default
    if (fallback !== undefined) this.#check([fallback])
    this.#operations.push({ kind: 'addFormal', of: 'set', name, fallback })
    return this
  }

  /**
   * Removes a name from the formals of the function whose result the set is, with the comments after it
   * on its line. Nothing is done if there is no such formal.
   *
   * Errors: `CONFLICT` if the function uses it.
   */
  removeFormal(name: string): this {
    this.#operations.push({ kind: 'removeFormal', of: 'set', name, unlessDefined: undefined })
    return this
  }

  /**
   * Plans the edits and verifies the result: it parses, its definitions changed exactly as requested,
   * and nothing else differs. If an edit can't be done, returns its error, with the place in the text
   * of the document.
   *
   * Errors: the first of `errors` of the document; `NOT_A_MODULE`, `COMPUTED_MODULE`, … if there is no
   * module to edit; `TOO_DEEP` if values have thousands of levels; the errors of the edits; `VERIFICATION_FAILED` if
   * the verification fails, which is a bug.
   */
  plan(): Result<Plan, NixError> {
    return this.#error ? err(this.#error) : planOperations(this.#document, this.#operations)
  }

  #check(values: readonly NixValue[]): void {
    if (!Array.isArray(values)) {
      this.#error ??= nixError('', itemsNotAnArray)
    } else if (values.some(it => isTooDeep(it))) {
      this.#error ??= nixError('', valueTooDeep)
    }
  }

  #push(option: AttrPathLike | Definition, make: (target: Target) => Operation): this {
    if (isDefinition(option)) {
      this.#operations.push(make(targetOf(option)))
      return this
    }
    const parsed = parsePath(option)
    if (parsed.ok) this.#operations.push(make({ kind: 'path', path: parsed.value }))
    else this.#error ??= parsed.error
    return this
  }
}

export function isDefinition(option: AttrPathLike | Definition): option is Definition {
  return typeof option === 'object' && option !== null && 'binding' in option
}

/** Plans and verifies operations: see `plan` of a transaction. */
export function planOperations(
  source: Source,
  operations: readonly Operation[]
): Result<Plan, NixError> {
  const { text } = source
  try {
    const module = source.module()
    if (!module.ok) return module
    const done = planInSequence(source, module.value, operations)
    if (!done.ok) return done
    const { document, edits, notes } = done.value
    // The resulting document was verified. Verify also the list of edits that is returned.
    if (applyEdits(text, edits) !== document.text) {
      traceRefusal('edits', editsGiveOtherText.code)
      return err(nixError(text, editsGiveOtherText))
    }
    return ok(makePlan(text, document.text, edits, notes))
  } catch (error) {
    if (!isStackOverflow(error)) throw error
    return err(nixError(text, tooDeeplyNested))
  }
}
