import {
  alreadyASet,
  definedInParts,
  mayBeComputed,
  NOT_OVERRIDDEN,
  notInDocument
} from '../messages/definitions.ts'
import { replaceableValue } from '../module/combinators.ts'
import { type Definition, inModule, type Lookup } from '../module/definitions.ts'
import { type Module, setFor, unwrapped } from '../module/module.ts'
import type { NewName } from '../module/updates.ts'
import { type AttrPath, formatPath } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfNode, canonicalOfValue } from '../syntax/canonical.ts'
import { findDuplicate } from '../syntax/duplicates.ts'
import { bindingsOf, isSet } from '../syntax/nodes.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import { indentAt, lineStart } from '../text/lines.ts'
import { expr, isValueList, isValueSet, type NixValue, withoutComment } from '../values.ts'
import { bindInherited, inheritsValue } from './inherits.ts'
import { insertBinding, insertItems } from './insertion.ts'
import { innerIndent, layoutAt } from './layout.ts'
import { lookUpEffective, type Target } from './operation.ts'
import { isOneLine, placeFor } from './placement.ts'
import { printBinding, printInline, printItem, printValue } from './print.ts'
import {
  ambiguous,
  badValue,
  blockedByPipe,
  conditional,
  type Edits,
  notAnOption,
  refuse,
  refuseCall,
  sharedInRec
} from './refusals.ts'

/** `setIn`: see Transaction. */
export function planSet(doc: Source, module: Module, target: Target, value: NixValue): Edits {
  const wanted = canonicalOfValue(value)
  if (wanted === undefined) return badValue(value)
  const found = lookUpEffective(doc, module, target)
  const { text, root } = doc

  const [definition] = found.exact
  if (found.exact.length > 1) {
    const fullPath = inModule(module, target.path)
    return ambiguous(found.exact, findDuplicate(setFor(module, fullPath), fullPath))
  }
  const scattered = found.below[0]
  if (scattered) {
    return refuse(scattered.binding, definedInParts(target.path, scattered.path))
  }
  if (!definition) {
    return target.kind === 'path'
      ? addDefinition({ doc, module }, found, { path: target.path, newName: 'replaces' }, value)
      : refuseCall(notInDocument(target.path))
  }
  const computed = computedIn(found)
  if (definition.conditions.includes(NOT_OVERRIDDEN) && computed) {
    return refuse(computed.binding, mayBeComputed(computed.path, definition.path))
  }
  if (definition.conditions.length > 0) return conditional(definition)
  if (definition.inherited) return setInherited(doc, module, target, { definition, value })
  const place = replaceableValue(definition.value, value)
  if (canonicalOfNode(place) === wanted) return ok([])
  const blocked =
    // A whole value ends before the ";", whatever the precedence of its operators.
    blockedByPipe(doc, place === definition.value ? definition.binding : place) ??
    (target.kind === 'path' ? sharedInRec(module, definition.binding) : undefined)
  if (blocked) return blocked
  const inner = unwrapped(place)
  if (isSet(inner) && isValueSet(withoutComment(value)) && bindingsOf(inner).length > 0) {
    return refuse(definition.binding, alreadyASet(target.path))
  }
  const layout = layoutAt(root, indentAt(text, place.start))
  // The value may be on a later line than the name, for example after a comment.
  const start = Math.max(definition.binding.start, lineStart(text, place.start))
  const column = place.start - start + layout.indent.length
  const inline = isOneLine(place) && !isOneLine(definition.binding)
  const isArgument = place !== definition.value
  // In `mkForce(1)`, a word instead of the parenthesis would become part of the function's name.
  const gap = isArgument && /[\w'-]/.test(text[place.start - 1] ?? '') ? ' ' : ''
  const content =
    isArgument && !isValueSet(withoutComment(value)) && !isValueList(withoutComment(value))
      ? printItem(value, layout.tightLists)
      : inline
        ? printInline(value, layout.tightLists)
        : printValue(value, layout, column)
  return ok([{ offset: place.start, length: place.end - place.start, content: gap + content }])
}

/** Replaces an inherited attribute by a binding. */
function setInherited(
  doc: Source,
  module: Module,
  { kind }: Target,
  { definition: { binding: name }, value }: { definition: Definition; value: NixValue }
): Edits {
  if (inheritsValue(name, canonicalOfValue(value) ?? '')) return ok([])
  const shared = kind === 'path' ? sharedInRec(module, name) : undefined
  return shared ?? blockedByPipe(doc, name) ?? bindInherited(doc, name, value)
}

/** A definition with a computed name, which may be one of the path. */
function computedIn({ opaque }: Lookup): Definition | undefined {
  return opaque.find(it => it.path.includes(undefined))
}

/** Adds the first definition of a path. `newName`: whether it may override what else defines its name. */
export function addDefinition(
  { doc, module }: { doc: Source; module: Module },
  found: Lookup,
  { path, newName }: { path: AttrPath; newName: NewName },
  value: NixValue
): Edits {
  const misplaced = notAnOption(module, path)
  if (misplaced) return misplaced
  const computed = computedIn(found)
  if (computed) return refuse(computed.binding, mayBeComputed(computed.path, path))
  const layout = layoutAt(doc.root, '')
  const place = placeFor(module, path, {
    isBlock: printValue(value, layout).includes('\n'),
    newName
  })
  if (!place.ok) return place
  const { attrpath } = place.value
  const at = 'list' in place.value ? place.value.list : place.value.set
  const blocked = blockedByPipe(doc, at) ?? sharedInRec(module, at, attrpath)
  if (blocked) return blocked
  if ('set' in place.value) return ok([insertBinding(doc, place.value, value)])
  const part = expr(printPart(doc.root, at, formatPath(attrpath), value))
  return ok([insertItems(doc, at, [part], undefined)])
}

/** A set as an item of a `mkMerge`: on one line, unless both the binding and the list have several. */
function printPart(root: SyntaxNode, list: SyntaxNode, attrpath: string, value: NixValue): string {
  const { unit, eol, tightLists } = layoutAt(root, '')
  const inline = `{ ${attrpath} = ${printInline(value, tightLists)}; }`
  const outer = layoutAt(root, innerIndent(list, unit))
  const layout = { ...outer, indent: outer.indent + unit }
  const binding = printBinding(attrpath, value, layout)
  if (isOneLine(list) || !binding.includes('\n')) return inline
  return `{${eol}${layout.indent}${binding}${eol}${outer.indent}}`
}
