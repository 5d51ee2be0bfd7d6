import { commentDropped, formalAdded, formalRemoved } from '../messages/notes.ts'
import type { Note } from '../notes.ts'
import type { Edit } from '../text/edits.ts'
import {
  type Annotated,
  commentSourcesOf,
  isAnnotated,
  isValueList,
  isValueSet,
  type NixValue,
  withoutComment
} from '../values.ts'
import type { Operation } from './operation.ts'
import { printInline } from './print.ts'

/** What edits do besides what their operations ask for, or leave out. */
export function remarksOn(
  operations: readonly Operation[],
  edits: readonly Edit[]
): Omit<Note, 'at'>[] {
  return operations.flatMap(it => {
    if (it.kind === 'addFormal') return it.of === 'outputs' ? [formalAdded(it.name)] : []
    if (it.kind === 'removeFormal') return it.of === 'outputs' ? [formalRemoved(it.name)] : []
    return droppedComments(valuesOf(it), edits).map(commentDropped)
  })
}

function valuesOf(operation: Operation): readonly NixValue[] {
  if (operation.kind === 'set') return [operation.value]
  return operation.kind === 'add' ? operation.items : []
}

/** The comments of values that the edits write without them. An item that is there already is not written. */
function droppedComments(values: readonly NixValue[], edits: readonly Edit[]): string[] {
  const annotated = values.flatMap(annotatedIn)
  if (annotated.length === 0) return []
  const written = edits.map(it => it.content).join('\n')
  const code = withoutSpaces(written)
  return annotated
    .filter(it => code.includes(withoutSpaces(printInline(withoutComment(it)))))
    .map(commentSourcesOf)
    .flatMap(it => [...it.above, ...it.after])
    .filter(it => !written.includes(it))
    .map(it => it.replace(/^# ?/, ''))
}

/** The source may have the notation of its file: `[x]` for `[ x ]`. */
function withoutSpaces(source: string): string {
  return source.replace(/\s+/g, '')
}

function annotatedIn(value: NixValue): Annotated[] {
  if (isAnnotated(value)) return [value, ...annotatedIn(value.value)]
  if (isValueList(value)) return value.flatMap(annotatedIn)
  return isValueSet(value) ? Object.values(value).flatMap(annotatedIn) : []
}
