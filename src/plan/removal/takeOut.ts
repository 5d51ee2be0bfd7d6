// Bindings that the toolkit can't tell the options of, and plans that follow them.

import { removeNode } from '../../nix/edit/remove.ts'
import {
  diffTexts,
  type Edit,
  invertEdits,
  type NixDocument,
  type Plan,
  type SyntaxNode,
  visit
} from '../../nix/index.ts'
import { composeEdits } from '../../nix/text/edits.ts'

/**
 * Takes bindings out that the toolkit can't tell the options of: in a module inside another, or in a
 * variable. All other tokens of the text stay as they are. In source order, none inside another.
 */
export function withoutBindings(
  doc: NixDocument,
  bindings: readonly SyntaxNode[]
): { doc: NixDocument; edits: readonly Edit[] } {
  const edits: Edit[] = []
  for (const { offset, length } of bindings.map(it => removeNode(it))) {
    const last = edits.at(-1)
    const isApart = !last || offset > last.offset + last.length
    // Neighbors share the whitespace between them.
    if (isApart) edits.push({ offset, length, content: '' })
    else last.length = Math.max(last.length, offset + length - last.offset)
  }
  if (edits.length === 0) return { doc, edits }
  const after = doc.edited(edits)
  // The comment after a binding on its line goes with it.
  const isOut = ({ type, start, end }: SyntaxNode) =>
    type === 'comment'
      ? edits.some(it => it.offset <= start && end <= it.offset + it.length)
      : bindings.some(it => it.start <= start && end <= it.end)
  const rest = tokensOf(doc, it => !isOut(it))
  if (rest.join('\0') !== tokensOf(after).join('\0')) {
    throw new Error('something else than our options would go')
  }
  return { doc: after, edits }
}

/** The tokens of a document, comments and pieces of strings included, in source order. */
function tokensOf({ root, text }: NixDocument, counts = (_: SyntaxNode) => true): string[] {
  const tokens: string[] = []
  visit(root, node => {
    const { children, start, end } = node
    if (children.length === 0 && end > start && counts(node)) tokens.push(text.slice(start, end))
    return undefined
  })
  return tokens
}

/** A plan that begins where these edits of a text lead, as one of that text. */
export function afterEdits(text: string, edits: readonly Edit[], plan: Plan): Plan {
  if (edits.length === 0) return plan
  return planOf(text, composeEdits(text, [...edits], [...plan.edits]), plan.text)
}

/** The plan that leaves a text as it is. */
export function unchanged(text: string): Plan {
  return planOf(text, [], text)
}

/** The plan of edits that lead from one text to another. It is not proved. */
function planOf(before: string, edits: readonly Edit[], text: string): Plan {
  return {
    edits,
    inverse: invertEdits(before, edits),
    text,
    changed: edits.length > 0,
    diff: options => diffTexts(before, text, options)
  }
}
