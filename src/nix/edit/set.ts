import {
  alreadyASet,
  definedInParts,
  mayBeComputed,
  NOT_OVERRIDDEN,
  notInDocument
} from '../messages/definitions.ts'
import { isMerging, replaceableValue } from '../module/combinators.ts'
import {
  type Definition,
  inModule,
  isConditional,
  type Lookup,
  partsOfDefinition
} from '../module/definitions.ts'
import { type Module, setFor, unwrapped } from '../module/module.ts'
import type { NewName } from '../module/updates.ts'
import type { AttrPath } from '../path.ts'
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
import { mergeWith, type PrintPart, setWith } from './merge.ts'
import { isByPath, lookUpEffective, type SetOperation } from './operation.ts'
import { isOneLine, placeFor, type UnderCondition } from './placement.ts'
import { printInline, printItem, printValue } from './print.ts'
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
export function planSet(doc: Source, module: Module, operation: SetOperation): Edits {
  const { target, value } = operation
  if (canonicalOfValue(value) === undefined) return badValue(value)
  const found = lookUpEffective(doc, module, target)
  const { exact } = found
  const [first, ...others] = exact
  if (others.length > 0) {
    const fullPath = inModule(module, target.path)
    const duplicate = findDuplicate(setFor(module, fullPath), fullPath)
    if (duplicate) return ambiguous(exact, duplicate)
  }
  const scattered = found.below[0]
  if (scattered) {
    return refuse(scattered.binding, definedInParts(target.path, scattered.path))
  }
  if (!first) {
    return target.kind === 'path'
      ? addDefinition({ doc, module }, found, newDefinition(target.path, operation), value)
      : refuseCall(notInDocument(target.path))
  }
  const computed = computedIn(found)
  if (first.conditions.includes(NOT_OVERRIDDEN) && computed) {
    return refuse(computed.binding, mayBeComputed(computed.path, first.path))
  }
  // A value with conditions of its own replaces the existing ones.
  const isWhole = others.length === 0 && isMerging(value)
  const parts = isWhole ? exact : exact.flatMap(partsOfDefinition)
  const [definition] = parts as [Definition]
  const isChosen = operation.conditional === true || target.kind === 'definition'
  if (parts.length > 1) {
    return isChosen || !parts.every(isConditional)
      ? ambiguous(parts, undefined)
      : conditional(parts)
  }
  if (target.kind === 'path' && definition.conditions.length > 0) return conditional(parts)
  if (definition.inherited) return setInherited(doc, module, operation, definition)
  return replaceValue(doc, module, definition, operation)
}

/** Replaces the value of a definition. */
function replaceValue(
  doc: Source,
  module: Module,
  { binding, value: written }: Definition,
  operation: SetOperation
): Edits {
  const { target, value } = operation
  const { text, root } = doc
  const place = replaceableValue(written, value)
  if (canonicalOfNode(place) === canonicalOfValue(value)) return ok([])
  const blocked =
    // A whole value ends before the ";", whatever the precedence of its operators.
    blockedByPipe(doc, place.parent?.type === 'binding' ? binding : place) ??
    (isByPath(operation) ? sharedInRec(module, binding) : undefined)
  if (blocked) return blocked
  const inner = unwrapped(place)
  if (isSet(inner) && isValueSet(withoutComment(value)) && bindingsOf(inner).length > 0) {
    return refuse(binding, alreadyASet(target.path))
  }
  const layout = layoutAt(root, indentAt(text, place.start))
  // The value may be on a later line than the name, for example after a comment.
  const start = Math.max(binding.start, lineStart(text, place.start))
  const column = place.start - start + layout.indent.length
  const inline = isOneLine(place) && !isOneLine(binding)
  const isArgument = place.parent?.type !== 'binding'
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
  operation: SetOperation,
  { binding: name }: Definition
): Edits {
  const { value } = operation
  if (inheritsValue(name, canonicalOfValue(value) ?? '')) return ok([])
  const shared = isByPath(operation) ? sharedInRec(module, name) : undefined
  return shared ?? blockedByPipe(doc, name) ?? bindInherited(doc, name, value)
}

/** A definition with a computed name, which may be one of the path. */
function computedIn({ opaque }: Lookup): Definition | undefined {
  return opaque.find(it => it.path.includes(undefined))
}

/** A definition to add. */
interface NewDefinition {
  path: AttrPath
  /** Whether it may override what else defines its name. */
  newName: NewName
  underCondition: UnderCondition
}

function newDefinition(path: AttrPath, { conditional: isAllowed }: SetOperation): NewDefinition {
  return { path, newName: 'replaces', underCondition: isAllowed ? 'inside' : 'refused' }
}

/** Adds the first definition of a path, or the first one that always applies. `newName`: whether it may override what else defines its name. */
export function addDefinition(
  { doc, module }: { doc: Source; module: Module },
  found: Lookup,
  { path, newName, underCondition }: NewDefinition,
  value: NixValue
): Edits {
  const misplaced = notAnOption(module, path)
  if (misplaced) return misplaced
  const computed = computedIn(found)
  if (computed) return refuse(computed.binding, mayBeComputed(computed.path, path))
  const layout = layoutAt(doc.root, '')
  const isBlock = printValue(value, layout).includes('\n')
  const placed = placeFor(module, path, { isBlock, newName, underCondition })
  if (!placed.ok) return placed
  const place = placed.value
  const { attrpath } = place
  const at = 'set' in place ? place.set : 'list' in place ? place.list : place.condition
  const blocked = blockedByPipe(doc, at) ?? sharedInRec(module, at, attrpath)
  if (blocked) return blocked
  if ('set' in place) return ok([insertBinding(doc, place, value)])
  const part = setWith(doc.root, attrpath, value)
  if ('condition' in place) return ok(mergeWith(at, place.callee, part))
  return ok([insertItems(doc, at, [expr(printPart(doc.root, at, part))], undefined)])
}

/** A part of a `mkMerge`: on one line, unless both the part and the list have several. */
function printPart(root: SyntaxNode, list: SyntaxNode, part: PrintPart): string {
  const { unit } = layoutAt(root, '')
  const over = part(layoutAt(root, innerIndent(list, unit)))
  const isBlock = over.split('\n').length > 3
  return isOneLine(list) || !isBlock ? part(undefined) : over
}
