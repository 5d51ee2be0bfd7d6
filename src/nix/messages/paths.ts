// Attribute paths that are not valid.

import type { Message } from '../errors.ts'

const EXAMPLE = 'an attribute path looks like users.users."my.user".uid'

function badPath(message: string, hint = EXAMPLE): Message {
  return { code: 'BAD_PATH', message, hint }
}

export const emptyPath = badPath('an attribute path needs at least one name')

export const nameNotText = badPath('the names of an attribute path must be strings of valid text')

/** For a value that is neither a string nor an array. */
export function notAPath(value: string): Message {
  return badPath(`${value} is not an attribute path`)
}

/** For a path that contains a NUL or half of a surrogate pair. */
export function pathNotText(path: string): Message {
  return badPath(`${JSON.stringify(path)} is not valid text`)
}

export function nameMissingAtEnd(path: string): Message {
  return badPath(`a name is missing at the end of ${path}`)
}

export function nameMissingBefore(path: string, rest: string): Message {
  return badPath(`${path} is not an attribute path: a name is missing before ${rest}`, QUOTE)
}

export function notAName(path: string, rest: string): Message {
  return badPath(`${path} is not an attribute path: ${rest} is not a name`, QUOTE)
}

const QUOTE = 'quote a name that has other characters: "my user"'

export function computedNameInPath(path: string): Message {
  return badPath(
    `${path} has a computed name, which can be any name`,
    'find the definition with getBelow, and pass it instead of the path'
  )
}

/** `option` is the path without `config`; empty for `config` itself. */
export function configIsNotAnOption(path: string, option: string): Message {
  return badPath(
    `${path} is not an option: option names do not include "config"`,
    option === '' ? 'name one of its options' : `use ${option}`
  )
}

export function importsIsAList(path: string): Message {
  return badPath(
    `${path} is not an option: imports is a list of modules`,
    'omit "imports" to name an option, or import a module'
  )
}

export function moduleAttribute(path: string): Message {
  return badPath(`${path} is an attribute of the module itself, not an option`, 'name an option')
}
