// What the variables of a file stand for, as far as our options are concerned.

import { type AttrPath, type NixDocument, SKIP, type SyntaxNode, visit } from '../../nix/index.ts'
import { inheritedOf, nameOf, namesOf, unparenthesised } from '../../nix/syntax/shape.ts'

/** Names in a row; undefined for what is computed. */
export type Names = readonly (string | undefined)[]

/** What the variables of a file stand for. By name alone: two of one name are taken for one. */
export interface Scope {
  /** The names that an expression selects, from the outermost on; those of a variable spelt out. */
  pathOf(node: SyntaxNode): Names
  /** Variables whose value is read from an option of ours. */
  gone: ReadonlyMap<string, AttrPath>
  /** Variables that are the value of a set which has options of ours among others. */
  sets: ReadonlyMap<string, AttrPath>
}

/** The scope of a whole file, with regard to these options. */
export function readScope(doc: NixDocument, options: readonly AttrPath[]): Scope {
  const { text } = doc
  const aliases = new Map<string, Names>()
  const gone = new Map<string, AttrPath>()
  const sets = new Map<string, AttrPath>()
  const pathOf = (node: SyntaxNode): Names => {
    const inner = unparenthesised(node)
    if (inner.type === 'variable_expression') {
      const name = text.slice(inner.start, inner.end)
      return aliases.get(name) ?? [name]
    }
    const from = inner.type === 'select_expression' ? inner.field('expression') : undefined
    return from ? [...pathOf(from), ...namesOf(text, inner)] : []
  }
  const learn = (name: string | undefined, names: Names, isFull: boolean) => {
    if (name === undefined || names.length < 2) return
    aliases.set(name, names)
    const found = options.find(it => contains(names, it))
    if (found && isFull) gone.set(name, found)
  }
  const learnLet = (binding: SyntaxNode) => {
    const [name, ...more] = namesOf(text, binding)
    const value = binding.field('expression')
    const inner = value && unparenthesised(value)
    if (inner?.type !== 'select_expression' || more.length > 0) return
    learn(name, pathOf(inner), inner.field('default') === undefined)
  }
  const learnSet = (binding: SyntaxNode, ancestors: readonly SyntaxNode[]) => {
    const bindings = [...ancestors.filter(it => it.type === 'binding'), binding]
    const path = bindings.flatMap(it => namesOf(text, it))
    const value = binding.field('expression')
    const prefix = longestPrefix(path, options)
    if (value && prefix) for (const it of spineVariables(text, value)) sets.set(it, prefix)
  }
  const learnInherited = (node: SyntaxNode) => {
    const from = node.field('expression')
    for (const it of inheritedOf(node)) {
      const name = nameOf(text, it)
      if (from) learn(name, [...pathOf(from), name], true)
    }
  }
  const learnWith = (node: SyntaxNode) => {
    const environment = node.field('environment')
    const names = environment ? pathOf(environment) : []
    const isTop = names.length === 1 && /^(?:os|nixos)?[cC]onfig$|^options$/.test(names[0] ?? '')
    for (const option of options) {
      const prefix = longestPrefix(names, [option])
      const next = prefix ? option[prefix.length] : isTop ? option[0] : undefined
      if (next !== undefined) learn(next, [...names, next], true)
    }
  }
  visit(doc, (node, ancestors) => {
    const isInLet = ancestors.at(-2)?.type === 'let_expression'
    if (node.type === 'binding' && isInLet) learnLet(node)
    else if (node.type === 'binding') learnSet(node, ancestors)
    else if (node.type === 'inherit_from' && isInLet) learnInherited(node)
    else if (node.type === 'with_expression') learnWith(node)
    return undefined
  })
  return { pathOf, gone, sets }
}

/** The longest beginning of one of the options, but no whole one, that the names end with. */
function longestPrefix(names: Names, options: readonly AttrPath[]): AttrPath | undefined {
  let longest: AttrPath | undefined
  for (const option of options) {
    for (let size = option.length - 1; size > (longest?.length ?? 0); size--) {
      const prefix = option.slice(0, size)
      const tail = names.slice(-size)
      if (tail.length === size && prefix.every((name, i) => tail[i] === name)) longest = prefix
    }
  }
  return longest
}

/** The variables that a value is made of, and not what is defined or selected inside it. */
function spineVariables(text: string, value: SyntaxNode): string[] {
  const names: string[] = []
  visit(value, node => {
    if (node.type === 'binding' || node.type === 'select_expression') return SKIP
    if (node.type === 'variable_expression') names.push(text.slice(node.start, node.end))
    return undefined
  })
  return names
}

/** Whether the names of an option stand in a row anywhere among these. */
export function contains(names: Names, option: AttrPath): boolean {
  return names.some((_, start) => isAt(names, option, start))
}

/** Whether the names of an option stand there from `start` on. */
export function isAt(names: Names, option: AttrPath, start: number): boolean {
  return option.every((name, i) => names[start + i] === name)
}
