// Definitions that can't be moved to another file.

import type { Message } from '../errors.ts'
import { type AttrPath, formatPath, formatPathPattern } from '../path.ts'

/** What the sets around a definition do to it. */
export interface Surroundings {
  condition: string | undefined
  priority: string | undefined
}

export function dependsOnPlace(
  path: readonly (string | undefined)[],
  { condition, priority }: Surroundings
): Message {
  const how =
    condition !== undefined
      ? `applies only if ${condition}`
      : priority !== undefined
        ? `is inside ${priority}`
        : 'is in a module of its own'
  return {
    code: 'NO_TARGET',
    message: `${formatPathPattern(path)} ${how}, which would not come along`,
    hint: 'move the set around it, or write the condition or priority at the value'
  }
}

export function pathComputed(path: readonly (string | undefined)[]): Message {
  return {
    code: 'DYNAMIC_ATTRIBUTE',
    message: `${formatPathPattern(path)} has a computed name, which means something else in another file`,
    hint: 'write the name out'
  }
}

export function definedInSeveralPlaces(path: AttrPath): Message {
  return {
    code: 'AMBIGUOUS_TARGET',
    message: `${formatPath(path)} is defined more than once`,
    hint: 'join the definitions first, or choose one of them'
  }
}

export function otherMeaning(name: string): Message {
  return {
    code: 'BAD_VALUE',
    message: `"${name}" means something else in the other file, or nothing`,
    hint: 'write its value out, or define it there in the same way'
  }
}

export function relativePath(source: string): Message {
  return {
    code: 'BAD_VALUE',
    message: `${source} is relative to the file, so it may lead elsewhere in the other file`,
    hint: 'pass sameFolder: true if both files are in one folder'
  }
}

export const otherDefinition: Message = {
  code: 'VERIFICATION_FAILED',
  message: 'the result differs from the request: the moved definition or a comment differs',
  hint: 'nothing was changed; please report this as a bug, with the files if you can'
}
