import type { Operation, Position, Target } from './edit/operation.ts'
import { type NixError, nixError } from './errors.ts'
import type { Definition } from './module/definitions.ts'
import { type AttrPathLike, isText, parsePath } from './path.ts'
import { err, ok, type Result } from './result.ts'
import { planInSequence } from './sequence.ts'
import type { Source } from './source.ts'
import { diffTexts } from './text/diff.ts'
import { applyEdits, type Edit, invertEdits } from './text/edits.ts'
import { isTooDeep, type NixValue } from './values.ts'

/** A proved way from one text to another. Plain data: nothing is written. */
export interface Plan {
  /** What to change in the document's text, for `applyEdits`; empty if nothing is to be done. */
  edits: readonly Edit[]
  /** The edits that take `text` back to the document's text. */
  inverse: readonly Edit[]
  /** The text after the edits. */
  text: string
  /** Whether there are edits. */
  changed: boolean
  /** The change as a unified diff; empty if nothing changed. `file` names it in the header. */
  diff(options?: { file?: string; context?: number }): string
}

/**
 * A list of edits that are done together or not at all. Each edit sees the result of those before
 * it. Nothing is written anywhere: `plan()` returns the outcome.
 *
 * Values are JavaScript values or `expr('…')`. What is edited is an option by its path, as names or
 * in its spelling in Nix, or one chosen `Definition` of this document: that way also a definition
 * can be edited whose path has computed names, or that counts only under a condition (`STALE` if it
 * is not there any more).
 */
export class Transaction {
  readonly #document: Source
  readonly #operations: Operation[] = []
  #error: NixError | undefined

  constructor(document: Source) {
    this.#document = document
  }

  /**
   * Gives an option a value. If it is defined, the value of that one definition is replaced (inside
   * a `mkForce`, instead of a `mkDefault`); nothing is done where the value is that already. If it
   * is not, a definition is written beside its nearest relatives.
   *
   * `AMBIGUOUS_TARGET` (`DUPLICATE_ATTRIBUTE` where Nix rejects it) if it is defined more than once,
   * `CONFLICT` if parts of it are, or if a set would replace one that has attributes, `NO_TARGET` if
   * it, or a set on the way, is defined under a condition only, `DYNAMIC_ATTRIBUTE`, `INHERITED`,
   * `SHARED_BINDING` (also where a `rec` set uses it by its name), `NOT_A_SET` if a name on the way is
   * given another value, `BAD_PATH`, `BAD_VALUE` (also for a variable that is not in scope there).
   */
  setIn(option: AttrPathLike | Definition, value: NixValue): this {
    this.#check([value])
    return this.#push(option, target => ({ kind: 'set', target, value }))
  }

  /**
   * Adds items to a list, those that are not in it already; nothing is done where all are. Items
   * compare by value: `''x''` is `"x"`. They go to the end of the first
   * list literal that always counts (of those with the highest priority), or where `at` says. Where all
   * lists count under a condition only, one that always counts is written beside them. Where the
   * option is not defined, a definition with the items is written. To a string that shows lines (an
   * indented string, one with a line end, `""`) lines are added by the same rules. With `lines`, any
   * string counts as lines, and an option that is not defined gets a string.
   *
   * `NOT_A_LIST` (also for other strings, since nothing shows what separates their items), `NO_TARGET`
   * if it is defined under a condition only, `CONFLICT` if the item that \`at\` names is not there, or
   * if lines would be added anywhere but at the end, or to a list, `INHERITED`,
   * `SHARED_BINDING`, `BAD_PATH`, `BAD_VALUE`, and where the option is not defined those of `setIn`.
   */
  addIn(
    option: AttrPathLike | Definition,
    items: readonly NixValue[],
    options: { at?: Position; lines?: boolean } = {}
  ): this {
    const { at: position = 'end', lines = false } = options
    this.#check(items)
    return this.#push(option, target => ({ kind: 'add', target, items, position, lines }))
  }

