import { errorAt, type NixError, nixError } from '../errors.ts'
import {
  emptyFile,
  moduleInCall,
  moduleIsComputed,
  moduleIsUpdated,
  noAttributes,
  noEllipsis,
  notAnAttributeSet
} from '../messages/module.ts'
import { err, ok, type Result } from '../result.ts'
import { bindingsNamed, callOf, inheritedOf, isSet, nameOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { innerOf, isWrapper, unwrapped } from '../syntax/wrappers.ts'
import {
  hasCombinator,
  isReadable,
  isUpdate,
  type NewName,
  operandFor,
  operandsOfUpdate,
  setsInUpdate
} from './updates.ts'

export { unwrapped }

/** A NixOS module, or another attribute set whose attributes are looked up and edited like options. */
export interface Module {
  text: string
  /** Whether the module system evaluates it, so that `config`, `imports`, … have their special meaning. */
  isModule: boolean
  /** The expression that is the set, or combines the sets with `//`. */
  body: SyntaxNode
  /**
   * The function whose formals are edited: the innermost one whose result it is or, outside of a module,
   * the innermost one around it that has formals.
   */
  lambda: SyntaxNode | undefined
  /**
   * The `{ … }` with `imports`, and the options or `config`. Usually one; several if the result is
   * `{ … } // { … }`, where the attributes of a later set override those of an earlier one. A set in an
   * operand such as `lib.optionalAttrs c { … }` applies only under a condition. Outside of a
   * module, it can also be a `let` expression, for the bindings before its `in`.
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
  /** The modules written in its `imports`, also in theirs: see `inlineModulesOf`. Found on demand. */
  inlineModules: readonly InlineModule[] | undefined
}

/** A module that is written as an item of `imports`, and not in a file of its own. */
export interface InlineModule {
  module: Module
  /** The items that contain it, outermost first; its own is the last. */
  nodes: readonly SyntaxNode[]
  /** The conditions under which it is imported, as source. */
  conditions: readonly string[]
}

/**
 * The module in a file's expression, inside functions (curried ones too), `let`, `with`, `assert` and
 * parentheses.
 *
 * `NOT_A_MODULE` if the result is not an attribute set (a package, a list, …), or if the function has no
 * `...`: the module system can't call it. `COMPUTED_MODULE` if the module is computed, `UPDATE_OPERATOR` for `a // b`, `NO_TARGET` for `mkIf …`.
 */
export function findModule(root: SyntaxNode): Result<Module, NixError> {
  const expression = root.field('expression')
  if (!expression) return err(nixError(root.documentText, emptyFile))

  const { body, lambda } = enter(expression)
  const formals = lambda?.field('formals')
  if (formals && !hasEllipsis(formals)) return err(errorAt(formals, noEllipsis))
  const sets = setsOf(body)
  if (sets.some(it => defines(it, '__functor'))) return err(computed(body))
  if (sets.length > 0) {
    const hasIt = sets.some(hasConfig)
    // Without `config` in a set that always applies, a condition decides where options are defined.
    const isCertain = operandsOfUpdate(body).map(unwrapped).some(hasConfig)
    if (hasIt && !isCertain) return err(errorAt(body, moduleIsUpdated))
    return ok({ ...attributesOf(body, sets, lambda), isModule: true, hasConfig: hasIt })
  }
  return err(refuse(body))
}

/**
 * The attribute set in an expression of a file: a `{ … }`, or the one inside functions, `let`, `with`,
 * `assert` and parentheses. For a `let` expression itself, its bindings. It is a module if it is a
 * function with `...` in its formals, or an item of `imports` or `modules`.
 *
 * `NOT_A_SET` for any other expression.
 */
export function findAttributes(node: SyntaxNode): Result<Module, NixError> {
  if (node.type === 'let_expression') {
    return ok(attributesOf(node, [node], functionAround(node)))
  }
  const { body, lambda } = enter(node)
  const sets = setsOf(body)
  if (sets.length === 0) return err(errorAt(node, noAttributes))
  const formals = lambda?.field('formals')
  const isModule = (formals !== undefined && hasEllipsis(formals)) || isModuleItem(node)
  const found = attributesOf(body, sets, formals ? lambda : functionAround(node))
  return ok({ ...found, isModule, hasConfig: isModule && sets.some(hasConfig) })
}

function attributesOf(
  body: SyntaxNode,
  sets: readonly SyntaxNode[],
  lambda: SyntaxNode | undefined
): Module {
  const caches = { answers: new Map(), inlineModules: undefined }
  return {
    text: body.documentText,
    body,
    sets,
    lambda,
    isModule: false,
    hasConfig: false,
    ...caches
  }
}

/**
 * The set literal that a function of one argument returns. Undefined for any other expression, for a
 * function that returns another one, and for a set with `config` or `options`.
 */
export function submoduleIn(node: SyntaxNode): SyntaxNode | undefined {
  const body = node.type === 'function_expression' ? node.field('body') : undefined
  const set = body && unwrapped(body)
  return set && isSet(set) && !hasConfig(set) ? set : undefined
}

/** Whether formals end with `...`, so that the function can be called with other arguments too. */
export function hasEllipsis(formals: SyntaxNode): boolean {
  return formals.children.some(it => it.type === 'ellipses')
}

/** The innermost function around a node that has formals. */
function functionAround(node: SyntaxNode): SyntaxNode | undefined {
  let at: SyntaxNode | undefined = node
  while (at && !(at.type === 'function_expression' && at.field('formals'))) at = at.parent
  return at
}

/** Whether a node is an item of a list that is bound to `imports` or `modules`. */
function isModuleItem(node: SyntaxNode): boolean {
  let at: SyntaxNode | undefined = node.parent
  while (at && !isSet(at) && at.type !== 'binding') at = at.parent
  return at !== undefined && /^(?:imports|modules)$/.test(namesOf(at).at(-1) ?? '')
}

/** The set itself, or the set literals in the operands of `//`; empty if the last one is not readable. */
function setsOf(body: SyntaxNode): SyntaxNode[] {
  const inner = unwrapped(body)
  if (isSet(inner)) return [inner]
  const operands = isUpdate(inner) ? operandsOfUpdate(inner) : []
  const last = operands.at(-1)
  if (!last || hasCombinator(operands)) return []
  const isKnown = isSet(unwrapped(last)) || operands.every(isReadable)
  return isKnown ? setsInUpdate(inner) : []
}

/**
 * The set that determines the value of a path (relative to the module): the last operand that defines its
 * first name or a computed name; if there is none, the last set. Undefined if a definition in it may not
 * take effect, see `operandFor`.
 */
export function setToEdit(
  { sets: [only, ...others], body }: Module,
  path: readonly (string | undefined)[],
  newName: NewName
): SyntaxNode | undefined {
  if (only && others.length === 0 && !isUpdate(unwrapped(body))) return only
  return operandFor(operandsOfUpdate(body), path, newName)
}

/** The set of `setToEdit`, also if a definition in it may not take effect. */
export function setFor(module: Module, path: readonly (string | undefined)[]): SyntaxNode {
  return setToEdit(module, path, 'replaces') ?? (module.sets.at(-1) as SyntaxNode)
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

/** The expression inside functions, `let … in`, `with`, `assert` and parentheses, and the last function. */
function enter(node: SyntaxNode): { body: SyntaxNode; lambda: SyntaxNode | undefined } {
  let body = node
  let lambda: SyntaxNode | undefined
  for (;;) {
    if (body.type === 'function_expression') lambda = body
    else if (!isWrapper(body)) return { body, lambda }
    const inner = innerOf(body)
    if (!inner) return { body, lambda }
    body = inner
  }
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
