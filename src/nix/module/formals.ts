// The formals of a function: the names between its braces, as in `{ lib, pkgs ? null, ... }:`.

import { canonicalOfNode } from '../syntax/canonical.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { lookUp } from './definitions.ts'
import { type Module, unwrapped } from './module.ts'

/** Whose formals: those of the function around the attribute set, or those of a flake's `outputs`. */
export type FormalsOf = 'set' | 'outputs'

/** One name in formals. */
export interface Formal {
  name: string
  node: SyntaxNode
  /** The default after `?`. */
  fallback: SyntaxNode | undefined
}

/** The function whose formals are meant; undefined if there is none. */
export function lambdaOf(module: Module, of: FormalsOf): SyntaxNode | undefined {
  if (of === 'set') return module.lambda
  const [outputs, ...others] = lookUp(module, ['outputs']).exact
  const value = outputs && !outputs.inherited ? unwrapped(outputs.value) : undefined
  return value?.type === 'function_expression' && others.length === 0 ? value : undefined
}

/** The `{ … }` of a function's formals; undefined for `args: …`. */
export function formalsNodeOf(lambda: SyntaxNode | undefined): SyntaxNode | undefined {
  return lambda?.field('formals')
}

/** The formals of a function in source order; empty for `args: …`. */
export function formalsOf(lambda: SyntaxNode | undefined): Formal[] {
  const nodes = formalsNodeOf(lambda)?.children.filter(it => it.type === 'formal') ?? []
  return nodes.map(node => ({
    node,
    name: node.field('name')?.text ?? '',
    fallback: node.field('default')
  }))
}

/** A formal in a form that is equal for formals that differ only in layout. */
export function canonicalFormal({ name, fallback }: Formal): string {
  return fallback ? `${name} ? ${canonicalOfNode(fallback)}` : name
}
