// Definitions that can't be edited, moved or removed.

import type { ComputedCode, Message } from '../errors.ts'
import { type AttrPath, formatPath, formatPathPattern } from '../path.ts'

type Names = readonly (string | undefined)[]

/** The condition of a definition on the left of a `//`, which the right side may override. */
export const NOT_OVERRIDDEN = 'not overridden by //'

/** The condition of a definition on the left of a `//` that the right side overrides. */
export const OVERRIDDEN = 'false (overridden by //)'

export const insidePipe: Message = {
  code: 'PIPE_OPERATOR',
  message: 'the edit would be inside an expression with a pipe operator',
  hint: 'write the expression without the pipe, or edit it manually'
}

export function conditionalDefinition(path: Names, conditions: readonly string[]): Message {
  return {
    code: 'CONDITIONAL',
    message: `${formatPathPattern(path)} is defined here only if ${conditions.join(' and ')}`,
    hint: 'pass { conditional: true } to edit this definition, or define the option in another module and import that module',
    remedy: 'CHOOSE'
  }
}

/** `lines` are where it is defined. */
export function conditionalDefinitions(path: Names, lines: readonly number[]): Message {
  return {
    code: 'CONDITIONAL',
    message: `${formatPathPattern(path)} is defined only under conditions (${describeLines(lines)})`,
    hint: 'pass one of the definitions instead of the path, or { all: true } to edit all of them',
    remedy: 'CHOOSE'
  }
}

export function maybeOverridden(path: Names): Message {
  return {
    code: 'UPDATE_OPERATOR',
    message: `${formatPathPattern(path)} is defined here only if ${NOT_OVERRIDDEN}`,
    hint: 'define it in another module and import that module, or pass this definition instead of the path',
    remedy: 'MOVE_OR_CHOOSE'
  }
}

function describeLines(lines: readonly number[]): string {
  return `line${lines.length === 1 ? '' : 's'} ${lines.join(', ')}`
}

/** `lines` are where it is defined. */
export function severalDefinitions(path: Names, lines: readonly number[]): Message {
  return {
    code: 'AMBIGUOUS_TARGET',
    message: `${formatPathPattern(path)} is defined ${lines.length} times (lines ${lines.join(', ')})`,
    hint: 'keep one definition, or pass one of them instead of the path, or { all: true } to edit all of them',
    remedy: 'KEEP_ONE_OR_CHOOSE'
  }
}

/** For definitions that Nix does not merge. `lines` are where they are. */
export function duplicateDefinitions(path: Names, lines: readonly number[]): Message {
  return {
    code: 'DUPLICATE_ATTRIBUTE',
    message: `${formatPathPattern(path)} is defined ${lines.length} times (lines ${lines.join(', ')}), which Nix rejects`,
    hint: 'keep one definition'
  }
}

export const definedTwice: Message = {
  code: 'DUPLICATE_ATTRIBUTE',
  message: 'this attribute is already defined twice, which Nix rejects',
  hint: 'keep one definition'
}

export function inheritedValue(path: Names): Message {
  return {
    code: 'INHERITED',
    message: `${formatPathPattern(path)} is inherited here, so there is no value to edit`,
    hint: 'write it as name = value;'
  }
}

export const commentInInherit: Message = {
  code: 'CONFLICT',
  message: 'there is a comment inside this inherit, and nothing shows which name it is about',
  hint: 'move the comment out of the inherit first'
}

/** `name` is the set as written in the `inherit`. */
export function inheritedSet(name: string): Message {
  return {
    code: 'INHERITED',
    message: `"${name}" is inherited here, so nothing can be added to it`,
    hint: 'write it as name = value; or define the option in another module'
  }
}

export function notInDocument(path: Names): Message {
  return {
    code: 'STALE',
    message: `the chosen definition of ${formatPathPattern(path)} is not in this document`,
    hint: 'get it with getIn from the document that you edit'
  }
}

export function definedInParts(path: Names, part: Names): Message {
  return {
    code: 'CONFLICT',
    message: `${formatPathPattern(path)} can't be set as a whole: ${formatPathPattern(part)} is already defined here`,
    hint: 'set the options below it one by one'
  }
}

export function alreadyASet(path: Names): Message {
  return {
    code: 'CONFLICT',
    message: `${formatPathPattern(path)} is already a set`,
    hint: 'set its attributes one by one'
  }
}

export function notASet(path: Names): Message {
  return {
    code: 'NOT_A_SET',
    message: `${formatPathPattern(path)} is not a set here`,
    hint: 'check the path, or make the value a set first'
  }
}

/**
 * `callee` is the function as written, such as `lib.mkIf`; `hasPlace` says whether there is a set in it to
 * which the definition can be added.
 */
