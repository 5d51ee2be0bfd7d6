import { lambdaOf } from '../module/formals.ts'
import type { Module } from '../module/module.ts'
import { isValueSet, withoutComment } from '../values.ts'
import { hasTarget, type Operation, type OtherOperation } from './operation.ts'

/**
 * The changes of a flake's `outputs = { self, nixpkgs }:` that an edit of its inputs needs: without `...`,
 * Nix calls the function only if it has a formal for each input, and a formal without an input is looked
 * up in the registry. Empty for any other file.
 */
export function formalsFor(module: Module, operation: Operation): OtherOperation[] {
  const path = hasTarget(operation) ? operation.target.path : []
  const [first, input] = path
  if (first !== 'inputs' || !lambdaOf(module, 'outputs')) return []
  const isWhole = path.length === 2
  switch (operation.kind) {
    case 'set': {
      const value = withoutComment(operation.value)
      const names = input === undefined && isValueSet(value) ? Object.keys(value) : [input]
      return names.flatMap(adding)
    }
    case 'remove':
      return removing(input)
    case 'rename':
      return isWhole && operation.to[0] === 'inputs'
        ? [...removing(input, operation.to[1]), ...adding(operation.to[1])]
        : []
    default:
      return []
  }
}

function adding(name: string | undefined): OtherOperation[] {
  if (name === undefined || name === 'self') return []
  return [{ kind: 'addFormal', of: 'outputs', name, fallback: undefined }]
}

function removing(name: string | undefined, renamedTo?: string): OtherOperation[] {
  if (name === undefined || name === 'self') return []
  const unlessDefined = ['inputs', name]
  return [{ kind: 'removeFormal', of: 'outputs', name, unlessDefined, renamedTo }]
}
