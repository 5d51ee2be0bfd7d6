import { dirname, join } from 'node:path'
import {
  type AttrPath,
  formatPath,
  type NixDocument,
  SKIP,
  type SyntaxNode,
  visit
} from '../../nix/index.ts'
import { samePath, startsWith } from '../../nix/path.ts'
import {
  elementsOf,
  inheritedOf,
  nameOf,
  namesOf,
  unparenthesized
} from '../../nix/syntax/nodes.ts'

/** A place in a file that needs one of the options or files. */
export interface Use {
  /** A definition of the option, an expression that reads it, or a path to the file. */
  kind: 'definition' | 'reading' | 'module'
  /** The option or the path as written. */
  name: string
  node: SyntaxNode
}

/** The options and files whose uses are searched for. */
export interface UseTargets {
  /** Each includes all options below it. */
  options: readonly AttrPath[]
  /** Paths of files and of folders with such a default.nix, with symlinks resolved. */
  files: ReadonlySet<string>
}

/**
 * The uses in a file in source order, also in nested modules and in variables. `path` is the path of the file. Omits
 * comments, and expressions that work without the option, such as `config.virtualisation.vfio.enable or false`.
 */
export function findUses(doc: NixDocument, path: string, targets: UseTargets): Use[] {
  const file: SearchedFile = {
    ...targets,
    path,
    scope: readScope(doc, targets.options)
  }
  const uses: Use[] = []
  visit(doc, (node, ancestors) => {
    const found = usesAt(node, ancestors, file)
    uses.push(...found)
    // Uses inside a definition are removed with it.
    return found.some(it => it.kind === 'definition') ? SKIP : undefined
  })
  return uses
}

interface SearchedFile extends UseTargets {
  path: string
  scope: Scope
}

/** The uses at the node itself, without those of its children. */
function usesAt(node: SyntaxNode, ancestors: readonly SyntaxNode[], file: SearchedFile): Use[] {
  const { scope, options } = file
  switch (node.type) {
    case 'binding': {
      const outer = outerNames(ancestors, scope)
      return useOf('definition', definedBy(outer, namesOf(node), options), node)
    }
    case 'select_expression': {
      if (isLetValue(ancestors) || node.field('default')) return []
      const names = scope.pathOf(node)
      const found = options.find(it => contains(names, it) && !isReadByOperand(scope, node, it))
      return useOf('reading', found, node)
    }
    case 'variable_expression': {
      const found = scope.reads.get(node.text)
      return isLetValue(ancestors) ? [] : useOf('reading', found, node)
    }
    case 'inherit_from': {
      if (ancestors.at(-2)?.type === 'let_expression') return []
      const from = node.field('expression')
      return inheritedOf(node).flatMap(it => {
        const names = [...(from ? scope.pathOf(from) : []), nameOf(it)]
        return useOf(
          'reading',
          options.find(option => contains(names, option)),
          it
        )
      })
    }
    case 'inherit':
      return inheritedOf(node).flatMap(it => useOf('reading', scope.reads.get(it.text), it))
    case 'list_expression': {
      // These two functions also work without the option.
      const hasFallback = ancestors.some(it =>
        /\b(?:attrByPath|hasAttrByPath)\b/.test(calleeOf(it))
      )
      const names = elementsOf(node).map(plainStringOf)
      const found = options.find(it => startsWith(names, it))
      return hasFallback ? [] : useOf('reading', found, node)
    }
    case 'path_expression':
    case 'string_expression':
      return modulesAt(node, file)
    default:
      return []
  }
}

function useOf(kind: Use['kind'], option: AttrPath | undefined, node: SyntaxNode): Use[] {
  return option ? [{ kind, name: formatPath(option), node }] : []
}

/** The use of one of the files by its path. A string is a use only if it is an absolute path. */
function modulesAt(node: SyntaxNode, { path, files }: SearchedFile): Use[] {
  const isString = node.type === 'string_expression'
  const name = isString ? plainStringOf(node) : node.text
  const isLiteral = name !== undefined && (isString ? /^\// : /^\.{0,2}\//).test(name)
  return isLiteral && files.has(resolvePath(path, name)) ? [{ kind: 'module', name, node }] : []
}

/** The absolute path for a path that is written in `file`, without `/default.nix`. Does not read the file system. */
export function resolvePath(file: string, spelling: string): string {
  const at = spelling.startsWith('/') ? spelling : join(dirname(file), spelling)
  return join(at, '.').replace(/\/default\.nix$/, '')
}

/** The names of the bindings around a node. A variable whose value is in `sets` is replaced with the set's path. */
function outerNames(ancestors: readonly SyntaxNode[], { sets }: Scope): Names {
  return ancestors.flatMap((it, i): Names => {
    if (it.type !== 'binding') return []
    const names = namesOf(it)
    const [name] = names
    const isVariable = ancestors[i - 2]?.type === 'let_expression' && names.length === 1
    return (isVariable && name !== undefined ? sets.get(name) : undefined) ?? names
  })
}

/** The option that a binding `names` inside bindings `outer` defines; undefined for a declaration. */
function definedBy(outer: Names, names: Names, options: readonly AttrPath[]): AttrPath | undefined {
  const path = [...outer, ...names]
  return options.find(option =>
    path.some((_, start) => {
      const end = start + option.length
      const isHere = end > outer.length && end <= path.length
      return isHere && isAt(path, option, start) && path[start - 1] !== 'options'
    })
  )
}

/** Whether the expression before the dot of a selection already reads the option. Then that expression is the use. */
function isReadByOperand(scope: Scope, node: SyntaxNode, option: AttrPath): boolean {
  const from = node.field('expression')
  const inner = from && unparenthesized(from)
  const isCounted = inner?.type === 'variable_expression' || !inner?.field('default')
  return from !== undefined && isCounted && contains(scope.pathOf(from), option)
}

/** Whether the node is the value of a `let` variable. Then a use of the variable is the use. */
function isLetValue(ancestors: readonly SyntaxNode[]): boolean {
  const isLetBindingAt = (back: number) =>
    ancestors.at(-back)?.type === 'binding' && ancestors.at(-back - 2)?.type === 'let_expression'
  return (
    isLetBindingAt(1) ||
    (ancestors.at(-1)?.type === 'parenthesized_expression' && isLetBindingAt(2))
  )
}

/** The text of a string without escapes and interpolations. */
function plainStringOf(node: SyntaxNode): string | undefined {
  if (node.type !== 'string_expression') return undefined
  return /^"([^"\\$]*)"$/.exec(node.text)?.[1]
}

