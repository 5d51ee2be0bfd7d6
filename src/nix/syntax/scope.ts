import { pushAll, type SyntaxNode } from './tree.ts'

/** The value of a variable from a `let` around it, unless a function's argument shadows it. */
export function letValueOf(variable: SyntaxNode): SyntaxNode | undefined {
  const name = variable.text
  for (let at = variable.parent; at; at = at.parent) {
    if (at.type === 'function_expression' && bindsArgument(at, name)) return undefined
    if (at.type === 'rec_attrset_expression') return undefined
    if (at.type !== 'let_expression') continue
    const bindings = at.children.find(it => it.type === 'binding_set')?.children ?? []
    const all = bindings.filter(it => bindsName(it, name))
    const [binding] = all
    if (binding) return all.length === 1 ? plainValueOf(binding) : undefined
  }
  return undefined
}

function bindsArgument(lambda: SyntaxNode, name: string): boolean {
  if (lambda.field('universal')?.text === name) return true
  const formals = lambda.field('formals')?.children ?? []
  return formals.some(it => it.type === 'formal' && it.field('name')?.text === name)
}

/** Whether a binding or an inherit of a `let` defines the name, or an attribute of it. */
function bindsName(binding: SyntaxNode, name: string): boolean {
  return namesIn(binding).includes(name)
}

/** The names that a binding or an inherit of a `let` or `rec` set defines. */
function namesIn(binding: SyntaxNode): string[] {
  const [first] = binding.field('attrpath')?.children ?? []
  const inherited = binding.field('attrs')?.children ?? []
  const names = first ? [first, ...inherited] : inherited
  return names.map(it => it.text.replace(/^"(.*)"$/, '$1'))
}

/** The value of `name = …;`; undefined for `name.part = …;` and for an inherit. */
function plainValueOf(binding: SyntaxNode): SyntaxNode | undefined {
  return binding.field('attrpath')?.children.length === 1 ? binding.field('expression') : undefined
}

/**
 * Whether a variable with this name is defined at the node: by a function's argument, a `let`, a `rec`
 * set, a `with` (which may define any name), or as a global of Nix. Names that begin with `__` are
 * treated as defined: versions of Nix differ in these builtins.
 */
export function isInScope(node: SyntaxNode, name: string): boolean {
  if (isGlobal(name)) return true
  for (let at = scopeAround(node); at; at = at.parent) {
    if (isWithAround(at, node) || binds(at, name)) return true
  }
  return false
}

/** The innermost function, `let` or `rec` set that binds a variable; undefined if only a `with` may. */
export function binderOf(variable: SyntaxNode): SyntaxNode | undefined {
  for (let at = scopeAround(variable); at; at = at.parent) {
    if (binds(at, variable.text)) return at
  }
  return undefined
}

/**
 * What a variable means, so that the same text in two files has the same meaning in both: `argument NAME`
 * for an argument of a function around the value, `global`, or the `with`s around the value that may define it.
 * Equal for variables that are bound inside the value. Undefined for one that a `let` or `rec` set around it
 * binds: no other file has that.
 */
export function meaningOf(variable: SyntaxNode, value: SyntaxNode): string | undefined {
  const name = variable.text
  const isInside = (it: SyntaxNode) => it.start >= value.start && it.end <= value.end
  const binder = binderOf(variable)
  if (binder && isInside(binder)) return 'inside'
  if (binder?.type === 'function_expression') {
    const formal = binder.field('formals')?.children.find(it => it.field('name')?.text === name)
    const fallback = formal?.field('default')
    return `argument ${name}${fallback ? ` ? ${fallback.text}` : ''}`
  }
  if (binder) return undefined
  if (isGlobal(name)) return 'global'
  const environments: SyntaxNode[] = []
  for (let at = scopeAround(variable); at; at = at.parent) {
    const environment = isWithAround(at, variable) ? at.field('environment') : undefined
    // The innermost one has the name, as far as the text shows.
    if (environment && isInside(at)) return 'inside'
    if (environment) environments.push(environment)
  }
  const heads = environments.flatMap(variablesIn).map(it => meaningOf(it, it))
  if (heads.includes(undefined)) return undefined
  return [...environments.map(it => `with ${it.text}`), ...heads].join(' ')
}

