import { isConcat, operandsOf } from '../module/lists.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import { endWithComments, nextSibling } from './layout.ts'

/**
 * The edits that remove lists, or calls that return a list, of which no item remains. An operand of `++` is
 * removed with the `++`, and with the comments after it on its line. Any other value becomes `empty`, which
 * is an empty list.
 */
export function removeSpent(spent: readonly SyntaxNode[], empty: string): Edit[] {
  const chains = new Map<SyntaxNode, Set<SyntaxNode>>()
  const edits: Edit[] = []
  for (const node of spent) {
    const operand = operandAround(node)
    if (operand) {
      const chain = chainAround(operand)
      chains.set(chain, (chains.get(chain) ?? new Set()).add(operand))
    } else edits.push(replacement(withParentheses(node), empty))
  }
  return [...edits, ...[...chains].flatMap(([chain, all]) => removeOperands(chain, all, empty))]
}

const WRAPPER = /^(?:parenthesized|let|with)_expression$/

/** The operand of `++` that a node is, also in parentheses, below `let` and `with`. */
function operandAround(node: SyntaxNode): SyntaxNode | undefined {
  let at = node
  for (;;) {
    const { parent } = at
    if (!parent) return undefined
    if (isConcat(parent)) return at
    const body = parent.field('body') ?? parent.field('expression')
    if (!WRAPPER.test(parent.type) || body !== at) return undefined
    at = parent
  }
}

/** The whole chain of `++` that an operand is in. */
function chainAround(operand: SyntaxNode): SyntaxNode {
  let chain = operand.parent ?? operand
  while (chain.parent && isConcat(chain.parent)) chain = chain.parent
  return chain
}

function withParentheses(node: SyntaxNode): SyntaxNode {
  let outer = node
  while (outer.parent?.type === 'parenthesized_expression') outer = outer.parent
  return outer
}

function removeOperands(
  chain: SyntaxNode,
  removed: ReadonlySet<SyntaxNode>,
  empty: string
): Edit[] {
  const operands = operandsOf(chain)
  const firstKept = operands.findIndex(it => !removed.has(it))
  const areJoined = operands.slice(1).every((it, i) => isJoined(operands[i] as SyntaxNode, it))
  if (firstKept === -1 && areJoined) return [replacement(chain, empty)]
  return operands.flatMap((operand, i) => {
    if (!removed.has(operand)) return []
    const isLeading = firstKept === -1 || i < firstKept
    const [before, after] = [operands[i - 1], operands[i + 1]]
    if (!isLeading && before && isJoined(before, operand)) {
      return [deletion(endWithComments(before), endOfLine(operand))]
    }
    if (isLeading && after && firstKept !== -1 && isJoined(operand, after)) {
      return [deletion(operand.start, after.start)]
    }
    return [replacement(operand, empty)]
  })
}

/** Whether only the `++` is between two operands, besides comments after the first on its line. */
function isJoined(one: SyntaxNode, other: SyntaxNode): boolean {
  return /^\s*\+\+\s*$/.test(one.documentText.slice(endWithComments(one), other.start))
}

/** The end of an operand, with the comments after it on its line, also of the last operand. */
function endOfLine(operand: SyntaxNode): number {
  let at = operand
  while (at.parent && !nextSibling(at) && at.parent.end === at.end) at = at.parent
  return endWithComments(at)
}

function deletion(start: number, end: number): Edit {
  return { offset: start, length: end - start, content: '' }
}

function replacement({ start, end }: SyntaxNode, content: string): Edit {
  return { offset: start, length: end - start, content }
}
