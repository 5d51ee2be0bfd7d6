// Parses a text, including syntax that Nix accepts but the grammar does not.

import type { Edit } from '../text/edits.ts'
import { Node, parseTree, pushAll, reparseTree, type SyntaxNode } from './tree.ts'

/** A place that the parser can't parse, or reads differently from Nix (`misread`). */
export interface SyntaxFault {
  start: number
  end: number
  /** The token that is missing; absent if the parser found an unexpected token instead. */
  missing?: string
  misread?: true
  /** The parser timed out. */
  timedOut?: true
}

/**
 * Text that Nix accepts but the grammar does not. The parser reads a replacement of the same length. For
 * a `pipe`, the operands have another precedence in the tree than in Nix; for other kinds, the tree is
 * correct.
 */
export interface ParserWorkaround {
  kind: 'comma' | 'pipe' | 'inherit' | 'quote'
  start: number
  end: number
}

export interface SyntaxTree {
  root: SyntaxNode
  faults: SyntaxFault[]
  workarounds: ParserWorkaround[]
}

/**
 * Parses any text. If it is not Nix, the tree has `faults`; there is never an exception. An empty text
 * is a fault: a Nix file contains one expression.
 *
 * `from` is a tree and the edits that turn its text into `text`: only the changed parts are then parsed.
 * The result is the same with and without `from`.
 */
export function parse(
  text: string,
  from?: { tree: SyntaxTree; edits: readonly Edit[] }
): SyntaxTree {
  const before = from?.tree.root
  const canReuse =
    before instanceof Node && before.tree.isInMemory && from?.tree.workarounds.length === 0
  const tree = canReuse ? reparseTree(text, before, from.edits) : parseTree(text)
  if (!tree) return timeoutTree(text)
  if (!tree.hasError) return finish(tree, [])

  let workarounds = findCandidates(text)
  if (workarounds.length === 0) return finish(tree, [])
  let reparsed = parseTree(replaceAll(text, workarounds), text)
  if (!reparsed) return timeoutTree(text)
  const root = reparsed
  const fitting = workarounds.filter(it => fits(root, it))
  if (fitting.length < workarounds.length) {
    workarounds = fitting
    reparsed = parseTree(replaceAll(text, workarounds), text)
    if (!reparsed) return timeoutTree(text)
  }
  // If other faults remain, messages should be about the original text.
  return reparsed.hasError ? finish(tree, []) : finish(reparsed, workarounds)
}

function timeoutTree(text: string): SyntaxTree {
  const root = parseTree('', text) as Node
  return {
    root,
    faults: [{ start: 0, end: Math.min(1, text.length), timedOut: true }],
    workarounds: []
  }
}

function finish(root: Node, workarounds: ParserWorkaround[]): SyntaxTree {
  const faults = root.hasError ? findFaults(root) : []
  if (faults.length === 0 && root.children.every(it => it.type === 'comment')) {
    faults.push({ start: root.end, end: root.end, missing: 'an expression' })
  }
  return { root, faults: faults.length > 0 ? faults : findMisread(root), workarounds }
}

function findFaults(root: Node): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { start, end } = node
    if (node.isMissing) faults.push({ start, end, missing: node.type })
    else if (node.type === 'ERROR') faults.push({ start, end })
    else if (node.hasError) pushAll(stack, node.children)
  }
  return faults
}

/** Finds each `a //b`: the grammar reads a path `//b` there, but Nix the operator `//`. */
function findMisread(root: Node): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  let node = root
  for (const { index } of root.documentText.matchAll(/(?<!:)\/\//g)) {
    // Start from the previous node, which is near: starting from the root is slow in a deep tree.
    while (node.parent && node.end < index + 2) node = node.parent
    node = node.nodeAt(index, index + 2)
    if (node.type === 'path_fragment') faults.push({ start: index, end: index + 2, misread: true })
  }
  return faults
}

const COMMENT = String.raw`(?:\s|#[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*`
const GAPS: { kind: ParserWorkaround['kind']; pattern: RegExp; replacement: string }[] = [
  { kind: 'comma', pattern: new RegExp(`,(?=${COMMENT}\\})`, 'g'), replacement: ' ' },
  { kind: 'pipe', pattern: /\|>|<\|/g, replacement: '++' },
  {
    kind: 'inherit',
    pattern: new RegExp(`\\binherit${COMMENT}(?:\\([^()]*\\)${COMMENT})?;`, 'g'),
    replacement: ' '
  },
  // A quote between two interpolations of an indented string.
  { kind: 'quote', pattern: /(?<!')'(?=\$\{)/g, replacement: '_' }
]

function findCandidates(text: string): ParserWorkaround[] {
  return GAPS.flatMap(({ kind, pattern }) =>
    [...text.matchAll(pattern)].map(it => ({
      kind,
      start: it.index,
      end: it.index + it[0].length
    }))
  ).sort((a, b) => a.start - b.start)
}

function replaceAll(text: string, workarounds: ParserWorkaround[]): string {
  const pieces: string[] = []
  let done = 0
  for (const { kind, start, end } of workarounds) {
    const replacement = GAPS.find(gap => gap.kind === kind)?.replacement ?? ' '
    pieces.push(text.slice(done, start), replacement.repeat((end - start) / replacement.length))
    done = end
  }
  pieces.push(text.slice(done))
  return pieces.join('')
}

/** Whether a workaround is in the code that it is meant for, and not in a string or a comment. */
function fits(root: Node, { kind, start, end }: ParserWorkaround): boolean {
  const node = root.nodeAt(start, end)
  if (kind === 'comma') return node.type === 'formals'
  if (kind === 'quote') {
    return node.type === 'string_fragment' && node.parent?.type === 'indented_string_expression'
  }
  if (kind === 'pipe') return node.type === '++' && node.parent?.type === 'binary_expression'
  return ['binding_set', 'attrset_expression', 'rec_attrset_expression', 'let_expression'].includes(
    node.type
  )
}
