import { errorAt, type NixError, nixError } from '../errors.ts'
import {
  emptyFile,
  moduleInCall,
  moduleIsComputed,
  moduleIsUpdated,
  noEllipsis,
  notAnAttributeSet
} from '../messages/module.ts'
import { err, ok, type Result } from '../result.ts'
import { bindingsNamed, callOf, inheritedOf, isSet, nameOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'

/** A NixOS module: the result of the file's expression once all its functions are called. */
export interface Module {
  text: string
  /**
   * The `{ … }` with `imports`, and the options or `config`. Usually one; several if the result is
   * `{ … } // { … }`, where the attributes of a later set override those of an earlier one.
   */
  sets: readonly SyntaxNode[]
  /**
   * Whether `config` or `options` is at the top level. Then options are defined only inside `config`,
   * and `imports` is next to it.
   */
  hasConfig: boolean
  /**
   * Cached results of `lookUp` by the key of the path. They are not in a WeakMap: that would keep their
   * nodes in memory until a full garbage collection.
   */
  answers: Map<string, object>
}

/**
 * The module in a file's expression, inside functions (curried ones too), `let`, `with`, `assert` and
 * parentheses.
 *
 * `NOT_A_MODULE` if the result is not an attribute set (a package, a list, …), or if the function has no
 * `...`: the module system can't call it. `NO_TARGET` if the module is computed (`mkIf …`, `a // b`).
 */
export function findModule(root: SyntaxNode): Result<Module, NixError> {
  const expression = root.field('expression')
  if (!expression) return err(nixError(root.documentText, emptyFile))

  const { body, head } = enter(expression)
  if (head?.formals && !head.formals.children.some(it => it.type === 'ellipses')) {
    return err(errorAt(head.formals, noEllipsis))
  }
  const sets = setsOf(body)
  if (sets.some(it => defines(it, '__functor'))) return err(computed(body))
  if (sets.length > 0) {
    return ok({
      text: root.documentText,
      sets,
      hasConfig: sets.some(hasConfig),
      answers: new Map()
    })
  }
  return err(refuse(body))
}

/** The operands of a chain of `//` if all are set literals; the set itself if there is no `//`. */
function setsOf(body: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(body)
  if (isSet(inner)) return [inner]
  const left = inner.field('left')
  const right = inner.field('right')
  const isUpdate = inner.type === 'binary_expression' && inner.field('operator')?.type === '//'
  if (!isUpdate || !left || !right) return []
  const [before, after] = [setsOf(left), setsOf(right)]
  return before.length > 0 && after.length > 0 ? [...before, ...after] : []
}

/**
 * The set that determines the value of a path (relative to the module): the last set that defines its
 * first name or a computed name; if there is none, the last set.
 */
export function setFor(module: Module, path: readonly (string | undefined)[]): SyntaxNode {
  const { sets } = module
  const [only] = sets
  if (only && sets.length === 1) return only
  const mayBe = (name: string | undefined) => name === undefined || name === path[0]
  const mayDefine = (binding: SyntaxNode) =>
    binding.type === 'binding'
      ? mayBe(namesOf(binding)[0])
      : inheritedOf(binding).some(it => mayBe(nameOf(it)))
  const deciding = sets.findLast(set => bindingsNamed(set, path[0]).some(mayDefine))
  return deciding ?? (sets.at(-1) as SyntaxNode)
}

/** Why an expression is not a module that can be edited. */
function refuse(body: SyntaxNode): NixError {
  const { start } = body
  const call = callOf(body)
  if (call && COMPUTED.has(call.name)) {
    return errorAt(body, moduleInCall(call.callee), { start, end: start + call.callee.length })
  }
  if (body.type === 'binary_expression' && body.field('operator')?.type === '//') {
    return errorAt(body, moduleIsUpdated)
  }
  if (COMPUTED_TYPES.has(body.type) || call?.name === 'import') return computed(body)
  return errorAt(body, notAnAttributeSet, { start, end: start + 1 })
}

/** The error for an expression that may evaluate to a module that is written elsewhere. */
function computed(body: SyntaxNode): NixError {
  return errorAt(body, moduleIsComputed, { start: body.start, end: body.start + 1 })
}

const COMPUTED_TYPES = new Set(['variable_expression', 'select_expression', 'if_expression'])

const COMPUTED = new Set(['mkIf', 'mkMerge', 'mkForce', 'mkDefault', 'mkOverride', 'optionalAttrs'])

/** A function's formals; undefined for `args: …`. */
interface Head {
  formals: SyntaxNode | undefined
}

/** The expression inside functions, `let … in`, `with`, `assert` and parentheses. */
function enter(node: SyntaxNode): { body: SyntaxNode; head: Head | undefined } {
  let body = node
  let head: Head | undefined
  for (;;) {
    if (body.type === 'function_expression') head = { formals: body.field('formals') }
    else if (!isWrapper(body)) return { body, head }
    const inner = innerOf(body)
    if (!inner) return { body, head }
    body = inner
  }
}

const WRAPPERS = new Set([
  'parenthesized_expression',
  'let_expression',
  'with_expression',
  'assert_expression'
])

function isWrapper(node: SyntaxNode): boolean {
  return WRAPPERS.has(node.type)
}

function innerOf(node: SyntaxNode): SyntaxNode | undefined {
  return node.type === 'parenthesized_expression' ? node.field('expression') : node.field('body')
}

/** The expression inside `let … in`, `with`, `assert` and parentheses. It has the value of the node. */
export function unwrapped(node: SyntaxNode): SyntaxNode {
  let body = node
  while (isWrapper(body)) {
    const inner = innerOf(body)
    if (!inner) break
    body = inner
  }
  return body
}

function hasConfig(set: SyntaxNode): boolean {
  return defines(set, 'config') || defines(set, 'options')
}

/** Whether a set has a binding that begins with a name, or an inherit of that name. */
function defines(set: SyntaxNode, name: string): boolean {
  return bindingsNamed(set, name).some(it =>
    it.type === 'binding'
      ? namesOf(it)[0] === name
      : inheritedOf(it).some(attr => nameOf(attr) === name)
  )
}

/** Attributes at the top level of a module that are not options and can be next to `config`. */
export const MODULE_ATTRIBUTES = new Set([
  'imports',
  'disabledModules',
  'options',
  'meta',
  'freeformType',
  'key',
  '_class',
  '_file'
])

/**
 * The path of the bindings around a node, relative to the module's set, including the node itself if it
 * is a binding. Undefined if the node is not inside the module's set, or is in a `let`.
 */
export function optionPathOf(
  module: Module,
  node: SyntaxNode
): readonly (string | undefined)[] | undefined {
  let names: readonly (string | undefined)[] = []
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    if (isSet(at) && isOneOf(module.sets, at)) return names
    if (at.type === 'binding') {
      const set = at.parent?.parent
      if (!set || !isSet(set)) return undefined
      const bindingNames = namesOf(at)
      names = names.length === 0 ? bindingNames : [...bindingNames, ...names]
    }
  }
  return undefined
}

function isOneOf(nodes: readonly SyntaxNode[], { start, end }: SyntaxNode): boolean {
  return nodes.some(it => it.start === start && it.end === end)
}
