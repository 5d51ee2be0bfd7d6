import type { SyntaxNode } from '../syntax/parser.ts'
import { callOf } from '../syntax/shape.ts'
import { bare, isExpr, type NixValue } from '../values.ts'
import { unwrapped } from './module.ts'

/**
 * What `setIn` replaces: not the `mkForce` around a value, since that is what makes it win, unless
 * the new value is such a call itself.
 */
export function settable(text: string, written: SyntaxNode, value: NixValue): SyntaxNode {
  const call = callOf(text, unwrapped(written))
  const last = call?.args.at(-1)
  const plain = bare(value)
  const isOwn = isExpr(plain) && /^[\w.']*\bmk[A-Z]\w*\s/.test(plain.source)
  return call && last && WINNING.has(call.name) && !isOwn ? last : written
}

const WINNING = new Set(['mkForce', 'mkOverride', 'mkVMOverride', 'mkImageMediaOverride'])