  /**
   * Takes items out of all lists (lines out of all strings) that define an option, or, without
   * `items`, all its definitions, with the comments behind them on their lines. Nothing is done
   * where there are none; a list that loses its last item stays as `[ ]`, and a set that loses its last
   * attribute as `{ }`, unless it is a part of a `mkMerge`.
   *
   * `INHERITED`, `NO_TARGET` below a pipe operator, `CONFLICT` if a `rec` set uses the name, or for a
   * line of a string with line ends of CR and LF, `SHARED_BINDING` if it uses the list by its name,
   * or if another definition on the left of a `//` would count then, `BAD_PATH`.
   */
  removeIn(option: AttrPathLike | Definition, items?: readonly NixValue[]): this {
    if (items) this.#check(items)
    return this.#push(option, target =>
      items ? { kind: 'removeItems', target, items } : { kind: 'remove', target }
    )
  }

  /**
   * Gives an option another path, with all that is defined below it; values and comments stay.
   * Nothing is done where it is not defined.
   *
   * `CONFLICT` if the other is defined already or a `rec` set uses the name, `SHARED_BINDING` as for
   * `removeIn`, `NO_TARGET` if a definition lies in a set that the
   * other does not belong into, `INHERITED`, `BAD_PATH`.
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
   * Adds a file or folder to the module's `imports`, which are made if there are none. Paths are
   * relative to the file (`./vfio`) or absolute. Nothing is done where it is imported in any
   * spelling: `./vfio`, `./vfio/default.nix`, `(import ./vfio)`, `(./. + "/vfio")`.
   *
   * `INHERITED`, `NOT_A_LIST`, `BAD_VALUE`.
   */
  import(path: string): this {
    if (/^(?:\.{1,2})?\//.test(path) && !/\p{Cc}/u.test(path) && isText(path)) {
      this.#operations.push({ kind: 'import', path })
    } else {
      this.#error ??= nixError('', {
        code: 'BAD_VALUE',
        message: `${JSON.stringify(path)} is not a path that can be imported`,
        hint: 'a path begins with ./, ../ or /, and has no control characters'
      })
    }
    return this
  }

  /**
   * Works the edits out and proves the result: it parses, its definitions are those before with
   * exactly what was asked, and nothing else in it differs. The first edit that can't be done
   * refuses the whole, with its place in the text of the document.
   *
   * The first of `errors` of the document, or `NOT_A_MODULE` or `NO_TARGET` for what is no module to
   * edit, or where values are nested by the thousand; what the edits refuse with;
   * `VERIFICATION_FAILED` if the proof fails, which is a bug.
   */
  plan(): Result<Plan, NixError> {
    if (this.#error) return err(this.#error)
    try {
      return this.#plan()
    } catch (error) {
      if (!isStackOverflow(error)) throw error
      return err(tooDeep(this.#document.text))
    }
  }

  #plan(): Result<Plan, NixError> {
    const { text } = this.#document
    const module = this.#document.module()
    if (!module.ok) return module

    const done = planInSequence(this.#document, module.value, this.#operations)
    if (!done.ok) return done
    const { document, edits } = done.value
    // The proofs are about the documents; this one is about the list of edits that is handed out.
    if (applyEdits(text, edits) !== document.text) {
      return err(
        nixError(text, {
          code: 'VERIFICATION_FAILED',
          message: 'the edits would not give the text that was proved',
          hint: 'nothing was changed; please report this as a bug, with the file if you can'
        })
      )
    }
    return ok(makePlan(text, document.text, edits))
  }

  #check(values: readonly NixValue[]): void {
    if (!Array.isArray(values)) {
      this.#error ??= nixError('', {
        code: 'BAD_VALUE',
        message: 'items are given as an array',
        hint: 'one item is an array of one: [value]'
      })
      return
    }
    if (!values.some(it => isTooDeep(it))) return
    this.#error ??= nixError('', {
      code: 'BAD_VALUE',
      message: 'the value contains itself, or is nested too deep to be written',
      hint: 'give a value that is nested no more than 200 times'
    })
  }

  #push(option: AttrPathLike | Definition, make: (target: Target) => Operation): this {
    if (isDefinition(option)) {
      const { path, binding } = option
      this.#operations.push(make({ kind: 'definition', path, offset: binding.start }))
      return this
    }
    const parsed = parsePath(option)
    if (parsed.ok) this.#operations.push(make({ kind: 'path', path: parsed.value }))
    else this.#error ??= parsed.error
    return this
  }
}

function isDefinition(option: AttrPathLike | Definition): option is Definition {
  return typeof option === 'object' && option !== null && 'binding' in option
}

/** Whether functions that call themselves came to the end of the stack. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/.test(error.message)
}

/** Values are read by functions that call themselves, and JavaScript's stack has an end. */
function tooDeep(text: string): NixError {
  return nixError(text, {
    code: 'NO_TARGET',
    message: 'what is to be edited is nested too deep',
    hint: 'no configuration is nested by the thousand; is it the right file, or the right value?'
  })
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
