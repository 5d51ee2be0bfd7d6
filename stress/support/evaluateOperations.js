// The edits of evaluate.js, and the expected options afterwards.
//
// The meaning of a module is a map from the path of each value in it (as JSON) to that value as the
// module system evaluates it (as JSON), both as rendered by evaluate.nix.

const EMPTY = JSON.stringify({ set: [], values: [] })
const NEW = 'vfio-patch-test'

/** The values of a rendered set by path. An empty set is a value. */
export function meaningOf(rendered, path = [], meaning = new Map()) {
  const { set, values, marker } = rendered
  if (set && set.length > 0) {
    for (const [i, name] of set.entries()) meaningOf(values[i], [...path, name], meaning)
  } else if (marker !== 'absent') meaning.set(keyOf(path), JSON.stringify(rendered))
  return meaning
}

/**
 * Edits that fit the definitions of a module. Each has a `name`, the `path` of its option,
 * `ask(edit)`, and `expect(before, after, folder)`, which returns the expected meaning of a file in that
 * folder. If several meanings are right, it returns the one that `after` has.
 */
export function operationsFor(doc, meaning) {
  const options = optionsOf(doc, meaning)
  const some = test => spread(options.filter(it => test(it.value)))
  const isScalar = ({ leaf }) => leaf !== undefined
  return [
    setting('set new', ['services', 'vfioPatchTest', 'enable'], true),
    setting('set nested', ['virtualisation', 'vfioPatchTest'], { a: { b: [1, 2] }, c: 'd' }),
    ...some(isScalar).map(it => setting('set', it.path, otherThan(it.value.leaf))),
    adding('add to missing', ['boot', 'vfioPatchTest'], ['x', 'y']),
    ...some(it => it.list).map(it => adding('add', it.path, [NEW])),
    ...some(it => it.leaf?.includes?.('\n')).map(it => addingLine(it.path)),
    ...some(it => it.list).flatMap(it => removingItem(doc, it)),
    ...some(() => true).map(it => removing(it.path)),
    ...some(() => true).map(it => renaming(it.path)),
    importing()
  ]
}

/**
 * The same edit of the only definition of the option, for an option that can't be edited by path because
 * its definition is conditional. Undefined if there are several definitions, and in a recursive set, where
 * the edit would also change other values.
 */
export function chosen(doc, operation) {
  const [definition, other] = doc.getIn(operation.path)
  if (!operation.askOf || !definition || other || isRecursive(definition.binding)) return undefined
  return {
    ...operation,
    name: `${operation.name}, chosen`,
    ask: edit => operation.askOf(edit, definition)
  }
}

function isRecursive(node) {
  return node !== undefined && (node.type === 'rec_attrset_expression' || isRecursive(node.parent))
}

/** The options with a fixed path and a value, without duplicates. */
function optionsOf(doc, meaning) {
  const options = new Map()
  for (const { path } of doc.leaves()) {
    const value = meaning.get(keyOf(['config', ...path]))
    if (!path.includes(undefined) && value) options.set(keyOf(path), { path, value })
  }
  return [...options.values()].map(it => ({ path: it.path, value: JSON.parse(it.value) }))
}

/** Another value of the same kind. */
function otherThan(value) {
  if (typeof value === 'boolean') return !value
  // Nix prints only six digits of a float, so the number is rounded.
  return typeof value === 'number' ? Math.round(value) + 1 : NEW
}

/** At most three: the first, the last, and one between them. */
function spread(all) {
  return [...new Set([all[0], all[all.length >> 1], all.at(-1)])].filter(it => it !== undefined)
}

function setting(name, path, value) {
  return {
    name,
    path,
    ask: edit => edit.setIn(path, value),
    askOf: (edit, it) => edit.setIn(it, value),
    expect: before => {
      const expected = without(before, ['config', ...path])
      return withNew(expected, meaningOf(rendered(value), ['config', ...path]))
    }
  }
}

function adding(name, path, items) {
  const key = keyOf(['config', ...path])
  return {
    name,
    path,
    ask: edit => edit.addIn(path, items),
    askOf: (edit, it) => edit.addIn(it, items),
    expect: (before, after) => {
      const grown = grownList(before.get(key), after.get(key), items.map(rendered))
      return withNew(before, new Map([[key, grown]]))
    }
  }
}

