// Checks that variables are defined, and that they keep their meaning.

import { insideAny, isInside, type NixError, nixError } from '../errors.ts'
import { notInScope } from '../messages/values.ts'
import { bindingsNamed, inheritedOf, nameOf } from '../syntax/nodes.ts'
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
 * A name of a `rec` set or a `let` that was added, removed or changed although other code there uses it
 * as a variable; undefined if there is none. Replaced values are ignored, because they were requested,
 * and outside of a module also attributes added to the value of the name, and a value instead of an `inherit`.
 */
export function nameWithNewMeaning(
  differences: readonly Difference[],
  replaced: readonly SyntaxNode[],
  isModule: boolean
): string | undefined {
  const isReplaced = insideAny(replaced)
  const inherited = new Set(differences.flatMap(it => (nodeBefore(it) ? namesIn(it) : [])))
  for (const it of differences) {
    const [before, after] = [nodeBefore(it), nodeAfter(it)]
    if (before && isReplaced(before)) continue
    const [used] = [before, after].flatMap(node => (node && usedLevelOf(node)) ?? [])
    if (!used) continue
    const wasInherited = inherited.has(used.path[0])
    const isDefinedAlready =
      (it.kind === 'added' && isDefinedBesides(used, it.node)) || wasInherited
    if (isModule || !isDefinedAlready) return used.path[0]
  }
  return undefined
}

/** The inherited names that a difference removes. */
function namesIn(difference: Difference): (string | undefined)[] {
  const node = nodeBefore(difference)
  if (!node) return []
  const isName = node.parent?.type === 'inherited_attrs'
  return (isName ? [node] : inheritedOf(node)).map(nameOf)
}

/** Whether a set defines the first name of the path in another binding than the added one too. */
function isDefinedBesides({ set, path }: Level, added: SyntaxNode): boolean {
  return bindingsNamed(set, path[0]).some(it => it.start !== added.start)
}

type Level = ReturnType<typeof recSetsAround>[number]

/** The set in which other code uses the name of a changed binding, or of one around it. */
function usedLevelOf(node: SyntaxNode): Level | undefined {
  let binding: SyntaxNode | undefined = node
  while (binding && !/^(?:binding|.*_expression|source_code)$/.test(binding.type)) {
    binding = binding.parent
  }
  const attrpath = binding?.field('attrpath')
  if (binding?.type !== 'binding' || (node !== binding && node.start >= (attrpath?.end ?? 0))) {
    return undefined
  }
  return recSetsAround(binding).find(({ set, path }) =>
    usesOf(set, path).some(it => !isInside(it, node))
  )
}
