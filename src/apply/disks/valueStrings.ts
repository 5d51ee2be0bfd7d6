// The strings in the value of an option, with the name of the attribute that each is the value of.

import type { SyntaxNode } from '../../nix/index.ts'
import { letValueOf } from '../../nix/syntax/scope.ts'
import { bindingsOf, isSet, namesOf, unparenthesised } from '../../nix/syntax/shape.ts'
import { stringValue } from '../../nix/syntax/strings.ts'

/** A string in a value. */
export interface KeyedString {
  /** The innermost attribute around it inside the value; undefined where it is in none. */
  key: string | undefined
  text: string
  /** Its offset in the file. */
  start: number
  /** The set or list item that it is in, to tell what belongs together; its offset. */
  within: number
}

// As deep as variables that stand for each other are followed.
const MOST_STEPS = 5

/**
 * Every string in a value, in source order, also those in lists, sets and arguments of functions, under a
 * condition or not. Variables of a `let` in the same file count with their value, alone, in `a + b` and in
 * `"${a}…"`. What can't be known without evaluation is left out.
 */
export function stringsInValue(text: string, value: SyntaxNode): KeyedString[] {
  return collect(text, value, undefined, value.start, new Set())
}

function collect(
  text: string,
  value: SyntaxNode,
  key: string | undefined,
  within: number,
  opened: Set<number>
): KeyedString[] {
  const node = unparenthesised(value)
  const known = computed(text, node, MOST_STEPS)
  if (known !== undefined) return [{ key, text: known, start: node.start, within }]
  if (isSet(node)) {
    return bindingsOf(node).flatMap(it => {
      const inner = it.type === 'binding' ? it.field('expression') : undefined
      return inner ? collect(text, inner, namesOf(text, it).at(-1), node.start, opened) : []
    })
  }
  if (node.type === 'variable_expression') {
    const given = letValueOf(text, node)
    // A value can hold its own variable.
    if (!given || opened.has(given.start)) return []
    opened.add(given.start)
    return collect(text, given, key, within, opened)
  }
  return node.children.flatMap(it => collect(text, it, key, within, opened))
}

/** The text that a value comes to; undefined for what is no text, or can't be known here. */
function computed(text: string, value: SyntaxNode, steps: number): string | undefined {
  const node = unparenthesised(value)
  if (steps === 0) return undefined
  const plain = stringValue(text, node)
  if (plain !== undefined) return plain
  if (node.type === 'variable_expression') {
    const given = letValueOf(text, node)
    return given && computed(text, given, steps - 1)
  }
  if (node.type === 'binary_expression' && node.field('operator')?.type === '+') {
    const [left, right] = [node.field('left'), node.field('right')].map(
      it => it && computed(text, it, steps)
    )
    return left === undefined || right === undefined ? undefined : left + right
  }
  return node.type === 'string_expression' ? interpolated(text, node, steps) : undefined
}

function interpolated(text: string, node: SyntaxNode, steps: number): string | undefined {
  let result = ''
  let at = node.start + 1
  for (const it of node.children.filter(child => child.type === 'interpolation')) {
    const inner = it.field('expression')
    const value = inner && computed(text, inner, steps)
    if (value === undefined) return undefined
    result += text.slice(at, it.start) + value
    at = it.end
  }
  return result + text.slice(at, node.end - 1)
}
