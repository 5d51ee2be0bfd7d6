// A module that is written as a function in the place of a value, as in
// specialisation.NAME.configuration = { config, ... }: { … };

import { type NixDocument, parseDocument, type SyntaxNode } from '../nix/index.ts'
import { unwrapped } from '../nix/module/module.ts'
import { applyEdits, type Edit } from '../nix/text/edits.ts'
import { indentAt, lineStart } from '../nix/text/lines.ts'

/** Such a module; all offsets are those of the file. */
export interface InnerModule {
  /** The file as if the value were the set that the function gives. */
  doc: NixDocument
  /** The function alone, a module to be edited. */
  part: NixDocument
  /** The function after such edits. */
  valueAfter(edits: readonly Edit[]): string
}

/**
 * The module that the only definition of this option is: a function that always counts, and gives a set
 * that is written out. Undefined for all else, so also for a set.
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
  const asSet = parseDocument(text.slice(0, value.start) + blanks(head) + text.slice(set.start))
  const part = parseDocument(alone(text, start) + text.slice(start, end))
  const isRead = asSet.getIn(path).length + asSet.getBelow(path).length > 0
  if (asSet.errors.length > 0 || !isRead || !part.module().ok) return undefined
  const valueAfter = (edits: readonly Edit[]) => applyEdits(text.slice(0, end), edits).slice(start)
  return { doc: asSet, part, valueAfter }
}

/** What stands before a function that is alone: nothing, but for the indentation of its line. */
function alone(text: string, end: number): string {
  const start = lineStart(text, end)
  const indent = indentAt(text, end)
  const rest = end - start - indent.length
  const comment = rest < 4 ? ' '.repeat(rest) : `/*${' '.repeat(rest - 4)}*/`
  return `${blanks(text.slice(0, start))}${indent}${comment}`
}

/** Nothing, as long as the text and with its lines. */
function blanks(text: string): string {
  return text.replace(/[^\r\n]/g, ' ')
}

/** The set behind the arguments of a function, its variables and its assertions. */
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