/** The bindings and inherits of a `let` or `rec` set that define a name, or an attribute of it. */
export function bindingsFor(scope: SyntaxNode, name: string): SyntaxNode[] {
  return bindingsIn(scope).filter(it => bindsName(it, name))
}

/** Whether a name is a global of Nix, which no `with` can redefine. */
export function isGlobal(name: string): boolean {
  return GLOBALS.has(name) || name.startsWith('__')
}

/** Whether a node is a `with` whose body contains the other node. */
export function isWithAround(node: SyntaxNode, inner: SyntaxNode): boolean {
  const body = node.type === 'with_expression' ? node.field('body') : undefined
  return body !== undefined && inner.start >= body.start && inner.end <= body.end
}

// The names that Nix 2.8 to 2.31 defines without `builtins.`
const GLOBALS = new Set([
  'abort',
  'baseNameOf',
  'break',
  'builtins',
  'derivation',
  'derivationStrict',
  'dirOf',
  'false',
  'fetchGit',
  'fetchMercurial',
  'fetchTarball',
  'fetchTree',
  'fromTOML',
  'import',
  'isNull',
  'map',
  'null',
  'placeholder',
  'removeAttrs',
  'scopedImport',
  'throw',
  'toString',
  'true'
])

/**
 * The variables and the names in a plain `inherit` inside a `rec` set that refer to the set's attribute
 * `name`.
 */
export function usesIn(set: SyntaxNode, name: string): SyntaxNode[] {
  return variablesIn(set).filter(it => {
    if (it.text !== name) return false
    let at = scopeAround(it)
    while (at && at.start >= set.start && at.end <= set.end && !isSame(at, set)) {
      if (binds(at, name)) return false
      at = at.parent
    }
    return at !== undefined && isSame(at, set)
  })
}

/** The variables in a function that a new argument of this name would give another meaning. */
export function capturedBy(lambda: SyntaxNode, name: string): SyntaxNode[] {
  return usesIn(lambda, name).filter(it => isInScope(it, name))
}

/** All variables and names in a plain `inherit` below a node, in source order. */
export function variablesIn(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  const stack = [node]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (at.type === 'variable_expression') found.push(at)
    else if (at.type === 'inherit') {
      const names = at.field('attrs')?.children ?? []
      for (const it of names) if (it.type === 'identifier') found.push(it)
    } else pushAll(stack, at.children)
  }
  return found
}

/** The innermost node in which a name is looked up: for an `inherit`, a node outside its own set. */
export function scopeAround(node: SyntaxNode): SyntaxNode | undefined {
  const inherit = node.parent?.type === 'inherited_attrs' ? node.parent.parent : undefined
  const around = inherit?.type === 'inherit' ? inherit.parent : undefined
  return around ? (around.type === 'binding_set' ? around.parent : around)?.parent : node.parent
}

/** The names that a function, `let` or `rec` set defines for the code inside it. */
export function boundNames(scope: SyntaxNode): string[] {
  if (scope.type === 'function_expression') {
    const formals = (scope.field('formals')?.children ?? []).map(it => it.field('name'))
    return [scope.field('universal'), ...formals].flatMap(it => it?.text ?? [])
  }
  return bindingsIn(scope).flatMap(namesIn)
}

/** Whether a function, `let` or `rec` set defines a name for the code inside it. */
export function binds(scope: SyntaxNode, name: string): boolean {
  if (scope.type === 'function_expression') return bindsArgument(scope, name)
  return bindingsIn(scope).some(it => bindsName(it, name))
}

/** The bindings and inherits of a `let` or `rec` set; empty for any other node. */
function bindingsIn(scope: SyntaxNode): readonly SyntaxNode[] {
  if (!/^(?:let_expression|(?:let|rec)_attrset_expression)$/.test(scope.type)) return []
  return scope.children.find(it => it.type === 'binding_set')?.children ?? []
}

/** Whether two nodes are the same node of a text, perhaps of two trees. */
export function isSame(a: SyntaxNode, b: SyntaxNode): boolean {
  return a.start === b.start && a.end === b.end && a.type === b.type
}
