import {
  alreadyDefined,
  commentInName,
  inAnotherSet,
  inheritedValue,
  notInDocument
} from '../messages/definitions.ts'
import { moduleAttribute } from '../messages/paths.ts'
import { type Definition, inModule, lookUp } from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import { type AttrPath, formatPath, formatPathPattern, samePath } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { attrsOf, isComment, namesOf } from '../syntax/nodes.ts'
import type { Edit } from '../text/edits.ts'
import { lookUpTarget, type Target } from './operation.ts'
import {
  blockedByPipe,
  type Edits,
  exposesOverridden,
  notAnOption,
  type Refused,
  refuse,
  refuseCall,
  shadowsOperand,
  usedInRec
} from './refusals.ts'

/** `renameIn`: see Transaction. */
export function planRename(doc: Source, module: Module, target: Target, to: AttrPath): Edits {
  if (samePath(target.path, to)) return ok([])
  const misplaced =
    notAnOption(module, to) ??
    notAnOption(module, target.path) ??
    (module.isModule ? otherKind(target.path, to) : undefined)
  if (misplaced) return misplaced
  const { exact, below } = lookUpTarget(doc, module, target)
  const all = [...exact, ...below]
  if (all.length === 0 && target.kind === 'definition') {
    return refuseCall(notInDocument(target.path))
  }
  if (all.length === 0) return ok([])
  const existing = lookUp(module, to)
  const conflict = existing.exact[0] ?? existing.below[0]
  if (conflict) return refuse(conflict.binding, alreadyDefined(to))
  const edits: Edit[] = []
  for (const definition of all) {
    const { binding, path } = definition
    if (definition.inherited) return refuse(binding, inheritedValue(path))
    const blocked = blockedByPipe(doc, binding)
    if (blocked) return blocked
    const renamed = rename(module, definition, target.path.length, to)
    if (!renamed) return refuse(binding, inAnotherSet(path, to))
    const blocker =
      usedInRec([definition], renamed.names) ??
      (renamed.names[0] === namesOf(binding)[0]
        ? undefined
        : exposesOverridden(all.map(it => it.binding))) ??
      shadowsOperand(binding, renamed.names[0])
    if (blocker) return blocker
    const comment = binding.field('attrpath')?.children.find(isComment)
    if (comment) return refuse(comment, commentInName)
    edits.push(renamed.edit)
  }
  // Sort: `exact` and `below` are each in source order, but the joined list is not.
  return ok(edits.sort((a, b) => a.offset - b.offset))
}

/** `BAD_PATH` if an option would become an attribute of the module itself, or the other way around. */
function otherKind(path: readonly (string | undefined)[], to: AttrPath): Refused | undefined {
  const isModuleAttribute = MODULE_ATTRIBUTES.has(to[0] ?? '')
  const isOption = !isModuleAttribute && !MODULE_ATTRIBUTES.has(path[0] ?? '')
  if (isOption || path[0] === to[0]) return undefined
  return refuseCall(moduleAttribute(formatPathPattern(isModuleAttribute ? to : path)))
}

/**
 * Replaces names of a binding's attribute path. Returns the edit and the new names; undefined if names of
 * the sets around the binding would have to change too.
 */
function rename(
  module: Module,
  definition: Definition,
  length: number,
  to: AttrPath
): { edit: Edit; names: AttrPath } | undefined {
  // The path in the text may begin with the module's `config`, which an option's path does not include.
  const path = inModule(module, definition.path)
  const outer = path.slice(0, path.length - namesOf(definition.binding).length)
  const wanted = inModule(module, to)
  const until = length + path.length - definition.path.length
  if (outer.length >= until || outer.length >= wanted.length) return undefined
  if (!outer.every((name, i) => name === wanted[i])) return undefined
  const attrs = attrsOf(definition.binding).slice(0, until - outer.length)
  const first = attrs[0]
  const last = attrs.at(-1)
  if (!first || !last) return undefined
  const names = wanted.slice(outer.length)
  const content = formatPath(names)
  const edit = { offset: first.start, length: last.end - first.start, content }
  return { edit, names }
}
