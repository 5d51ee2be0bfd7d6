import { type Definition, inModule, lookUp } from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module } from '../module/module.ts'
import { type AttrPath, formatPath, formatPathPattern, samePath } from '../path.ts'
import { ok } from '../result.ts'
import type { Source } from '../source.ts'
import { attrsOf, isComment, namesOf } from '../syntax/nodes.ts'
import type { Edit } from '../text/edits.ts'
import { lookUpTarget, type Target } from './operation.ts'
import {
  badPath,
  blockedByPipe,
  type Edits,
  exposesOverridden,
  inherited,
  notAnOption,
  notFound,
  type Refused,
  refuse,
  shadowsOperand,
  usedInRec
} from './refusals.ts'

/** `renameIn`: see Transaction. */
export function planRename(doc: Source, module: Module, target: Target, to: AttrPath): Edits {
  if (samePath(target.path, to)) return ok([])
  const misplaced =
    notAnOption(module, to) ?? notAnOption(module, target.path) ?? otherKind(target.path, to)
  if (misplaced) return misplaced
  const { exact, below } = lookUpTarget(doc, module, target)
  const all = [...exact, ...below]
  if (all.length === 0 && target.kind === 'definition') return notFound(target.path)
  if (all.length === 0) return ok([])
  const there = lookUp(module, to)
  const conflict = there.exact[0] ?? there.below[0]
  if (conflict) {
    return refuse(conflict.binding, {
      code: 'CONFLICT',
      message: `${formatPath(to)} is defined already`,
      hint: 'remove one of the two'
    })
  }
  const edits: Edit[] = []
  for (const definition of all) {
    if (definition.inherited) return inherited(definition)
    const blocked = blockedByPipe(doc, definition.binding)
    if (blocked) return blocked
    const renamed = rename(module, definition, target.path.length, to)
    if (!renamed) {
      return refuse(definition.binding, {
        code: 'NO_TARGET',
        message: `${formatPathPattern(definition.path)} lies in a set that ${formatPath(to)} does not belong into`,
        hint: 'remove the one and set the other'
      })
    }
    const blocker =
      usedInRec([definition], renamed.names) ??
      exposesOverridden(module, [definition]) ??
      shadowsOperand(definition.binding, renamed.names[0])
    if (blocker) return blocker
    const comment = definition.binding.field('attrpath')?.children.find(isComment)
    if (comment) {
      return refuse(comment, {
        code: 'CONFLICT',
        message: 'a comment stands inside the name',
        hint: 'move it out of the name first'
      })
    }
    edits.push(renamed.edit)
  }
  // `exact` and `below` each follow the text, but not one the other.
  return ok(edits.sort((a, b) => a.offset - b.offset))
}

/** `BAD_PATH` where an option would become one of the module's own attributes, or the other way. */
function otherKind(path: readonly (string | undefined)[], to: AttrPath): Refused | undefined {
  const isModuleAttribute = MODULE_ATTRIBUTES.has(to[0] ?? '')
  const isOption = !isModuleAttribute && !MODULE_ATTRIBUTES.has(path[0] ?? '')
  if (isOption || path[0] === to[0]) return undefined
  return badPath(
    `${formatPathPattern(isModuleAttribute ? to : path)} is an attribute of the module itself, and no option`,
    'name an option'
  )
}

/**
 * Replaces the names that a binding spells itself; those of the sets around it have to stay.
 * `names` are the new ones.
 */
function rename(
  module: Module,
  definition: Definition,
  length: number,
  to: AttrPath
): { edit: Edit; names: AttrPath } | undefined {
  // A module's `config` is no part of an option's path; here it may be one of the names spelt.
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
