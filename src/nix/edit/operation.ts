import type { NixDocument } from '../document.ts'
import type { Module } from '../module/module.ts'
import type { AttrPath } from '../path.ts'
import type { NixValue } from '../values.ts'
import { type Position, planAdd } from './addOperation.ts'
import { planImport } from './importOperation.ts'
import type { Edits } from './refusals.ts'
import { planRemove } from './removeOperation.ts'
import { planRename } from './renameOperation.ts'
import { planSet } from './setOperation.ts'
import type { Target } from './target.ts'

/** One thing that a transaction was asked to do. */
export type Operation =
  | { kind: 'set'; target: Target; value: NixValue }
  | { kind: 'add'; target: Target; items: readonly NixValue[]; position: Position }
  | { kind: 'remove'; target: Target; items: readonly NixValue[] | undefined }
  | { kind: 'rename'; target: Target; to: AttrPath }
  | { kind: 'import'; path: string }

/** The edits that do it, or why not; none if there is nothing to do. */
export function planOperation(doc: NixDocument, module: Module, operation: Operation): Edits {
  switch (operation.kind) {
    case 'set':
      return planSet(doc, module, operation.target, operation.value)
    case 'add':
      return planAdd(doc, module, operation.target, operation.items, operation.position)
    case 'remove':
      return planRemove(doc, module, operation.target, operation.items)
    case 'rename':
      return planRename(doc, module, operation.target, operation.to)
    case 'import':
      return planImport(doc, module, operation.path)
  }
}
