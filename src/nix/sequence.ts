import { bisect } from './bisect.ts'
import { growsList, planAdd } from './edit/add.ts'
import { planImport } from './edit/import.ts'
import { keepStyle } from './edit/layout.ts'
import { isOfModule, type Operation } from './edit/operation.ts'
import { isOneLine } from './edit/placement.ts'
import type { Edits } from './edit/refusals.ts'
import { planRemove, planRemoveItems } from './edit/remove.ts'
import { planRename } from './edit/rename.ts'
import { planSet } from './edit/set.ts'
import { type NixError, nixError } from './errors.ts'
import { lookUp } from './module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from './module/module.ts'
import { type AttrPath, commonLength, keysOf, samePath } from './path.ts'
import { err, ok, type Result } from './result.ts'
import type { Source } from './source.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { composeEdits, type Edit, moveOffset } from './text/edits.ts'
import { isValueSet, withoutComment } from './values.ts'
import { verify } from './verify/verify.ts'

/** How far a list of operations has come. */
interface State {
  /** The text that it began with. */
  text: string
  document: Source
  module: Module
  /** From that text to the document. */
  edits: Edit[]
  /** What is planned on the document and not applied yet. */
  batch: Batch
}

/**
 * The document and the edits that operations give, each planned on the outcome of those before and
 * proved. Refused with the first that can't be done, at its place in the first document.
 */
export function planInSequence(
  document: Source,
  module: Module,
  operations: readonly Operation[]
): Result<{ document: Source; edits: Edit[] }, NixError> {
  const { text } = document
  let state: State = { text, document, module, edits: [], batch: new Batch(document, module) }
  for (const group of grouped(operations)) {
    const next = advanceAll(state, group)
    if (!next.ok) return next
    state = next.value
  }
  return settle(state)
}

/**
 * The operations in groups that may be planned as one: removals that follow one another, so that what
 * stands between two of them goes as it would with one, and items for the end of one list.
 */
function grouped(operations: readonly Operation[]): Operation[][] {
  const groups: Operation[][] = []
  for (const operation of operations) {
    const group = groups.at(-1)
    const [first] = group ?? []
    if (group && first && canGroup(first, operation)) group.push(operation)
    else groups.push([operation])
  }
  return groups
}

function canGroup(one: Operation, other: Operation): boolean {
  if (one.kind === 'remove') {
    return other.kind === 'remove' && !isOfModule(one) && !isOfModule(other)
  }
  return (
    one.kind === 'add' &&
    other.kind === 'add' &&
    one.target.kind === 'path' &&
    other.target.kind === 'path' &&
    samePath(one.target.path, other.target.path) &&
    [one, other].every(it => it.position === 'end' && !it.lines)
  )
}

/** Plans a group as one, or else one operation after the other. */
function advanceAll(start: State, group: readonly Operation[]): Result<State, NixError> {
  const [first, ...others] = group
  if (first?.kind === 'add' && others.length > 0) {
    const list = settleAfter(start, first)
    if (!list.ok) return list
    const more = joined(list.value, others)
    return more ? advance(list.value, [more]) : advanceEach(list.value, others)
  }
  const whole = advance(start, group)
  return whole.ok || group.length === 1 ? whole : advanceEach(start, group)
}

function advanceEach(start: State, group: readonly Operation[]): Result<State, NixError> {
  let state = start
  for (const operation of group) {
    const next = advance(state, [operation])
    if (!next.ok) return next
    state = next.value
  }
  return ok(state)
}

function settleAfter(state: State, operation: Operation): Result<State, NixError> {
  const next = advance(state, [operation])
  return next.ok ? settle(next.value) : next
}

/** One operation for several that add to the end of a list; undefined where there is no such list. */
function joined({ document, module }: State, group: readonly Operation[]): Operation | undefined {
  const adds = group.filter(it => it.kind === 'add')
  const [first] = adds
  if (!first || !growsList(document, module, first.target)) return undefined
  return { ...first, items: adds.flatMap(it => it.items) }
}

