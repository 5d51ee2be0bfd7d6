// A module that is the value of an option and written as a function:
// specialisation.NAME.configuration = { config, ... }: { … };

import { type NixDocument, parseDocument, type SyntaxNode } from '../nix/index.ts'
import { unwrapped } from '../nix/module/module.ts'
import { applyEdits, type Edit } from '../nix/text/edits.ts'
import { indentAt, lineStart } from '../nix/text/lines.ts'

/** A module inside a file. All offsets are offsets in the file. */
export interface InnerModule {
  /** The file as if the value were the attribute set that the function returns. */
  doc: NixDocument
  /** The function alone, as a module that can be edited. */
  part: NixDocument
  /** The text of the function after edits of `part`. */
  valueAfter(edits: readonly Edit[]): string
}

/**
 * The module at an option with exactly one definition, which has no condition and is a function that
 * returns a literal attribute set. Undefined otherwise, also for a plain attribute set.
 */
export function innerModule(doc: NixDocument, path: readonly string[]): InnerModule | undefined {
  const [definition, ...others] = path.length === 0 ? [] : doc.getIn(path)
  if (!definition || others.length > 0 || definition.conditions.length > 0) return undefined
  const { text } = doc
  const { start, end } = definition.value
  const value = unwrapped(definition.value)
  const set = value.type === 'function_expression' ? bodyOf(value) : undefined
  if (!set) return undefined
  const head = text.slice(value.start, set.start)
  const asSet = parseDocument(text.slice(0, value.start) + spacesFor(head) + text.slice(set.start))
  const part = parseDocument(paddingBefore(text, start) + text.slice(start, end))
  const isRead = asSet.getIn(path).length + asSet.getBelow(path).length > 0
  if (asSet.errors.length > 0 || !isRead || !part.module().ok) return undefined
  const valueAfter = (edits: readonly Edit[]) => applyEdits(text.slice(0, end), edits).slice(start)
  return { doc: asSet, part, valueAfter }
}

/** Padding that keeps the offsets, lines and indentation of a text from `end` on. */
function paddingBefore(text: string, end: number): string {
  const start = lineStart(text, end)
  const indent = indentAt(text, end)
  const rest = end - start - indent.length
  const comment = rest < 4 ? ' '.repeat(rest) : `/*${' '.repeat(rest - 4)}*/`
  return `${spacesFor(text.slice(0, start))}${indent}${comment}`
}

/** Spaces as long as the text, with its line breaks. */
function spacesFor(text: string): string {
  return text.replace(/[^\r\n]/g, ' ')
}

/** The attribute set inside functions, `let`, `with` and `assert`. */
function bodyOf(node: SyntaxNode): SyntaxNode | undefined {
  switch (node.type) {
    case 'function_expression':
    case 'let_expression':
    case 'with_expression':
    case 'assert_expression': {
      const body = node.field('body')
      return body && bodyOf(body)
    }
    case 'attrset_expression':
      return node
    default:
      return undefined
  }
}
