import type { NixError } from './errors.ts'
import { type Definition, type Leaf, leavesOf, lookUp } from './module/definitions.ts'
import { findImport, type ImportItem, importItemsOf, importsOf } from './module/imports.ts'
import { itemsOf } from './module/lists.ts'
import type { Module } from './module/module.ts'
import { type AttrPath, type AttrPathLike, parsePath } from './path.ts'
import type { Result } from './result.ts'
import { isStackOverflow } from './stackOverflow.ts'
import { literalOf } from './syntax/literals.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import type { NixValue } from './values.ts'

/** Looks up the definitions in a module, or in another attribute set. */
export abstract class Reader {
  #leaves: readonly Leaf[] | undefined

  /** The text of the whole document. */
  abstract readonly text: string

  /** The module or the set, or why there is none that can be edited. */
  abstract module(): Result<Module, NixError>

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
   * The items of all lists that define this option, including those under a condition (also the item of
   * `optional CONDITION ITEM`), in source order: literals as JavaScript values, everything else as `expr`. Empty if there are none.
   */
  itemsIn(path: AttrPathLike): NixValue[] {
    return this.#read(() =>
      this.getIn(path)
        .filter(it => !it.inherited)
        .flatMap(it => itemsOf(it.value))
        .map(it => literalOf(it.item))
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
}
