// The refusals that several operations share.

import {
  errorAt,
  isInside,
  type NixError,
  type NixErrorInit,
  nixError,
  type Range,
  type Remedy
} from '../errors.ts'
import type { Definition } from '../module/definitions.ts'
import { MODULE_ATTRIBUTES, type Module, unwrapped } from '../module/module.ts'
import { type AttrPath, formatPathPattern, isText } from '../path.ts'
import { err, type Result } from '../result.ts'
import type { Source } from '../source.ts'
import { canonicalOfValue, isDeepTree } from '../syntax/canonical.ts'
import { findDuplicateBelow } from '../syntax/duplicates.ts'
import { bindingsNamed, bindingsOf, isSet, namesOf } from '../syntax/nodes.ts'
import { parse } from '../syntax/parser.ts'
import { recSetsAround, usesOf } from '../syntax/recSets.ts'
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

/** What an operation works out: the edits, or why not. */
export type Edits = Result<Edit[], NixError>

export function refuse(node: SyntaxNode, init: NixErrorInit): Refused {
  return err(errorAt(node, init))
}

export type Refused = { ok: false; error: NixError }

/**
 * Pipe operators bind differently in the tree than in Nix, so nothing is edited in an expression that
 * has one between the same brackets.
 */
export function blockedByPipe(doc: Source, node: SyntaxNode): Refused | undefined {
  const pipes = doc.workarounds.filter(it => it.kind === 'pipe')
  if (pipes.length === 0) return undefined
  for (let at: SyntaxNode | undefined = node; at; at = at.parent) {
    const pipe = BRACKETED.test(at.type) ? undefined : pipes.find(it => isBetween(it, at))
    if (pipe) {
      return refuse(doc.root, {
        range: pipe,
        code: 'NO_TARGET',
        message: 'the place to edit lies inside an expression with a pipe operator',
        hint: 'write it without the pipe, or edit it by hand'
      })
    }
  }
  return undefined
}

// What stands between brackets, or goes from one end of a definition to the other.
const BRACKETED =
  /^(?:parenthesized_expression|list_expression|(?:rec_|let_)?attrset_expression|binding_set|binding|interpolation|string_expression|indented_string_expression|source_code)$/

