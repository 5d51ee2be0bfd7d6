import { type AttrPath, keysOf, samePath, startsWith } from '../path.ts'
import {
  bindingsOf,
  bindingsOn,
  inheritedOf,
  isSet,
  nameOf,
  namesOf,
  unparenthesized
} from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Place, placeOf } from '../text/lines.ts'
import { combinatorOf } from './combinators.ts'
import { MODULE_ATTRIBUTES, type Module, setFor, unwrapped } from './module.ts'

/** One place in a module that defines an option, or everything below an attribute path. */
export interface Definition {
  /** The names of the option; undefined stands for a computed one, such as `${user}`. */
  path: readonly (string | undefined)[]
  /** The `name = value;`, or the name inside an `inherit`. */
  binding: SyntaxNode
  /** The expression behind `=`; for an `inherit` the name. */
  value: SyntaxNode
  /** The value as it is spelt. */
  source: string
  at: Place
  inherited: boolean
  /**
   * What has to hold for the sets around it to count, as it is spelt: `config.my.on` of an `mkIf`. An
   * `mkIf` around the value itself is part of `source`.
   */
  conditions: readonly string[]
  /** The `mkForce`, `mkDefault`, … around the sets that it lies in, outermost first. */
  priorities: readonly string[]
}

/** What a module says of one attribute path. */
export interface Lookup {
  /** Definitions of the path itself, in source order. */
  exact: readonly Definition[]
  /** Definitions of paths that begin with it. */
  below: readonly Definition[]
  /** Definitions of a path that it begins with, whose value can't be looked into; they may define it. */
  opaque: readonly Definition[]
}

/** A lookup on its way. */
type Found = { [kind in keyof Lookup]: Definition[] }

interface Context {
  conditions: readonly string[]
  priorities: readonly string[]
}

/** The context of what always counts. */
export const ALWAYS: Context = { conditions: [], priorities: [] }

/**
 * All that a module says of an attribute path. `imports` and its like are looked up at the top, all
 * other paths where the module defines its options.
 */
export function lookUp(module: Module, path: AttrPath): Lookup {
  // Planning, joining and proving an edit ask for the same paths.
  const answers = module.answers as Map<string, Lookup>
  const key = keysOf(path).at(-1) ?? ''
  const known = answers.get(key)
  if (known) return known
  const found: Found = { exact: [], below: [], opaque: [] }
  const spelt = inModule(module, path)
  searchSet({ want: spelt, found }, setFor(module, spelt), [], ALWAYS)
  const answer = module.hasConfig ? withoutConfig(found, path) : found
  answers.set(key, answer)
  return answer
}

/** The path as it is spelt from the module's set on. */
export function inModule<Name extends string | undefined>(
  module: Module,
  path: readonly Name[]
): readonly (Name | 'config')[] {
  const isOption = !MODULE_ATTRIBUTES.has(path[0] ?? '')
  return module.hasConfig && isOption ? ['config', ...path] : path
}

function withoutConfig(found: Found, path: AttrPath): Found {
  if (MODULE_ATTRIBUTES.has(path[0] ?? '')) return found
  const strip = (all: Definition[]) =>
    all.map(it => describeDefinition({ ...it, path: it.path.slice(1) }, it))
  return { exact: strip(found.exact), below: strip(found.below), opaque: strip(found.opaque) }
}

/** What is looked for, where, and what was found. */
interface Search {
  want: AttrPath
  found: Found
}

function searchSet(search: Search, set: SyntaxNode, prefix: Names, context: Context): void {
  const { want, found } = search
  const rest = prefix.length === 0 ? want : want.slice(prefix.length)
  const describe = (path: Names, binding: SyntaxNode, value: SyntaxNode, inherited: boolean) =>
    describeDefinition({ path, binding, value, inherited }, context)
  for (const binding of bindingsOn(set, rest)) {
    for (const name of inheritedOf(binding)) {
      const path = [...prefix, nameOf(name)]
      if (mayLead(path, want)) record(found, want, describe(path, name, name, true))
    }
    const value = binding.field('expression')
    if (binding.type !== 'binding' || !value) continue
    const names = namesOf(binding)
    const path = prefix.length === 0 ? names : [...prefix, ...names]
    if (!mayLead(path, want)) continue
    if (path.length >= want.length) {
      record(found, want, describe(path, binding, value, false))
    } else if (!searchValue(search, value, path, context)) {
      found.opaque.push(describe(path, binding, value, false))
    }
  }
}