export function conditionalSet(path: Names, callee: string, hasPlace: boolean): Message {
  const message = `${formatPathPattern(path)} is the result of ${callee} here, so a definition added inside would not always apply`
  if (!hasPlace) return { code: 'CONDITIONAL', message, hint: IMPORT_ANOTHER }
  const hint = `pass { conditional: true } to add it inside, or ${IMPORT_ANOTHER}`
  return { code: 'CONDITIONAL', message, hint, remedy: 'CHOOSE_PLACE' }
}

/** For a `mkMerge` whose parts are computed. */
export function computedMerge(path: Names, callee: string): Message {
  return {
    code: 'NO_TARGET',
    message: `${formatPathPattern(path)} is the result of ${callee} here, so a definition added inside would not always apply`,
    hint: IMPORT_ANOTHER
  }
}

export function computedSet(path: Names, code: ComputedCode): Message {
  return {
    code,
    message: `${formatPathPattern(path)} is not written as a set { … } here, so nothing can be added to it`,
    hint: IMPORT_ANOTHER
  }
}

const IMPORT_ANOTHER = 'define the options in another module and import that module'

export const computedName: Message = {
  code: 'DYNAMIC_ATTRIBUTE',
  message: 'this name is computed, so Nix merges no other definition with it',
  hint: 'replace the expression with the name, or put all options below it into one set { … }'
}

/** `computed` is a path with computed names, which may be equal to `path`. */
export function mayBeComputed(computed: Names, path: Names): Message {
  return {
    code: 'DYNAMIC_ATTRIBUTE',
    message: `${formatPathPattern(computed)} may define ${formatPathPattern(path)}, and Nix rejects a second definition`,
    hint: 'replace the expression with the name, pass this definition instead of the path, or define the option in another module',
    remedy: 'WRITE_OUT_OR_CHOOSE'
  }
}

// `rec` sets and `let`. `name` is an attribute that other code there uses as a variable.

export type Scope = 'rec' | 'let'

function usedIn(name: string, scope: Scope): string {
  return `"${name}" is used as a variable in this ${scope === 'let' ? '"let"' : '"rec" set'}`
}

export function usedAsVariable(name: string, scope: Scope): Message {
  return {
    code: 'CONFLICT',
    message: `${usedIn(name, scope)}, and the edit would change its meaning or leave it undefined`,
    hint: 'change its uses first'
  }
}

export function changesOtherValues(name: string): Message {
  return {
    code: 'SHARED_BINDING',
    message: `${usedIn(name, 'rec')}, so the values that use it would change too`,
    hint: 'replace its uses with the value first, or edit this definition to change both'
  }
}

export function capturesVariable(name: string, scope: Scope): Message {
  return {
    code: 'CONFLICT',
    message: `${usedIn(name, scope)}, and defining it here would change its meaning`,
    hint:
      scope === 'let'
        ? 'use another name'
        : 'remove the "rec", or define the option in another module'
  }
}

// Operands of `//`.

export const leftSideApplies: Message = {
  code: 'UPDATE_OPERATOR',
  message:
    'the left side of this "//" may define the same option, and its definition would take effect',
  hint: 'edit the left side manually as well'
}

/** `name` is undefined if it is computed. */
export function otherOperandDefines(name: string | undefined): Message {
  return {
    code: 'UPDATE_OPERATOR',
    message: `another operand of this "//" may define ${name ?? 'the same name'}, and only one of the two would apply`,
    hint: 'edit the operands manually, or write them as one set { … }'
  }
}

/** `name` is undefined if it is computed. */
export function onlyOneSideApplies(name: string | undefined): Message {
  return {
    code: 'UPDATE_OPERATOR',
    message: `both sides of this "//" would define ${name ?? 'the same name'}, and only one would apply`,
    hint: REMOVE_AND_SET
  }
}

// Renaming.

const REMOVE_AND_SET = 'remove the old option and set the new one'

export function alreadyDefined(path: AttrPath): Message {
  return {
    code: 'CONFLICT',
    message: `${formatPath(path)} is already defined`,
    hint: 'remove one of the two'
  }
}

export function inAnotherSet(path: Names, to: AttrPath): Message {
  return {
    code: 'NO_TARGET',
    message: `${formatPathPattern(path)} is inside a set that can't contain ${formatPath(to)}`,
    hint: REMOVE_AND_SET
  }
}

export const commentInName: Message = {
  code: 'CONFLICT',
  message: 'there is a comment inside the attribute path',
  hint: 'move the comment out of the path first'
}

export const duplicateAfterRename: Message = {
  code: 'CONFLICT',
  message: 'with the new name, an attribute would be defined twice, which Nix rejects',
  hint: REMOVE_AND_SET
}
