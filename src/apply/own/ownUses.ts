import { dirname, join } from 'node:path'
import {
  type AttrPath,
  formatPath,
  type NixDocument,
  SKIP,
  type SyntaxNode,
  visit
} from '../../nix/index.ts'
import { startsWith } from '../../nix/path.ts'
import {
  elementsOf,
  inheritedOf,
  nameOf,
  namesOf,
  unparenthesised
} from '../../nix/syntax/shape.ts'
import { contains, isAt, type Names, readScope, type Scope } from './scope.ts'

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
    text: doc.text,
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
  text: string
  path: string
  scope: Scope
}

/** What the node itself is of these places; what stands inside it comes by itself. */
function usesAt(node: SyntaxNode, ancestors: readonly SyntaxNode[], file: SearchedFile): OwnUse[] {
  const { text, scope, options } = file
  switch (node.type) {
    case 'binding': {
      const outer = outerNames(text, ancestors, scope)
      return useOf('definition', definedBy(outer, namesOf(text, node), options), node)
    }
    case 'select_expression': {
      if (isLetValue(ancestors) || node.field('default')) return []
      const names = scope.pathOf(node)
      const found = options.find(it => contains(names, it) && !containsBefore(scope, node, it))
      return useOf('reading', found, node)
    }
    case 'variable_expression': {
      const found = scope.gone.get(text.slice(node.start, node.end))
      return isLetValue(ancestors) ? [] : useOf('reading', found, node)
    }
    case 'inherit_from': {
      if (ancestors.at(-2)?.type === 'let_expression') return []
      const from = node.field('expression')
      return inheritedOf(node).flatMap(it => {
        const names = [...(from ? scope.pathOf(from) : []), nameOf(text, it)]
        return useOf(
          'reading',
          options.find(option => contains(names, option)),
          it
        )
      })
    }
    case 'inherit':
      return inheritedOf(node).flatMap(it =>
        useOf('reading', scope.gone.get(text.slice(it.start, it.end)), it)
      )
    case 'list_expression': {
      // These two have an answer for what is not there.
      const holds = ancestors.some(it =>
        /\b(?:attrByPath|hasAttrByPath)\b/.test(calleeOf(text, it))
      )
      const names = elementsOf(node).map(it => plainStringOf(text, it))
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
function modulesAt(node: SyntaxNode, { text, path, files }: SearchedFile): OwnUse[] {
  const isString = node.type === 'string_expression'
  const spelt = isString ? plainStringOf(text, node) : text.slice(node.start, node.end)
  const isFixed = spelt !== undefined && (isString ? /^\// : /^\.{0,2}\//).test(spelt)
  return isFixed && files.has(resolved(path, spelt)) ? [{ kind: 'module', name: spelt, node }] : []
}

/** Where a path in a file leads, by its spelling alone. */
export function resolved(file: string, spelling: string): string {
  const at = spelling.startsWith('/') ? spelling : join(dirname(file), spelling)
  return join(at, '.').replace(/\/default\.nix$/, '')
}

/** The names of the bindings around a node, with those of a variable that stands for a set. */
function outerNames(text: string, ancestors: readonly SyntaxNode[], { sets }: Scope): Names {
  return ancestors.flatMap((it, i): Names => {
    if (it.type !== 'binding') return []
    const names = namesOf(text, it)
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
function plainStringOf(text: string, node: SyntaxNode): string | undefined {
  if (node.type !== 'string_expression') return undefined
  return /^"([^"\\$]*)"$/.exec(text.slice(node.start, node.end))?.[1]
}

function calleeOf(text: string, node: SyntaxNode): string {
  const callee = node.type === 'apply_expression' ? node.field('function') : undefined
  return callee ? text.slice(callee.start, callee.end) : ''
}
