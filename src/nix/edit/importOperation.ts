import type { NixDocument } from '../document.ts'
import { type Definition, lookUp } from '../module/definitions.ts'
import { allListsOf, formOf, isConcat, listOf } from '../module/lists.ts'
import { type Module, setFor, unwrapped } from '../module/module.ts'
import { ok } from '../result.ts'
import type { SyntaxNode } from '../syntax/parser.ts'
import { callOf, elementsOf } from '../syntax/shape.ts'
import { stringValue } from '../syntax/strings.ts'
import { expr } from '../values.ts'
import { insertFirst } from './insertBinding.ts'
import { insertItems } from './insertItems.ts'
import { blockedByPipe, type Edits, refuse } from './refusals.ts'

/** `import`: see Transaction. */
export function planImport(doc: NixDocument, module: Module, path: string): Edits {
  const { text, root } = doc
  if (findImport(doc, path)) return ok([])
  const item = expr(pathSource(path))
  const [definition] = lookUp(module, ['imports']).exact
  if (!definition)
    return ok([insertFirst(text, root, setFor(module, ['imports']), 'imports', [item])])
  if (definition.inherited) {
    return refuse(text, definition.binding, {
      code: 'INHERITED',
      message: 'imports is inherited here, so nothing can be added to it',
      hint: `write it out, with what was inherited behind it:  imports = [ ${item.source} ] ++ …;`
    })
  }
  const blocked = blockedByPipe(doc, definition.value)
  if (blocked) return blocked
  const list = listOf(text, definition.value)
  if (list) return ok([insertItems(text, root, list, [item], undefined)])
  return appendList(text, definition, item.source)
}

/** `VALUE ++ [ ./x ]`, which is right for all that can stand there: imports take no `mkIf`. */
function appendList(text: string, definition: Definition, source: string): Edits {
  const form = formOf(text, definition.value)
  let at = form.ok ? form.value.at : definition.value
  while (['let_expression', 'with_expression', 'assert_expression'].includes(at.type)) {
    const body = at.field('body')
    if (!body) break
    at = body
  }
  if (at.type === 'if_expression') {
    return ok([
      { offset: at.start, length: 0, content: '(' },
      { offset: at.end, length: 0, content: `) ++ [ ${source} ]` }
    ])
  }
  const listLike = ['apply_expression', 'variable_expression', 'select_expression']
  const fits = [...listLike, 'parenthesized_expression'].includes(at.type) || isConcat(at)
  return fits
    ? ok([{ offset: at.end, length: 0, content: ` ++ [ ${source} ]` }])
    : refuse(text, at, {
        code: 'NOT_A_LIST',
        message: 'imports is not a list here',
        hint: 'write it as a list:  imports = [ … ];'
      })
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
