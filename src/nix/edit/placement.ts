import { errorAt, type NixError } from '../errors.ts'
import {
  capturesVariable,
  computedName,
  computedSet,
  conditionalSet,
  inheritedSet,
  notASet,
  otherOperandDefines
} from '../messages/definitions.ts'
import { combinatorOf, isForced } from '../module/combinators.ts'
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

/**
 * The place for a definition of a path that the module does not define yet, so that it always applies:
 * inside the innermost existing set of its path (if that is a `mkMerge` without a plain set, in a new
 * set), else after its nearest relative (the last binding that shares the most names), else before a
 * final `system.stateVersion` or, outside of a module, `meta`, else last. A definition of several lines
 * (`isBlock`) is placed after a one-line set, not inside it.
 *
 * Errors if a prefix of the path can't get another binding: `INHERITED`, `NO_TARGET` if it is
 * conditional, a `ComputedCode` if it is computed, `NOT_A_SET`, `DYNAMIC_ATTRIBUTE` if a name is
 * computed, `UPDATE_OPERATOR` if another operand of `//` may override it, or be overridden.
 */
export function placeFor(
  module: Module,
  path: AttrPath,
  wanted: Pick<Task, 'isBlock' | 'newName'>
): Result<BindingPlace | MergePlace, NixError> {
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
  isModule: boolean
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
      const combinator = combinatorOf(value)
      const list = combinator?.kind === 'merge' ? combinator.list : undefined
      const operands = operandsOfUpdate(value)
      const operand = operands.length > 1 ? operandFor(operands, rest, task.newName) : undefined
      if (operands.length > 1 && !operand) return err(notInOperands(value, rest))
      const inner =
        searchIn(task, operand ? [operand] : plainSetsOf(value), rest, outer + common) ??
        (list ? ok({ place: { list, attrpath: rest }, depth: outer + common }) : undefined)
      if (!inner) return err(blockedError(binding, value))
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

/** Why nothing can be added to the value of a binding. */
function blockedError(binding: SyntaxNode, value: SyntaxNode): NixError {
  const attrpath = binding.field('attrpath') ?? binding
  const path = namesOf(binding)
  const inner = unwrapped(value)
  if (isList(inner) || isPlainLiteral(inner)) return errorAt(attrpath, notASet(path))
  const call = callOf(inner)
  const isConditional = call && ['mkIf', 'mkMerge', 'optionalAttrs'].includes(call.name)
  return errorAt(
    attrpath,
    isConditional ? conditionalSet(path, call.callee) : computedSet(path, computedCodeOf(inner))
  )
}
