// Formals of a function that can't be added or removed.

import type { Message } from '../errors.ts'

export const noFormals: Message = {
  code: 'NO_FORMALS',
  message: 'the attribute set is not the result of a function with formals, such as { lib, ... }:',
  hint: 'write the formals first:  { … }: before the set'
}

export function notAFormal(name: string): Message {
  return {
    code: 'BAD_VALUE',
    message: `${JSON.stringify(name)} cannot be the name of a formal`,
    hint: 'use letters, digits, "_", "-" and "\'", and no keyword'
  }
}

export function formalDiffers(name: string): Message {
  return {
    code: 'CONFLICT',
    message: `"${name}" is already a formal of this function, with another default or without one`,
    hint: 'remove the formal first, or keep its default'
  }
}

export function argumentCaptures(name: string): Message {
  return {
    code: 'CONFLICT',
    message: `"${name}" is used here with another meaning, which a formal of that name would change`,
    hint: 'rename one of the two'
  }
}

export function argumentUsed(name: string): Message {
  return {
    code: 'CONFLICT',
    message: `"${name}" is used here, so its formal cannot be removed`,
    hint: 'remove its uses first'
  }
}

/** `name` is an input of a flake. */
export function inputFollowed(name: string): Message {
  return {
    code: 'CONFLICT',
    message: `another input follows "${name}" here, so it cannot be removed or renamed`,
    hint: 'change this "follows" first'
  }
}

export const commentInFormals: Message = {
  code: 'CONFLICT',
  message: 'there is a comment between this formal and its comma',
  hint: 'move the comment to another line first'
}
