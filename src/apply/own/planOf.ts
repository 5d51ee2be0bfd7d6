import { diffTexts, type Edit, invertEdits, type Plan } from '../../nix/index.ts'

/** The plan of edits that lead from one text to another. It is not proved. */
export function planOf(before: string, edits: readonly Edit[], text: string): Plan {
  return {
    edits,
    inverse: invertEdits(before, edits),
    text,
    changed: edits.length > 0,
    diff: options => diffTexts(before, text, options)
  }
}

/** The plan that leaves a text as it is. */
export function unchanged(text: string): Plan {
  return planOf(text, [], text)
}
