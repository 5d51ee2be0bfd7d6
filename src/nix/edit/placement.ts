import { type NixError, nixError } from '../errors.ts'
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
  unparenthesised
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
  const task = { text: module.text, isBlock, top: module.hasConfig ? 1 : 0 }
  const found = search(task, setFor(module, spelt), spelt, 0)
  return found.ok ? ok(found.value.place) : found
}

interface Task {
  text: string
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
  const { text, isBlock } = task
  let best: Candidate | undefined
  // Of those that share fewer names with the path than others, none would be chosen.
  for (const binding of bindingsNear(text, set, path)) {
    const inherited = inheritedOf(binding).find(it => nameOf(text, it) === path[0])
    if (inherited) return err(inheritedError(text, inherited))
    const value = binding.field('expression')
    if (!value) continue
    const names = namesOf(text, binding)
    const common = commonLength(names, path)
    if (common === 0) continue
    const computed = attrsOf(binding).slice(0, common).find(isDynamic)
    const descends = common === names.length && common < path.length
    if (computed && !descends) return err(dynamicError(text, computed))
    let candidate: Candidate
    if (descends) {
      const rest = path.slice(common)
      const combinator = combinatorOf(text, value)
      const list = combinator?.kind === 'merge' ? combinator.list : undefined
      const inner =
        searchIn(task, plainSetsOf(text, value), rest, outer + common) ??
        (list ? ok({ place: { list, attrpath: rest }, depth: outer + common }) : undefined)
      if (!inner) return err(blockedError(text, binding, value))
      if (!inner.ok) return inner
      candidate = inner.value
      const { place } = candidate
      const breaksLine =
        isBlock && 'set' in place && isOneLine(text, place.set) && bindingsOf(place.set).length > 0
      if (breaksLine && !computed && !isOneLine(text, set) && canExtend(value)) {
        candidate = besides(set, binding, path, outer + common)
      }
    } else {
      candidate = besides(set, binding, path, outer + common)
    }
    if (!best || candidate.depth >= best.depth) best = candidate
  }
  if (best) return ok(best)
  const capturing = captureIn(text, set, path)
  return capturing
    ? err(capturing)
    : ok({ place: lastIn(text, set, path, outer <= task.top), depth: outer })
}

function besides(set: SyntaxNode, sibling: SyntaxNode, path: AttrPath, depth: number): Candidate {
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
function plainSetsOf(text: string, value: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(value)
  if (isSet(inner)) return [inner]
  const combinator = combinatorOf(text, inner)
  return combinator?.kind === 'merge' ? combinator.values.map(unwrapped).filter(isSet) : []
}

function lastIn(text: string, set: SyntaxNode, path: AttrPath, isTop: boolean): BindingPlace {
  const bindings = bindingsOf(set)
  const last = bindings.at(-1)
  const isFinal = last && samePath(namesOf(text, last), ['system', 'stateVersion'])
  return { set, attrpath: path, sibling: last, before: isFinal ?? false, apart: isTop }
}

/** Whether Nix takes a dotted binding behind this value: only behind a set literal without `rec`. */
function canExtend(value: SyntaxNode): boolean {
  return unparenthesised(value).type === 'attrset_expression'
}

export function isOneLine(text: string, node: SyntaxNode): boolean {
  return !text.slice(node.start, node.end).includes('\n')
}

/** In `rec { … }` a new name is seen by all its neighbours. */
function captureIn(text: string, set: SyntaxNode, path: AttrPath): NixError | undefined {
  const name = path[0] ?? ''
  const [use] = set.type === 'rec_attrset_expression' ? usesIn(text, set, name) : []
  return (
    use &&
    nixError(text, {
      code: 'CONFLICT',
      message: `"${name}" is used as a variable in this "rec" set, and defining it here would change its meaning`,
      range: use,
      hint: 'take the "rec" away, or define it in another module'
    })
  )
}

function inheritedError(text: string, name: SyntaxNode): NixError {
  return nixError(text, {
    code: 'INHERITED',
    message: `"${text.slice(name.start, name.end)}" is inherited here, so nothing can be added to it`,
    range: name,
    hint: 'write it as name = value; or define the option in another module'
  })
}

function dynamicError(text: string, name: SyntaxNode): NixError {
  return nixError(text, {
    code: 'DYNAMIC_ATTRIBUTE',
    message: 'this name is computed, and Nix allows no second definition beside it',
    range: name,
    hint: 'write the name out, or put all its options into one set { … }'
  })
}

function blockedError(text: string, binding: SyntaxNode, value: SyntaxNode): NixError {
  const attrpath = binding.field('attrpath') ?? binding
  const name = formatPathPattern(namesOf(text, binding))
  const call = callOf(text, unwrapped(value))
  const conditional = call && ['mkIf', 'mkMerge', 'optionalAttrs'].includes(call.name)
  const inner = unwrapped(value)
  if (isList(inner) || isPlainLiteral(text, inner)) {
    return nixError(text, {
      code: 'NOT_A_SET',
      message: `${name} is given a value here that is no set { … }, so nothing can be defined below it`,
      range: { start: attrpath.start, end: attrpath.end },
      hint: 'check the path, or give the option a set first'
    })
  }
  return nixError(text, {
    code: conditional ? 'NO_TARGET' : 'SHARED_BINDING',
    message: conditional
      ? `${name} is set through ${call.callee} here, and what is added inside would not always hold`
      : `${name} is not written out as a set { … } here, so nothing can be added to it`,
    range: { start: attrpath.start, end: attrpath.end },
    hint: 'put the options into a module of their own and import it'
  })
}
