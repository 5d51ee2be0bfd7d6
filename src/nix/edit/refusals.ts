// Checks that several operations share: each returns a refusal, or undefined.

import {
  type Alternatives,
  errorAt,
  isInside,
  type Message,
  type NixError,
  nixError,
  type Range
} from '../errors.ts'
import {
  changesOtherValues,
  conditionalDefinition,
  conditionalDefinitions,
  duplicateDefinitions,
  insidePipe,
  leftSideApplies,
  maybeOverridden,
  onlyOneSideApplies,
  severalDefinitions,
  usedAsVariable
} from '../messages/definitions.ts'
import { definitionsOutsideConfig } from '../messages/module.ts'
import { configIsNotAnOption, importsIsAList } from '../messages/paths.ts'
import {
  commentNotText,
  duplicateInExpression,
  expressionTooDeep,
  notOneExpression,
  notWritable,
  pipeInExpression,
  stringNotText
} from '../messages/values.ts'
import { type Definition, isConditional, placeOfDefinition } from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module, unwrapped } from '../module/module.ts'
import { exposedBy } from '../module/updates.ts'
import { type AttrPath, formatPathPattern, isText } from '../path.ts'
import { err, type Result } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfValue, isDeepTree } from '../syntax/canonical.ts'
import { findDuplicateBelow } from '../syntax/duplicates.ts'
import { bindingsNamed, bindingsOf, isSet, namesOf } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { recSetsAround, scopeOf, usesOf } from '../syntax/recSets.ts'
import type { SyntaxNode } from '../syntax/tree.ts'
import type { Edit } from '../text/edits.ts'
import {
  isAnnotated,
  isExpr,
  isValueList,
  isValueSet,
  type NixValue,
  withoutComment
} from '../values.ts'

/** The edits of an operation, or why it is refused. */
export type Edits = Result<Edit[], NixError>

export type Refused = { ok: false; error: NixError }

export function refuse(node: SyntaxNode, message: Message & Alternatives, range?: Range): Refused {
  return err(errorAt(node, message, range))
}

/** Refuses because of the arguments of the call, not because of the text. */
export function refuseCall(message: Message): Refused {
  return err(nixError('', message))
}

/**
 * `PIPE_OPERATOR` for a node in an expression with a pipe operator inside the same brackets: there, operators
 * in the tree have another precedence than in Nix.
 */
export function blockedByPipe(doc: Source, node: SyntaxNode): Refused | undefined {
  const pipes = doc.workarounds.filter(it => it.kind === 'pipe')
  if (pipes.length === 0) return undefined
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    const pipe = BRACKETED.test(at.type) ? undefined : pipes.find(it => isOutsideBrackets(it, at))
    if (pipe) return refuse(doc.root, insidePipe, pipe)
  }
  return undefined
}

// Nodes between brackets, and nodes that span a definition.
const BRACKETED =
  /^(?:parenthesized_expression|list_expression|(?:rec_|let_)?attrset_expression|binding_set|binding|interpolation|string_expression|indented_string_expression|source_code)$/

/** Whether a pipe is in an expression, but not inside brackets within that expression. */
function isOutsideBrackets(pipe: Range, node: SyntaxNode | undefined): boolean {
  let at = node
  while (at) {
    const inner: SyntaxNode | undefined = at.children.find(
      it => it.start <= pipe.start && it.end > pipe.start
    )
    if (!inner || inner.children.length === 0) return inner !== undefined
    if (BRACKETED.test(inner.type)) return false
    at = inner
  }
  return false
}

/** Refuses an option that is defined only under conditions; `parts` are its definitions. */
export function conditional(parts: readonly Definition[]): Refused {
  const [{ binding, path, conditions }] = parts as [Definition]
  const overridden = parts.find(it => !isConditional(it))
  if (overridden) return refuse(overridden.binding, maybeOverridden(path))
  const message =
    parts.length === 1
      ? conditionalDefinition(path, conditions)
      : conditionalDefinitions(path, [...new Set(linesOf(parts))])
  return refuse(binding, { ...message, definitions: parts })
}

function linesOf(all: readonly Definition[]): number[] {
  return all.map(it => placeOfDefinition(it).line)
}

/**
 * `CONFLICT` if definitions to remove or rename are in a `rec` set that uses them as variables. `to`
 * are the new names of a binding to rename.
 */
export function usedInRec(definitions: readonly Definition[], to?: AttrPath): Refused | undefined {
  const isGone = (use: SyntaxNode) =>
    to === undefined && definitions.some(it => isInside(use, it.binding))
  for (const { binding } of definitions) {
    const set = binding.parent?.parent
    const levels = [...recSetsAround(binding), ...(to && set ? recSetsAround(set, to) : [])]
    for (const level of levels) {
      const use = usesOf(level.set, level.path).find(it => !isGone(it))
      if (!use) continue
      return refuse(use, usedAsVariable(String(level.path[0]), scopeOf(level.set)))
    }
  }
  return undefined
}

/**
 * `SHARED_BINDING` if the value to change is in a `rec` set whose other attributes use it as a variable:
 * their values would change too. `node` is the binding, or the set to which `added` is added. Undefined
 * outside of a module, where the attributes of a `rec` set are meant to be used like this.
 */