function importing() {
  const key = keyOf(['aside', 'imports'])
  return {
    name: 'import',
    path: ['imports'],
    ask: edit => edit.import(`./${NEW}`),
    expect: (before, after, folder) => {
      const path = { marker: `path ${folder}/${NEW}` }
      return withNew(before, new Map([[key, grownList(before.get(key), after.get(key), [path])]]))
    }
  }
}

/** The list with the items inserted together anywhere. */
function grownList(before, after, items) {
  const { list } = JSON.parse(before ?? '{"list":[]}')
  const now = after === undefined ? [] : (JSON.parse(after).list ?? [])
  const texts = now.map(it => JSON.stringify(it))
  const found = texts.indexOf(JSON.stringify(items[0]))
  const at = found === -1 ? list.length : found
  return JSON.stringify({ list: [...list.slice(0, at), ...items, ...list.slice(at)] })
}

function addingLine(path) {
  const key = keyOf(['config', ...path])
  return {
    name: 'add line',
    path,
    ask: edit => edit.addIn(path, [NEW]),
    askOf: (edit, it) => edit.addIn(it, [NEW]),
    expect: (before, after) => {
      const { leaf } = JSON.parse(before.get(key))
      const now = JSON.parse(after.get(key) ?? '{}').leaf ?? ''
      // Definitions of lines are joined by newlines, and the line is added to the first unconditional one.
      const linesOf = text => text.split('\n').filter(it => it.trim() !== '')
      const lines = linesOf(now)
      const at = lines.indexOf(NEW)
      const rest = lines.filter((_, i) => i !== at)
      const isRight = at !== -1 && rest.join('\n') === linesOf(leaf).join('\n')
      return new Map(before).set(key, JSON.stringify({ leaf: isRight ? now : `${leaf}\n${NEW}` }))
    }
  }
}

/** Removes the first and the last string literal of the list. */
function removingItem(doc, { path, value }) {
  const key = keyOf(['config', ...path])
  const items = doc.itemsIn(path).filter(it => value.list.some(({ leaf }) => leaf === it))
  const chosen = new Set([items[0], items.at(-1)].filter(it => typeof it === 'string'))
  return [...chosen].map(item => ({
    name: 'remove item',
    path,
    ask: edit => edit.removeIn(path, [item]),
    expect: before => {
      const list = value.list.filter(({ leaf }) => leaf !== item)
      return new Map(before).set(key, JSON.stringify({ list }))
    }
  }))
}

function removing(path) {
  return {
    name: 'remove',
    path,
    ask: edit => edit.removeIn(path),
    expect: (before, after) =>
      withEmptied(without(before, ['config', ...path]), after, ['config', ...path])
  }
}

function renaming(path) {
  const to = [...path.slice(0, -1), 'vfioPatchTest']
  const [oldKey, newKey] = [keyOf(['config', ...path]), keyOf(['config', ...to])]
  return {
    name: 'rename',
    path,
    ask: edit => edit.renameIn(path, to),
    expect: before => {
      const expected = new Map(before)
      expected.delete(oldKey)
      return expected.set(newKey, before.get(oldKey))
    }
  }
}

/** The meaning with more values. An empty set to which a value is added is no longer a value itself. */
function withNew(meaning, more) {
  const all = new Map([...meaning, ...more])
  for (const key of more.keys()) {
    const path = JSON.parse(key)
    for (let length = 1; length < path.length; length++) all.delete(keyOf(path.slice(0, length)))
  }
  return all
}

/** The meaning if the set around a removed value may remain as an empty set. */
function withEmptied(meaning, after, path) {
  for (let length = 1; length < path.length; length++) {
    const key = keyOf(path.slice(0, length))
    if (after.get(key) === EMPTY && !below(meaning, path.slice(0, length)).length)
      meaning.set(key, after.get(key))
  }
  return meaning
}

function without(meaning, path) {
  const rest = new Map(meaning)
  for (const key of below(meaning, path)) rest.delete(key)
  return rest
}

function below(meaning, path) {
  const start = keyOf(path).slice(0, -1)
  return [...meaning.keys()].filter(it => it === `${start}]` || it.startsWith(`${start},`))
}

function rendered(value) {
  if (Array.isArray(value)) return { list: value.map(rendered) }
  if (typeof value !== 'object') return { leaf: value }
  const names = Object.keys(value).sort()
  return { set: names, values: names.map(it => rendered(value[it])) }
}

const keyOf = path => JSON.stringify(path)
