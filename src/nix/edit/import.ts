import { otherOperandDefines } from '../messages/definitions.ts'
import { importsInherited, importsNotAList } from '../messages/lists.ts'
import { type Definition, effectiveIn, lookUp } from '../module/definitions.ts'
import { isImported } from '../module/imports.ts'
import { formOf, isConcat, listOf } from '../module/lists.ts'
import { type Module, setToEdit } from '../module/module.ts'
import { quote } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { expr, type NixValue } from '../values.ts'
import { insertFirst, insertItems } from './insertion.ts'
import { blockedByPipe, type Edits, refuse } from './refusals.ts'

/** `import`: see Transaction. */
export function planImport(doc: Source, module: Module, path: string): Edits {
  if (isImported(module, path)) return ok([])
  const item = expr(pathSource(path))
  const { exact, below } = effectiveIn(lookUp(module, ['imports']))
  const [definition] = exact
  if (below[0]) return refuse(below[0].binding, importsNotAList)
  if (!definition) {
    const set = setToEdit(module, ['imports'], 'extends')
    if (!set) return refuse(module.body, otherOperandDefines('imports'))
    return ok([insertFirst(doc, set, 'imports', [item])])
  }
  if (definition.inherited) {
    return refuse(definition.binding, importsInherited(item.source))
  }
  const blocked = blockedByPipe(doc, definition.value)
  if (blocked) return blocked
  const list = listOf(definition.value)
  if (list) return ok([insertItems(doc, list, [item], undefined)])
  return appendList(definition, item.source)
}

/** Writes `VALUE ++ [ ./x ]`. This fits any value, because `imports` can't be a `mkIf`. */
function appendList(definition: Definition, source: string): Edits {
  const form = formOf(definition.value)
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
    : refuse(at, importsNotAList)
}

/** The value of an item of `imports`. */
export function importItem(path: string): NixValue {
  return expr(pathSource(path))
}

/** A path as Nix source: a path literal, or a concatenation if its characters require that. */
function pathSource(path: string): string {
  if (/^(?:\.{0,2}\/)[\w.+-]+(?:\/[\w.+-]+)*$/.test(path)) return path
  const relative = path.replace(/^\.\//, '')
  return path.startsWith('/') ? `(/. + ${quote(path)})` : `(./. + ${quote(`/${relative}`)})`
}
