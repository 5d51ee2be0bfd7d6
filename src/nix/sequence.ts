import { bisect } from './bisect.ts'
import { extendsList, planAdd } from './edit/add.ts'
import { operationsFor } from './edit/choice.ts'
import { formalsFor } from './edit/flake.ts'
import { planAddFormal, planRemoveFormal } from './edit/formals.ts'
import { planImport } from './edit/import.ts'
import { copyStyle } from './edit/layout.ts'
import { editsModuleAttribute, hasTarget, type Operation } from './edit/operation.ts'
import { isOneLine } from './edit/placement.ts'
import type { Edits } from './edit/refusals.ts'
import { remarksOn } from './edit/remarks.ts'
import { planRemove, planRemoveItems } from './edit/remove.ts'
import { planRename } from './edit/rename.ts'
import { planSet } from './edit/set.ts'
import { type NixError, nixError } from './errors.ts'
import { lookUp, partsOfDefinition } from './module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from './module/module.ts'
import type { Note } from './notes.ts'
import { type AttrPath, commonLength, keysOf, samePath } from './path.ts'
import { err, ok, type Result } from './result.ts'
import type { Source } from './source.ts'
import type { SyntaxNode } from './syntax/tree.ts'
import { composeEdits, type Edit, moveOffset } from './text/edits.ts'
import { placeOf } from './text/lines.ts'
import { isValueSet, withoutComment } from './values.ts'
import { verify } from './verify/verify.ts'

/** The progress of a list of operations. */
interface State {
  /** The module before all operations. */
  original: Module
  document: Source
  module: Module
  /** The edits that turn `text` into the document. */
  edits: Edit[]
  /** The operations that are planned on the document but not yet applied to it. */
  batch: Batch
  notes: Note[]
}

/** The result of a list of operations. */
interface Planned {
  document: Source
  edits: Edit[]
  notes: Note[]
}

/**
 * Plans operations, each on the result of the previous ones, and verifies them. Returns the resulting
 * document and the edits that produce it, or the error of the first operation that can't be done, with
 * its place in the original document.
 */
export function planInSequence(
  document: Source,
  module: Module,
  operations: readonly Operation[]
): Result<Planned, NixError> {
  const batch = new Batch(document, module)
  let state: State = { original: module, document, module, edits: [], batch, notes: [] }
  const all = operations.flatMap(it => [it, ...formalsFor(module, it)])
  for (const group of groupsOf(all)) {
    const next = advanceAll(state, group)
    if (!next.ok) return next
    state = next.value
  }
  return applyBatch(state)
}

/**
 * Divides the operations into groups that can be planned together: consecutive removals, so that the
 * whitespace between the removed definitions goes as well, and additions to the end of one list.
 */
function groupsOf(operations: readonly Operation[]): Operation[][] {
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
    return (
      other.kind === 'remove' &&
      one.takesCommentsAbove === other.takesCommentsAbove &&
      !editsModuleAttribute(one) &&
      !editsModuleAttribute(other)
    )
  }
  return (
    one.kind === 'add' &&
    other.kind === 'add' &&
    one.target.kind === 'path' &&
    other.target.kind === 'path' &&
    samePath(one.target.path, other.target.path) &&
    [one, other].every(it => it.position === 'end' && !it.lines && !it.conditional && !it.all)
  )
}

