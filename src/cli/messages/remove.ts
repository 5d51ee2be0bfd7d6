// Why vfio-patch can't be removed from a configuration, and what is kept.

import { nixError } from '../../nix/errors.ts'
import type { RemoveProblem, UsePlace } from '../../plan/problem.ts'
import { type Context, callOn } from '../context.ts'
import type { Message } from '../message.ts'
import { applyMessage, nixMessage } from './apply.ts'

/** The configuration does not use vfio-patch. */
export function nothingToRemove(file: string): string {
  return `Nothing to do: ${file} does not use vfio-patch.`
}

/** A module with local edits is renamed. */
export function renamedModule(name: string, kept: string): string {
  return `Renamed: ${name}, which has local edits, is kept as ${kept}`
}

/** The folder with the guests is kept. */
export function guestsKept(folder: string): string {
  return `Kept: ${folder}/, your guests; libvirt keeps them too`
}

/** A file in the folder of the modules is kept because it is not a module of vfio-patch. */
export function foreignFileKept(name: string): string {
  return `Kept: ${name}, which does not belong to vfio-patch`
}

/** A folder of modules is kept because another file imports the folder. */
export function importedFolderKept(folder: string, importer: string): string {
  return `Kept: ${folder}/, because ${importer} imports it`
}

const AGAIN = 'then run this again'

// More places would hide the message.
const MOST_PLACES = 5

/** Why vfio-patch can't be removed. `configuration` is the path of the context's file without symlinks. */
export function removeMessage(
  problem: RemoveProblem,
  context: Context,
  configuration: string
): Message {
  const inside = (path: string) => (path === configuration ? context : { ...context, file: path })
  if (problem.code === 'NIX') {
    const message = nixMessage(problem.error, inside(problem.path))
    const remedy = `remove it there, ${AGAIN}`
    return problem.error.code === 'INHERITED' ? { ...message, remedy } : message
  }
  if (problem.code !== 'STILL_USED' && problem.code !== 'USED_ELSEWHERE') {
    return applyMessage(problem, context)
  }
  const [first, ...more] = problem.uses as [UsePlace, ...UsePlace[]]
  const { code } = problem
  const places = more.slice(0, MOST_PLACES).map(it => placeMessage(it, inside(it.path)).place)
  const rest = more.length > MOST_PLACES ? ` and ${more.length - MOST_PLACES} more` : ''
  const also = more.length === 0 ? '' : `\nThe same at ${places.join(', ')}${rest}`
  const { message } = placeMessage(first, inside(first.path))
  const isElsewhere = code === 'USED_ELSEWHERE'
  return {
    ...message,
    code,
    why: isElsewhere
      ? `${context.file} does not import this file, so vfio-patch does not edit it; but a system that imports it would no longer evaluate.`
      : WHY[first.kind],
    remedy: `${isElsewhere ? remedyElsewhere(first, context) : REMEDIES[first.kind]}${also}`
  }
}

const WHY: Record<UsePlace['kind'], string> = {
  definition: "only vfio-patch's modules declare this option.",
  reading: "only vfio-patch's modules declare this option.",
  module: 'this path would no longer exist.'
}

const REMEDIES: Record<UsePlace['kind'], string> = {
  definition: `remove the definition, ${AGAIN}`,
  reading: `replace this with the value of the option, or remove it, ${AGAIN}`,
  module: `remove this path, ${AGAIN}`
}

function remedyElsewhere({ kind, path }: UsePlace, context: Context): string {
  return kind === 'definition'
    ? `first: ${callOn(path, context)}\nor remove the definition yourself`
    : REMEDIES[kind]
}

/** A place with its line of the text, and its name in a list. */
function placeMessage(use: UsePlace, context: Context): { message: Message; place: string } {
  const { text, range, kind, name } = use
  const verb = { definition: 'set', reading: 'read', module: 'used' }[kind]
  const message = `${name} is ${verb} here, and would be removed`
  const error = nixError(text, { code: 'CONFLICT', message, range })
  const { line, column } = error.at
  return { message: nixMessage(error, context), place: `${context.file}:${line}:${column}` }
}
