// Turns a value under a condition into a part of a `mkMerge`.

import { insideAny, type Range } from '../errors.ts'
import { type AttrPath, formatPath } from '../path.ts'
import { isComment } from '../syntax/nodes.ts'
import { pushAll, type SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { indentAt } from '../text/lines.ts'
import type { NixValue } from '../values.ts'
import { layoutAt } from './layout.ts'
import { isOneLine } from './placement.ts'
import { type Layout, printBinding, printInline } from './print.ts'

/** Prints a part of a `mkMerge` in a layout; on one line for undefined. */
export type PrintPart = (layout: Layout | undefined) => string

/** A set with one attribute as a part of a `mkMerge`. */
export function setWith(root: SyntaxNode, path: AttrPath, value: NixValue): PrintPart {
  const attrpath = formatPath(path)
  return layout => {
    if (!layout) return `{ ${attrpath} = ${printInline(value, layoutAt(root, '').tightLists)}; }`
    const inner = { ...layout, indent: layout.indent + layout.unit }
    const { eol } = layout
    return `{${eol}${inner.indent}${printBinding(attrpath, value, inner)}${eol}${layout.indent}}`
  }
}

/**
 * The edits that turn a value into `callee [ (VALUE) PART ]`: on one line if the value is, otherwise over
 * lines, with the lines of the value indented one level more.
 */
export function mergeWith(value: SyntaxNode, callee: string, part: PrintPart): Edit[] {
  const text = value.documentText
  const insert = (offset: number, content: string) => ({ offset, length: 0, content })
  if (isOneLine(value)) {
    return [insert(value.start, `${callee} [ (`), insert(value.end, `) ${part(undefined)} ]`)]
  }
  const outer = layoutAt(rootOf(value), indentAt(text, value.start))
  const inner = { ...outer, indent: outer.indent + outer.unit }
  return [
    insert(value.start, `${callee} [${outer.eol}${inner.indent}(`),
    ...linesToIndent(value, outer.unit).map(it => insert(it, outer.unit)),
    insert(value.end, `)${outer.eol}${inner.indent}${part(inner)}${outer.eol}${outer.indent}]`)
  ]
}

function rootOf(node: SyntaxNode): SyntaxNode {
  let root = node
  while (root.parent) root = root.parent
  return root
}

/**
 * The starts of the lines of a node, except the first one and blank ones, that can be indented by `unit`
 * without changing a value.
 */
function linesToIndent(node: SyntaxNode, unit: string): number[] {
  const text = node.documentText
  const isKept = insideAny(textsToKeep(node, unit))
  const starts: number[] = []
  for (let at = text.indexOf('\n', node.start) + 1; at > 0 && at < node.end; ) {
    const isBlank = /^\r?\n/.test(text.slice(at, at + 2))
    if (!isBlank && !isKept({ start: at, end: at })) starts.push(at)
    at = text.indexOf('\n', at) + 1
  }
  return starts
}

/** The comments in a node, and the text of the strings whose lines can't be indented. */
function textsToKeep(node: SyntaxNode, unit: string): Range[] {
  const kept: Range[] = []
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (isOneLine(at)) continue
    if (isComment(at)) kept.push({ start: at.start + 1, end: at.end - 1 })
    if (/string_expression$/.test(at.type) && !canIndent(at, unit)) {
      let start = at.start + 1
      for (const hole of at.children.filter(it => it.type === 'interpolation')) {
        kept.push({ start, end: hole.start })
        start = hole.end
      }
      kept.push({ start, end: at.end })
    }
    pushAll(stack, at.children)
  }
  return kept
}

/** Whether Nix removes an indentation of all lines of a string again: not if its first line has text. */
function canIndent(string: SyntaxNode, unit: string): boolean {
  return /^''[ ]*\n/.test(string.text) && /^ +$/.test(unit) && !string.text.includes('\r')
}
