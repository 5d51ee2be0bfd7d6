import { type Definition, lookUp } from '../module/definitions.ts'
import { isImported } from '../module/imports.ts'
import { formOf, isConcat, listOf } from '../module/lists.ts'
import { type Module, setFor } from '../module/module.ts'
import { quote } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { expr } from '../values.ts'
import { insertFirst, insertItems } from './insertion.ts'
import { blockedByPipe, type Edits, refuse } from './refusals.ts'

/** `import`: see Transaction. */
export function planImport(doc: Source, module: Module, path: string): Edits {
  if (isImported(module, path)) return ok([])
  const item = expr(pathSource(path))
  const { exact, below } = lookUp(module, ['imports'])
  const [definition] = exact
  if (below[0]) return noList(below[0].binding)
  if (!definition) return ok([insertFirst(doc, setFor(module, ['imports']), 'imports', [item])])
  if (definition.inherited) {
    return refuse(definition.binding, {
      code: 'INHERITED',
      message: 'imports is inherited here, so nothing can be added to it',
      hint: `write it out, with what was inherited behind it:  imports = [ ${item.source} ] ++ …;`
    })
  }
  const blocked = blockedByPipe(doc, definition.value)
  if (blocked) return blocked
  const list = listOf(definition.value)
  if (list) return ok([insertItems(doc, list, [item], undefined)])
  return appendList(definition, item.source)
}

/** `VALUE ++ [ ./x ]`, which is right for all that can stand there: imports take no `mkIf`. */
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
  return fits ? ok([{ offset: at.end, length: 0, content: ` ++ [ ${source} ]` }]) : noList(at)
}

function noList(node: SyntaxNode): Edits {
  return refuse(node, {
    code: 'NOT_A_LIST',
    message: 'imports is not a list here',
    hint: 'write it as a list:  imports = [ … ];'
  })
}

/** A path as Nix text: a path literal, or a sum where its characters allow none. */
function pathSource(path: string): string {
  if (/^(?:\.{0,2}\/)[\w.+-]+(?:\/[\w.+-]+)*$/.test(path)) return path
  const relative = path.replace(/^\.\//, '')
  return path.startsWith('/') ? `(/. + ${quote(path)})` : `(./. + ${quote(`/${relative}`)})`
}
