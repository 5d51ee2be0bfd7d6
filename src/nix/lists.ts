import { CONDITIONAL, type Definition, PRIORITY } from './definitions.ts'
import { type NixError, nixError } from './errors.ts'
import { unwrapped } from './module.ts'
import type { SyntaxNode } from './parser.ts'
import { err, ok, type Result } from './result.ts'
import { callOf, elementsOf, isList } from './shape.ts'

/**
 * The list literal of a definition that its value always contains: the list itself, the first
 * literal operand of `++`, or the list inside `mkForce`, `mkDefault`, `mkAfter` and their like.
 *
 * Refuses with `INHERITED`, `NO_TARGET` (all literals are conditional), `SHARED_BINDING` (a variable
 * or a call) or `NOT_A_LIST`.
 */
export function listOf(text: string, definition: Definition): Result<SyntaxNode, NixError> {
  if (definition.inherited) {
    return err(
      nixError(text, {
        code: 'INHERITED',
        message: 'the value is inherited here, so there is no list to edit',
        range: definition.value,
        hint: 'write it out as name = [ … ];'
      })
    )
  }
  const list = literalIn(text, definition.value)
  return list ? ok(list) : err(refuse(text, definition.value))
}

/** All list literals that a value is made of, also those that count only under a condition. */
export function allListsOf(text: string, value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isList(inner)) return [inner]
  if (isConcat(inner)) return operandsOf(inner).flatMap(it => allListsOf(text, it))
  if (inner.type === 'if_expression') {
    const branches = [inner.field('consequence'), inner.field('alternative')]
    return branches.flatMap(it => (it ? allListsOf(text, it) : []))
  }
  const call = callOf(text, inner)
  const last = call?.args.at(-1)
  if (!call || !last) return []
  if (PRIORITY.has(call.name) || CONDITIONAL.has(call.name)) return allListsOf(text, last)
  if (call.name === 'mkMerge' && isList(unwrapped(last))) {
    return elementsOf(unwrapped(last)).flatMap(it => allListsOf(text, it))
  }
  return []
}

function literalIn(text: string, value: SyntaxNode): SyntaxNode | undefined {
  const inner = unwrapped(value)
  if (isList(inner)) return inner
  if (isConcat(inner)) {
    for (const operand of operandsOf(inner)) {
      const list = unwrapped(operand)
      if (isList(list)) return list
    }
    return undefined
  }
  const call = callOf(text, inner)
  const last = call?.args.at(-1)
  if (!call || !last) return undefined
  if (PRIORITY.has(call.name)) return literalIn(text, last)
  if (call.name === 'mkMerge' && isList(unwrapped(last))) {
    return elementsOf(unwrapped(last)).map(unwrapped).find(isList)
  }
  return undefined
}

export function isConcat(node: SyntaxNode): boolean {
  return node.type === 'binary_expression' && node.field('operator')?.type === '++'
}

/** The operands of a chain of `++` in source order. */
export function operandsOf(node: SyntaxNode): SyntaxNode[] {
  const left = node.field('left')
  const right = node.field('right')
  return [left, right].flatMap(it => (it ? (isConcat(it) ? operandsOf(it) : [it]) : []))
}

function refuse(text: string, value: SyntaxNode): NixError {
  const inner = unwrapped(value)
  const call = callOf(text, inner)
  if (allListsOf(text, inner).length > 0) {
    return nixError(text, {
      code: 'NO_TARGET',
      message: 'the list counts only under a condition, so what is added to it could be lost',
      range: inner,
      hint: 'add a list that always counts:  … ++ [ ]'
    })
  }
  if (call || inner.type === 'variable_expression' || inner.type === 'select_expression') {
    return nixError(text, {
      code: 'SHARED_BINDING',
      message: 'the value is computed elsewhere, so there is no list to edit here',
      range: inner,
      hint: 'add a list of your own behind it:  … ++ [ ]'
    })
  }
  return nixError(text, {
    code: 'NOT_A_LIST',
    message: 'the value is not a list',
    range: inner
  })
}