/** Whether a pipe stands in an expression, and in no brackets there. */
function isBetween(pipe: Range, node: SyntaxNode | undefined): boolean {
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

export function conditional(definition: Definition): Refused {
  const condition = definition.conditions.join(' and ')
  return refuse(definition.binding, {
    code: 'NO_TARGET',
    message: `${formatPathPattern(definition.path)} is defined here only if ${condition}`,
    hint: 'define it in a module of its own and import that, or choose this definition',
    remedy: 'MOVE_OR_CHOOSE'
  })
}

/**
 * What speaks against taking definitions away, or giving them another name, in a `rec` set: others in
 * it may use them as variables. `to` are the names that a binding would have instead.
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
      return refuse(use, {
        code: 'CONFLICT',
        message: `"${level.path[0]}" is used as a variable in this "rec" set, and would mean something else or nothing`,
        hint: 'change what uses it first'
      })
    }
  }
  return undefined
}

/**
 * `SHARED_BINDING` where a value that is to change lies in a `rec` set whose other attributes use it by
 * its name: they would change with it. `node` is the binding, or the set that is to get `more`.
 */
export function sharedInRec(node: SyntaxNode, more: AttrPath = []): Refused | undefined {
  const isOwn = (use: SyntaxNode) => node.type === 'binding' && isInside(use, node)
  for (const { set, path } of recSetsAround(node, more)) {
    const use = usesOf(set, path).find(it => !isOwn(it))
    if (!use) continue
    return refuse(use, {
      code: 'SHARED_BINDING',
      message: `"${path[0]}" is used as a variable in this "rec" set, so what uses it would change, too`,
      hint: 'write the value out where it is used, or choose this definition to change both'
    })
  }
  return undefined
}

/**
 * `SHARED_BINDING` where a definition stands on the right of a `//` whose left side may define the
 * same: without it, that one would count.
 */
export function exposesOverridden(
  module: Module,
  definitions: readonly Definition[]
): Refused | undefined {
  const { sets } = module
  for (const { binding } of definitions) {
    for (let at: SyntaxNode | undefined = binding; at; at = at.parent) {
      const update: SyntaxNode | undefined = at.parent
      const operator = update?.type === 'binary_expression' ? update.field('operator') : undefined
      if (operator?.type !== '//' || update?.field('right') !== at) continue
      const left = update.field('left')
      const isRead = left && (isSet(unwrapped(left)) || sets.some(it => isInside(it, left)))
      const names = namesOf(binding)
      const isElsewhere = isRead && !definesAny(left, names[0])
      if (isElsewhere) continue
      return refuse(operator, {
        code: 'SHARED_BINDING',
        message: 'what stands on the left of this "//" may define the same, and would count then',
        hint: 'edit what stands on the left as well, by hand'
      })
    }
  }
  return undefined
}

/**
 * `NO_TARGET` where a binding that gets another first name stands in an operand of `//`, and another
 * operand may have that name: only one of the two would count.
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
    return refuse(update.field('operator') ?? update, {
      code: 'NO_TARGET',
      message: `both sides of this "//" would say something of ${name ?? 'one name'}, and only one would count`,
      hint: 'remove the one and set the other'
    })
  }
  return undefined
}

/** Whether one of the sets that a written-out side of `//` is made of has an attribute of the name. */
function definesAny(side: SyntaxNode, name: string | undefined): boolean {
  const inner = unwrapped(side)
  if (isSet(inner)) return bindingsNamed(inner, name).length > 0
  return inner.children.some(it => it.isNamed && definesAny(it, name))
}

/**
 * `BAD_PATH` for what is no option: `config` itself, and, to be defined or named anew, what a module
 * says of itself, such as `imports`.
 */
export function notAnOption(
  module: Module,
  path: readonly (string | undefined)[]
): Refused | undefined {
  const [first] = path
  if (first === 'config') {
    return badPath(
      `${formatPathPattern(path)} is no option: options are named without the "config" that they stand in`,
      path.length > 1 ? `name it ${formatPathPattern(path.slice(1))}` : 'name one of its options'
    )
  }
  if (first === 'imports' && path.length > 1) {
    return badPath(
      `${formatPathPattern(path)} is no option: imports is a list of modules`,
      'name the option without it, or import a module'
    )
  }
  if (first !== 'options' || module.hasConfig) return undefined
  const option = module.sets
    .flatMap(set => bindingsOf(set))
    .find(it => !MODULE_ATTRIBUTES.has(namesOf(it)[0] ?? 'imports'))
  if (!option) return undefined
  return refuse(option, {
    code: 'CONFLICT',
    message:
      'a module that declares options has its own definitions in config, and this one has not',
    hint: 'put them into config = { … }; first, or declare the options in another module'
  })
}

export function badPath(message: string, hint: string): Refused {
  return err(nixError('', { code: 'BAD_PATH', message, hint }))
}

/** `duplicate` is the binding that Nix rejects, where there is one. */
export function ambiguous(all: readonly Definition[], duplicate: SyntaxNode | undefined): Refused {
  const second = all[1] as Definition
  const lines = all.map(it => it.at.line).join(', ')
  const rejected = duplicate && all.some(it => isInside(it.binding, duplicate))
  return refuse(second.binding, {
    code: rejected ? 'DUPLICATE_ATTRIBUTE' : 'AMBIGUOUS_TARGET',
    message: `${formatPathPattern(second.path)} is defined ${all.length} times (lines ${lines})${rejected ? ', which Nix rejects' : ''}`,
    hint: rejected ? 'leave one definition' : 'leave one definition, or choose one of them',
    remedy: rejected ? undefined : 'KEEP_ONE_OR_CHOOSE'
  })
}

export function inherited(definition: Definition): Refused {
  return refuse(definition.binding, {
    code: 'INHERITED',
    message: `${formatPathPattern(definition.path)} is inherited here, so there is no value to edit`,
    hint: 'write it out as name = value;'
  })
}

export function notFound(path: readonly (string | undefined)[]): Refused {
  return err(
    nixError('', {
      code: 'STALE',
      message: `the definition of ${formatPathPattern(path)} that was chosen is not in this document`,
      hint: 'take it from getIn of the document that is edited'
    })
  )
}

/** For a value that `canonicalOfValue` knows no form of; names the part of it that is at fault. */
export function badValue(value: NixValue): Refused {
  if (isAnnotated(value) && !isText(value.comment)) {
    return badCall(
      'a Nix file has no comments with a NUL or half a surrogate pair in them',
      'take the character out'
    )
  }
  const plain = withoutComment(value)
  if (isValueList(plain) || isValueSet(plain)) {
    const parts: readonly NixValue[] = isValueList(plain) ? plain : Object.values(plain)
    const at = parts.findIndex(it => canonicalOfValue(it) === undefined)
    if (at !== -1) return badValue(parts[at] as NixValue)
  }
  if (isExpr(plain)) {
    const tree = parse(plain.source)
    if (tree.faults.length === 0 && isDeepTree(tree.root)) {
      return err(
        nixError('', {
          code: 'NO_TARGET',
          message: 'the expression is nested by the thousand, or is a chain of as many operators',
          hint: 'split it into several values'
        })
      )
    }
    const duplicate = tree.faults.length === 0 ? findDuplicateBelow(tree.root) : undefined
    if (duplicate) {
      return badCall(
        `expr(${JSON.stringify(plain.source)}) names something twice, which Nix rejects`,
        `leave one:  ${plain.source.slice(duplicate.start, duplicate.end)}`
      )
    }
    if (tree.workarounds.some(it => it.kind === 'pipe')) {
      return badCall(
        `expr(${JSON.stringify(plain.source)}) has a pipe operator, which few versions of Nix know`,
        'write it without the pipe'
      )
    }
    return badCall(
      `expr(${JSON.stringify(plain.source)}) is not one whole expression`,
      'give what can stand behind "=", and a comment with annotated(value, comment)'
    )
  }
  if (typeof plain === 'string' || isValueSet(plain)) {
    return badCall(
      'Nix has no strings and names with a NUL or half a surrogate pair in them',
      'take the character out'
    )
  }
  return badCall(
    `${typeof plain === 'function' ? 'a function' : String(plain)} is not a value that can be written in Nix`,
    'give null, a boolean, a finite number, a string, a list, a set, or expr("…") for anything else'
  )
}

/** `BAD_VALUE` for an item that is to be a line of a string. */
export function badLine(path: readonly (string | undefined)[]): Refused {
  return badCall(
    `${formatPathPattern(path)} is a string of lines, and this item is not a line`,
    'give each line as a string without a line end',
    'ONE_STRING_PER_LINE'
  )
}

/** For a string of which nothing shows that it consists of lines. */
export function notShownAsLines(string: SyntaxNode): Refused {
  return refuse(string, {
    code: 'NOT_A_LIST',
    message: 'this is a string, and nothing shows what separates its items',
    hint: 'set the whole string, or pass { lines: true } if its items are lines',
    remedy: 'SET_STRING_OR_PASS_LINES'
  })
}

/** For lines that would be added to a list. */
export function listNotLines(list: SyntaxNode): Refused {
  return refuse(list, {
    code: 'CONFLICT',
    message: 'this is a list, and lines can be added only to a string',
    hint: 'omit { lines: true } to add items to the list',
    remedy: 'OMIT_LINES'
  })
}

function badCall(message: string, hint: string, remedy?: Remedy): Refused {
  return err(nixError('', { code: 'BAD_VALUE', message, hint, remedy }))
}

/** For a string whose lines can't be told from what Nix makes of their line ends. */
export function returnsKept(string: SyntaxNode): Edits {
  return refuse(string, {
    code: 'CONFLICT',
    message: 'with line ends of CR and LF, Nix keeps the CR and the indentation of such a string',
    hint: 'convert the file to line ends of LF, for example with dos2unix'
  })
}
