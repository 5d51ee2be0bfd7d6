// From text to a tree, also where Nix bindsArgument what the grammar does not know.

import type { Edit } from '../text/edits.ts'
import { Node, pushAll, rerun, run, type SyntaxNode } from './tree.ts'

/**
 * A place that the parser could not make sense of, or that it is known to read otherwise than Nix
 * (`misread`).
 */
export interface SyntaxFault {
  start: number
  end: number
  /** What the parser wanted there; absent if it met something that it did not want. */
  missing?: string
  misread?: true
  /** The parser gave up: the text bindsArgument more time than any configuration. */
  tooHard?: true
}

/**
 * Text that Nix accepts and this grammar does not, replaced by text of the same length for the
 * parser's eyes only. What lies on the two sides of a `pipe` binds differently in the tree than in
 * Nix; the other kinds leave the tree as it should be.
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
 * Parses any text; a text that is not Nix gives a tree with `faults`, never an exception. An empty
 * text is a fault: a Nix file holds one expression.
 *
 * `from` is a document that the text was made from by edits; what they left alone is not parsed
 * again. The result is the same with and without it.
 */
export function parse(
  text: string,
  from?: { tree: SyntaxTree; edits: readonly Edit[] }
): SyntaxTree {
  const old = from?.tree.root
  const isKept = old instanceof Node && old.tree.isKept && from?.tree.workarounds.length === 0
  const tree = isKept ? rerun(text, old, from.edits) : run(text)
  if (!tree) return timedOut(text)
  if (!tree.hasError) return finish(tree, [])

  let workarounds = findCandidates(text)
  if (workarounds.length === 0) return finish(tree, [])
  let mended = run(replaceAll(text, workarounds), text)
  if (!mended) return timedOut(text)
  const root = mended
  const fitting = workarounds.filter(it => fits(root, it))
  if (fitting.length < workarounds.length) {
    workarounds = fitting
    mended = run(replaceAll(text, workarounds), text)
    if (!mended) return timedOut(text)
  }
  // Where other faults remain, what the user wrote is the better ground for messages.
  return mended.hasError ? finish(tree, []) : finish(mended, workarounds)
}

function timedOut(text: string): SyntaxTree {
  const root = run('', text) as Node
  return {
    root,
    faults: [{ start: 0, end: Math.min(1, text.length), tooHard: true }],
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

/** In `a //b` the grammar sees a path `//b`, and Nix the operator `//`. */
function findMisread(root: Node): SyntaxFault[] {
  const faults: SyntaxFault[] = []
  let node = root
  for (const { index } of root.documentText.matchAll(/(?<!:)\/\//g)) {
    // From one to the next it is never far, also in a tree that is deep.
    while (node.parent && node.end < index + 2) node = node.parent
    node = node.nodeAt(index, index + 2)
    if (node.type === 'path_fragment') faults.push({ start: index, end: index + 2, misread: true })
  }
  return faults
}

const COMMENT = String.raw`(?:\s|#[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*`
const GAPS: { kind: ParserWorkaround['kind']; pattern: RegExp; stand: string }[] = [
  { kind: 'comma', pattern: new RegExp(`,(?=${COMMENT}\\})`, 'g'), stand: ' ' },
  { kind: 'pipe', pattern: /\|>|<\|/g, stand: '++' },
  {
    kind: 'inherit',
    pattern: new RegExp(`\\binherit${COMMENT}(?:\\([^()]*\\)${COMMENT})?;`, 'g'),
    stand: ' '
  },
  // A quote between two interpolations of an indented string.
  { kind: 'quote', pattern: /(?<!')'(?=\$\{)/g, stand: '_' }
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
    const stand = GAPS.find(gap => gap.kind === kind)?.stand ?? ' '
    pieces.push(text.slice(done, start), stand.repeat((end - start) / stand.length))
    done = end
  }
  pieces.push(text.slice(done))
  return pieces.join('')
}

/** Whether the stand-in landed in code of the kind it is for, and not in a string or a comment. */
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
