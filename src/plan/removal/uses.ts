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
  unparenthesised
} from '../../nix/syntax/nodes.ts'

/** A place in a file that needs our modules. */
export interface OwnUse {
  /** A definition of an option of ours, an expression that reads one, or a path to a module of ours. */
  kind: 'definition' | 'reading' | 'module'
  /** The option or the path. */
  name: string
  node: SyntaxNode
}

/** What is looked for. */
export interface OwnThings {
  /** The options that only our modules declare; what lies below them belongs to them. */
  options: readonly AttrPath[]
  /** Our files, and the folders that stand for them, links resolved. */
  files: ReadonlySet<string>
}

/**
 * The places in a file that need our modules, in source order, wherever they stand: also in a module
 * inside another, or in a variable. `path` is the file's own. Comments do not count, nor does what
 * holds without the option, such as `config.virtualisation.vfio.enable or false`.
 */
export function findOwnUses(doc: NixDocument, path: string, things: OwnThings): OwnUse[] {
  const file: SearchedFile = {
    ...things,
    path,
    scope: readScope(doc, things.options)
  }
  const uses: OwnUse[] = []
  visit(doc, (node, ancestors) => {
    const found = usesAt(node, ancestors, file)
    uses.push(...found)
    // What stands in a definition goes with it.
    return found.some(it => it.kind === 'definition') ? SKIP : undefined
  })
  return uses
}

interface SearchedFile extends OwnThings {
  path: string
  scope: Scope
}

/** What the node itself is of these places; what stands inside it comes by itself. */
function usesAt(node: SyntaxNode, ancestors: readonly SyntaxNode[], file: SearchedFile): OwnUse[] {
  const { scope, options } = file
  switch (node.type) {
    case 'binding': {
      const outer = outerNames(ancestors, scope)
      return useOf('definition', definedBy(outer, namesOf(node), options), node)
    }
    case 'select_expression': {
      if (isLetValue(ancestors) || node.field('default')) return []
      const names = scope.pathOf(node)
      const found = options.find(it => contains(names, it) && !containsBefore(scope, node, it))
      return useOf('reading', found, node)
    }
    case 'variable_expression': {
      const found = scope.gone.get(node.text)
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
      return inheritedOf(node).flatMap(it => useOf('reading', scope.gone.get(it.text), it))
    case 'list_expression': {
      // These two have an answer for what is not there.
      const holds = ancestors.some(it => /\b(?:attrByPath|hasAttrByPath)\b/.test(calleeOf(it)))
      const names = elementsOf(node).map(plainStringOf)
      const found = options.find(it => startsWith(names, it))
      return holds ? [] : useOf('reading', found, node)
    }
    case 'path_expression':
    case 'string_expression':
      return modulesAt(node, file)
    default:
      return []
  }
}

function useOf(kind: OwnUse['kind'], option: AttrPath | undefined, node: SyntaxNode): OwnUse[] {
  return option ? [{ kind, name: formatPath(option), node }] : []
}

/** A path to one of our files; a string is one only where it is absolute. */
function modulesAt(node: SyntaxNode, { path, files }: SearchedFile): OwnUse[] {
  const isString = node.type === 'string_expression'
  const spelt = isString ? plainStringOf(node) : node.text
  const isFixed = spelt !== undefined && (isString ? /^\// : /^\.{0,2}\//).test(spelt)
  return isFixed && files.has(resolved(path, spelt)) ? [{ kind: 'module', name: spelt, node }] : []
}

/** Where a path in a file leads, by its spelling alone. */
export function resolved(file: string, spelling: string): string {
  const at = spelling.startsWith('/') ? spelling : join(dirname(file), spelling)
  return join(at, '.').replace(/\/default\.nix$/, '')
}

/** The names of the bindings around a node, with those of a variable that stands for a set. */
function outerNames(ancestors: readonly SyntaxNode[], { sets }: Scope): Names {
  return ancestors.flatMap((it, i): Names => {
    if (it.type !== 'binding') return []
    const names = namesOf(it)
    const [name] = names
    const isVariable = ancestors[i - 2]?.type === 'let_expression' && names.length === 1
    return (isVariable && name !== undefined ? sets.get(name) : undefined) ?? names
  })
}

/** The option of ours that a binding of these names, inside those, defines; not a declaration. */
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

/** Whether what a selection selects from is read from the option already, and counts instead. */
function containsBefore(scope: Scope, node: SyntaxNode, option: AttrPath): boolean {
  const from = node.field('expression')
  const inner = from && unparenthesised(from)
  const isCounted = inner?.type === 'variable_expression' || !inner?.field('default')
  return from !== undefined && isCounted && contains(scope.pathOf(from), option)
}

/** Whether the node around which these stand is the value of a variable: that is read where the variable is. */
function isLetValue(ancestors: readonly SyntaxNode[]): boolean {
  const isBinding = (back: number) =>
    ancestors.at(-back)?.type === 'binding' && ancestors.at(-back - 2)?.type === 'let_expression'
  return isBinding(1) || (ancestors.at(-1)?.type === 'parenthesized_expression' && isBinding(2))
}

/** The text of a plain string. */
function plainStringOf(node: SyntaxNode): string | undefined {
  if (node.type !== 'string_expression') return undefined
  return /^"([^"\\$]*)"$/.exec(node.text)?.[1]
}

