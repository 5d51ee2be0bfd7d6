// Operations are settled one after the other, each with a parse and a proof of its own. Those that
// can't depend on each other share both: a proof reads the whole result.

import { bisect } from '../bisect.ts'
import { lookUp } from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import { type AttrPath, commonLength, keysOf } from '../path.ts'
import type { Source } from '../source.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import type { Edit } from '../text/edits.ts'
import { bare, isValueSet } from '../values.ts'
import type { Operation } from './operation.ts'
import { isOneLine } from './place.ts'

/** The last of the new definitions at one place. */
interface Newest {
  path: AttrPath
  /** The white space before it. */
  lead: string
}

// A new definition on one line, without a comment, that leaves the lines around it as they are.
const ONE_LINE = /^((?:\r?\n){1,2}[ \t]*| )[^\s{#](?:[^\n#]*[^\s#])?$/

/**
 * Operations that are planned on one document: edits of definitions that it has, and definitions that
 * it does not have, each on a line of its own, of paths of which none begins with another.
 */
export class Together {
  readonly operations: Operation[] = []
  /** The edits of all operations, in the order of the text. */
  readonly edits: Edit[] = []
  readonly #text: string
  readonly #module: Module
  readonly #hasStandIns: boolean
  /** Whether more may join. */
  #isOpen = true
  /** Whether one changes if a definition takes one line: that decides how the next one is laid out. */
  #reflows = false
  readonly #paths = new Set<string>()
  readonly #beginnings = new Set<string>()
  /** What the paths of new definitions begin with. */
  readonly #new = new Set<string>()
  readonly #newest = new Map<number, Newest>()

  constructor(doc: Source, module: Module) {
    this.#text = doc.text
    this.#module = module
    this.#hasStandIns = doc.standIns.length > 0
  }

  /**
   * Takes in operations that are planned as one, with their edits. False, and nothing changes, if
   * they have to see the outcome of the others first. The first ones are always taken.
   */
  takes(group: readonly Operation[], edits: readonly Edit[]): boolean {
    const isFirst = this.operations.length === 0
    // In a `rec` set and beside a pipe, what an edit may do depends on other definitions.
    if (this.operations.length === 1) {
      this.#isOpen &&= !this.#hasStandIns && !/\brec\b/.test(this.#text)
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
    for (const key of keys) this.#beginnings.add(key)
    return true
  }

  #isRelated(keys: readonly string[]): boolean {
    return keys.some(it => this.#paths.has(it)) || this.#beginnings.has(keys.at(-1) ?? '')
  }

  #fits(path: AttrPath, keys: readonly string[], edits: readonly Edit[]): boolean {
    const { exact } = lookUp(this.#module, path)
    const [first] = edits
    if (exact.length === 0) return first !== undefined && this.#fitsNew(path, keys, first)
    if (!this.#place(edits)) return false
    this.#reflows ||= exact.some(it => mayReflow(this.#text, it.binding, edits))
    return true
  }

  /**
   * A new definition goes behind its nearest relative, the last that shares the most names with it:
   * that must be the same one whether the others are there or not, or the newest one at this place,
   * where it then looks the same.
   */
  #fitsNew(path: AttrPath, keys: readonly string[], edit: Edit): boolean {
    const follows = edit.length === 0 && this.#text[edit.offset - 1] === ';'
    const lead = follows ? ONE_LINE.exec(edit.content)?.[1] : undefined
    if (lead === undefined || this.#reflows) return false
    const known = keys.findIndex((_, i) => !isDefined(this.#module, path.slice(0, i + 1)))
    const newest = this.#newest.get(edit.offset)
    const shared = newest ? commonLength(newest.path, path) : known
    if (shared < known || this.#new.has(keys[shared] ?? '')) return false
    if (newest) {
      // A blank line sets apart what is not related; in `config.a = 1;` all are.
      const isApart = /\n\r?\n/.test(lead)
      const areRelated = shared > 0 || this.#module.hasConfig
      if (lead !== newest.lead || (isApart && areRelated)) return false
      const there = this.edits[indexOf(this.edits, edit.offset)] as Edit
      there.content += edit.content
    } else if (!this.#place([{ ...edit }])) return false
    this.#newest.set(edit.offset, { path, lead })
    for (const key of keys) this.#new.add(key)
    return true
  }

  /** Puts edits among the others; false, and nothing is done, where two share a line. */
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

/** The option that an operation is about, if others may share a document with it. */
function pathOf(operation: Operation): AttrPath | undefined {
  const { kind } = operation
  if (kind !== 'set' && kind !== 'add' && kind !== 'removeItems') return undefined
  const { target } = operation
  const isSet = kind === 'set' && isValueSet(bare(operation.value))
  if (target.kind !== 'path' || isSet) return undefined
  const [first = ''] = target.path
  return first === 'config' || MODULE_ATTRIBUTES.has(first) ? undefined : target.path
}

/** Whether edits may make more than one line of a definition on one line, or the other way. */
function mayReflow(text: string, binding: SyntaxNode, edits: readonly Edit[]): boolean {
  const isGrowing = isOneLine(text, binding)
  return edits.some(({ offset, length, content }) =>
    (isGrowing ? content : text.slice(offset, offset + length)).includes('\n')
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
