import { growsList, planAdd } from './edit/addOperation.ts'
import { planImport } from './edit/importOperation.ts'
import { isOfModule, type Operation } from './edit/operation.ts'
import type { Edits } from './edit/refusals.ts'
import { planRemove, planRemoveItems } from './edit/removeOperation.ts'
import { planRename } from './edit/renameOperation.ts'
import { planSet } from './edit/setOperation.ts'
import { keepHabits } from './edit/style.ts'
import { Together } from './edit/together.ts'
import { type NixError, nixError } from './errors.ts'
import type { Module } from './module/module.ts'
import { samePath } from './path.ts'
import { verify } from './proof/verify.ts'
import { err, ok, type Result } from './result.ts'
import type { Source } from './source.ts'
import { composeEdits, type Edit, moveOffset } from './text/edits.ts'

/** How far a list of operations has come. */
interface State {
  /** The text that it began with. */
  text: string
  document: Source
  module: Module
  /** From that text to the document. */
  edits: Edit[]
  /** What is planned on the document and not applied yet. */
  together: Together
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
  let state: State = { text, document, module, edits: [], together: new Together(document, module) }
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
    if (group && first && areAlike(first, operation)) group.push(operation)
    else groups.push([operation])
  }
  return groups
}

function areAlike(one: Operation, other: Operation): boolean {
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
  const { document, module, edits, together } = state
  const group = asked.map(it => movedBy(edits, it))
  const step = planGroup(document, module, group)
  if (step.ok && together.takes(group, step.value)) return ok(state)
  if (together.operations.length === 0) {
    return step.ok ? ok(state) : err(inOriginal(state.text, edits, step.error))
  }
  // What is refused, or depends on the others, is planned once those are done.
  const settled = settle(state)
  return settled.ok ? advance(settled.value, asked) : settled
}

/** Applies what is planned on the document, and proves the outcome. */
function settle(state: State): Result<State, NixError> {
  const { document, edits, together } = state
  if (together.edits.length === 0) return ok(withNothing(state))
  const next = document.edited(together.edits)
  keepHabits(document.text, document.root, next.root)
  const fault = verify(document, next, together.edits, together.operations)
  if (fault) return err(fault)
  const module = next.module()
  if (!module.ok) return err(inOriginal(state.text, edits, module.error))
  const all = composeEdits(state.text, edits, together.edits)
  return ok(withNothing({ ...state, document: next, module: module.value, edits: all }))
}

function withNothing(state: State): State {
  return { ...state, together: new Together(state.document, state.module) }
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

/** The edits that do all of a group (see `grouped`), or why not; none if there is nothing to do. */
function planGroup(doc: Source, module: Module, group: readonly Operation[]): Edits {
  const [first] = group
  switch (first?.kind) {
    case undefined:
      return ok([])
    case 'set':
      return planSet(doc, module, first.target, first.value)
    case 'add':
      return planAdd(doc, module, first.target, first.items, first)
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
