import { dirname, join } from 'node:path'
import {
  type AttrPath,
  formatPath,
  type NixDocument,
  parsePath,
  SKIP,
  type SyntaxNode,
  visit
} from '../../nix/index.ts'

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

type Names = readonly (string | undefined)[]

/**
 * The places in a file that need our modules, in source order, wherever they stand: also in a module
 * inside another, or in a variable. `path` is the file's own. Comments do not count, nor does what
 * holds without the option, such as `config.virtualisation.vfio.enable or false`.
 */
export function findOwnUses(doc: NixDocument, path: string, things: OwnThings): OwnUse[] {
  const { options } = things
  const { text } = doc
  const scope = readScope(doc, options)
  const uses: OwnUse[] = []
  visit(doc, (node, ancestors) => {
    const use = (kind: OwnUse['kind'], name: string | AttrPath, at = node) => {
      uses.push({ kind, name: typeof name === 'string' ? name : formatPath(name), node: at })
    }
    switch (node.type) {
      case 'binding': {
        const names = namesIn(text, node)
        const found = definedBy(outerNames(text, ancestors, scope), names, options)
        if (!found) return undefined
        use('definition', found)
        return SKIP
      }
      case 'select_expression': {
        if (isLetValue(ancestors)) return undefined
        const names = scope.pathOf(node)
        const found = options.find(it => contains(names, it) && !containsBefore(scope, node, it))
        if (found && !node.field('default')) use('reading', found)
        return undefined
      }
      case 'variable_expression': {
        const found = scope.gone.get(text.slice(node.start, node.end))
        if (found && !isLetValue(ancestors)) use('reading', found)
        return undefined
      }
      case 'inherit_from': {
        if (ancestors.at(-2)?.type === 'let_expression') return undefined
        const from = node.field('expression')
        for (const name of inheritedNames(node)) {
          const names = [...(from ? scope.pathOf(from) : []), nameOf(text, name)]
          const found = options.find(it => contains(names, it))
          if (found) use('reading', found, name)
        }
        return undefined
      }
      case 'inherit': {
        for (const name of inheritedNames(node)) {
          const found = scope.gone.get(text.slice(name.start, name.end))
          if (found) use('reading', found, name)
        }
        return undefined
      }
      case 'list_expression': {
        const names = namedChildren(node).map(it => stringOf(text, it))
        const found = options.find(it => it.every((name, i) => names[i] === name))
        // These two have an answer for what is not there.
        const holds = ancestors.some(it =>
          /\b(?:attrByPath|hasAttrByPath)\b/.test(calleeOf(text, it))
        )
        if (found && !holds) use('reading', found)
        return undefined
      }
      case 'path_expression':
      case 'string_expression': {
        const spelt =
          node.type === 'path_expression' ? text.slice(node.start, node.end) : stringOf(text, node)
        const isPath = spelt !== undefined && /^\.{0,2}\//.test(spelt)
        const isFixed = isPath && (node.type === 'path_expression' || spelt.startsWith('/'))
        if (isFixed && things.files.has(resolved(path, spelt))) use('module', spelt)
        return undefined
      }
    }
    return undefined
  })
  return uses
}

/** Where a path in a file leads, by its spelling alone. */
export function resolved(file: string, spelling: string): string {
  const at = spelling.startsWith('/') ? spelling : join(dirname(file), spelling)
  return join(at, '.').replace(/\/default\.nix$/, '')
}

/** What the variables of a file stand for. By name alone: two of one name are taken for one. */
interface Scope {
  /** The names that an expression selects, from the outermost on; those of a variable spelt out. */
  pathOf(node: SyntaxNode): Names
  /** Variables whose value is read from an option of ours. */
  gone: ReadonlyMap<string, AttrPath>
  /** Variables that are the value of a set which has options of ours among others. */
  sets: ReadonlyMap<string, AttrPath>
}

