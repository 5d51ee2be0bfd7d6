// What the names in a text mean depends on what is defined around them.

import { isInside, type NixError, nixError } from '../errors.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { isInScope, usesIn, variablesIn } from '../syntax/scope.ts'
import { attrsOf, bindingsNamed, nameOf } from '../syntax/shape.ts'
import { type Edit, writtenRanges } from '../text/edits.ts'
import { type Difference, newNodeOf, oldNodeOf } from './compareTrees.ts'
import type { Sides } from './sides.ts'

/** `BAD_VALUE` for a variable in what was written that nothing around it defines: Nix rejects the file. */
export function undefinedName(
  { after }: Sides,
  differences: readonly Difference[],
  edits: readonly Edit[]
): NixError | undefined {
  const written = writtenRanges(edits)
  for (const node of differences.map(newNodeOf).filter(it => it !== undefined)) {
    for (const variable of variablesIn(node)) {
      const isNew = written.some(it => isInside(variable, it))
      const name = after.text.slice(variable.start, variable.end)
      if (!isNew || isInScope(after.text, variable, name)) continue
      return nixError('', {
        code: 'BAD_VALUE',
        message: `"${name}" is not in scope where it would be written, so Nix would reject the file`,
        hint: `if it is an argument of the module, name it at the top:  { ${name}, ... }:`
      })
    }
  }
  return undefined
}

/** A name that comes or goes in a `rec` set while others in the set use it; undefined if none does. */
export function disturbedName(
  { before, after }: Sides,
  differences: readonly Difference[]
): string | undefined {
  for (const it of differences) {
    const [old, fresh] = [oldNodeOf(it), newNodeOf(it)]
    const name = (old && usedNameOf(before.text, old)) || (fresh && usedNameOf(after.text, fresh))
    if (name) return name
  }
  return undefined
}

/** The name that a binding, or the first name of its path, gives a `rec` set, where others use it. */
function usedNameOf(text: string, node: SyntaxNode): string | undefined {
  let binding: SyntaxNode | undefined = node
  while (binding && !/^(?:binding|.*_expression|source_code)$/.test(binding.type)) {
    binding = binding.parent
  }
  const set = binding?.parent?.parent
  if (binding?.type !== 'binding' || set?.type !== 'rec_attrset_expression') return undefined
  const [first] = attrsOf(binding)
  const name = first && nameOf(text, first)
  if (!first || name === undefined || (node !== binding && node.start >= first.end))
    return undefined
  if (bindingsNamed(text, set, name).some(it => it !== binding)) return undefined
  return usesIn(text, set, name).some(it => !isInside(it, node)) ? name : undefined
}
