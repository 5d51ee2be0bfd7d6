import { NOT_OVERRIDDEN, OVERRIDDEN } from '../messages/definitions.ts'
import { type AttrPath, keysOf, samePath, startsWith } from '../path.ts'
import {
  attrsOf,
  bindingsOf,
  bindingsOn,
  inheritedOf,
  isSet,
  mayBeNamed,
  nameOf,
  namesOf
} from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { type Place, placeOf } from '../text/lines.ts'
import { combinatorOf, labelOf, partsOf } from './combinators.ts'
import type { Definition } from './definition.ts'
import { itemsOf } from './lists.ts'
import {
  findAttributes,
  type InlineModule,
  MODULE_ATTRIBUTES,
  type Module,
  submoduleIn,
  unwrapped
} from './module.ts'
import { isUpdate, type Overriding, operandsOfUpdate, overridingOf } from './updates.ts'

export type { Definition } from './definition.ts'

/** The definitions of a module that concern one attribute path. */
export interface Lookup {
  /** Definitions of the path itself, in source order. */
  exact: readonly Definition[]
  /** Definitions of longer paths that begin with it. */
  below: readonly Definition[]
  /** Definitions of a prefix of the path whose value can't be read, so that they may define the path. */
  opaque: readonly Definition[]
}

/** A lookup in progress. */
type PartialLookup = { [kind in keyof Lookup]: Definition[] }

type Context = Pick<Definition, 'conditions' | 'priorities' | 'modules'>

/** The context of definitions that always apply. */
export const ALWAYS: Context = { conditions: [], priorities: [], modules: [] }

/**
 * Finds the definitions of an attribute path. `imports` and other attributes of the module itself are
 * looked up at the top level. All other paths are looked up where the module defines its options.
 */
export function lookUp(module: Module, path: AttrPath): Lookup {
  // Cached, because planning, batching and verifying an edit look up the same paths.
  const answers = module.answers as Map<string, Lookup>
  const key = keysOf(path).at(-1) ?? ''
  const known = answers.get(key)
  if (known) return known
  const own = lookUpIn(module, path, ALWAYS)
  const isOption = module.isModule && !MODULE_ATTRIBUTES.has(path[0] ?? '')
  const others = (isOption ? inlineModulesOf(module) : []).map(it =>
    lookUpIn(it.module, path, { ...ALWAYS, conditions: it.conditions, modules: it.nodes })
  )
  const answer = others.reduce(merged, own)
  answers.set(key, answer)
  return answer
}

/** Finds the definitions in a module itself. */
function lookUpIn(module: Module, path: AttrPath, context: Context): PartialLookup {
  const found: PartialLookup = { exact: [], below: [], opaque: [] }
  const fullPath = inModule(module, path)
  const [only, ...others] = module.sets
  const search = { want: fullPath, found }
  if (only && others.length === 0) searchSet(search, only, [], context)
  else searchValue(search, module.body, [], context)
  return module.hasConfig ? withoutConfig(found, path) : found
}

function merged(one: PartialLookup, other: PartialLookup): PartialLookup {
  const both = (kind: keyof PartialLookup) =>
    [...one[kind], ...other[kind]].sort((a, b) => a.binding.start - b.binding.start)
  return { exact: both('exact'), below: both('below'), opaque: both('opaque') }
}

/** The modules that are written as items of `imports`, in source order, also those in their `imports`. */
export function inlineModulesOf(module: Module): readonly InlineModule[] {
  module.inlineModules ??= findInlineModules(module, { module, nodes: [], conditions: [] })
  return module.inlineModules
}

function findInlineModules(module: Module, around: InlineModule): InlineModule[] {
  if (!module.isModule) return []
  const items = lookUp(module, ['imports']).exact.flatMap(({ value, inherited, conditions }) =>
    inherited
      ? []
      : itemsOf(value).map(it => ({
          item: it.item,
          conditions: [...around.conditions, ...conditions, ...it.conditions]
        }))
  )
  return items.flatMap(({ item, conditions }) => {
    const inner = isPath(item) ? undefined : findAttributes(item)
    if (!inner?.ok) return []
    const found = { module: inner.value, nodes: [...around.nodes, item], conditions }
    return [found, ...findInlineModules(inner.value, found)]
  })
}

function isPath(item: SyntaxNode): boolean {
  return item.type === 'path_expression'
}