function calleeOf(node: SyntaxNode): string {
  const callee = node.type === 'apply_expression' ? node.field('function') : undefined
  return callee ? callee.text : ''
}

// What the variables of a file stand for, as far as our options are concerned.

/** Names in a row; undefined for what is computed. */
type Names = readonly (string | undefined)[]

/** What the variables of a file stand for. By name alone: two of one name are taken for one. */
interface Scope {
  /** The names that an expression selects, from the outermost on; those of a variable spelt out. */
  pathOf(node: SyntaxNode): Names
  /** Variables whose value is read from an option of ours. */
  gone: ReadonlyMap<string, AttrPath>
  /** Variables that are the value of a set which has options of ours among others. */
  sets: ReadonlyMap<string, AttrPath>
}

/** The scope of a whole file, with regard to these options. */
function readScope(doc: NixDocument, options: readonly AttrPath[]): Scope {
  const aliases = new Map<string, Names>()
  const gone = new Map<string, AttrPath>()
  const sets = new Map<string, AttrPath>()
  const pathOf = (node: SyntaxNode): Names => {
    const inner = unparenthesised(node)
    if (inner.type === 'variable_expression') {
      const name = inner.text
      return aliases.get(name) ?? [name]
    }
    const from = inner.type === 'select_expression' ? inner.field('expression') : undefined
    return from ? [...pathOf(from), ...namesOf(inner)] : []
  }
  const learn = (name: string | undefined, names: Names, isFull: boolean) => {
    if (name === undefined || names.length < 2) return
    aliases.set(name, names)
    const found = options.find(it => contains(names, it))
    if (found && isFull) gone.set(name, found)
  }
  const learnLet = (binding: SyntaxNode) => {
    const [name, ...more] = namesOf(binding)
    const value = binding.field('expression')
    const inner = value && unparenthesised(value)
    if (inner?.type !== 'select_expression' || more.length > 0) return
    learn(name, pathOf(inner), inner.field('default') === undefined)
  }
  const learnSet = (binding: SyntaxNode, ancestors: readonly SyntaxNode[]) => {
    const bindings = [...ancestors.filter(it => it.type === 'binding'), binding]
    const path = bindings.flatMap(namesOf)
    const value = binding.field('expression')
    const prefix = longestPrefix(path, options)
    if (value && prefix) for (const it of spineVariables(value)) sets.set(it, prefix)
  }
  const learnInherited = (node: SyntaxNode) => {
    const from = node.field('expression')
    for (const it of inheritedOf(node)) {
      const name = nameOf(it)
      if (from) learn(name, [...pathOf(from), name], true)
    }
  }
  const learnWith = (node: SyntaxNode) => {
    const environment = node.field('environment')
    const names = environment ? pathOf(environment) : []
    for (const next of broughtIn(names, options)) learn(next, [...names, next], true)
  }
  visit(doc, (node, ancestors) => {
    const isInLet = ancestors.at(-2)?.type === 'let_expression'
    if (node.type === 'binding' && isInLet) learnLet(node)
    else if (node.type === 'binding') learnSet(node, ancestors)
    else if (node.type === 'inherit_from' && isInLet) learnInherited(node)
    else if (node.type === 'with_expression') learnWith(node)
    return undefined
  })
  return { pathOf, gone, sets }
}

/** What `with` gives a name to that leads to one of the options; `names` are what it opens. */
function broughtIn(names: Names, options: readonly AttrPath[]): string[] {
  const isTop = names.length === 1 && /^(?:os|nixos)?[cC]onfig$|^options$/.test(names[0] ?? '')
  return options.flatMap(option => {
    const prefix = longestPrefix(names, [option])
    return (prefix ? option[prefix.length] : isTop ? option[0] : undefined) ?? []
  })
}

/** The longest beginning of one of the options, but no whole one, that the names end with. */
function longestPrefix(names: Names, options: readonly AttrPath[]): AttrPath | undefined {
  let longest: AttrPath | undefined
  for (const option of options) {
    for (let size = option.length - 1; size > (longest?.length ?? 0); size--) {
      if (samePath(names.slice(-size), option.slice(0, size))) longest = option.slice(0, size)
    }
  }
  return longest
}

/** The variables that a value is made of, and not what is defined or selected inside it. */
function spineVariables(value: SyntaxNode): string[] {
  const names: string[] = []
  visit(value, node => {
    if (node.type === 'binding' || node.type === 'select_expression') return SKIP
    if (node.type === 'variable_expression') names.push(node.text)
    return undefined
  })
  return names
}

/** Whether the names of an option stand in a row anywhere among these. */
function contains(names: Names, option: AttrPath): boolean {
  return names.some((_, start) => isAt(names, option, start))
}

/** Whether the names of an option stand there from `start` on. */
function isAt(names: Names, option: AttrPath, start: number): boolean {
  return option.every((name, i) => names[start + i] === name)
}
