// The tasks of toolkits.js. A task has texts that say what it asks for: the file edited by replacing,
// inserting and cutting characters, whatever that does to its layout. A tool's result is right if Nix reads
// it as one of them, and no comment is lost.
import { formatPath, visit } from '../../dist/nix/index.js'
import { fetchCallsOf, namesOf } from './fetchCalls.js'

const NEW = 'vfio-patch-test'

/** The tasks for a module. */
export function moduleTasks(doc) {
  const module = doc.module()
  if (!module.ok) return []
  const leaves = doc
    .leaves()
    .filter(it => !it.path.includes(undefined) && doc.getIn(it.path).length === 1)
  const lists = leaves.filter(it => listIn(it.value))
  const scalars = leaves.filter(it => otherThan(it.value))
  return [
    ...scalars
      .slice(scalars.length >> 1)
      .slice(0, 1)
      .map(it => setting(doc, it)),
    adding(doc, ['services', 'vfioPatchTest', 'enable'], 'true'),
    ...lists
      .slice(lists.length >> 1)
      .slice(0, 1)
      .map(it => addingItem(doc, it)),
    ...leaves
      .slice(leaves.length >> 1)
      .slice(0, 1)
      .map(it => removing(doc, it))
  ].map(it => ({ ...it, text: doc.text }))
}

/** The task for a flake: an input, and its name in the formals of `outputs` if they are closed. */
export function flakeTask(doc) {
  const module = flakeSet(doc)
  const outputs = module && bindingNamed(module, 'outputs')?.field('expression')
  if (outputs?.type !== 'function_expression') return undefined
  const path = ['inputs', 'vfioPatchTest', 'url']
  const url = '"github:vfio-patch/test"'
  const at = module.children.find(it => it.type === '{').end
  const bare = inserted(doc.text, at, ` ${formatPath(path)} = ${url}; `)
  const formals = outputs.field('formals')
  const shift = bare.length - doc.text.length
  const brace = formals?.children.find(it => it.type === '{')
  const isOpen = !formals || formals.children.some(it => it.type === 'ellipses')
  const some = formals?.children.some(it => it.isNamed) ? ',' : ''
  const named = brace && inserted(bare, brace.end + shift, ` vfioPatchTest${some} `)
  return {
    kind: 'flake input',
    path,
    fullPath: path,
    text: doc.text,
    value: url,
    expected: [...(isOpen ? [bare] : []), ...(named ? [named] : [])],
    touched:
      linesOf(doc.text, at, at) + (formals ? linesOf(doc.text, formals.start, formals.end) : 0),
    freed: []
  }
}

/** The tasks for the calls of fetchers with a literal revision and hash. */
export function bumpTasks(doc) {
  return fetchCallsOf(doc, ['fetchFromGitHub']).map(call => ({
    kind: 'bump',
    path: call.path,
    fullPath: call.path,
    text: doc.text,
    call,
    expected: [call.bumped],
    touched: call.replacements.length,
    freed: []
  }))
}

/** The comments of a text, each on one line. */
export function commentsOf(doc) {
  const comments = []
  visit(doc, node => {
    if (node.type === 'comment') comments.push(plain(node))
    return undefined
  })
  return comments
}

