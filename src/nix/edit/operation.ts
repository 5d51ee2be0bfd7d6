import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import type { AttrPath } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import type { NixValue } from '../values.ts'
import { type AddOptions, planAdd } from './addOperation.ts'
import { planImport } from './importOperation.ts'
import type { Edits } from './refusals.ts'
import { planRemove, planRemoveItems } from './removeOperation.ts'
import { planRename } from './renameOperation.ts'
import { planSet } from './setOperation.ts'
import type { Target } from './target.ts'

/** One thing that a transaction was asked to do. */
export type Operation =
  | { kind: 'set'; target: Target; value: NixValue }
  | ({ kind: 'add'; target: Target; items: readonly NixValue[] } & AddOptions)
  | { kind: 'remove'; target: Target }
  | { kind: 'removeItems'; target: Target; items: readonly NixValue[] }
  | { kind: 'rename'; target: Target; to: AttrPath }
  | { kind: 'import'; path: string }

/** The edits that do all of a group (see `sequence.ts`), or why not; none if there is nothing to do. */
export function planGroup(doc: Source, module: Module, group: readonly Operation[]): Edits {
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

/** Whether it is about an attribute of the module itself, such as `options`, and not about an option. */
export function isOfModule(operation: Operation): boolean {
  return operation.kind === 'import' || MODULE_ATTRIBUTES.has(operation.target.path[0] ?? '')
}
