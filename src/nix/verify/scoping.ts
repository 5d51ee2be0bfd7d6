// Checks that variables are defined, and that they keep their meaning.

import { insideAny, isInside, type NixError, nixError } from '../errors.ts'
import { notInScope } from '../messages/values.ts'
import { recSetsAround, usesOf } from '../syntax/recSets.ts'
import { isInScope, variablesIn } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Edit, writtenRanges } from '../text/edits.ts'
import { type Difference, nodeAfter, nodeBefore } from './diffTrees.ts'

/** `BAD_VALUE` for a variable in new text that is not in scope there: Nix rejects the file. */
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
      return nixError('', notInScope(name))
    }
  }
  return undefined
}

/**
 * A name of a `rec` set that was added, removed or changed although other attributes of the set use it as
 * a variable; undefined if there is none. Replaced values are ignored, because they were requested.
 */
export function nameWithNewMeaning(
  differences: readonly Difference[],
  replaced: readonly SyntaxNode[]
): string | undefined {
  const isReplaced = insideAny(replaced)
  for (const it of differences) {
    const [before, after] = [nodeBefore(it), nodeAfter(it)]
    if (before && isReplaced(before)) continue
    const name = (before && usedNameOf(before)) || (after && usedNameOf(after))
    if (name) return name
  }
  return undefined
}

/** The variable by which other attributes of a `rec` set use a changed binding or a binding around it. */
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
