// What the names in a text mean depends on what is defined around them.

import { insideAny, isInside, type NixError, nixError } from '../errors.ts'
import { recSetsAround, usesOf } from '../syntax/recSets.ts'
import { isInScope, variablesIn } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, writtenRanges } from '../text/edits.ts'
import { type Difference, nodeAfter, nodeBefore } from './diffTrees.ts'

/** `BAD_VALUE` for a variable in what was written that nothing around it defines: Nix rejects the file. */
export function undefinedName(
  differences: readonly Difference[],
  edits: readonly Edit[]
): NixError | undefined {
  const isWritten = insideAny(writtenRanges(edits))
  for (const node of differences.map(nodeAfter).filter(it => it !== undefined)) {
    for (const variable of variablesIn(node)) {
      if (!isWritten(variable)) continue
      const name = variable.text
      if (isInScope(variable, name)) continue
      return nixError('', {
        code: 'BAD_VALUE',
        message: `"${name}" is not in scope where it would be written, so Nix would reject the file`,
        hint: `if it is an argument of the module, name it at the top:  { ${name}, ... }:`
      })
    }
  }
  return undefined
}

/**
 * A name of a `rec` set that others in the set use while what it says, or a part of that, comes or
 * goes; undefined if none does. A value that was replaced is not looked into: it was asked for.
 */
export function disturbedName(
  differences: readonly Difference[],
  replaced: readonly SyntaxNode[]
): string | undefined {
  const isReplaced = insideAny(replaced)
  for (const it of differences) {
    const [old, fresh] = [nodeBefore(it), nodeAfter(it)]
    if (old && isReplaced(old)) continue
    const name = (old && usedNameOf(old)) || (fresh && usedNameOf(fresh))
    if (name) return name
  }
  return undefined
}

/** The name by which others in a `rec` set use a binding that differs, or one around it. */
function usedNameOf(node: SyntaxNode): string | undefined {
  let binding: SyntaxNode | undefined = node
  while (binding && !/^(?:binding|.*_expression|source_code)$/.test(binding.type)) {
    binding = binding.parent
  }
  const attrpath = binding?.field('attrpath')
  if (binding?.type !== 'binding' || (node !== binding && node.start >= (attrpath?.end ?? 0))) {
    return undefined
  }
  const level = recSetsAround(binding).find(({ set, path }) =>
    usesOf(set, path).some(it => !isInside(it, node))
  )
  return level?.path[0]
}