function plain(comment) {
  return comment.text
    .replace(/^(?:#|\/\*)|\*\/$/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}

function setting(doc, { path, value }) {
  const other = otherThan(value)
  return {
    kind: 'set',
    path,
    fullPath: fullPathOf(doc, path),
    value: other,
    expected: [replaced(doc.text, value.start, value.end, other)],
    touched: linesOf(doc.text, value.start, value.end),
    freed: []
  }
}

function adding(doc, path, value) {
  return {
    kind: 'new option',
    path,
    fullPath: doc.module().value?.hasConfig ? ['config', ...path] : path,
    value,
    expected: newDefinitions(doc, path, value),
    touched: 1,
    freed: []
  }
}

function addingItem(doc, { path, value }) {
  const list = listIn(value)
  const item = `"${NEW}"`
  return {
    kind: 'add to list',
    path,
    fullPath: fullPathOf(doc, path),
    value: item,
    // A definition beside the list is right too: lists are merged.
    expected: [
      inserted(doc.text, list.end - 1, ` ${item} `),
      inserted(doc.text, list.start + 1, ` ${item} `),
      ...newDefinitions(doc, path, `[ ${item} ]`)
    ],
    touched: linesOf(doc.text, list.start, list.end),
    freed: []
  }
}

function removing(doc, { path }) {
  const [{ binding }] = doc.getIn(path)
  const { text } = doc
  const expected = []
  // A set that becomes empty may stay or go.
  for (let node = binding; node; node = emptiedBy(node))
    expected.push(replaced(text, node.start, node.end, ''))
  const from = text.lastIndexOf('\n', binding.start)
  const lineEnd = text.indexOf('\n', binding.end)
  const to = lineEnd === -1 ? text.length : lineEnd
  const freed = []
  visit(doc, node => {
    const isNear = node.start >= from && node.end <= to
    if (node.type === 'comment' && (isNear || isDirectlyAbove(text, node, from)))
      freed.push(plain(node))
    return undefined
  })
  const fullPath = fullPathOf(doc, path)
  return {
    kind: 'remove',
    path,
    fullPath,
    expected,
    touched: linesOf(text, from + 1, to) + 4,
    freed
  }
}

/** The comments in the lines directly above may be about what is removed. */
function isDirectlyAbove(text, comment, from) {
  return (
    comment.end <= from && /^(?:\n[ \t]*(?:#[^\n]*)?)*$/.test(text.slice(comment.end, from + 1))
  )
}

/** The binding, or item of a list, whose set has only this binding. */
function emptiedBy(binding) {
  const { parent } = binding
  if (parent?.type !== 'binding_set') return undefined
  const isAlone = parent.children.filter(it => it.isNamed && it.type !== 'comment').length === 1
  const holder = parent.parent?.parent
  if (!isAlone) return undefined
  if (holder?.type === 'list_expression') return parent.parent
  return holder?.type === 'binding' ? holder : undefined
}

/** The file with a definition that always applies, at each place where it can stand. */
function newDefinitions(doc, path, value) {
  const module = doc.module()
  if (!module.ok) return []
  const { sets, hasConfig } = module.value
  const source = `${formatPath(hasConfig ? ['config', ...path] : path)} = ${value};`
  const texts = sets.map(it => inserted(doc.text, afterBrace(it), ` ${source} `))
  if (!hasConfig) return texts
  for (const set of sets) texts.push(...inMerge(doc, set, `${formatPath(path)} = ${value};`))
  return texts
}

/**
 * In `config = mkMerge [ … ]`: in a set of the list, or as a set of its own. A conditional set becomes an
 * item of such a list.
 */
function inMerge(doc, set, source) {
  const config = bindingNamed(set, 'config')?.field('expression')
  const list = config?.field('argument')
  const called = config?.field('function')?.text ?? ''
  const conditional = /^(.*\b)mkIf\b/.exec(called)
  if (conditional) {
    const both = [`(${config.text}) { ${source} }`, `{ ${source} } (${config.text})`]
    return both.map(it =>
      replaced(doc.text, config.start, config.end, `${conditional[1]}mkMerge [ ${it} ]`)
    )
  }
  if (!/(?:^|\.)mkMerge$/.test(called) || list?.type !== 'list_expression') return []
  const inSets = list.children
    .filter(it => it.type === 'attrset_expression')
    .map(it => inserted(doc.text, afterBrace(it), ` ${source} `))
  const own = [list.start + 1, list.end - 1].map(it => inserted(doc.text, it, ` { ${source} } `))
  return [...inSets, ...own]
}

function afterBrace(set) {
  return set.children.find(it => it.type === '{').end
}

/** The names around a definition in the file, `config` too. */
function fullPathOf(doc, path) {
  const nodes = []
  for (let node = doc.getIn(path)[0].binding; node; node = node.parent) nodes.unshift(node)
  return namesOf(nodes)
}

function flakeSet(doc) {
  const set = doc.root.field('expression')
  return set?.type === 'attrset_expression' ? set : undefined
}

function bindingNamed(set, name) {
  const bindings = set.children.find(it => it.type === 'binding_set')?.children ?? []
  return bindings.find(it => it.type === 'binding' && it.field('attrpath')?.text === name)
}

/** Another value of the same type; undefined if the value is not a boolean, integer or one-line text. */
function otherThan({ type, text }) {
  if (text === 'true' || text === 'false') return text === 'true' ? 'false' : 'true'
  if (type === 'integer_expression') return String(Number(text) + 1)
  return type === 'string_expression' && !text.includes('\n') ? `"${NEW}"` : undefined
}

function listIn(value) {
  if (value?.type === 'with_expression') return listIn(value.field('body'))
  const isList = value?.type === 'list_expression'
  return isList && value.children.some(it => it.isNamed) ? value : undefined
}

function linesOf(text, start, end) {
  return text.slice(start, end).split('\n').length
}

function inserted(text, at, content) {
  return replaced(text, at, at, content)
}

function replaced(text, start, end, content) {
  return text.slice(0, start) + content + text.slice(end)
}
