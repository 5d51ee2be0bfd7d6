// Removes bindings whose option the toolkit can't determine, and combines that with a plan.

import { removeNode } from '../../nix/edit/remove.ts'
import { type Edit, type NixDocument, type Plan, type SyntaxNode, visit } from '../../nix/index.ts'
import { makePlan } from '../../nix/plan.ts'
import { composeEdits } from '../../nix/text/edits.ts'

/**
 * Removes bindings in nested modules and variables, where the toolkit can't determine the option. Keeps all other
 * tokens. The bindings must be in source order, and none may be inside another.
 */
export function withoutBindings(
  doc: NixDocument,
  bindings: readonly SyntaxNode[]
): { doc: NixDocument; edits: readonly Edit[] } {
  const edits: Edit[] = []
  for (const { offset, length } of bindings.map(it => removeNode(it))) {
    const last = edits.at(-1)
    const isApart = !last || offset > last.offset + last.length
    // Adjacent bindings share the whitespace between them.
    if (isApart) edits.push({ offset, length, content: '' })
    else last.length = Math.max(last.length, offset + length - last.offset)
  }
  if (edits.length === 0) return { doc, edits }
  const after = doc.edited(edits)
  // A comment after a binding on the same line is removed with it.
  const isOut = ({ type, start, end }: SyntaxNode) =>
    type === 'comment'
      ? edits.some(it => it.offset <= start && end <= it.offset + it.length)
      : bindings.some(it => it.start <= start && end <= it.end)
  const rest = tokensOf(doc, it => !isOut(it))
  if (rest.join('\0') !== tokensOf(after).join('\0')) {
    throw new Error('the edits would remove other tokens than the bindings')
  }
  return { doc: after, edits }
}

/** The tokens of a document in source order, including comments and parts of strings. */
function tokensOf({ root, text }: NixDocument, counts = (_: SyntaxNode) => true): string[] {
  const tokens: string[] = []
  visit(root, node => {
    const { children, start, end } = node
    if (children.length === 0 && end > start && counts(node)) tokens.push(text.slice(start, end))
    return undefined
  })
  return tokens
}

/** Converts a plan for the text after these edits to a plan for the text before them. */
export function afterEdits(text: string, edits: readonly Edit[], plan: Plan): Plan {
  if (edits.length === 0) return plan
  const all = composeEdits(text, [...edits], [...plan.edits])
  return makePlan(text, plan.text, all, plan.notes)
}

/** The plan that does not change a text. */
export function unchanged(text: string): Plan {
  return makePlan(text, text, [], [])
}
