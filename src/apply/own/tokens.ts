// The words of a Nix text, to tell whether two texts differ in blanks only.

import { type NixDocument, visit } from '../../nix/index.ts'

/** A word of a text, or a comment, or a piece of a string. */
export interface Token {
  type: string
  source: string
  start: number
  end: number
}

/** Whether two texts differ in nothing but blanks between their words, comments included. */
export function sameTokens(a: NixDocument, b: NixDocument): boolean {
  return areSame(tokensOf(a), tokensOf(b))
}

/** Whether these are the same words, wherever they stand. */
export function areSame(a: readonly Token[], b: readonly Token[]): boolean {
  const isSame = (it: Token, i: number) => it.type === b[i]?.type && it.source === b[i]?.source
  return a.length === b.length && a.every(isSame)
}

/** The words of a document, in source order. */
export function tokensOf({ root, text }: NixDocument): Token[] {
  const tokens: Token[] = []
  visit(root, ({ type, children, start, end }) => {
    if (children.length === 0 && end > start) {
      tokens.push({ type, source: text.slice(start, end), start, end })
    }
    return undefined
  })
  return tokens
}
