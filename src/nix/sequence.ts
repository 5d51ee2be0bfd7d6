import { Batch } from './batch.ts'
import { extendsList, planAdd } from './edit/add.ts'
import { operationsFor } from './edit/choice.ts'
import { formalsFor } from './edit/flake.ts'
import { planAddFormal, planRemoveFormal } from './edit/formals.ts'
import { planImport } from './edit/import.ts'
import { copyStyle } from './edit/layout.ts'
import { leftoversOf } from './edit/leftovers.ts'
import { editsModuleAttribute, hasTarget, type Operation } from './edit/operation.ts'
import type { Edits } from './edit/refusals.ts'
import { remarksOn } from './edit/remarks.ts'
import { planRemove, planRemoveItems } from './edit/remove.ts'
import { planRename } from './edit/rename.ts'
import { planSet } from './edit/set.ts'
import { type NixError, nixError } from './errors.ts'
import { lookUp, partsOfDefinition } from './module/definitions.ts'
import type { Module } from './module/module.ts'
import type { Note } from './notes.ts'
import { type AttrPath, samePath } from './path.ts'
import { err, ok, type Result } from './result.ts'
import type { Source } from './source.ts'
import { composeEdits, type Edit, moveOffset } from './text/edits.ts'
import { placeOf } from './text/lines.ts'
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
  const last = applyBatch(state)
  return last.ok ? ok(withLeftovers(last.value, all)) : last
}

/** Adds notes on what the removal of items leaves in place. */
function withLeftovers(state: State, operations: readonly Operation[]): State {
  const { original, document, module, edits } = state
  const left = operations.flatMap(operation => {
    const it = withMovedTarget(edits, operation)
    return it.kind === 'removeItems' ? leftoversOf(document, module, it.target, it.items) : []
  })
  const notes = left.map(({ code, node, message }) => {
    const at = placeOf(original.text, offsetBefore(edits, node.start))
    return { code, at, message }
  })
  return { ...state, notes: [...state.notes, ...notes] }
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
