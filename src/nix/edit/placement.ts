import { errorAt, isInside, type NixError } from '../errors.ts'
import {
  capturesVariable,
  computedMerge,
  computedName,
  computedSet,
  conditionalSet,
  inheritedSet,
  notASet,
  otherOperandDefines
} from '../messages/definitions.ts'
import { combinatorOf, isForced, mergeFor } from '../module/combinators.ts'
import type { ConditionalPlace } from '../module/definition.ts'
import { inModule } from '../module/definitions.ts'
import { type Module, setToEdit, submoduleIn, unwrapped } from '../module/module.ts'
import { type NewName, operandFor, operandsOfUpdate } from '../module/updates.ts'
import { type AttrPath, commonLength, samePath } from '../path.ts'
import { err, ok, type Result } from '../result.ts'
import { computedCodeOf } from '../syntax/computed.ts'
import { isPlainLiteral } from '../syntax/literals.ts'
import {
  attrsOf,
  bindingsNear,
  bindingsOf,
  callOf,
  closingOf,
  inheritedOf,
  isDynamic,
  isList,
  isSet,
  nameOf,
  namesOf,
  unparenthesized
} from '../syntax/nodes.ts'
import { scopeOf } from '../syntax/recSets.ts'
import { usesIn } from '../syntax/scope.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { placeOf } from '../text/lines.ts'

/** The place of a new binding. */
export interface BindingPlace {
  set: SyntaxNode
  /** The names of the binding in the set, without those of the sets around it. */
  attrpath: AttrPath
  /** The existing binding next to the new one; undefined in a set without bindings. */
  sibling: SyntaxNode | undefined
  /** Whether the new binding is written before the sibling, not after it. */
  isBefore: boolean
  /** Whether a blank line separates it from the sibling, if the set has blank lines. */
  isApart: boolean
}

/** The list of a `mkMerge` without a plain set: the binding is added in a new set. */
interface MergePlace {
  list: SyntaxNode
  attrpath: AttrPath
}

/** A `mkIf` that becomes a part of a `mkMerge`, so that a new set next to it always applies. */
interface BesidePlace {
  condition: SyntaxNode
  /** The function, with the prefix of the `mkIf`: `lib.mkMerge`. */
  callee: string
  attrpath: AttrPath
}

type Place = BindingPlace | MergePlace | BesidePlace

/**
 * Where a definition is added if a set of its path applies only under a condition: nowhere, in that set, or
 * next to it.
 */
export type UnderCondition = 'refused' | 'inside' | 'beside'

/**
 * The place for a definition of a path that the module does not define yet, so that it always applies:
 * inside the innermost existing set of its path (if that is a `mkMerge` without a plain set, in a new
 * set), else after its nearest relative (the last binding that shares the most names), else before a
 * final `system.stateVersion` or, outside of a module, `meta`, else last. A definition of several lines
 * (`isBlock`) is placed after a one-line set, not inside it.
 *
 * Errors if a prefix of the path can't get another binding: `INHERITED`, `CONDITIONAL` (but see
 * `UnderCondition`), `NO_TARGET` if it is a computed `mkMerge`, a `ComputedCode` if it is computed in another
 * way, `NOT_A_SET`, `DYNAMIC_ATTRIBUTE` if a name is computed, `UPDATE_OPERATOR` if another operand of `//` may
 * override it, or be overridden.
 */
export function placeFor(
  module: Module,
  path: AttrPath,
  wanted: Pick<Task, 'isBlock' | 'newName' | 'underCondition'>
): Result<Place, NixError> {
  const fullPath = inModule(module, path)
  const task = { ...wanted, isModule: module.isModule, top: module.hasConfig ? 1 : 0 }
  const set = setToEdit(module, fullPath, wanted.newName)
  if (!set) return err(notInOperands(module.body, fullPath))
  const found = search(task, set, fullPath, 0)
  return found.ok ? ok(found.value.place) : found
}

interface Task {
  isBlock: boolean
  /** Whether the definition may override what else defines its name, in operands of `//`. */
  newName: NewName
  underCondition: UnderCondition
  isModule: boolean
  /** The depth of the set that defines options: 1 if that is `config`, else 0. */
  top: number
}

interface Candidate {
  place: Place
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
  // Only the nearest relatives: a binding that shares fewer names is never chosen.
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
      const inner = searchValue(task, value, rest, outer + common)
      if (!inner) return err(blockedError(task, binding, value, rest))
      if (!inner.ok) return inner
      candidate = inner.value
      const { place } = candidate
      const breaksLine =
        isBlock && 'set' in place && isOneLineSet(place.set) && bindingsOf(place.set).length > 0
      if (breaksLine && !computed && !isOneLineSet(set) && canExtend(value)) {
        candidate = nextTo(set, binding, path, outer + common)
      }
    } else {
      candidate = nextTo(set, binding, path, outer + common)
    }
    if (!best || candidate.depth >= best.depth) best = candidate
  }
  if (best) return ok(best)
  // In `rec { … }` and `let … in`, other code can use a new name as a variable.
  const [use] = set.type === 'attrset_expression' ? [] : usesIn(set, path[0] ?? '')
  return use
    ? err(errorAt(use, capturesVariable(path[0] ?? '', scopeOf(set))))
    : ok({ place: lastIn(task, set, path, outer), depth: outer })
}