/** Plans a group as a whole or, if that is refused, one operation after the other. */
function advanceAll(start: State, group: readonly Operation[]): Result<State, NixError> {
  const [first, ...others] = group
  if (first?.kind === 'add' && others.length > 0) {
    const state = advanceAndApply(start, first)
    if (!state.ok) return state
    const rest = joinAdds(state.value, others)
    return rest ? advance(state.value, [rest]) : advanceEach(state.value, others)
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

function advanceAndApply(state: State, operation: Operation): Result<State, NixError> {
  const next = advance(state, [operation])
  return next.ok ? applyBatch(next.value) : next
}

/** Joins operations that add to the end of the same list; undefined if there is no list to extend. */
function joinAdds({ document, module }: State, group: readonly Operation[]): Operation | undefined {
  const adds = group.filter(it => it.kind === 'add')
  const [first] = adds
  if (!first || !extendsList(document, module, first.target)) return undefined
  return { ...first, items: adds.flatMap(it => it.items) }
}

function advance(state: State, operations: readonly Operation[]): Result<State, NixError> {
  const { document, module, edits, batch } = state
  const moved = operations.map(it => withMovedTarget(edits, it))
  const [only, ...others] = moved
  const chosen = only && others.length === 0 ? operationsFor(document, module, only) : ok(moved)
  const group = chosen.ok ? chosen.value : moved
  const step = chosen.ok ? planGroup(document, module, group) : chosen
  if (step.ok && batch.add(group, step.value)) {
    return ok(withNotes(state, group, step.value))
  }
  if (batch.operations.length === 0) {
    return step.ok ? ok(state) : err(locatedInOriginal(state, step.error))
  }
  // The group was refused or depends on the batch: apply the batch, then plan the group again.
  const applied = applyBatch(state)
  return applied.ok ? advance(applied.value, operations) : applied
}

/** Adds the notes on a group and its edits, with their place in the text before all operations. */
function withNotes(state: State, group: readonly Operation[], planned: readonly Edit[]): State {
  const [first] = planned
  const remarks = first ? remarksOn(group, planned) : []
  if (!first || remarks.length === 0) return state
  const at = placeOf(state.original.text, offsetBefore(state.edits, first.offset))
  return { ...state, notes: [...state.notes, ...remarks.map(it => ({ ...it, at }))] }
}

/** Applies the batch to the document, and verifies the result. */
function applyBatch(state: State): Result<State, NixError> {
  const { document, edits, batch } = state
  if (batch.edits.length === 0) return ok(withEmptyBatch(state))
  const next = document.edited(batch.edits)
  copyStyle(document.root, next.root)
  const fault = verify(document, next, batch.edits, batch.operations)
  if (fault) return err(fault)
  const module = next.module()
  if (!module.ok) return err(locatedInOriginal(state, module.error))
  const all = composeEdits(state.original.text, edits, batch.edits)
  return ok(withEmptyBatch({ ...state, document: next, module: module.value, edits: all }))
}

function withEmptyBatch(state: State): State {
  return { ...state, batch: new Batch(state.document, state.module) }
}

/** The operation for the text after some edits, with the new offset of a chosen definition. */
function withMovedTarget(edits: readonly Edit[], operation: Operation): Operation {
  if (!hasTarget(operation) || operation.target.kind === 'path') return operation
  const { target } = operation
  return { ...operation, target: { ...target, offset: moveOffset(edits, target.offset) } }
}

/** The error with its place in the original text instead of the text after the edits. */
function locatedInOriginal({ original, edits }: State, error: NixError): NixError {
  if (edits.length === 0 || error.range.end === 0) return error
  const back = (offset: number) => offsetBefore(edits, offset)
  const definitions = error.definitions?.flatMap(it => {
    const all = lookUp(original, it.path as AttrPath).exact.flatMap(partsOfDefinition)
    const at = [back(it.binding.start), back(it.value.start)]
    return all.find(({ binding, value }) => binding.start === at[0] && value.start === at[1]) ?? []
  })
  return nixError(original.text, {
    ...error,
    definitions,
    range: { start: back(error.range.start), end: back(error.range.end) }
  })
}

/** The offset before some edits of an offset after them. */
function offsetBefore(edits: readonly Edit[], offset: number): number {
  let shift = 0
  for (const edit of edits) {
    const start = edit.offset + shift
    if (offset < start) break
    if (offset < start + edit.content.length) return edit.offset
    shift += edit.content.length - edit.length
  }
  return offset - shift
}

/**
 * The edits of a group (see `groupsOf`) or of the definitions that an operation chooses (see
 * `operationsFor`), or why it is refused; empty if there is nothing to do.
 */
function planGroup(doc: Source, module: Module, group: readonly Operation[]): Edits {
  const [first, ...others] = group
  if (others.length > 0 && first?.kind !== 'remove') {
    const all: Edit[] = []
    for (const it of group) {
      const step = planGroup(doc, module, [it])
      if (!step.ok) return step
      all.push(...step.value)
    }
    return ok(all.sort((a, b) => a.offset - b.offset))
  }
  switch (first?.kind) {
    case undefined:
      return ok([])
    case 'set':
      return planSet(doc, module, first)
    case 'add':
      return planAdd(doc, module, first)
    case 'remove': {
      const removals = group.filter(it => it.kind === 'remove')
      const targets = removals.map(it => it.target)
      return planRemove(doc, module, targets, first.takesCommentsAbove)
    }
    case 'removeItems':
      return planRemoveItems(doc, module, first.target, first.items)
    case 'rename':
      return planRename(doc, module, first.target, first.to)
    case 'import':
      return planImport(doc, module, first.path)
    case 'addFormal':
      return planAddFormal(doc, module, first)
    case 'removeFormal':
      return planRemoveFormal(doc, module, first)
  }
}

// A batch is a list of operations that can't depend on each other. It is parsed and verified once.

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
class Batch {
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
