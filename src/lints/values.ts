// The list items and strings in the value of an option, with their conditions.

import type { SyntaxNode } from '../nix/index.ts'
import { elementsOf, unparenthesized } from '../nix/syntax/nodes.ts'

/** An item of a list literal. */
export interface Item {
  node: SyntaxNode
  /** The content, if it is a string, with interpolations masked. */
  text: string | undefined
  /** The conditions under which it applies, as written. */
  conditions: readonly string[]
}

/** A string literal. */
export interface StringText {
  node: SyntaxNode
  /**
   * The source text between the quotation marks, with the same offsets: interpolations are masked, and the
   * escape of a line break is replaced by spaces and a line break.
   */
  text: string
  /** The offset of its first character in the file. */
  start: number
  conditions: readonly string[]
}

/** The character that replaces each character of an interpolation. */
export const MASK = '\ue000'

const WRAPPERS = /^(?:lib\.)?mk(?:Force|Default|Before|After)$/
const CONDITIONAL = /^(?:lib\.)?(?:mkIf|optionals?|optionalString)$/

/** The items of all list literals in a value. */
export function itemsOfValue(value: SyntaxNode): Item[] {
  return literalsOf(value, []).flatMap(({ node, conditions }) => {
    const items = node.type === 'list_expression' ? elementsOf(node) : []
    return items.map(it => {
      const inner = unparenthesized(it)
      const content = isStringNode(inner) ? stringContent(inner).text : undefined
      return { node: it, text: content, conditions }
    })
  })
}

/** The string literals that a string value consists of. */
export function stringsOfValue(value: SyntaxNode): StringText[] {
  return literalsOf(value, []).flatMap(({ node, conditions }) =>
    isStringNode(node) ? [{ ...stringContent(node), node, conditions }] : []
  )
}

/** All string literals in a node. */
export function stringLiterals(node: SyntaxNode): StringText[] {
  const inner = node.children.flatMap(it => stringLiterals(it))
  return isStringNode(node) ? [{ ...stringContent(node), node, conditions: [] }, ...inner] : inner
}

/** Whether a node is a string literal of either kind. */
export function isStringNode(node: SyntaxNode): boolean {
  return node.type === 'string_expression' || node.type === 'indented_string_expression'
}

function stringContent(node: SyntaxNode): { text: string; start: number } {
  const marks = node.type === 'string_expression' ? 1 : 2
  const start = node.start + marks
  let content = node.text.slice(marks, -marks)
  for (const it of node.children) {
    if (it.type !== 'interpolation') continue
    const [from, to] = [it.start - start, it.end - start]
    content = content.slice(0, from) + MASK.repeat(to - from) + content.slice(to)
  }
  return { text: withLines(content, marks === 1), start }
}

/** Replaces the escapes of line breaks and tabs by these characters, keeping the length. */
function withLines(content: string, isOnOneLine: boolean): string {
  const escapes = isOnOneLine ? /\\[\s\S]/g : /''\\[\s\S]/g
  return content.replace(escapes, it => {
    const letter = it.at(-1)
    if (letter === 'n') return '\n'.padStart(it.length)
    return letter === 't' ? ' '.repeat(it.length) : it
  })
}

interface Part {
  node: SyntaxNode
  conditions: readonly string[]
}

/** The literals that a value consists of; computed parts are left out. */
function literalsOf(value: SyntaxNode, conditions: readonly string[]): Part[] {
  const node = unparenthesized(value)
  const inside = (it: SyntaxNode | undefined, ...more: string[]) =>
    it ? literalsOf(it, [...conditions, ...more]) : []
  switch (node.type) {
    case 'let_expression':
    case 'with_expression':
    case 'assert_expression':
      return inside(node.field('body'))
    case 'binary_expression': {
      const isSum = /^\+{1,2}$/.test(node.field('operator')?.type ?? '')
      return isSum ? [...inside(node.field('left')), ...inside(node.field('right'))] : []
    }
    case 'if_expression': {
      const condition = conditionText(node.field('condition'))
      return [
        ...inside(node.field('consequence'), condition),
        ...inside(node.field('alternative'), `!(${condition})`)
      ]
    }
    case 'apply_expression':
      return literalsOfCall(node, conditions)
    default:
      return [{ node, conditions }]
  }
}

function literalsOfCall(node: SyntaxNode, conditions: readonly string[]): Part[] {
  const callee = node.field('function')
  const argument = node.field('argument')
  if (!callee || !argument) return []
  const inner = callee.type === 'apply_expression' ? callee : undefined
  const name = (inner?.field('function') ?? callee).text
  if (!inner && WRAPPERS.test(name)) return literalsOf(argument, conditions)
  if (!inner && /(?:^|\.)mkMerge$/.test(name)) {
    const list = unparenthesized(argument)
    return elementsOf(list).flatMap(it => literalsOf(it, conditions))
  }
  if (inner && CONDITIONAL.test(name)) {
    const all = [...conditions, conditionText(inner.field('argument'))]
    // The argument of `optional` is an item, not a list.
    return /optional$/.test(name)
      ? [{ node: asList(argument), conditions: all }]
      : literalsOf(argument, all)
  }
  if (inner && /(?:^|\.)(?:mkOrder|mkOverride)$/.test(name)) {
    return literalsOf(argument, conditions)
  }
  return []
}

/** A list with a single item. */
function asList(item: SyntaxNode): SyntaxNode {
  const { start, end, text, documentText, parent, size } = item
  return {
    type: 'list_expression',
    start,
    end,
    text,
    documentText,
    isNamed: true,
    parent,
    children: [item],
    size,
    field: () => undefined
  }
}

function conditionText(node: SyntaxNode | undefined): string {
  return node ? unparenthesized(node).text.replace(/\s+/g, ' ') : '?'
}