/** The path relative to the module's set: it begins with `config` if the module has `config`. */
export function inModule<Name extends string | undefined>(
  module: Module,
  path: readonly Name[]
): readonly (Name | 'config')[] {
  const isOption = !MODULE_ATTRIBUTES.has(path[0] ?? '')
  return module.hasConfig && isOption ? ['config', ...path] : path
}

function withoutConfig(found: PartialLookup, path: AttrPath): PartialLookup {
  if (MODULE_ATTRIBUTES.has(path[0] ?? '')) return found
  const strip = (all: Definition[]) =>
    all.map(it => describeDefinition({ ...it, path: it.path.slice(1) }, it))
  return { exact: strip(found.exact), below: strip(found.below), opaque: strip(found.opaque) }
}

/** The path that is looked for, and the definitions found so far. */
interface Search {
  want: AttrPath
  found: PartialLookup
}

function searchSet(search: Search, set: SyntaxNode, prefix: Names, context: Context): void {
  const { want, found } = search
  const rest = prefix.length === 0 ? want : want.slice(prefix.length)
  const describe = (path: Names, binding: SyntaxNode, value: SyntaxNode, inherited: boolean) =>
    describeDefinition({ path, binding, value, inherited }, context)
  for (const binding of bindingsOn(set, rest)) {
    for (const name of inheritedOf(binding)) {
      const path = [...prefix, nameOf(name)]
      if (mayConcern(path, want)) record(found, want, describe(path, name, name, true))
    }
    const value = binding.field('expression')
    if (binding.type !== 'binding' || !value) continue
    const names = namesOf(binding)
    const path = prefix.length === 0 ? names : [...prefix, ...names]
    if (!mayConcern(path, want) || !mayHaveNames(binding, names, rest)) continue
    if (path.length >= want.length) {
      record(found, want, describe(path, binding, value, false))
    } else if (!searchValue(search, value, path, context)) {
      found.opaque.push(describe(path, binding, value, false))
    }
  }
}

/** Searches the sets that a value consists of; false if a part of the value is not a readable set. */
function searchValue(search: Search, value: SyntaxNode, path: Names, context: Context): boolean {
  const inner = unwrapped(value)
  if (isSet(inner)) {
    searchSet(search, inner, path, context)
    return true
  }
  const within = (node: SyntaxNode | undefined, more: Partial<Context>) =>
    node !== undefined && searchValue(search, node, path, { ...context, ...more })
  const under = (condition: string) => ({ conditions: [...context.conditions, condition] })

  if (inner.type === 'function_expression') return searchFunction(search, inner, path, context)
  if (inner.type === 'if_expression') {
    const condition = inner.field('condition')
    const source = condition?.text ?? ''
    const then = within(inner.field('consequence'), under(source))
    const otherwise = within(inner.field('alternative'), under(`!(${source})`))
    return then && otherwise
  }
  if (isUpdate(inner)) {
    const operands = operandsOfUpdate(inner)
    const states = overridingOf(operands, search.want[path.length])
    const results = operands.map((it, i) => within(it, conditionOf(states[i], context)))
    return results.every(it => it)
  }
  const combinator = combinatorOf(inner)
  switch (combinator?.kind) {
    case undefined:
      return false
    case 'condition':
      return within(combinator.value, under(combinator.condition.text))
    case 'priority': {
      const label = labelOf(combinator.call)
      return within(combinator.value, { priorities: [...context.priorities, label] })
    }
    case 'merge': {
      const results = combinator.values.map(it => within(it, {}))
      return results.every(it => it)
    }
  }
}

/** The context of an operand of `//`, by whether a later operand overrides it. */
function conditionOf(state: Overriding | undefined, { conditions }: Context): Partial<Context> {
  if (state === 'applies') return {}
  return { conditions: [...conditions, state === 'overridden' ? OVERRIDDEN : NOT_OVERRIDDEN] }
}

/** The definitions of a lookup without those that a later operand of `//` overrides in any case. */
export function effectiveIn(found: Lookup): Lookup {
  const isEffective = (it: Definition) => !it.conditions.includes(OVERRIDDEN)
  if ([...found.exact, ...found.below].every(isEffective)) return found
  return {
    exact: found.exact.filter(isEffective),
    below: found.below.filter(isEffective),
    opaque: found.opaque
  }
}

/** Searches the set that a function of one argument returns, as the module system does. */
function searchFunction(
  search: Search,
  lambda: SyntaxNode,
  path: Names,
  context: Context
): boolean {
  const set = submoduleIn(lambda)
  if (!set) return false
  searchSet(search, set, path, { ...context, modules: [...context.modules, lambda] })
  return true
}

