// The messages of `option`.

import { formatPath, type NixError } from '../../nix/index.ts'
import type { ApplyProblem } from '../../plan/problem.ts'
import { type Context, nameOfFile } from '../context.ts'
import { type Message, usage } from '../message.ts'
import { applyMessage, nixMessage, remedyFor } from './apply.ts'
import { upToDate } from './plan.ts'

/** What to do if nothing comes from standard input. */
export const PIPE_MODULE = 'pass the module, e.g. with < configuration.nix'

/** Why an edit can't be made; a wrong value is a usage error. */
export function planMessage(error: NixError, context: Context): Message {
  if (error.code !== 'BAD_VALUE') return nixMessage(error, context)
  const remedy = remedyFor(error, context)
  const more = remedy === undefined ? {} : { remedy }
  return usage(`${error.message}.`, { nothingWritten: true, ...more })
}

/** Why Nix rejects the result; the value may be wrong. */
export function checkMessage(problem: ApplyProblem, context: Context): Message {
  const message = applyMessage(problem, context)
  if (problem.code !== 'PARSE_REJECTED') return message
  return {
    ...message,
    what: `Nix would not accept the edited ${nameOfFile(context)}.`,
    remedy:
      'check whether the names in the value are defined there; a text value needs Nix quotes inside the shell quotes, or --string'
  }
}

/** Nothing has to change. */
export function nothingToEdit(isRemoval: boolean, context: Context): string {
  const name = nameOfFile(context)
  return isRemoval ? `Nothing to do: ${name} has nothing to remove.` : upToDate(name)
}

/** The file does not define the option, or any option if it is undefined. */
export function undefinedHere(path: readonly string[] | undefined, context: Context): Message {
  return {
    code: 'NOT_DEFINED',
    what: `${nameOfFile(context)} does not define ${path === undefined ? 'anything' : formatPath(path)}.`
  }
}

/** The conditions of a definition, its priority, and whether it is inherited. */
export function definitionFacts(
  conditions: readonly string[],
  priorities: readonly string[],
  isInherited: boolean
): string[] {
  return [
    ...(conditions.length > 0 ? [`only if ${conditions.join(' and ')}`] : []),
    ...(priorities.length > 0 ? [`with ${priorities.join(', ')}`] : []),
    ...(isInherited ? ['inherited'] : [])
  ]
}
