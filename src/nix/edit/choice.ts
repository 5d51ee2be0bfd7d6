import type { NixError } from '../errors.ts'
import { isMerging } from '../module/combinators.ts'
import { inModule, isConditional, partsOfDefinition } from '../module/definitions.ts'
import { type Module, setFor } from '../module/module.ts'
import { ok, type Result } from '../result.ts'
import type { Source } from '../source.ts'
import { findDuplicate } from '../syntax/duplicates.ts'
import { lookUpTarget, type Operation, targetOf } from './operation.ts'
import { ambiguous } from './refusals.ts'

/**
 * The operation as one operation for each definition that its `conditional` or `all` chooses. The operation
 * itself if it chooses none: its definition always applies, there is no definition, or it will be refused.
 */
export function operationsFor(
  doc: Source,
  module: Module,
  operation: Operation
): Result<readonly Operation[], NixError> {
  if (operation.kind !== 'set' && operation.kind !== 'add') return ok([operation])
  const { target, conditional: isConditionalAllowed, all } = operation
  if (!all && !isConditionalAllowed) return ok([operation])
  const { exact, below } = lookUpTarget(doc, module, target)
  const fullPath = inModule(module, target.path)
  const isRefused = below.length > 0 || findDuplicate(setFor(module, fullPath), fullPath)
  const isWhole = operation.kind === 'set' && isMerging(operation.value)
  const parts = isWhole ? exact : exact.flatMap(partsOfDefinition)
  if (isRefused || parts.length === 0) return ok([operation])
  const chosen = parts.map(it => ({ ...operation, target: targetOf(it) }))
  if (all || parts.length === 1) return ok(chosen)
  const isForOne = operation.kind === 'set' || parts.every(isConditional)
  return isForOne ? ambiguous(parts, undefined) : ok([operation])
}