export function sharedInRec(
  { isModule }: Module,
  node: SyntaxNode,
  added: AttrPath = []
): Refused | undefined {
  if (!isModule) return undefined
  const isInBinding = (use: SyntaxNode) => node.type === 'binding' && isInside(use, node)
  for (const { set, path } of recSetsAround(node, added)) {
    const use = usesOf(set, path).find(it => !isInBinding(it))
    if (use) return refuse(use, changesOtherValues(String(path[0])))
  }
  return undefined
}

/**
 * `UPDATE_OPERATOR` if a binding to remove or rename overrides another one on the left of a `//`, which
 * would then apply.
 */
export function exposesOverridden(bindings: readonly SyntaxNode[]): Refused | undefined {
  const operator = exposedBy(bindings)
  return operator && refuse(operator, leftSideApplies)
}

/**
 * `UPDATE_OPERATOR` if a binding whose first name changes is in an operand of `//`, and another operand may
 * define the new name: only one of the two would apply.
 */
export function shadowsOperand(binding: SyntaxNode, name: string | undefined): Refused | undefined {
  if (namesOf(binding)[0] === name) return undefined
  let at: SyntaxNode | undefined = binding.parent?.parent
  for (; at?.parent && unwrapped(at.parent) !== at.parent; at = at.parent) {}
  for (; at?.parent?.type === 'binary_expression'; at = at.parent) {
    const update: SyntaxNode = at.parent
    const [left, right] = [update.field('left'), update.field('right')]
    const other = left === at ? right : left
    if (update.field('operator')?.type !== '//' || !other) break
    const isRead = isSet(unwrapped(other)) || unwrapped(other).field('operator')?.type === '//'
    if (isRead && !definesAny(other, name)) continue
    return refuse(update.field('operator') ?? update, onlyOneSideApplies(name))
  }
  return undefined
}

/** Whether a set literal in one side of a `//` has an attribute with this name. */
function definesAny(side: SyntaxNode, name: string | undefined): boolean {
  const inner = unwrapped(side)
  if (isSet(inner)) return bindingsNamed(inner, name).length > 0
  return inner.children.some(it => it.isNamed && definesAny(it, name))
}

/**
 * `BAD_PATH` if the path to define or rename is not an option: `config` and anything below it, and
 * anything below `imports`. `CONFLICT` for `options` in a module that has definitions outside `config`.
 */
export function notAnOption(
  module: Module,
  path: readonly (string | undefined)[]
): Refused | undefined {
  if (!module.isModule) return undefined
  const [first] = path
  const pattern = formatPathPattern(path)
  if (first === 'config') {
    return refuseCall(configIsNotAnOption(pattern, formatPathPattern(path.slice(1))))
  }
  if (first === 'imports' && path.length > 1) return refuseCall(importsIsAList(pattern))
  if (first !== 'options' || module.hasConfig) return undefined
  const option = module.sets
    .flatMap(set => bindingsOf(set))
    .find(it => !MODULE_ATTRIBUTES.has(namesOf(it)[0] ?? 'imports'))
  return option ? refuse(option, definitionsOutsideConfig) : undefined
}

/** Refuses an option with several definitions. `duplicate` is the binding that Nix rejects, if any. */
export function ambiguous(all: readonly Definition[], duplicate: SyntaxNode | undefined): Refused {
  const { binding, path } = all[1] as Definition
  const lines = linesOf(all)
  const isRejected = duplicate && all.some(it => isInside(it.binding, duplicate))
  if (isRejected) return refuse(binding, duplicateDefinitions(path, lines))
  return refuse(binding, { ...severalDefinitions(path, lines), definitions: all })
}

/** `BAD_VALUE` or `TOO_DEEP` for a value without a canonical form, about its first invalid part. */
export function badValue(value: NixValue): Refused {
  if (isAnnotated(value) && !isText(value.comment)) return refuseCall(commentNotText)
  const plain = withoutComment(value)
  if (isValueList(plain) || isValueSet(plain)) {
    const parts: readonly NixValue[] = isValueList(plain) ? plain : Object.values(plain)
    const at = parts.findIndex(it => canonicalOfValue(it) === undefined)
    if (at !== -1) return badValue(parts[at] as NixValue)
  }
  if (isExpr(plain)) return refuseCall(expressionFault(plain.source))
  if (typeof plain === 'string' || isValueSet(plain)) return refuseCall(stringNotText)
  return refuseCall(notWritable(typeof plain === 'function' ? 'a function' : String(plain)))
}

function expressionFault(source: string): Message {
  const { root, faults, workarounds } = parse(source)
  const isParsed = faults.length === 0
  if (isParsed && isDeepTree(root)) return expressionTooDeep
  const duplicate = isParsed ? findDuplicateBelow(root) : undefined
  if (duplicate) {
    return duplicateInExpression(source, source.slice(duplicate.start, duplicate.end))
  }
  const hasPipe = workarounds.some(it => it.kind === 'pipe')
  return hasPipe ? pipeInExpression(source) : notOneExpression(source)
}
