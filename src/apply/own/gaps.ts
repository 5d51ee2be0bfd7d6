// Which blanks may have stood where something was written since.

import type { SyntaxNode } from '../../nix/index.ts'

/** The blanks that may have stood where a node stands with the blanks around it. */
export function gapsAround(text: string, node: SyntaxNode): string[] {
  const { before, behind, eol } = blanksAround(text, node)
  const lines = (before + behind).split(eol).length - 1
  const indent = lastLine(behind)
  return [
    behind,
    ...suffixes(behind, eol),
    ...Array.from({ length: lines }, (_, i) => eol.repeat(i + 1) + indent),
    ...suffixes(before, eol),
    before,
    ' ',
    ''
  ]
}

/** The gap of a first binding: seldom an empty line, and none at all where the last one has none. */
export function firstGaps(text: string, node: SyntaxNode): string[] {
  const { behind, eol } = blanksAround(text, node)
  const set = node.parent?.parent
  const end = text.slice(0, (set?.end ?? 1) - 1)
  const closesInLine = set?.type.endsWith('attrset_expression') && !/\n[ \t]*$/.test(end)
  const line = eol + lastLine(behind)
  return closesInLine ? [' ', line] : [line]
}

/** The blanks behind a binding without the line end that parts it from what shared its place's line. */
export function sharedLine(text: string, node: SyntaxNode): string[] {
  const { behind, eol } = blanksAround(text, node)
  const set = node.parent?.parent
  const line = text.slice(text.lastIndexOf('\n', set?.start ?? 0) + 1)
  const broken = eol + (/^[ \t]*/.exec(line)?.[0] ?? '')
  const rest = behind.slice(broken.length)
  return behind.startsWith(broken) && rest !== '' && !rest.includes('\n') ? [rest] : []
}

/** The blanks before and behind a node, and the line end that its text has. */
export function blanksAround(
  text: string,
  node: SyntaxNode
): { before: string; behind: string; eol: string } {
  const offset = text.slice(0, node.start).trimEnd().length
  const behind = /^\s*/.exec(text.slice(node.end))?.[0] ?? ''
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  return { before: text.slice(offset, node.start), behind, eol }
}

function lastLine(blanks: string): string {
  return blanks.slice(blanks.lastIndexOf('\n') + 1)
}

/** What is left of blanks without their first line, first two lines, and so on. */
function suffixes(blanks: string, eol: string): string[] {
  const lines = blanks.split(eol)
  return lines.slice(1).map((_, i) => lines.slice(i + 1).join(eol))
}
