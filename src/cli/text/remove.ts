// The words for what keeps our part from being taken out.

import { nixError } from '../../nix/errors.ts'
import type { RemoveProblem, UsePlace } from '../../plan/problem.ts'
import { type Context, callOn } from '../context.ts'
import type { Message } from '../message.ts'
import { applyMessage, nixMessage } from './apply.ts'

const AGAIN = 'then run this again'

/** `configuration` is the path without links of the file that the context names. */
export function removeMessage(
  problem: RemoveProblem,
  context: Context,
  configuration: string
): Message {
  const inside = (path: string) => (path === configuration ? context : { ...context, file: path })
  if (problem.code === 'NIX') {
    const message = nixMessage(problem.error, inside(problem.path))
    const remedy = `take it out there by hand, ${AGAIN}`
    return problem.error.code === 'INHERITED' ? { ...message, remedy } : message
  }
  if (problem.code !== 'STILL_USED' && problem.code !== 'USED_ELSEWHERE') {
    return applyMessage(problem, context)
  }
  const [first, ...more] = problem.uses as [UsePlace, ...UsePlace[]]
  const { code } = problem
  const places = more.slice(0, 5).map(it => placeMessage(it, inside(it.path)).place)
  const rest = more.length > 5 ? ` and ${more.length - 5} more` : ''
  const also = more.length === 0 ? '' : `\nThe same at ${places.join(', ')}${rest}`
  const { message } = placeMessage(first, inside(first.path))
  const elsewhere = code === 'USED_ELSEWHERE'
  return {
    ...message,
    code,
    why: elsewhere
      ? `${context.file} does not import this file, so it is not touched; a system that has it would not evaluate any more.`
      : WHY[first.kind],
    remedy: `${elsewhere ? remedyElsewhere(first, context) : REMEDIES[first.kind]}${also}`
  }
}

const WHY: Record<UsePlace['kind'], string> = {
  definition: 'without the modules of vfio-patch there is no such option.',
  reading: 'without the modules of vfio-patch there is no such option, and nothing to read.',
  module: 'this would lead to nothing.'
}

const REMEDIES: Record<UsePlace['kind'], string> = {
  definition: `take it out there by hand, ${AGAIN}`,
  reading: `write there what it stands for, or take it out, ${AGAIN}`,
  module: `take it out there, ${AGAIN}`
}

function remedyElsewhere({ kind, path }: UsePlace, context: Context): string {
  return kind === 'definition'
    ? `first: ${callOn(path, context)}\nor take it out there by hand`
    : REMEDIES[kind]
}

/** A place with its line of the text, and how it is named in a list. */
function placeMessage(use: UsePlace, context: Context): { message: Message; place: string } {
  const { text, range, kind, name } = use
  const does = { definition: 'is set', reading: 'is read', module: 'is used' }[kind]
  const message = `${name} ${does} here, and would be gone`
  const error = nixError(text, { code: 'CONFLICT', message, range })
  const { line, column } = error.at
  return { message: nixMessage(error, context), place: `${context.file}:${line}:${column}` }
}