function nextTo(set: SyntaxNode, sibling: SyntaxNode, path: AttrPath, depth: number): Candidate {
  return { place: { set, attrpath: path, sibling, isBefore: false, isApart: false }, depth }
}

/** The best place in a value; undefined if nothing can be added to it. */
function searchValue(
  task: Task,
  value: SyntaxNode,
  path: AttrPath,
  depth: number
): Result<Candidate, NixError> | undefined {
  const operands = operandsOfUpdate(value)
  const operand = operands.length > 1 ? operandFor(operands, path, task.newName) : undefined
  if (operands.length > 1 && !operand) return err(notInOperands(value, path))
  const found = searchIn(task, operand ? [operand] : plainSetsOf(value), path, depth)
  if (found) return found
  const combinator = combinatorOf(value)
  if (combinator?.kind === 'merge') {
    return ok({ place: { list: combinator.list, attrpath: path }, depth })
  }
  if (combinator?.kind !== 'condition' || task.underCondition === 'refused') return undefined
  if (task.underCondition === 'inside') return searchValue(task, combinator.value, path, depth)
  const callee = mergeFor(combinator.call)
  if (callee === undefined) return undefined
  return ok({ place: { condition: combinator.call.node, callee, attrpath: path }, depth })
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

/** The set literals that a value always is, merges, has a higher priority or, as a function, returns. */
function plainSetsOf(value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isSet(inner)) return [inner]
  const submodule = submoduleIn(inner)
  if (submodule) return [submodule]
  const combinator = combinatorOf(inner)
  // Only the set in a mkForce applies, so a definition beside it would not.
  if (combinator?.kind === 'priority' && isForced(combinator.call)) {
    return plainSetsOf(combinator.value)
  }
  return combinator?.kind === 'merge' ? combinator.values.map(unwrapped).filter(isSet) : []
}

function lastIn(task: Task, set: SyntaxNode, path: AttrPath, outer: number): BindingPlace {
  const isTop = outer <= task.top
  const bindings = bindingsOf(set)
  const last = bindings.at(-1)
  // By convention, these are last: in a configuration, and in the arguments of a package.
  const final = task.isModule ? ['system', 'stateVersion'] : ['meta']
  const isBefore = last !== undefined && isTop && samePath(namesOf(last), final)
  return { set, attrpath: path, sibling: last, isBefore, isApart: isTop && task.isModule }
}

/** Whether Nix merges a dotted binding with this value: only if it is a set literal without `rec`. */
function canExtend(value: SyntaxNode): boolean {
  return unparenthesized(value).type === 'attrset_expression'
}

export function isOneLine(node: SyntaxNode): boolean {
  return !node.text.includes('\n')
}

/** Whether a `{ … }` or the bindings of a `let` are on one line. */
export function isOneLineSet(set: SyntaxNode): boolean {
  const text = set.documentText.slice(set.start, closingOf(set).end)
  return !text.includes('\n')
}

/** The error for a chain of `//` in which a new definition may not take effect. */
function notInOperands(value: SyntaxNode, path: AttrPath): NixError {
  const update = unwrapped(value)
  return errorAt(update.field('operator') ?? update, otherOperandDefines(path[0]))
}

/** Why nothing can be added to the value of a binding; `rest` is the path in it. */
function blockedError(
  task: Task,
  binding: SyntaxNode,
  value: SyntaxNode,
  rest: AttrPath
): NixError {
  const attrpath = binding.field('attrpath') ?? binding
  const path = namesOf(binding)
  const inner = unwrapped(value)
  if (isList(inner) || isPlainLiteral(inner)) return errorAt(attrpath, notASet(path))
  const call = callOf(inner)
  if (call?.name === 'mkMerge') return errorAt(attrpath, computedMerge(path, call.callee))
  if (call?.name !== 'mkIf' && call?.name !== 'optionalAttrs') {
    return errorAt(attrpath, computedSet(path, computedCodeOf(inner)))
  }
  const inside = searchValue({ ...task, underCondition: 'inside' }, value, rest, 0)
  const places = inside?.ok ? [placeIn(inside.value.place)] : []
  const message = conditionalSet(path, call.callee, places.length > 0)
  return errorAt(attrpath, { ...message, places })
}

function placeIn(place: Place): ConditionalPlace {
  const node = 'set' in place ? place.set : 'list' in place ? place.list : place.condition
  return { node, at: placeOf(node.documentText, node.start), conditions: conditionsAround(node) }
}

/** The conditions of `mkIf` and `optionalAttrs` around a node, outermost first, as source. */
function conditionsAround(node: SyntaxNode): string[] {
  const conditions: string[] = []
  for (let at: SyntaxNode | undefined = node.parent; at; at = at.parent) {
    const combinator = at.type === 'apply_expression' ? combinatorOf(at) : undefined
    if (combinator?.kind !== 'condition' || !isInside(node, combinator.value)) continue
    conditions.unshift(combinator.condition.text)
  }
  return conditions
}