function readScope(doc: NixDocument, options: readonly AttrPath[]): Scope {
  const { text } = doc
  const aliases = new Map<string, Names>()
  const gone = new Map<string, AttrPath>()
  const sets = new Map<string, AttrPath>()
  const pathOf = (node: SyntaxNode): Names => {
    const inner = unparenthesised(node)
    if (inner.type === 'variable_expression') {
      const name = text.slice(inner.start, inner.end)
      return aliases.get(name) ?? [name]
    }
    const from = inner.type === 'select_expression' ? inner.field('expression') : undefined
    return from ? [...pathOf(from), ...namesIn(text, inner)] : []
  }
  const learn = (name: string | undefined, names: Names, isFull: boolean) => {
    if (name === undefined || names.length < 2) return
    aliases.set(name, names)
    const found = options.find(it => contains(names, it))
    if (found && isFull) gone.set(name, found)
  }
  visit(doc, (node, ancestors) => {
    const isInLet = ancestors.at(-2)?.type === 'let_expression'
    if (node.type === 'binding' && isInLet) {
      const [name, ...more] = namesIn(text, node)
      const value = node.field('expression')
      if (value && more.length === 0) {
        const inner = unparenthesised(value)
        const isRead = inner.type === 'select_expression'
        if (isRead) learn(name, pathOf(inner), inner.field('default') === undefined)
      }
    } else if (node.type === 'binding') {
      const names = [...ancestors.filter(it => it.type === 'binding'), node]
      const path = names.flatMap(it => namesIn(text, it))
      const value = node.field('expression')
      const prefix = longestPrefix(path, options)
      if (value && prefix) for (const it of spineVariables(text, value)) sets.set(it, prefix)
    } else if (node.type === 'inherit_from' && isInLet) {
      const from = node.field('expression')
      for (const it of inheritedNames(node)) {
        const name = nameOf(text, it)
        if (from) learn(name, [...pathOf(from), name], true)
      }
    } else if (node.type === 'with_expression') {
      const names = node.field('environment') ? pathOf(node.field('environment') as SyntaxNode) : []
      for (const option of options) {
        const prefix = longestPrefix(names, [option])
        const isTop =
          names.length === 1 && /^(?:os|nixos)?[cC]onfig$|^options$/.test(names[0] ?? '')
        const next = prefix ? option[prefix.length] : isTop ? option[0] : undefined
        if (next !== undefined) learn(next, [...names, next], true)
      }
    }
    return undefined
  })
  return { pathOf, gone, sets }
}

/** The longest beginning of one of the options, but no whole one, that the names end with. */
function longestPrefix(names: Names, options: readonly AttrPath[]): AttrPath | undefined {
  let longest: AttrPath | undefined
  for (const option of options) {
    for (let size = option.length - 1; size > (longest?.length ?? 0); size--) {
      const prefix = option.slice(0, size)
      const tail = names.slice(-size)
      if (tail.length === size && prefix.every((name, i) => tail[i] === name)) longest = prefix
    }
  }
  return longest
}

/** The variables that a value is made of, and not what is defined or selected inside it. */
function spineVariables(text: string, value: SyntaxNode): string[] {
  const names: string[] = []
  visit(value, node => {
    if (node.type === 'binding' || node.type === 'select_expression') return SKIP
    if (node.type === 'variable_expression') names.push(text.slice(node.start, node.end))
    return undefined
  })
  return names
}

/** The names of the bindings around a node, with those of a variable that stands for a set. */
function outerNames(text: string, ancestors: readonly SyntaxNode[], { sets }: Scope): Names {
  return ancestors.flatMap((it, i): Names => {
    if (it.type !== 'binding') return []
    const names = namesIn(text, it)
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

function contains(names: Names, option: AttrPath): boolean {
  return names.some((_, start) => isAt(names, option, start))
}

/** Whether what a selection selects from is read from the option already, and counts instead. */
function containsBefore(scope: Scope, node: SyntaxNode, option: AttrPath): boolean {
  const from = node.field('expression')
  const inner = from && unparenthesised(from)
  const isCounted = inner?.type === 'variable_expression' || !inner?.field('default')
  return from !== undefined && isCounted && contains(scope.pathOf(from), option)
}

function isAt(names: Names, option: AttrPath, start: number): boolean {
  return option.every((name, i) => names[start + i] === name)
}

/** Whether the node around which these stand is the value of a variable: that is read where the variable is. */
function isLetValue(ancestors: readonly SyntaxNode[]): boolean {
  const isBinding = (back: number) =>
    ancestors.at(-back)?.type === 'binding' && ancestors.at(-back - 2)?.type === 'let_expression'
  return isBinding(1) || (ancestors.at(-1)?.type === 'parenthesized_expression' && isBinding(2))
}

function unparenthesised(node: SyntaxNode): SyntaxNode {
  const inner = node.type === 'parenthesized_expression' ? node.field('expression') : undefined
  return inner ? unparenthesised(inner) : node
}

function namedChildren(node: SyntaxNode): SyntaxNode[] {
  return node.children.filter(it => it.isNamed && it.type !== 'comment')
}

/** The names of the attribute path in a binding or a selection. */
function namesIn(text: string, node: SyntaxNode): (string | undefined)[] {
  const attrpath = node.field('attrpath')
  return attrpath ? namedChildren(attrpath).map(it => nameOf(text, it)) : []
}

function inheritedNames(node: SyntaxNode): SyntaxNode[] {
  const attrs = node.field('attrs')
  return attrs ? namedChildren(attrs) : []
}

function nameOf(text: string, node: SyntaxNode): string | undefined {
  const parsed = parsePath(text.slice(node.start, node.end))
  return parsed.ok ? parsed.value[0] : undefined
}

/** The text of a plain string. */
function stringOf(text: string, node: SyntaxNode): string | undefined {
  if (node.type !== 'string_expression') return undefined
  return /^"([^"\\$]*)"$/.exec(text.slice(node.start, node.end))?.[1]
}

function calleeOf(text: string, node: SyntaxNode): string {
  const callee = node.type === 'apply_expression' ? node.field('function') : undefined
  return callee ? text.slice(callee.start, callee.end) : ''
}
