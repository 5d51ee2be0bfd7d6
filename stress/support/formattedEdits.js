// The edits of formatted.js. Each returns the transaction, or undefined if it does not fit the document.
import { expr } from '../../dist/nix/index.js'

const NEW = 'vfio-patch-test'

export const EDITS = {
  'set new scalar': edit => edit.setIn('services.vfioPatchTest.enable', true),
  'set existing scalar': (edit, doc) => {
    const found = doc.leaves().find(it => hasFixedPath(it) && otherThan(it.value) !== undefined)
    const definition = found && definitionOf(doc, found)
    return definition && edit.setIn(definition, otherThan(found.value))
  },
  'set new block': edit =>
    edit.setIn('services.vfioPatchTest', { enable: true, port: 1, names: ['x', 'y'] }),
  'add new list of 1': edit => edit.addIn('boot.vfioPatchTest', ['x']),
  'add new list of 2': edit => edit.addIn('boot.vfioPatchTest', ['x', 'y']),
  'add to one-line list': (edit, doc) => {
    const found = listsOf(doc).find(it => !it.list.text.includes('\n'))
    const definition = found && definitionOf(doc, found)
    return definition && edit.addIn(definition, [NEW])
  },
  'add to multi-line list': (edit, doc) => {
    const found = listsOf(doc).find(it => it.list.text.includes('\n'))
    const definition = found && definitionOf(doc, found)
    return definition && edit.addIn(definition, [NEW])
  },
  import: edit => edit.import(`./${NEW}`),
  'remove definition': (edit, doc) => {
    const found = middleOf(doc.leaves().filter(hasFixedPath))
    return found && edit.removeIn(found.path)
  },
  'remove item': (edit, doc) => {
    const found = middleOf(listsOf(doc))
    const definition = found && definitionOf(doc, found)
    return definition && edit.removeIn(definition, [expr(middleOf(found.items).text)])
  }
}

function hasFixedPath({ path }) {
  return !path.includes(undefined)
}

/** The definition that has this value, perhaps inside a function such as `mkForce`. */
function definitionOf(doc, { path, value }) {
  const isIn = it => it.value.start <= value.start && value.end <= it.value.end
  return doc.getIn(path).find(isIn)
}

/** Another value of the same type; undefined if the value is not a boolean, integer or one-line text. */
function otherThan({ type, text }) {
  if (text === 'true' || text === 'false') return text === 'false'
  if (type === 'integer_expression') return Number(text) + 1
  return type === 'string_expression' && !text.includes('\n') ? NEW : undefined
}

/** The definitions of lists that are not empty, `with pkgs; [ … ]` included. */
function listsOf(doc) {
  return doc
    .leaves()
    .filter(hasFixedPath)
    .flatMap(leaf => {
      const list = listIn(leaf.value)
      const items = list?.children.filter(it => it.isNamed && it.type !== 'comment') ?? []
      return items.length > 0 ? [{ ...leaf, list, items }] : []
    })
}

function listIn(value) {
  if (value?.type === 'with_expression') return listIn(value.field('body'))
  return value?.type === 'list_expression' ? value : undefined
}

function middleOf(all) {
  return all[all.length >> 1]
}