/** Searches the sets that a value is made of; false if it is not made of sets that can be read. */
function searchValue(search: Search, value: SyntaxNode, path: Names, context: Context): boolean {
  const inner = unwrapped(value)
  if (isSet(inner)) {
    searchSet(search, inner, path, context)
    return true
  }
  const within = (node: SyntaxNode | undefined, more: Partial<Context>) =>
    node !== undefined && searchValue(search, node, path, { ...context, ...more })
  const under = (condition: string) => ({ conditions: [...context.conditions, condition] })

  if (inner.type === 'if_expression') {
    const condition = inner.field('condition')
    const spelling = condition?.text ?? ''
    const then = within(inner.field('consequence'), under(spelling))
    const otherwise = within(inner.field('alternative'), under(`!(${spelling})`))
    return then && otherwise
  }
  if (inner.type === 'binary_expression' && inner.field('operator')?.type === '//') {
    const left = within(inner.field('left'), under('not overridden by //'))
    const right = within(inner.field('right'), {})
    return left && right
  }
  const combinator = combinatorOf(inner)
  switch (combinator?.kind) {
    case undefined:
      return false
    case 'condition':
      return within(combinator.value, under(combinator.condition.text))
    case 'priority': {
      const { callee, args } = combinator.call
      const [first, second] = args
      const label = second && first ? `${callee} ${unparenthesized(first).text}` : callee
      return within(combinator.value, { priorities: [...context.priorities, label] })
    }
    case 'merge': {
      const results = combinator.values.map(it => within(it, {}))
      return results.every(it => it)
    }
  }
}

/** Whether a binding of `path` may say something of `want`: as far as both go, no name differs. */
function mayLead(path: readonly (string | undefined)[], want: AttrPath): boolean {
  const common = Math.min(path.length, want.length)
  for (let i = 0; i < common; i++) {
    if (path[i] !== undefined && path[i] !== want[i]) return false
  }
  return true
}

function record(found: Found, want: AttrPath, definition: Definition): void {
  const { path } = definition
  if (samePath(path, want)) found.exact.push(definition)
  else if (startsWith(path, want)) found.below.push(definition)
  else found.opaque.push(definition)
}

/** Where a definition is. */
type DefinitionParts = Pick<Definition, 'path' | 'binding' | 'value' | 'inherited'>

export function describeDefinition(parts: DefinitionParts, context: Context): Definition {
  return new DefinitionInText(parts, context)
}

class DefinitionInText implements Definition {
  readonly path: Names
  readonly binding: SyntaxNode
  readonly value: SyntaxNode
  readonly source: string
  readonly inherited: boolean
  readonly conditions: readonly string[]
  readonly priorities: readonly string[]

  constructor({ path, binding, value, inherited }: DefinitionParts, context: Context) {
    this.path = path
    this.binding = binding
    this.value = value
    this.source = value.text
    this.inherited = inherited
    this.conditions = context.conditions
    this.priorities = context.priorities
  }

  // Lines are counted from the top of the text, and few definitions are shown to anybody.
  get at(): Place {
    return placeOf(this.binding.documentText, this.binding.start)
  }
}

type Names = readonly (string | undefined)[]

/** A definition that no other lies in: what it gives is no set that is written out. */
export interface Leaf {
  /** The names of the option; undefined stands for a computed one. */
  path: Names
  value: SyntaxNode
}

/**
 * All that a module defines, in source order, whether it counts always or under a condition: sets
 * are opened, also those inside `mkIf`, `mkMerge` and their like. An empty set is a leaf.
 */
export function leavesOf(module: Module): Leaf[] {
  const leaves = module.sets.flatMap(set => leavesOfSet(set, []))
  return leaves.map(it => ({ ...it, path: asOption(module, it.path) }))
}

/** The path without the `config` that options stand in. */
function asOption(module: Module, path: Names): Names {
  const rest = path.slice(1)
  const isInside = module.hasConfig && path[0] === 'config' && rest.length > 0
  // What `config` holds by the name of a module's attribute has no other path.
  return isInside && inModule(module, rest).length === path.length ? rest : path
}

function leavesOfSet(set: SyntaxNode, prefix: Names): Leaf[] {
  return bindingsOf(set).flatMap(binding => {
    const value = binding.field('expression')
    return binding.type === 'binding' && value
      ? leavesOfValue(value, [...prefix, ...namesOf(binding)])
      : inheritedOf(binding).map(it => ({ path: [...prefix, nameOf(it)], value: it }))
  })
}

function leavesOfValue(value: SyntaxNode, path: Names): Leaf[] {
  const inner = unwrapped(value)
  if (isSet(inner)) {
    const leaves = leavesOfSet(inner, path)
    return leaves.length > 0 ? leaves : [{ path, value }]
  }
  const parts = componentsOf(inner)
  const leaves = parts.flatMap(it => leavesOfValue(it, path))
  return leaves.some(it => it.path.length > path.length) ? leaves : [{ path, value }]
}

/** The values that one is put together from, or is one of. */
function componentsOf(value: SyntaxNode): readonly SyntaxNode[] {
  const fields = (...names: string[]) =>
    names.map(it => value.field(it)).filter(it => it !== undefined)
  if (value.type === 'if_expression') return fields('consequence', 'alternative')
  if (value.type === 'binary_expression' && value.field('operator')?.type === '//') {
    return fields('left', 'right')
  }
  const combinator = combinatorOf(value)
  if (!combinator) return []
  return combinator.kind === 'merge' ? combinator.values : [combinator.value]
}