function calleeOf(node: SyntaxNode): string {
  const callee = node.type === 'apply_expression' ? node.field('function') : undefined
  return callee ? callee.text : ''
}

// The variables of a file that refer to the options.

/** The names of a path; undefined for a computed name. */
type Names = readonly (string | undefined)[]

/** The variables of a file. Variables of the same name are not distinguished. */
interface Scope {
  /** The path that an expression selects. A variable in it is replaced with the variable's path. */
  pathOf(node: SyntaxNode): Names
  /** Variables whose value is read from one of the options. */
  reads: ReadonlyMap<string, AttrPath>
  /** Variables whose value is a set that contains one of the options, with the path of the set. */
  sets: ReadonlyMap<string, AttrPath>
}

/** The variables of a whole file that refer to these options. */
function readScope(doc: NixDocument, options: readonly AttrPath[]): Scope {
  const aliases = new Map<string, Names>()
  const reads = new Map<string, AttrPath>()
  const sets = new Map<string, AttrPath>()
  const pathOf = (node: SyntaxNode): Names => {
    const inner = unparenthesized(node)
    if (inner.type === 'variable_expression') {
      const name = inner.text
      return aliases.get(name) ?? [name]
    }
    const from = inner.type === 'select_expression' ? inner.field('expression') : undefined
    return from ? [...pathOf(from), ...namesOf(inner)] : []
  }
  /** `isRequired` is false if the value has a default, so that it works without the option. */
  const addAlias = (name: string | undefined, names: Names, isRequired: boolean) => {
    if (name === undefined || names.length < 2) return
    aliases.set(name, names)
    const found = options.find(it => contains(names, it))
    if (found && isRequired) reads.set(name, found)
  }
  const addLet = (binding: SyntaxNode) => {
    const [name, ...more] = namesOf(binding)
    const value = binding.field('expression')
    const inner = value && unparenthesized(value)
    if (inner?.type !== 'select_expression' || more.length > 0) return
    addAlias(name, pathOf(inner), inner.field('default') === undefined)
  }
  const addSet = (binding: SyntaxNode, ancestors: readonly SyntaxNode[]) => {
    const bindings = [...ancestors.filter(it => it.type === 'binding'), binding]
    const path = bindings.flatMap(namesOf)
    const value = binding.field('expression')
    const prefix = longestPrefix(path, options)
    if (value && prefix) for (const it of spineVariables(value)) sets.set(it, prefix)
  }
  const addInherited = (node: SyntaxNode) => {
    const from = node.field('expression')
    for (const it of inheritedOf(node)) {
      const name = nameOf(it)
      if (from) addAlias(name, [...pathOf(from), name], true)
    }
  }
  const addWith = (node: SyntaxNode) => {
    const environment = node.field('environment')
    const names = environment ? pathOf(environment) : []
    for (const name of namesInWith(names, options)) addAlias(name, [...names, name], true)
  }
  visit(doc, (node, ancestors) => {
    const isInLet = ancestors.at(-2)?.type === 'let_expression'
    if (node.type === 'binding' && isInLet) addLet(node)
    else if (node.type === 'binding') addSet(node, ancestors)
    else if (node.type === 'inherit_from' && isInLet) addInherited(node)
    else if (node.type === 'with_expression') addWith(node)
    return undefined
  })
  return { pathOf, reads, sets }
}

/** The variables that `with` adds and that refer to one of the options; `names` is the path of the set in `with`. */
function namesInWith(names: Names, options: readonly AttrPath[]): string[] {
  const isTop = names.length === 1 && /^(?:os|nixos)?[cC]onfig$|^options$/.test(names[0] ?? '')
  return options.flatMap(option => {
    const prefix = longestPrefix(names, [option])
    return (prefix ? option[prefix.length] : isTop ? option[0] : undefined) ?? []
  })
}

/** The longest proper prefix of one of the options with which the names end. */
function longestPrefix(names: Names, options: readonly AttrPath[]): AttrPath | undefined {
  let longest: AttrPath | undefined
  for (const option of options) {
    for (let size = option.length - 1; size > (longest?.length ?? 0); size--) {
      if (samePath(names.slice(-size), option.slice(0, size))) longest = option.slice(0, size)
    }
  }
  return longest
}

/** The variables in a value, except those in nested bindings and selections. */
function spineVariables(value: SyntaxNode): string[] {
  const names: string[] = []
  visit(value, node => {
    if (node.type === 'binding' || node.type === 'select_expression') return SKIP
    if (node.type === 'variable_expression') names.push(node.text)
    return undefined
  })
  return names
}

/** Whether the option's path is a contiguous part of the names. */
function contains(names: Names, option: AttrPath): boolean {
  return names.some((_, start) => isAt(names, option, start))
}

/** Whether the option's path is at `start` in the names. */
function isAt(names: Names, option: AttrPath, start: number): boolean {
  return option.every((name, i) => names[start + i] === name)
}
