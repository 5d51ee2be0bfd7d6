import type { ComputedCode } from '../errors.ts'
import type { SyntaxNode } from './tree.ts'

/** The code of an error about a value that has no literal to edit, by the kind of its expression. */
export function computedCodeOf(value: SyntaxNode): ComputedCode {
  const { type } = value
  if (type === 'variable_expression' || type === 'select_expression') return 'VARIABLE'
  if (type === 'apply_expression') return 'CALL'
  if (type === 'function_expression') return 'FUNCTION'
  return value.field('operator')?.type === '//' ? 'UPDATE_OPERATOR' : 'COMPUTED_VALUE'
}
