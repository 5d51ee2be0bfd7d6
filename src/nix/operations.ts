// The four edits of the first storey, each as a pure function from a document to edits.

import { canonicalOfNode, canonicalOfValue } from './canonical.ts'
import { type Definition, type Lookup, lookUp } from './definitions.ts'
import type { NixDocument } from './document.ts'
import type { Edit } from './edits.ts'
import { type NixError, type NixErrorInit, nixError } from './errors.ts'
import { insertBinding } from './insertBinding.ts'
import { insertItems } from './insertItems.ts'
import { indentAt } from './lines.ts'
import { allListsOf, listOf } from './lists.ts'
import { type Module, unwrapped } from './module.ts'
import type { SyntaxNode } from './parser.ts'
import { type AttrPath, formatPath, spellPath } from './path.ts'
import { isOneLine, placeFor } from './place.ts'
import { printInline, printValue } from './print.ts'
import { removeNode } from './remove.ts'
import { err, ok, type Result } from './result.ts'
import { callOf, elementsOf, isSet } from './shape.ts'
import { layoutAt } from './style.ts'
import { bare, isValueSet, type NixValue } from './values.ts'

export type Operation =
  | { kind: 'set'; path: AttrPath; value: NixValue }
  | { kind: 'add'; path: AttrPath; items: readonly NixValue[] }
  | { kind: 'remove'; path: AttrPath; items: readonly NixValue[] | undefined }
  | { kind: 'import'; path: string }

type Edits = Result<Edit[], NixError>

const NONE: Edits = ok([])

/** `setIn`: see Transaction. */
export function planSet(doc: NixDocument, path: AttrPath, value: NixValue): Edits {
  const wanted = canonicalOfValue(value)
  if (wanted === undefined) return badValue(value)
  const module = doc.module()
  if (!module.ok) return module
  const found = lookUp(module.value, path)
  const { text, root } = doc

  const [definition, second] = found.exact
  if (definition && second) return refuse(text, second.binding, ambiguous(path, found.exact))
  const scattered = found.below[0]
  if (scattered) {
    return refuse(text, scattered.binding, {
      code: 'CONFLICT',
      message: `${formatPath(path)} is already defined in parts, here ${spelling(scattered)}`,
      hint: `set ${spelling(scattered)} and its neighbours one by one`
    })
  }
  if (!definition) {
    return define(doc, module.value, found, path, value)
  }
  if (definition.inherited) {
    return refuse(text, definition.binding, {
      code: 'INHERITED',
      message: `${formatPath(path)} is inherited here, so there is no value to change`,
      hint: 'write it out as name = value;'
    })
  }
  if (definition.conditions.length > 0)
    return refuse(text, definition.binding, conditional(path, definition))
  const target = settable(text, definition.value)
  if (canonicalOfNode(text, target) === wanted) return NONE
  const blocked = blockedBy(doc, target)
  if (blocked) return blocked
  const inner = unwrapped(target)
  if (isSet(inner) && isValueSet(bare(value)) && elementsOf(inner).length > 0) {
    return refuse(text, definition.binding, {
      code: 'CONFLICT',
      message: `${formatPath(path)} is a set already`,
      hint: 'set its attributes one by one'
    })
  }
  const layout = layoutAt(text, indentAt(text, target.start), root)
  const content =
    isOneLine(text, target) && !isOneLine(text, definition.binding)
      ? printInline(value, layout.tightLists)
      : printValue(value, layout, target.start - definition.binding.start + layout.indent.length)
  return ok([{ offset: target.start, length: target.end - target.start, content }])
}

/** `addIn`: see Transaction. */
export function planAdd(doc: NixDocument, path: AttrPath, items: readonly NixValue[]): Edits {
  const keys = items.map(canonicalOfValue)
  if (keys.includes(undefined)) return badValue(items[keys.indexOf(undefined)] ?? null)
  const module = doc.module()
  if (!module.ok) return module
  const { text, root } = doc
  const found = lookUp(module.value, path)
  const always = found.exact.filter(it => it.conditions.length === 0)
  const present = new Set(
    always.flatMap(it => {
      const list = listOf(text, it)
      return list.ok ? elementsOf(list.value).map(item => canonicalOfNode(text, item)) : []
    })
  )
  const missing = items.filter((_, i) => !present.has(keys[i] ?? '') && keys.indexOf(keys[i]) === i)
  if (missing.length === 0) return NONE

  const below = found.below[0]
  if (below) {
    return refuse(text, below.binding, {
      code: 'NOT_A_LIST',
      message: `${formatPath(path)} is a set, here ${spelling(below)}, and not a list`
    })
  }
  if (found.exact.length === 0) {
    return define(doc, module.value, found, path, missing)
  }
  const lists = always.map(it => listOf(text, it))
  const list = lists.find(it => it.ok)
  if (list?.ok) {
    const blocked = blockedBy(doc, list.value)
    return blocked ?? ok([insertItems(text, root, list.value, missing)])
  }
  const refused = lists[0]
  if (refused && !refused.ok) return refused
  const first = found.exact[0] as Definition
  return refuse(text, first.binding, conditional(path, first))
}

