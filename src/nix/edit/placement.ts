import { errorAt, type NixError } from '../errors.ts'
import { combinatorOf } from '../module/combinators.ts'
import { inModule } from '../module/definitions.ts'
import { type Module, setFor, unwrapped } from '../module/module.ts'
import { type AttrPath, commonLength, formatPathPattern, samePath } from '../path.ts'
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
  /** The names that the binding is given there: what the sets around it do not say already. */
  attrpath: AttrPath
  /** The binding that it follows or, with `before`, precedes; none in a set without bindings. */
  sibling: SyntaxNode | undefined
  before: boolean
  /** Whether it is no relative of the sibling, and stands apart from it where the file does so. */
  apart: boolean
}

/** The list of a `mkMerge` that has no plain set: the binding goes into a set of its own there. */
export interface MergePlace {
  list: SyntaxNode
  attrpath: AttrPath
}

/**
 * Where a definition of a path that the module does not define goes, so that it always holds:
 * inside the innermost set that exists for it (in a `mkMerge` of none that always counts, a new
 * one), else behind its nearest relative (the last binding that shares the most names), else before
 * a final `system.stateVersion`, else last. A block, which takes several lines, goes behind a set
 * with bindings on one line rather than into it.
 *
 * Refuses with `INHERITED`, `NO_TARGET`, `SHARED_BINDING` or `NOT_A_SET` where the value of a name on
 * the way is inherited, conditional, computed or no set: Nix allows no second binding beside it.
 */
export function placeFor(
  module: Module,
  path: AttrPath,
  isBlock: boolean
): Result<BindingPlace | MergePlace, NixError> {
  const spelt = inModule(module, path)
  const task = { isBlock, top: module.hasConfig ? 1 : 0 }
  const found = search(task, setFor(module, spelt), spelt, 0)
  return found.ok ? ok(found.value.place) : found
}

interface Task {
  isBlock: boolean
  /** How deep the set of the options lies: 1 where it is that of `config`. */
  top: number
}

interface Candidate {
  place: BindingPlace | MergePlace
  /** How many names of the path the place's surroundings have in common with it. */
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
  // Of those that share fewer names with the path than others, none would be chosen.
  for (const binding of bindingsNear(set, path)) {
    const inherited = inheritedOf(binding).find(it => nameOf(it) === path[0])
    if (inherited) return err(inheritedError(inherited))
    const value = binding.field('expression')
    if (!value) continue
    const names = namesOf(binding)
    const common = commonLength(names, path)
    if (common === 0) continue
    const computed = attrsOf(binding).slice(0, common).find(isDynamic)
    const descends = common === names.length && common < path.length
    if (computed && !descends) return err(dynamicError(computed))
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
  const capturing = captureIn(set, path)
  return capturing
    ? err(capturing)
    : ok({ place: lastIn(set, path, outer <= task.top), depth: outer })
}

function nextTo(set: SyntaxNode, sibling: SyntaxNode, path: AttrPath, depth: number): Candidate {
  return { place: { set, attrpath: path, sibling, before: false, apart: false }, depth }
}

/** The best place in one of several sets that make up one value, or undefined where there is none. */
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

/** The set literals that a value is, or merges, unconditionally. */
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

/** Whether Nix takes a dotted binding behind this value: only behind a set literal without `rec`. */
function canExtend(value: SyntaxNode): boolean {
  return unparenthesized(value).type === 'attrset_expression'
}

export function isOneLine(node: SyntaxNode): boolean {
  return !node.text.includes('\n')
}

/** In `rec { … }` a new name is seen by all its neighbors. */
function captureIn(set: SyntaxNode, path: AttrPath): NixError | undefined {
  const name = path[0] ?? ''
  const [use] = set.type === 'rec_attrset_expression' ? usesIn(set, name) : []
  return (
    use &&
    errorAt(use, {
      code: 'CONFLICT',
      message: `"${name}" is used as a variable in this "rec" set, and defining it here would change its meaning`,
      hint: 'take the "rec" away, or define it in another module'
    })
  )
}

function inheritedError(name: SyntaxNode): NixError {
  return errorAt(name, {
    code: 'INHERITED',
    message: `"${name.text}" is inherited here, so nothing can be added to it`,
    hint: 'write it as name = value; or define the option in another module'
  })
}

function dynamicError(name: SyntaxNode): NixError {
  return errorAt(name, {
    code: 'DYNAMIC_ATTRIBUTE',
    message: 'this name is computed, and Nix allows no second definition beside it',
    hint: 'write the name out, or put all its options into one set { … }'
  })
}

function blockedError(binding: SyntaxNode, value: SyntaxNode): NixError {
  const attrpath = binding.field('attrpath') ?? binding
  const name = formatPathPattern(namesOf(binding))
  const call = callOf(unwrapped(value))
  const conditional = call && ['mkIf', 'mkMerge', 'optionalAttrs'].includes(call.name)
  const inner = unwrapped(value)
  if (isList(inner) || isPlainLiteral(inner)) {
    return errorAt(attrpath, {
      code: 'NOT_A_SET',
      message: `${name} is given a value here that is no set { … }, so nothing can be defined below it`,
      hint: 'check the path, or give the option a set first'
    })
  }
  return errorAt(attrpath, {
    code: conditional ? 'NO_TARGET' : 'SHARED_BINDING',
    message: conditional
      ? `${name} is set through ${call.callee} here, and what is added inside would not always hold`
      : `${name} is not written out as a set { … } here, so nothing can be added to it`,
    hint: 'put the options into a module of their own and import it'
  })
}
