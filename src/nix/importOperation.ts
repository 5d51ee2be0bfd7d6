import { type Definition, lookUp } from './definitions.ts'
import type { NixDocument } from './document.ts'
import type { Edit } from './edits.ts'
import { type NixError, nixError } from './errors.ts'
import { insertFirst } from './insertBinding.ts'
import { insertItems } from './insertItems.ts'
import { allListsOf, listOf } from './lists.ts'
import { unwrapped } from './module.ts'
import { blockedBy } from './operations.ts'
import type { SyntaxNode } from './parser.ts'
import { err, ok, type Result } from './result.ts'
import { callOf, elementsOf } from './shape.ts'
import { stringValue } from './strings.ts'
import { expr } from './values.ts'

/** `import`: see Transaction. */
export function planImport(doc: NixDocument, path: string): Result<Edit[], NixError> {
  const module = doc.module()
  if (!module.ok) return module
  const { text, root } = doc
  const { set } = module.value
  const found = lookUp(module.value, ['imports'])
  if (findImport(doc, path)) return ok([])

  const item = expr(pathSource(path))
  const definition = found.exact[0]
  if (!definition) return ok([insertFirst(text, root, set, 'imports', [item])])
  if (definition.inherited) return err(inherited(text, definition.value))
  const blocked = blockedBy(doc, definition.value)
  if (blocked) return blocked
  const list = listOf(text, definition)
  if (list.ok) return ok([insertItems(text, root, list.value, [item])])
  return appendList(definition, item.source, list.error)
}

/** `VALUE ++ [ ./x ]`, which is right for every list: imports take no `mkIf` and its like. */
function appendList(
  definition: Definition,
  source: string,
  otherwise: NixError
): Result<Edit[], NixError> {
  let value = definition.value
  while (['let_expression', 'with_expression', 'assert_expression'].includes(value.type)) {
    const body = value.field('body')
    if (!body) break
    value = body
  }
  const kind = value.type
  const callable = ['apply_expression', 'variable_expression', 'select_expression']
  const isList = [...callable, 'parenthesized_expression'].includes(kind)
  const concatenates = kind === 'binary_expression' && value.field('operator')?.type === '++'
  if (isList || concatenates) {
    return ok([{ offset: value.end, length: 0, content: ` ++ [ ${source} ]` }])
  }
  if (kind === 'if_expression') {
    return ok([
      { offset: value.start, length: 0, content: '(' },
      { offset: value.end, length: 0, content: `) ++ [ ${source} ]` }
    ])
  }
  return err(otherwise)
}

/** The element of `imports` that is the file or folder at `path` in any spelling, if there is one. */
export function findImport(doc: NixDocument, path: string): SyntaxNode | undefined {
  const module = doc.module()
  if (!module.ok) return undefined
  const wanted = normalise(path)
  return lookUp(module.value, ['imports'])
    .exact.flatMap(it => allListsOf(doc.text, it.value))
    .flatMap(elementsOf)
    .find(it => {
      const imported = importedPath(doc.text, it)
      return imported !== undefined && normalise(imported) === wanted
    })
}

/** All fixed paths in `imports`, as they are spelt: `./hardware-configuration.nix`. */
export function importsOf(doc: NixDocument): string[] {
  const module = doc.module()
  if (!module.ok) return []
  return lookUp(module.value, ['imports'])
    .exact.flatMap(it => allListsOf(doc.text, it.value))
    .flatMap(elementsOf)
    .map(it => importedPath(doc.text, it))
    .filter(it => it !== undefined)
}

/** The path that an import means: of `./a`, `(import ./a)`, `(./. + "/a")`, `"${./.}/a"`. */
function importedPath(text: string, node: SyntaxNode): string | undefined {
  const inner = unwrapped(node)
  const spelt = text.slice(inner.start, inner.end)
  if (inner.type === 'path_expression') return spelt.includes('${') ? undefined : spelt
  const call = callOf(text, inner)
  if (call?.name === 'import' && call.args[0]) return importedPath(text, call.args[0])
  if (inner.type === 'binary_expression' && inner.field('operator')?.type === '+') {
    const left = inner.field('left')
    const right = inner.field('right')
    const base = left && importedPath(text, left)
    const rest = right && stringValue(text, right)
    return base !== undefined && rest !== undefined ? base + rest : undefined
  }
  if (inner.type === 'string_expression') {
    const found = /^"\$\{(\.[^}"]*)\}([^"$\\]*)"$/.exec(spelt)
    return found ? `${found[1]}${found[2]}` : undefined
  }
  return undefined
}

/** `./a`, `./a/`, `././a` and `./a/default.nix` are the same module. */
function normalise(path: string): string {
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

/** A path as Nix text: a path literal, or a sum where its characters allow none. */
export function pathSource(path: string): string {
  if (/^(?:\.{0,2}\/)[\w.+-]+(?:\/[\w.+-]+)*$/.test(path)) return path
  const relative = path.replace(/^\.\//, '')
  return path.startsWith('/')
    ? `(/. + ${JSON.stringify(path)})`
    : `(./. + ${JSON.stringify(`/${relative}`).replaceAll('${', '\\${')})`
}

function inherited(text: string, name: SyntaxNode): NixError {
  return nixError(text, {
    code: 'INHERITED',
    message: 'imports are inherited here, so nothing can be added to them',
    range: { start: name.start, end: name.end },
    hint: 'write imports = [ … ]; with the inherited list appended by ++'
  })
}
