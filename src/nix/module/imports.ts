// The imports of a module, however their paths are written.

import { callOf } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { stringValue } from '../syntax/strings.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { isExpr, type NixValue, withoutComment } from '../values.ts'
import { lookUp } from './definitions.ts'
import { certainItemsOf, itemsOf } from './lists.ts'
import { type Module, unwrapped } from './module.ts'

/** The element of `imports` that imports the file or folder at `path`, however it is written. */
export function findImport(module: Module, path: string): SyntaxNode | undefined {
  return elementsOfImports(module).find(it => isImportOf(it, path))
}

/** Whether the file or folder at `path` is imported regardless of the conditions in `imports`. */
export function isImported(module: Module, path: string): boolean {
  return certainImports(module).some(it => isImportOf(it, path))
}

function certainImports(module: Module): SyntaxNode[] {
  return lookUp(module, ['imports'])
    .exact.filter(it => it.conditions.length === 0)
    .flatMap(it => certainItemsOf(it.value))
    .map(it => it.item)
}

/** One item of a module's `imports`. */
export interface ImportItem {
  /** The item in the syntax tree, parentheses included. */
  node: SyntaxNode
  source: string
  /** The path, such as `./hardware-configuration.nix`; undefined if it is computed. */
  path: string | undefined
  /** Whether it is imported regardless of the conditions around it. */
  isCertain: boolean
}

/** The items of all lists in `imports`, in source order. */
export function importItemsOf(module: Module): ImportItem[] {
  const certain = new Set(certainImports(module).map(it => it.start))
  return elementsOfImports(module).map(node => ({
    node,
    source: node.text,
    path: importedPath(node),
    isCertain: certain.has(node.start)
  }))
}

/** All fixed paths in `imports`, as written: `./hardware-configuration.nix`. */
export function importsOf(module: Module): string[] {
  return importItemsOf(module).flatMap(it => it.path ?? [])
}

/** A form of an import that is the same for all spellings of one path; undefined for a computed import. */
export function importKeyOf(element: SyntaxNode): string | undefined {
  const path = importedPath(element)
  return path === undefined ? undefined : `import ${normalize(path)}`
}

/** `importKeyOf` for an item of `imports` that is a value. */
export function importKeyOfValue(value: NixValue): string | undefined {
  const plain = withoutComment(value)
  if (typeof plain === 'string')
    return plain.startsWith('/') ? `import ${normalize(plain)}` : undefined
  const node = isExpr(plain) ? parse(plain.source).root.field('expression') : undefined
  return node && importKeyOf(node)
}

/** Whether items of an option are modules to import, which have several spellings. */
export function areImports({ isModule }: Module, path: readonly (string | undefined)[]): boolean {
  return isModule && path.length === 1 && path[0] === 'imports'
}

/** Whether an element of `imports` imports the file or folder at `path`. */
export function isImportOf(element: SyntaxNode, path: string): boolean {
  const imported = importedPath(element)
  return imported !== undefined && normalize(imported) === normalize(path)
}

function elementsOfImports(module: Module): SyntaxNode[] {
  return lookUp(module, ['imports'])
    .exact.flatMap(it => itemsOf(it.value))
    .map(it => it.item)
}

/** The path of an import such as `./a`, `(import ./a)`, `(./. + "/a")`, `"${./.}/a"` or `"/a"`. */
function importedPath(node: SyntaxNode): string | undefined {
  const inner = unwrapped(node)
  const source = inner.text
  if (inner.type === 'path_expression') return source.includes('${') ? undefined : source
  const call = callOf(inner)
  if (call?.name === 'import' && call.args[0]) return importedPath(call.args[0])
  if (inner.type === 'binary_expression' && inner.field('operator')?.type === '+') {
    const left = inner.field('left')
    const right = inner.field('right')
    const base = left && importedPath(left)
    const rest = right && stringValue(right)
    return base !== undefined && rest !== undefined ? base + rest : undefined
  }
  if (inner.type === 'string_expression') {
    const found = /^"\$\{(\.[^}"]*)\}([^"$\\]*)"$/.exec(source)
    if (found) return `${found[1]}${found[2]}`
    // A string that is not an absolute path is not a path.
    const path = stringValue(inner)
    return path?.startsWith('/') ? path : undefined
  }
  return undefined
}

/** `./a`, `./a/`, `././a` and `./a/default.nix` are the same module. */
function normalize(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..' && parts.at(-1) !== '')
      parts.pop()
    else if (part === '' && parts.length === 0) parts.push('')
    else if (part !== '.' && part !== '') parts.push(part)
  }
  if (parts.at(-1) === 'default.nix') parts.pop()
  return parts.join('/')
}
