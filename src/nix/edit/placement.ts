import { errorAt, type NixError } from '../errors.ts'
import {
  capturesVariable,
  computedName,
  computedSet,
  conditionalSet,
  inheritedSet,
  notASet
} from '../messages/definitions.ts'
import { combinatorOf } from '../module/combinators.ts'
import { inModule } from '../module/definitions.ts'
import { type Module, setFor, unwrapped } from '../module/module.ts'
import { type AttrPath, commonLength, samePath } from '../path.ts'
import { err, ok, type Result } from '../result.ts'
import { isPlainLiteral } from '../syntax/literals.ts'
import {
  attrsOf,
  bindingsNear,
  bindingsOf,
  callOf,
  inheritedOf,
  isDynamic,
  isList,
  isSet,
  nameOf,
  namesOf,
  unparenthesized
} from '../syntax/nodes.ts'
import { usesIn } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'

/** Where a new binding goes. */
export interface BindingPlace {
  set: SyntaxNode
  /** The names of the binding in the set, without those of the sets around it. */
  attrpath: AttrPath
  /** The binding that it follows or, with `before`, precedes; undefined in a set without bindings. */
  sibling: SyntaxNode | undefined
  before: boolean
  /** Whether it is unrelated to the sibling: then a blank line separates them if the file uses those. */
  apart: boolean
}

/** The list of a `mkMerge` without a plain set: the binding is added in a new set. */
interface MergePlace {
  list: SyntaxNode
  attrpath: AttrPath
}

/**
 * The place for a definition of a path that the module does not define, so that it always applies:
 * inside the innermost existing set of its path (in a `mkMerge` without a plain set, in a new one),
 * else after its nearest relative (the last binding that shares the most names), else before a final
 * `system.stateVersion`, else last. A block, which takes several lines, is placed after a set on one
 * line, not inside it.
 *
 * `INHERITED`, `NO_TARGET`, `SHARED_BINDING`, `NOT_A_SET` or `DYNAMIC_ATTRIBUTE` if a prefix of the path
 * is inherited, conditional, computed, not a set, or has a computed name: Nix rejects another binding.
 */
export function placeFor(
  module: Module,
  path: AttrPath,
  isBlock: boolean
): Result<BindingPlace | MergePlace, NixError> {
  const fullPath = inModule(module, path)
  const task = { isBlock, top: module.hasConfig ? 1 : 0 }
  const found = search(task, setFor(module, fullPath), fullPath, 0)
  return found.ok ? ok(found.value.place) : found
}

interface Task {
  isBlock: boolean
  /** The depth of the set that defines options: 1 if that is `config`, else 0. */
  top: number
}

interface Candidate {
  place: BindingPlace | MergePlace
  /** The number of names that the path shares with its surroundings at this place. */
  depth: number
}

function search(
  task: Task,
  set: SyntaxNode,
  path: AttrPath,
  outer: number
): Result<Candidate, NixError> {
  const { isBlock } = task
  let best: Candidate | undefined
  // Only the nearest relatives: a binding that shares fewer names would not be chosen.
  for (const binding of bindingsNear(set, path)) {
    const inherited = inheritedOf(binding).find(it => nameOf(it) === path[0])
    if (inherited) return err(errorAt(inherited, inheritedSet(inherited.text)))
    const value = binding.field('expression')
    if (!value) continue
    const names = namesOf(binding)
    const common = commonLength(names, path)
    if (common === 0) continue
    const computed = attrsOf(binding).slice(0, common).find(isDynamic)
    const descends = common === names.length && common < path.length
    if (computed && !descends) return err(errorAt(computed, computedName))
    let candidate: Candidate
    if (descends) {
      const rest = path.slice(common)
      const combinator = combinatorOf(value)
      const list = combinator?.kind === 'merge' ? combinator.list : undefined
      const inner =
        searchIn(task, plainSetsOf(value), rest, outer + common) ??
        (list ? ok({ place: { list, attrpath: rest }, depth: outer + common }) : undefined)
      if (!inner) return err(blockedError(binding, value))
      if (!inner.ok) return inner
      candidate = inner.value
      const { place } = candidate
      const breaksLine =
        isBlock && 'set' in place && isOneLine(place.set) && bindingsOf(place.set).length > 0
      if (breaksLine && !computed && !isOneLine(set) && canExtend(value)) {
        candidate = nextTo(set, binding, path, outer + common)
      }
    } else {
      candidate = nextTo(set, binding, path, outer + common)
    }
    if (!best || candidate.depth >= best.depth) best = candidate
  }
  if (best) return ok(best)
  // In `rec { … }`, all other attributes see a new name.
  const [use] = set.type === 'rec_attrset_expression' ? usesIn(set, path[0] ?? '') : []
  return use
    ? err(errorAt(use, capturesVariable(path[0] ?? '')))
    : ok({ place: lastIn(set, path, outer <= task.top), depth: outer })
}

function nextTo(set: SyntaxNode, sibling: SyntaxNode, path: AttrPath, depth: number): Candidate {
  return { place: { set, attrpath: path, sibling, before: false, apart: false }, depth }
}

/** The best place in one of the sets that a value consists of; undefined if there is none. */
function searchIn(
  task: Task,
  sets: SyntaxNode[],
  path: AttrPath,
  outer: number
): Result<Candidate, NixError> | undefined {
  let best: Result<Candidate, NixError> | undefined
  for (const set of sets) {
    const found = search(task, set, path, outer)
    if (!found.ok) return found
    if (!best?.ok || found.value.depth > best.value.depth) best = found
  }
  return best
}

/** The set literals that a value always is or merges. */
function plainSetsOf(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isSet(inner)) return [inner]
  const combinator = combinatorOf(inner)
  return combinator?.kind === 'merge' ? combinator.values.map(unwrapped).filter(isSet) : []
}

function lastIn(set: SyntaxNode, path: AttrPath, isTop: boolean): BindingPlace {
  const bindings = bindingsOf(set)
  const last = bindings.at(-1)
  const isFinal = last && samePath(namesOf(last), ['system', 'stateVersion'])
  return { set, attrpath: path, sibling: last, before: isFinal ?? false, apart: isTop }
}

/** Whether Nix merges a dotted binding with this value: only if it is a set literal without `rec`. */
function canExtend(value: SyntaxNode): boolean {
  return unparenthesized(value).type === 'attrset_expression'
}

export function isOneLine(node: SyntaxNode): boolean {
  return !node.text.includes('\n')
}

/** Why nothing can be added to the value of a binding. */
function blockedError(binding: SyntaxNode, value: SyntaxNode): NixError {
  const attrpath = binding.field('attrpath') ?? binding
  const path = namesOf(binding)
  const inner = unwrapped(value)
  if (isList(inner) || isPlainLiteral(inner)) return errorAt(attrpath, notASet(path))
  const call = callOf(inner)
  const isConditional = call && ['mkIf', 'mkMerge', 'optionalAttrs'].includes(call.name)
  return errorAt(attrpath, isConditional ? conditionalSet(path, call.callee) : computedSet(path))
}
