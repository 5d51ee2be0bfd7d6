import type { SyntaxNode } from './parser.ts'

/** The value that a `let` around a variable gives it, unless a function's argument hides that. */
export function letValueOf(text: string, variable: SyntaxNode): SyntaxNode | undefined {
  const name = text.slice(variable.start, variable.end)
  for (let at = variable.parent; at; at = at.parent) {
    if (at.type === 'function_expression' && takes(text, at, name)) return undefined
    if (at.type === 'rec_attrset_expression') return undefined
    if (at.type !== 'let_expression') continue
    const bindings = at.children.find(it => it.type === 'binding_set')?.children ?? []
    const all = bindings.filter(it => bindsName(text, it, name))
    const [binding] = all
    if (binding) return all.length === 1 ? plainValueOf(binding) : undefined
  }
  return undefined
}

function takes(text: string, lambda: SyntaxNode, name: string): boolean {
  const spelt = (node: SyntaxNode | undefined) => node && text.slice(node.start, node.end)
  if (spelt(lambda.field('universal')) === name) return true
  const formals = lambda.field('formals')?.children ?? []
  return formals.some(it => it.type === 'formal' && spelt(it.field('name')) === name)
}

/** Whether a binding or an inherit of a `let` gives the name a value, or a part of one. */
function bindsName(text: string, binding: SyntaxNode, name: string): boolean {
  const [first] = binding.field('attrpath')?.children ?? []
  const inherited = binding.field('attrs')?.children ?? []
  const spelt = (node: SyntaxNode) => text.slice(node.start, node.end).replace(/^"(.*)"$/, '$1')
  return (first !== undefined && spelt(first) === name) || inherited.some(it => spelt(it) === name)
}

/** The value of `name = …;`, and nothing for `name.part = …;` or an inherit. */
function plainValueOf(binding: SyntaxNode): SyntaxNode | undefined {
  return binding.field('attrpath')?.children.length === 1 ? binding.field('expression') : undefined
}

/**
 * Whether a variable of this name means something where the node stands: a function's argument, a
 * `let`, or a `with`, which might have any name, gives it one.
 */
export function isInScope(text: string, node: SyntaxNode, name: string): boolean {
  for (let at = node.parent; at; at = at.parent) {
    if (at.type === 'with_expression') return true
    if (at.type === 'function_expression' && takes(text, at, name)) return true
    const bindings = at.type === 'let_expression' ? at.children : []
    const all = bindings.find(it => it.type === 'binding_set')?.children ?? []
    if (all.some(it => bindsName(text, it, name))) return true
  }
  return false
}
