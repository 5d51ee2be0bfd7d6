import { errorAt, type NixError, nixError } from '../errors.ts'
import { err, ok, type Result } from '../result.ts'
import { bindingsNamed, callOf, inheritedOf, isSet, nameOf, namesOf } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'

/** A NixOS module: what the file's expression gives once all its functions are called. */
export interface Module {
  text: string
  /**
   * The `{ … }` that holds `imports`, and the options or `config`. Mostly one; several where the
   * result is `{ … } // { … }`, of which a later one wins by its first names.
   */
  sets: readonly SyntaxNode[]
  /**
   * Whether `config` or `options` stands at the top. Then options are defined inside `config` only,
   * and `imports` stays beside it.
   */
  hasConfig: boolean
  /**
   * What `lookUp` found on a path, by its key: a module never changes. It is kept here since a WeakMap
   * keeps what it holds, with all the nodes behind it, from V8's quick collections.
   */
  answers: Map<string, object>
}

/**
 * The module that the file's expression is, seen through functions (curried ones too), `let`,
 * `with`, `assert` and parentheses.
 *
 * Refuses with `NOT_A_MODULE` where the result is no attribute set (a package, a list, …) or where
 * the function takes no `...`, so that the module system could not call it; with `NO_TARGET` where
 * the result is a module but a computed one (`mkIf …`, `a // b`).
 */
export function findModule(root: SyntaxNode): Result<Module, NixError> {
  const whole = root.field('expression')
  if (!whole)
    return err(nixError(root.documentText, { code: 'NOT_A_MODULE', message: 'the file is empty' }))

  const { body, head } = enter(whole)
  if (head?.formals && !head.formals.children.some(it => it.type === 'ellipses')) {
    return err(
      errorAt(head.formals, {
        code: 'NOT_A_MODULE',
        message: 'this function takes no "...", so the file is no NixOS module',
        hint: 'pass a module, that is a file like { config, pkgs, ... }: { … }'
      })
    )
  }
  const sets = setsOf(body)
  if (sets.some(it => says(it, '__functor'))) return err(computed(body))
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

/** The operands of a chain of `//`, if they are all written out; the set itself where there is none. */
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
 * The set that decides on a path, spelt from the module on: the last that has its first name, or a
 * computed one.
 */
export function setFor(module: Module, path: readonly (string | undefined)[]): SyntaxNode {
  const { sets } = module
  const [only] = sets
  if (only && sets.length === 1) return only
  const mayBe = (name: string | undefined) => name === undefined || name === path[0]
  const says = (binding: SyntaxNode) =>
    binding.type === 'binding'
      ? mayBe(namesOf(binding)[0])
      : inheritedOf(binding).some(it => mayBe(nameOf(it)))
  const deciding = sets.findLast(set => bindingsNamed(set, path[0]).some(says))
  return deciding ?? (sets.at(-1) as SyntaxNode)
}

function refuse(body: SyntaxNode): NixError {
  const call = callOf(body)
  if (call && COMPUTED.has(call.name)) {
    return errorAt(body, {
      code: 'NO_TARGET',
      message: `the whole module is the result of ${call.callee}, so nothing can be added that always holds`,
      range: { start: body.start, end: body.start + call.callee.length },
      hint: 'put it into config: { imports = [ ]; config = …; }'
    })
  }
  if (body.type === 'binary_expression' && body.field('operator')?.type === '//') {
    return errorAt(body, {
      code: 'NO_TARGET',
      message: 'the module is put together with "//", and what stands on its left may be lost',
      hint: 'write the module as one set { … }, or pass another module of your configuration'
    })
  }
  if (COMPUTED_TYPES.has(body.type) || call?.name === 'import') return computed(body)
  return errorAt(body, {
    code: 'NOT_A_MODULE',
    message: 'the result of this file is not an attribute set, so it is no NixOS module',
    range: { start: body.start, end: body.start + 1 },
    hint: 'pass a module, that is a file like { config, pkgs, ... }: { … }'
  })
}

/** For what may well give a module, but not one that is written out here. */
function computed(body: SyntaxNode): NixError {
  return errorAt(body, {
    code: 'NO_TARGET',
    message: 'the module is computed here, so there is no set { … } to edit',
    range: { start: body.start, end: body.start + 1 },
    hint: 'write it as a set { … }, or pass the file that the module is written in'
  })
}

const COMPUTED_TYPES = new Set(['variable_expression', 'select_expression', 'if_expression'])

const COMPUTED = new Set(['mkIf', 'mkMerge', 'mkForce', 'mkDefault', 'mkOverride', 'optionalAttrs'])

/** A function's formals, absent for `args: …`. */
interface Head {
  formals: SyntaxNode | undefined
}

/** What is left of an expression without functions, `let … in`, `with`, `assert` and parentheses. */
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

/** The expression whose value a node has, seen through `let … in`, `with`, `assert` and parentheses. */
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
  return says(set, 'config') || says(set, 'options')
}

/** Whether a binding of a set begins with a name, or an inherit takes it over. */
function says(set: SyntaxNode, name: string): boolean {
  return bindingsNamed(set, name).some(it =>
    it.type === 'binding'
      ? namesOf(it)[0] === name
      : inheritedOf(it).some(attr => nameOf(attr) === name)
  )
}

/** What may stand beside `config` at the top of a module and is no option. */
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
 * The path that the bindings around a node spell, from the module's set on, with the node's own if
 * it is a binding. Undefined for what is not inside the module's set, or in a `let`.
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
      const own = namesOf(at)
      names = names.length === 0 ? own : [...own, ...names]
    }
  }
  return undefined
}

function isOneOf(nodes: readonly SyntaxNode[], { start, end }: SyntaxNode): boolean {
  return nodes.some(it => it.start === start && it.end === end)
}
