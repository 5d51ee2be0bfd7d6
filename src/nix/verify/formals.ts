// What adding or removing a formal may change.

import type { AddFormal, Operation, RemoveFormal } from '../edit/operation.ts'
import type { Message } from '../errors.ts'
import { formalsDiffer } from '../messages/verification.ts'
import { canonicalFormal, formalsNodeOf, formalsOf, lambdaOf } from '../module/formals.ts'
import { hasEllipsis, type Module } from '../module/module.ts'
import { canonicalOfValue } from '../syntax/canonical.ts'
import { usesOfArgument } from '../syntax/recSets.ts'
import { capturedBy, isSame } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Difference, Versions } from './diffTrees.ts'

export type FormalOperation = AddFormal | RemoveFormal

/** The formals that operations add to or remove from. */
export function changedFormals(module: Module, operations: readonly Operation[]): SyntaxNode[] {
  const changes = operations.filter(it => it.kind === 'addFormal' || it.kind === 'removeFormal')
  return changes.flatMap(it => formalsNodeOf(lambdaOf(module, it.of)) ?? [])
}

/** Whether a difference is a formal of this name, or a comma, that is added to or removed from the formals. */
export function isChangeOfFormals(
  difference: Difference,
  { before, after }: Versions,
  operation: FormalOperation
): boolean {
  const { kind, name, of } = operation
  if (difference.kind === 'replaced') return isRename(difference, before, operation)
  const [expected, { module }] = kind === 'addFormal' ? ['added', after] : ['removed', before]
  if (difference.kind !== expected) return false
  const { node } = difference
  const formals = formalsNodeOf(lambdaOf(module, of))
  if (!formals || !node.parent || !isSame(node.parent, formals)) return false
  return node.type === ',' || (node.type === 'formal' && node.field('name')?.text === name)
}

/** Whether a difference is the requested new name of a formal. */
function isRename(
  difference: Difference & { kind: 'replaced' },
  { module }: Versions['before'],
  operation: FormalOperation
): boolean {
  const { before, after } = difference
  const to = operation.kind === 'removeFormal' ? operation.renamedTo : undefined
  const formals = formalsNodeOf(lambdaOf(module, operation.of))
  // With a default, only the name in the formal differs.
  const [one, other] = [before, after].map(it => (it.type === 'formal' ? it : it.parent))
  if (!one?.parent || !other || !formals || !isSame(one.parent, formals)) return false
  const isFormal = one.type === 'formal' && other.type === 'formal'
  const isName = before === one || one.field('name') === before
  const nameOf = (formal: SyntaxNode) => formal.field('name')?.text
  return isFormal && isName && nameOf(one) === operation.name && nameOf(other) === to
}

/** Why the formals are not the previous ones with the requested change; undefined if they are. */
export function formalsFault(
  { before, after }: Versions,
  operation: FormalOperation
): Message | undefined {
  const { kind, name, of } = operation
  const read = (module: Module) => {
    const lambda = lambdaOf(module, of)
    const formals = formalsNodeOf(lambda)
    const names = formalsOf(lambda).map(canonicalFormal)
    return { lambda, names, isOpen: formals !== undefined && hasEllipsis(formals) }
  }
  const [one, other] = [read(before.module), read(after.module)]
  const fallback = kind === 'addFormal' ? operation.fallback : undefined
  const source = fallback === undefined ? name : `${name} ? ${canonicalOfValue(fallback)}`
  const isNamed = (it: string) => it === name || it.startsWith(`${name} ? `)
  const others = one.names.filter(it => !isNamed(it))
  const to = kind === 'removeFormal' ? operation.renamedTo : undefined
  const renamed = one.names.map(it => (isNamed(it) ? `${to}${it.slice(name.length)}` : it))
  const isRenamed = to !== undefined && new Set(renamed).size === renamed.length
  const added = one.names.some(isNamed) ? one.names : [...one.names, source]
  const expected = kind === 'addFormal' ? added : isRenamed ? renamed : others
  // A formal that is kept, because the flake still has its input, is not a fault.
  if (isEqual(one.names, other.names)) return undefined
  const isExpected = isEqual(other.names, expected) && one.isOpen === other.isOpen
  const usesOf = (find: typeof capturedBy, it: string | undefined) =>
    one.lambda && it !== undefined ? find(one.lambda, it) : []
  const disturbed =
    kind === 'addFormal'
      ? usesOf(capturedBy, name)
      : [...usesOf(usesOfArgument, name), ...usesOf(capturedBy, to)]
  return isExpected && disturbed.length === 0 ? undefined : formalsDiffer(name)
}

function isEqual(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((it, i) => it === others[i])
}