/** Whether `path` may be equal to `want`, a prefix of it, or below it. */
function mayConcern(path: readonly (string | undefined)[], want: AttrPath): boolean {
  const common = Math.min(path.length, want.length)
  for (let i = 0; i < common; i++) {
    if (path[i] !== undefined && path[i] !== want[i]) return false
  }
  return true
}

/** Whether the computed names of a binding may be those at the same place of a path. */
function mayHaveNames(binding: SyntaxNode, names: Names, path: AttrPath): boolean {
  if (!names.includes(undefined)) return true
  const attrs = attrsOf(binding).slice(0, path.length)
  return attrs.every((it, i) => mayBeNamed(it, path[i] as string))
}

function record(found: PartialLookup, want: AttrPath, definition: Definition): void {
  const { path } = definition
  if (samePath(path, want)) found.exact.push(definition)
  else if (startsWith(path, want)) found.below.push(definition)
  else found.opaque.push(definition)
}

/** What a definition is created from, besides its context. */
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
  readonly modules: readonly SyntaxNode[]

  constructor({ path, binding, value, inherited }: DefinitionParts, context: Context) {
    this.path = path
    this.binding = binding
    this.value = value
    this.source = value.text
    this.inherited = inherited
    this.conditions = context.conditions
    this.priorities = context.priorities
    this.modules = context.modules
  }

  // Computed on demand, because counting lines takes time and few definitions are shown.
  get at(): Place {
    return placeOf(this.binding.documentText, this.binding.start)
  }
}

/**
 * A definition as one definition for each value that it merges or makes conditional: two for
 * `x = mkMerge [ (mkIf c "a") (mkIf (!c) "b") ];`. Just the definition if it has no condition of its own.
 */
export function partsOfDefinition(definition: Definition): Definition[] {
  if (definition.inherited) return [definition]
  const parts = partsOf(definition.value)
  if (parts.length === 1 && parts[0]?.value === definition.value) return [definition]
  return parts.map(({ value, conditions, priorities }) =>
    describeDefinition(
      { ...definition, value },
      {
        ...definition,
        conditions: [...definition.conditions, ...conditions],
        priorities: [...definition.priorities, ...priorities]
      }
    )
  )
}

/** All parts of the binding that contains a part. */
export function partsOfBinding(part: Definition): Definition[] {
  const value = part.binding.field('expression') ?? part.value
  return partsOfDefinition(describeDefinition({ ...part, value }, part))
}

/** Where a definition begins; for one of several values of a binding, where the value begins. */
export function placeOfDefinition({ at, binding, value }: Definition): Place {
  const whole = binding.field('expression')
  const isPart = whole !== undefined && whole.start !== value.start
  return isPart ? placeOf(value.documentText, value.start) : at
}

/** Whether a definition applies only under a condition; what the right side of a `//` has is none. */
export function isConditional({ conditions }: Definition): boolean {
  return conditions.some(it => it !== NOT_OVERRIDDEN && it !== OVERRIDDEN)
}

type Names = readonly (string | undefined)[]

/** A definition whose value is not a set literal with attributes. */
export interface Leaf {
  /** The names of the option; undefined for a computed one. */
  path: Names
  value: SyntaxNode
}

/**
 * The leaves of a module in source order, including leaves under a condition. Sets are searched, also
 * inside `mkIf`, `mkMerge` and similar functions. An empty set is a leaf.
 */
export function leavesOf(module: Module): Leaf[] {
  const leaves = module.sets.flatMap(set => leavesOfSet(set, []))
  return leaves.map(it => ({ ...it, path: asOption(module, it.path) }))
}

/** The path of an option without the module's `config`. */
export function asOption(module: Module, path: Names): Names {
  const rest = path.slice(1)
  const isInside = module.hasConfig && path[0] === 'config' && rest.length > 0
  // `config.meta` keeps `config`: without it, the path would name the attribute of the module itself.
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

/** The values that a value may evaluate to, or is combined from. */
function componentsOf(value: SyntaxNode): readonly SyntaxNode[] {
  const fields = (...names: string[]) =>
    names.map(it => value.field(it)).filter(it => it !== undefined)
  if (value.type === 'if_expression') return fields('consequence', 'alternative')
  if (isUpdate(value)) return fields('left', 'right')
  const combinator = combinatorOf(value)
  if (!combinator) return []
  return combinator.kind === 'merge' ? combinator.values : [combinator.value]
}