function advance(state: State, asked: readonly Operation[]): Result<State, NixError> {
  const { document, module, edits, batch } = state
  const group = asked.map(it => movedBy(edits, it))
  const step = planGroup(document, module, group)
  if (step.ok && batch.takes(group, step.value)) return ok(state)
  if (batch.operations.length === 0) {
    return step.ok ? ok(state) : err(inOriginal(state.text, edits, step.error))
  }
  // What is refused, or depends on the others, is planned once those are done.
  const settled = settle(state)
  return settled.ok ? advance(settled.value, asked) : settled
}

/** Applies what is planned on the document, and proves the outcome. */
function settle(state: State): Result<State, NixError> {
  const { document, edits, batch } = state
  if (batch.edits.length === 0) return ok(withEmptyBatch(state))
  const next = document.edited(batch.edits)
  keepStyle(document.root, next.root)
  const fault = verify(document, next, batch.edits, batch.operations)
  if (fault) return err(fault)
  const module = next.module()
  if (!module.ok) return err(inOriginal(state.text, edits, module.error))
  const all = composeEdits(state.text, edits, batch.edits)
  return ok(withEmptyBatch({ ...state, document: next, module: module.value, edits: all }))
}

function withEmptyBatch(state: State): State {
  return { ...state, batch: new Batch(state.document, state.module) }
}

/** The operation as it is for the text after some edits: a chosen definition may have moved. */
function movedBy(edits: readonly Edit[], operation: Operation): Operation {
  if (operation.kind === 'import' || operation.target.kind === 'path') return operation
  const { target } = operation
  return { ...operation, target: { ...target, offset: moveOffset(edits, target.offset) } }
}

/** The error with its place in the text that the user has, where an earlier edit moved it. */
function inOriginal(text: string, edits: readonly Edit[], error: NixError): NixError {
  if (edits.length === 0 || error.range.end === 0) return error
  const back = (offset: number) => {
    let shift = 0
    for (const edit of edits) {
      const start = edit.offset + shift
      if (offset < start) break
      if (offset < start + edit.content.length) return edit.offset
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

/** The edits that do all of a group (see `grouped`), or why not; none if there is nothing to do. */
function planGroup(doc: Source, module: Module, group: readonly Operation[]): Edits {
  const [first] = group
  switch (first?.kind) {
    case undefined:
      return ok([])
    case 'set':
      return planSet(doc, module, first.target, first.value)
    case 'add':
      return planAdd(doc, module, first)
    case 'remove': {
      const removals = group.filter(it => it.kind === 'remove')
      const targets = removals.map(it => it.target)
      return planRemove(doc, module, targets)
    }
    case 'removeItems':
      return planRemoveItems(doc, module, first.target, first.items)
    case 'rename':
      return planRename(doc, module, first.target, first.to)
    case 'import':
      return planImport(doc, module, first.path)
  }
}

// Operations are settled one after the other, each with a parse and a proof of its own. Those that
// can't depend on each other share both: a proof reads the whole result.

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
export class Batch {
  readonly operations: Operation[] = []
  /** The edits of all operations, in the order of the text. */
  readonly edits: Edit[] = []
  readonly #text: string
  readonly #module: Module
  readonly #hasWorkarounds: boolean
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
    this.#hasWorkarounds = doc.workarounds.length > 0
  }

  /**
   * Takes in operations that are planned as one, with their edits. False, and nothing changes, if
   * they have to see the outcome of the others first. The first ones are always taken.
   */
  takes(group: readonly Operation[], edits: readonly Edit[]): boolean {
    const isFirst = this.operations.length === 0
    // In a `rec` set and beside a pipe, what an edit may do depends on other definitions.
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
    this.#reflows ||= exact.some(it => mayReflow(it.binding, edits))
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
  const isSet = kind === 'set' && isValueSet(withoutComment(operation.value))
  if (target.kind !== 'path' || isSet) return undefined
  const [first = ''] = target.path
  return first === 'config' || MODULE_ATTRIBUTES.has(first) ? undefined : target.path
}

/** Whether edits may make more than one line of a definition on one line, or the other way. */
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