/** Writes a definition of a path that has none. */
function define(
  doc: NixDocument,
  module: Module,
  found: Lookup,
  path: AttrPath,
  value: NixValue
): Edits {
  const computed = found.opaque.find(it => it.path.includes(undefined))
  if (computed) {
    return refuse(doc.text, computed.binding, {
      code: 'DYNAMIC_ATTRIBUTE',
      message: `${spelling(computed)} may be ${formatPath(path)}, and Nix allows no second definition of it`,
      hint: 'write the name out, or edit this definition by hand'
    })
  }
  const layout = layoutAt(doc.text, '', doc.root)
  const place = placeFor(module, path, printValue(value, layout).includes('\n'))
  if (!place.ok) return place
  const blocked = blockedBy(doc, place.value.set)
  return blocked ?? ok([insertBinding(doc.text, doc.root, place.value, value)])
}

/** `removeIn`: see Transaction. */
export function planRemove(
  doc: NixDocument,
  path: AttrPath,
  items: readonly NixValue[] | undefined
): Edits {
  const module = doc.module()
  if (!module.ok) return module
  const { text } = doc
  const { exact, below } = lookUp(module.value, path)
  if (items === undefined) {
    const all = [...exact, ...below]
    const inherited = all.find(it => it.inherited)
    if (inherited) {
      return refuse(text, inherited.binding, {
        code: 'INHERITED',
        message: `${spelling(inherited)} is inherited here`,
        hint: 'take the name out of the inherit by hand'
      })
    }
    return combine(
      doc,
      all.map(it => it.binding)
    )
  }
  const keys = new Set(items.map(canonicalOfValue))
  const targets = exact
    .filter(it => !it.inherited)
    .flatMap(it => allListsOf(text, it.value))
    .flatMap(elementsOf)
    .filter(it => keys.has(canonicalOfNode(text, it)))
  return combine(doc, targets)
}

/** Removes nodes that lie apart; neighbours are removed one after the other, so that gaps close. */
function combine(doc: NixDocument, nodes: SyntaxNode[]): Edits {
  for (const node of nodes) {
    const blocked = blockedBy(doc, node)
    if (blocked) return blocked
  }
  const edits: Edit[] = []
  for (const edit of nodes
    .map(it => removeNode(doc.text, it))
    .sort((a, b) => a.offset - b.offset)) {
    const last = edits.at(-1)
    if (last && edit.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, edit.offset + edit.length)
      last.length = end - last.offset
    } else edits.push(edit)
  }
  return ok(edits)
}

/** What `setIn` replaces: not the `mkForce` around a value, since that is what makes it win. */
export function settable(text: string, value: SyntaxNode): SyntaxNode {
  const call = callOf(text, unwrapped(value))
  const last = call?.args.at(-1)
  return call && last && ['mkForce', 'mkOverride', 'mkVMOverride'].includes(call.name)
    ? last
    : value
}

/** Pipe operators bind differently in the tree than in Nix, so nothing below one is edited. */
export function blockedBy(doc: NixDocument, node: SyntaxNode): Edits | undefined {
  const pipes = doc.standIns.filter(it => it.kind === 'pipe')
  if (pipes.length === 0) return undefined
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    const operator = at.type === 'binary_expression' ? at.field('operator') : undefined
    const pipe = operator && pipes.find(it => it.start === operator.start)
    if (pipe) {
      return refuse(doc.text, pipe, {
        code: 'NO_TARGET',
        message: 'the place to edit lies inside an expression with a pipe operator',
        hint: 'write it without the pipe, or edit it by hand'
      })
    }
  }
  return undefined
}

function conditional(path: AttrPath, definition: Definition): NixErrorInit {
  return {
    code: 'NO_TARGET',
    message: `${formatPath(path)} is defined here only if ${definition.conditions.join(' and ')}`,
    hint: 'define it in a module of its own and import that'
  }
}

function ambiguous(path: AttrPath, all: Definition[]): NixErrorInit {
  const lines = all.map(it => it.at.line).join(', ')
  return {
    code: 'AMBIGUOUS_TARGET',
    message: `${formatPath(path)} is defined ${all.length} times (lines ${lines})`,
    hint: 'leave one definition, or choose one of them'
  }
}

function spelling(definition: Definition): string {
  return spellPath(definition.path)
}

function refuse(
  text: string,
  range: { start: number; end: number },
  init: Omit<NixErrorInit, 'range'>
): { ok: false; error: NixError } {
  const { start, end } = range
  return err(nixError(text, { ...init, range: { start, end } }))
}

function badValue(value: NixValue): { ok: false; error: NixError } {
  return err(
    nixError('', {
      code: 'BAD_VALUE',
      message: `this is not a value that can be written in Nix: ${describe(value)}`,
      hint: 'give null, a boolean, a finite number, a string, a list, a set, or expr("…") with one whole expression'
    })
  )
}

function describe(value: NixValue): string {
  try {
    return printInline(value)
  } catch {
    return String(value)
  }
}
