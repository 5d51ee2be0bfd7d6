// Gives back a text that was there before, blank by blank.

import {
  applyEdits,
  type Edit,
  type NixDocument,
  type Plan,
  parseDocument
} from '../../nix/index.ts'
import { composeEdits } from '../../nix/text/edits.ts'
import { planOf } from './planOf.ts'
import { areSame, type Token, tokensOf } from './tokens.ts'

/**
 * The plan that gives an earlier text of the document, if one of the proved plans gives the same but
 * for blanks and line ends.
 */
export function backTo(
  earlier: string,
  doc: NixDocument,
  proved: readonly Plan[]
): Plan | undefined {
  const wanted = tokensOf(parseDocument(earlier))
  for (const { text, edits } of proved) {
    const tokens = tokensOf(parseDocument(text))
    if (!areSame(tokens, wanted)) continue
    const all = composeEdits(doc.text, [...edits], gapEdits(text, tokens, earlier, wanted))
    if (applyEdits(doc.text, all) === earlier) return planOf(doc.text, all, earlier)
  }
  return undefined
}

/** The edits that give the words of a text the blanks that they have in another one. */
function gapEdits(
  text: string,
  tokens: readonly Token[],
  other: string,
  wanted: readonly Token[]
): Edit[] {
  const edits: Edit[] = []
  for (let i = 0; i <= tokens.length; i++) {
    const offset = tokens[i - 1]?.end ?? 0
    const gap = text.slice(offset, tokens[i]?.start)
    const content = other.slice(wanted[i - 1]?.end ?? 0, wanted[i]?.start)
    if (gap !== content) edits.push({ offset, length: gap.length, content })
  }
  return edits
}
