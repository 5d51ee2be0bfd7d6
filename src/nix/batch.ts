// A batch is a list of operations that can't depend on each other. It is parsed and verified once.

import { bisect } from './bisect.ts'
import type { Operation } from './edit/operation.ts'
import { isOneLine } from './edit/placement.ts'
import { lookUp } from './module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from './module/module.ts'
import { type AttrPath, commonLength, keysOf } from './path.ts'
import type { Source } from './source.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import type { Edit } from './text/edits.ts'
import { isValueSet, withoutComment } from './values.ts'

/** The most recently added definition at one offset. */
interface NewestDefinition {
  path: AttrPath
  /** The whitespace before it. */
  lead: string
}

// A new definition on one line, without a comment, that does not change the lines around it.
const ONE_LINE = /^((?:\r?\n){1,2}[ \t]*| )[^\s{#](?:[^\n#]*[^\s#])?$/

/**
 * Operations that are planned on one document: edits of existing definitions, and new definitions on a
 * line of their own. No path is a prefix of another.
 */
export class Batch {
  readonly operations: Operation[] = []
  /** The edits of all operations, in source order. */
  readonly edits: Edit[] = []
  readonly #text: string
  readonly #module: Module
  readonly #hasWorkarounds: boolean
  /** Whether more operations can be added. */
  #isOpen = true
  /** Whether an edit puts a definition on one line or on several: the layout of the next depends on it. */
  #reflows = false
  readonly #paths = new Set<string>()
  readonly #prefixes = new Set<string>()
  /** The prefixes of the paths of new definitions. */
  readonly #newPrefixes = new Set<string>()
  readonly #newest = new Map<number, NewestDefinition>()

  constructor(doc: Source, module: Module) {
    this.#text = doc.text
    this.#module = module
    this.#hasWorkarounds = doc.workarounds.length > 0
  }

  /**
   * Adds operations that were planned together, and their edits. Returns false, and adds nothing, if they
   * depend on operations of the batch. The first group is always added.
   */
  add(group: readonly Operation[], edits: readonly Edit[]): boolean {
    const isFirst = this.operations.length === 0
    // In a `rec` set and near a pipe operator, an edit depends on other definitions.
    if (this.operations.length === 1) {
      this.#isOpen &&= !this.#hasWorkarounds && !/\brec\b/.test(this.#text)
    }
    const path = this.#isOpen && group.length === 1 ? pathOf(group[0] as Operation) : undefined
    const keys = path ? keysOf(path) : []
    const isFree = path !== undefined && !this.#isRelated(keys)
    if (isFree && edits.length === 0) return true
    const fits = isFree && this.#fits(path, keys, edits)
    if (!fits && !isFirst) return false
    if (!fits) for (const it of edits) this.edits.push(it)
    this.#isOpen &&= fits
    for (const it of group) this.operations.push(it)
    this.#paths.add(keys.at(-1) ?? '')
    for (const key of keys) this.#prefixes.add(key)
    return true
  }

  #isRelated(keys: readonly string[]): boolean {
    return keys.some(it => this.#paths.has(it)) || this.#prefixes.has(keys.at(-1) ?? '')
  }

  #fits(path: AttrPath, keys: readonly string[], edits: readonly Edit[]): boolean {
    const { exact } = lookUp(this.#module, path)
    const [first] = edits
    if (exact.length === 0) return first !== undefined && this.#fitsNew(path, keys, first)
    if (!this.#place(edits)) return false
    this.#reflows ||= exact.some(it => mayReflow(it.binding, edits))
    return true
  }

  /**
   * A new definition is placed after its nearest relative: the last definition that shares the most names
   * with it. It fits if the batch does not change which definition that is, or if its nearest relative is
   * the newest definition at this offset and the layout is the same.
   */
  #fitsNew(path: AttrPath, keys: readonly string[], edit: Edit): boolean {
    const follows = edit.length === 0 && this.#text[edit.offset - 1] === ';'
    const lead = follows ? ONE_LINE.exec(edit.content)?.[1] : undefined
    if (lead === undefined || this.#reflows) return false
    const known = keys.findIndex((_, i) => !isDefined(this.#module, path.slice(0, i + 1)))
    const newest = this.#newest.get(edit.offset)
    const shared = newest ? commonLength(newest.path, path) : known
    if (shared < known || this.#newPrefixes.has(keys[shared] ?? '')) return false
    if (newest) {
      // A blank line separates unrelated definitions; in `config.a = 1;` all are related.
      const isApart = /\n\r?\n/.test(lead)
      const areRelated = shared > 0 || this.#module.hasConfig
      if (lead !== newest.lead || (isApart && areRelated)) return false
      const insertion = this.edits[indexOf(this.edits, edit.offset)] as Edit
      insertion.content += edit.content
    } else if (!this.#place([{ ...edit }])) return false
    this.#newest.set(edit.offset, { path, lead })
    for (const key of keys) this.#newPrefixes.add(key)
    return true
  }

  /** Inserts edits in order. Returns false, and does nothing, if two edits would share a line. */
  #place(edits: readonly Edit[]): boolean {
    const areApart = (before: Edit | undefined, after: Edit | undefined) => {
      if (!before || !after) return true
      const newline = this.#text.indexOf('\n', before.offset + before.length)
      return newline !== -1 && newline < after.offset
    }
    const isFree = (it: Edit) => {
      const at = indexOf(this.edits, it.offset)
      return areApart(this.edits[at - 1], it) && areApart(it, this.edits[at])
    }
    if (!edits.every(isFree)) return false
    for (const it of edits) this.edits.splice(indexOf(this.edits, it.offset), 0, it)
    return true
  }
}

/** The path of the option that an operation edits; undefined if it can't be batched. */
function pathOf(operation: Operation): AttrPath | undefined {
  const { kind } = operation
  if (kind !== 'set' && kind !== 'add' && kind !== 'removeItems') return undefined
  const { target } = operation
  if (kind !== 'removeItems' && (operation.conditional || operation.all)) return undefined
  const isSet = kind === 'set' && isValueSet(withoutComment(operation.value))
  if (target.kind !== 'path' || isSet) return undefined
  const [first = ''] = target.path
  return first === 'config' || MODULE_ATTRIBUTES.has(first) ? undefined : target.path
}

/** Whether edits may break a one-line definition into several lines, or join its lines into one. */
function mayReflow(binding: SyntaxNode, edits: readonly Edit[]): boolean {
  const isGrowing = isOneLine(binding)
  return edits.some(({ offset, length, content }) =>
    (isGrowing ? content : binding.documentText.slice(offset, offset + length)).includes('\n')
  )
}

function isDefined(module: Module, path: AttrPath): boolean {
  const { exact, below } = lookUp(module, path)
  return exact.length + below.length > 0
}

/** The index of the first edit that is not before the offset. */
function indexOf(edits: readonly Edit[], offset: number): number {
  return bisect(edits.length, i => (edits[i] as Edit).offset >= offset)
}
