// Files without a module, or with a module that can't be edited.

import type { Message } from '../errors.ts'

export const emptyFile: Message = { code: 'NOT_A_MODULE', message: 'the file is empty' }

const PASS_A_MODULE = 'pass a module: a file like { config, pkgs, ... }: { … }'

export const noEllipsis: Message = {
  code: 'NOT_A_MODULE',
  message: 'this function has no "..." in its formals, so the file is not a NixOS module',
  hint: PASS_A_MODULE
}

/** For an expression of a file that is to be edited as a set. */
export const noAttributes: Message = {
  code: 'NOT_A_SET',
  message: 'this is not an attribute set, nor a function that returns one',
  hint: 'pass a set { … }, a function with such a result, or a let'
}

/** For a node that was taken from another document. */
export const nodeNotInDocument: Message = {
  code: 'STALE',
  message: 'the chosen node is not in this document',
  hint: 'take it from the document that is edited'
}

export const notAnAttributeSet: Message = {
  code: 'NOT_A_MODULE',
  message: 'the file does not evaluate to an attribute set, so it is not a NixOS module',
  hint: PASS_A_MODULE
}

/** `callee` is the function as written, such as `lib.mkIf`. */
export function moduleInCall(callee: string): Message {
  return {
    code: 'NO_TARGET',
    message: `the whole module is the result of ${callee}, so an added definition would not always apply`,
    hint: 'put it into config: { imports = [ ]; config = …; }'
  }
}

export const moduleIsUpdated: Message = {
  code: 'UPDATE_OPERATOR',
  message: 'the module is the result of "//", which may override the definitions on its left',
  hint: 'write the module as one set { … }, or pass another module of your configuration'
}

export const moduleIsComputed: Message = {
  code: 'COMPUTED_MODULE',
  message: 'the module is computed here, so there is no set { … } to edit',
  hint: 'write it as a set { … }, or pass the file that contains the module'
}

export const definitionsOutsideConfig: Message = {
  code: 'CONFLICT',
  message:
    'a module that declares options must have its definitions in config, but this definition is outside it',
  hint: 'move the definitions into config = { … }; first, or declare the options in another module'
}
